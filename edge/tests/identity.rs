//! Stories of players with tokens, and of guests that last.

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use chorus_core::{
    command::{Joining, RoomCommand},
    identity::TokenRules,
};
use chorus_edge::{KeySource, Options, TokenOptions, mint};
use serde_json::{Value, json};
use support::{Client, LOBBY, World, within};

const SECRET: &str = "a secret of more than 32 bytes, for tests";

/// A token of this player, which lasts so many seconds.
fn token(subject: &str, lasts: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let claims =
        json!({ "sub": subject, "name": format!("{subject} of the site"), "role": "admin", "exp": now + lasts });
    mint(&claims, None, &SECRET.into()).expect("a secret").expose().to_owned()
}

fn with_tokens(options: &mut Options) {
    let rules = TokenRules { skew_ms: 0, room_claims: vec!["role".into()], ..TokenRules::default() };
    options.tokens = Some(TokenOptions { keys: KeySource::Text(SECRET.into()), rules });
}

async fn world() -> World {
    World::start_with(with_tokens).await
}

/// Skips frames of rooms.
async fn frame_of(client: &mut Client, tag: &str) -> Value {
    loop {
        let frame = client.next().await;
        if frame["t"] == tag {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_player_is_whom_its_token_names_and_rooms_get_its_claims_with_the_join() {
    let world = world().await;
    let mut client = world.hello(json!({ "token": token("42", 600.0), "name": "Evil" })).await;
    let welcome = client.welcome().await;
    assert_eq!((&welcome["player"], &welcome["name"]), (&"u:42".into(), &"42 of the site".into()));
    assert_eq!(welcome.get("guest"), None);
    let joins = |room, command: &RoomCommand| match command {
        RoomCommand::Join(Joining { player, claims, .. }) => {
            room == LOBBY && *player.id == *"u:42" && claims.as_deref() == Some(r#"{"role":"admin"}"#)
        }
        _ => false,
    };
    world.rooms.receive("the join", joins).await;
}

#[tokio::test]
async fn a_token_is_refused_where_it_is_not_valid_and_where_none_are_checked() {
    let valid = token("42", 600.0);
    let forged = valid.replacen('.', ".e", 1);
    let world = world().await;
    for bad in [forged.as_str(), "", "x", &token("42", -600.0), &token(&"x".repeat(127), 600.0)] {
        assert_eq!(world.hello(json!({ "token": bad })).await.close_code().await, 4501, "{bad}");
    }
    let without = World::start().await;
    assert_eq!(without.hello(json!({ "token": valid })).await.close_code().await, 4501);
    let strict = World::start_with(|options| {
        with_tokens(options);
        options.anonymous = false;
    });
    let strict = strict.await;
    assert_eq!(strict.hello(json!({ "name": "Ana" })).await.close_code().await, 4501);
    assert_eq!(strict.hello(json!({ "token": valid })).await.welcome().await["player"], "u:42");
}

#[tokio::test]
async fn a_token_is_renewed_without_a_lost_frame() {
    let world = world().await;
    let mut client = world.hello(json!({ "token": token("42", 3.0) })).await;
    client.welcome().await;
    let mut id = 0;
    // Messages and their replies continue until the server requests a token, and further until the first token has ended.
    let mut answered = Vec::new();
    let (mut asked, mut renewed) = (0, 0);
    within("both renewals", async {
        while renewed < 2 {
            let frame = client.next().await;
            match frame["t"].as_str().expect("a tag") {
                "expiring" => {
                    asked += 1;
                    client.send(&json!({ "t": "renew", "token": token("42", 3.0) }).to_string()).await;
                }
                "renewed" => renewed += 1,
                "reply" => answered.push(frame["id"].as_u64().expect("an id")),
                "room" => {}
                other => panic!("{other}: {frame}"),
            }
            if answered.len() as u64 == id && id < 90 {
                id += 1;
                client.message(id, "echo", "null").await;
            }
        }
    })
    .await;
    assert_eq!(asked, 2);
    assert_eq!(answered, (1..=answered.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_does_not_outlive_its_token_and_does_not_resume_without_another_one() {
    let world = world().await;
    let mut client = world.hello(json!({ "token": token("42", 1.5) })).await;
    client.welcome().await;
    frame_of(&mut client, "expiring").await;
    assert_eq!(client.close_code().await, 4501);
    let (resume, session) = (client.resume.clone(), client.session.clone());
    assert_eq!(world.hello(json!({ "resume": resume })).await.close_code().await, 4501);
    let mut back = world.hello(json!({ "resume": resume, "token": token("42", 600.0) })).await;
    assert_eq!((&back.welcome().await["recovered"], &back.session), (&true.into(), &session));

    let mut other = world.hello(json!({ "resume": back.resume, "token": token("43", 600.0) })).await;
    let welcome = other.welcome().await;
    assert_eq!((&welcome["recovered"], &welcome["player"]), (&false.into(), &"u:43".into()), "it is another's session");
    other.send(&json!({ "t": "renew", "token": token("42", 600.0) }).to_string()).await;
    assert_eq!(other.close_code().await, 4501, "a renewal is of the same player");
}

#[tokio::test]
async fn a_guest_is_the_same_player_in_its_next_session() {
    let mut world = World::start().await;
    let first = world.hello(json!({ "name": "Ana" })).await.welcome().await;
    let (player, guest) = (first["player"].clone(), first["guest"].clone());
    assert!(player.as_str().is_some_and(|id| id.len() == 34 && id.starts_with("g:")), "{player}");
    world.start_another_edge().await;
    let again = world.hello(json!({ "name": "Bea", "guest": guest })).await.welcome().await;
    assert_eq!((&again["player"], &again["recovered"], &again["name"]), (&player, &false.into(), &"Bea".into()));
    for bad in ["", "x", &guest.as_str().expect("a token").replace(['0', '1'], "2")] {
        let other = world.hello(json!({ "guest": bad })).await.welcome().await;
        assert_ne!(other["player"], player, "a guest by an invalid token is a new one");
    }
}

#[tokio::test]
async fn a_guest_that_signs_in_keeps_its_session_and_its_rooms_are_notified() {
    let world = world().await;
    let mut client = world.hello(json!({ "name": "Ana" })).await;
    let first = client.welcome().await;
    let was = first["player"].as_str().expect("an id").to_owned();
    let upgraded = json!({ "resume": client.resume, "guest": first["guest"], "token": token("42", 600.0) });
    let mut client = world.hello(upgraded).await;
    let welcome = client.welcome().await;
    assert_eq!((&welcome["recovered"], &welcome["player"]), (&true.into(), &"u:42".into()));
    assert_eq!((&welcome["name"], welcome.get("guest")), (&"42 of the site".into(), None));
    let identifies = |room, command: &RoomCommand| match command {
        RoomCommand::Identify { was: before, player, claims, .. } => {
            room == LOBBY && **before == *was && *player.id == *"u:42" && claims.is_some()
        }
        _ => false,
    };
    world.rooms.receive("the new identity", identifies).await;
}
