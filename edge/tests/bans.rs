//! Stories of players whom an operator has banned, kicked or logged out, and of names that nobody may have.

mod support;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chorus_core::{
    command::{EdgeCommand, LeaveReason, RoomCommand},
    frame::CloseCode,
    identity::{Ending, SessionsOf, TokenRules},
    ids::SessionId,
};
use chorus_edge::{BlockedNamesFile, KeySource, NameFilter, Options, TokenOptions, mint};
use chorus_store::{LoggedOut, NewBan, SessionFilter};
use serde_json::{Value, json};
use support::{Client, LOBBY, World, until};

const SECRET: &str = "a secret of more than 32 bytes, for tests";
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A token of this player, of so many seconds ago.
fn token(subject: &str, id: &str, ago: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({ "sub": subject, "name": "Ana", "jti": id, "iat": now - ago, "exp": now + 600 });
    mint(&claims, None, &SECRET.into()).expect("a secret").expose().to_owned()
}

fn with_tokens(options: &mut Options) {
    let rules = TokenRules { skew_ms: 0, ..TokenRules::default() };
    options.tokens = Some(TokenOptions { keys: KeySource::Text(SECRET.into()), rules });
}

async fn world() -> World {
    World::start_with(with_tokens).await
}

async fn welcome(world: &World, members: Value) -> (Client, Value) {
    let mut client = world.hello(members).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

async fn refusal(world: &World, members: Value) -> (u16, String) {
    world.hello(members).await.closed().await
}

async fn ban(world: &World, target: &str) {
    let target = target.parse().expect("a target");
    world.store.ban(&NewBan { target, reason: "cheating".into(), note: None, lasts: None }).await.expect("banned");
}

async fn unban(world: &World, target: &str) {
    assert!(world.store.unban(&target.parse().expect("a target")).await.expect("lifted"));
}

/// What an operator's command sends to every edge.
async fn end(world: &World, of: SessionsOf, code: CloseCode) {
    let ending = Ending { of, code, reason: "cheating".into() };
    world.bus.send_edge(world.edge.id(), EdgeCommand::End(ending)).await.expect("sent");
}

fn cheating() -> (u16, String) {
    (4503, "cheating".to_owned())
}

fn leaves(session: &str, with: LeaveReason) -> impl Fn(chorus_core::ids::RoomId, &RoomCommand) -> bool {
    let left: SessionId = session.parse().expect("a session");
    move |room, command| {
        room == LOBBY
            && matches!(command, RoomCommand::Leave { session, reason } if (*session, *reason) == (left, with))
    }
}

#[tokio::test]
async fn a_banned_player_is_refused_with_the_reason_by_any_of_its_credentials() {
    let world = world().await;
    let (account, _) = welcome(&world, json!({ "token": token("42", "one", 0) })).await;
    let (guest, its) = welcome(&world, json!({ "name": "Bea" })).await;
    let (resume_account, resume_guest) = (account.resume.clone(), guest.resume.clone());
    drop((account, guest));
    ban(&world, "u:42").await;
    ban(&world, its["player"].as_str().expect("an id")).await;
    for members in [
        json!({ "token": token("42", "two", 0) }),
        json!({ "resume": resume_account }),
        json!({ "resume": resume_account, "token": token("42", "two", 0) }),
        json!({ "guest": its["guest"] }),
        json!({ "resume": resume_guest }),
        json!({ "guest": its["guest"], "token": token("43", "three", 0) }),
        json!({ "resume": resume_guest, "token": token("43", "three", 0) }),
    ] {
        assert_eq!(refusal(&world, members.clone()).await, cheating(), "{members}");
    }
    let (_, other) = welcome(&world, json!({ "token": token("43", "three", 0) })).await;
    assert_eq!(other["player"], "u:43");
    unban(&world, "u:42").await;
    let (_, back) = welcome(&world, json!({ "resume": resume_account })).await;
    assert_eq!((&back["player"], &back["recovered"]), (&"u:42".into(), &true.into()));
}

#[tokio::test]
async fn a_guest_that_signs_in_as_a_banned_account_is_refused() {
    let world = world().await;
    let (guest, its) = welcome(&world, json!({})).await;
    ban(&world, "u:42").await;
    let upgrade = json!({ "resume": guest.resume, "guest": its["guest"], "token": token("42", "one", 0) });
    assert_eq!(refusal(&world, upgrade).await, cheating());
    let (_, back) = welcome(&world, json!({ "resume": guest.resume })).await;
    assert_eq!((&back["player"], &back["recovered"]), (&its["player"], &true.into()), "the guest is not banned");
}

#[tokio::test]
async fn a_ban_of_a_network_is_of_the_addresses_in_it() {
    let world = World::start_with(|options| {
        options.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await;
    ban(&world, "192.0.2.0/24").await;
    let from = async |address: &str| {
        let mut client = world.connect_with(&[("X-Forwarded-For", address)]).await.expect("upgraded");
        client.send(r#"{"t":"hello"}"#).await;
        client
    };
    assert_eq!(from("192.0.2.7").await.closed().await, cheating());
    let mut other = from("192.0.3.7").await;
    other.welcome().await;
    let shown = world.store.player_sessions(&SessionFilter::All, None, 10).await.expect("read");
    assert_eq!(shown[0].address.as_deref(), Some("192.0.3.7/32"));

    let of = SessionsOf::Network("192.0.3.0/24".parse().expect("a network"));
    end(&world, of, CloseCode::Kicked).await;
    assert_eq!(other.closed().await, cheating());
    world.rooms.receive("its leave", leaves(&other.session, LeaveReason::Kicked)).await;
}

#[tokio::test]
async fn a_session_that_an_operator_ends_is_closed_out_of_its_rooms_and_does_not_resume() {
    let world = world().await;
    let (mut ana, _) = welcome(&world, json!({ "token": token("42", "one", 0) })).await;
    let (mut elsewhere, _) = welcome(&world, json!({ "token": token("42", "two", 0) })).await;
    let (mut ben, _) = welcome(&world, json!({ "token": token("43", "three", 0) })).await;
    end(&world, SessionsOf::Player("u:42".into()), CloseCode::Kicked).await;
    for client in [&mut ana, &mut elsewhere] {
        assert_eq!(client.closed().await, cheating());
        world.rooms.receive("its leave", leaves(&client.session, LeaveReason::Kicked)).await;
    }
    let kicked = async || {
        let sessions =
            world.store.player_sessions(&SessionFilter::Player("u:42".into()), None, 10).await.expect("read");
        sessions.iter().all(|row| row.kicked.as_deref() == Some("cheating"))
    };
    until("the rows have the reason", kicked).await;
    assert_eq!(refusal(&world, json!({ "resume": ana.resume })).await, cheating());
    ben.frame("room").await;
    ben.message(1, "echo", "1").await;
    assert_eq!(ben.frame("reply").await["data"], 1, "another player's session goes on");
    let (_, back) = welcome(&world, json!({ "token": token("42", "four", 0) })).await;
    assert_eq!((&back["player"], &back["recovered"]), (&"u:42".into(), &false.into()), "a kick is no ban");
}

#[tokio::test]
async fn a_logout_refuses_tokens_of_before_and_takes_later_ones() {
    let world = world().await;
    let before = token("42", "one", 60);
    let (mut ana, _) = welcome(&world, json!({ "token": before })).await;
    let (mut ben, _) = welcome(&world, json!({ "token": token("43", "two", 60) })).await;
    world.store.log_out(&LoggedOut::Player("u:42".into()), AN_HOUR).await.expect("noted");
    world.store.log_out(&LoggedOut::Token("two".into()), AN_HOUR).await.expect("noted");
    end(&world, SessionsOf::Player("u:42".into()), CloseCode::Unauthorized).await;
    end(&world, SessionsOf::Token("two".into()), CloseCode::Unauthorized).await;
    for client in [&mut ana, &mut ben] {
        assert_eq!(client.close_code().await, 4501);
        world.rooms.receive("its leave", leaves(&client.session, LeaveReason::Left)).await;
    }
    assert_eq!(refusal(&world, json!({ "token": before })).await.0, 4501);
    assert_eq!(refusal(&world, json!({ "token": token("43", "two", 0) })).await.0, 4501);
    let (_, later) = welcome(&world, json!({ "token": token("43", "three", 0) })).await;
    assert_eq!(later["player"], "u:43");
    let ended = async || world.store.session_edge(ana.session.parse().expect("an id")).await.expect("read").is_none();
    until("the session has ended", ended).await;
    // A token has whole seconds, and one of the second of the logout is refused.
    let next_second = json!({ "resume": ana.resume, "token": in_the_future("42") });
    let (_, back) = welcome(&world, next_second).await;
    assert_eq!((&back["player"], &back["recovered"]), (&"u:42".into(), &false.into()), "its resume token is as none");
}

fn in_the_future(subject: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({ "sub": subject, "iat": now + 1, "exp": now + 600 });
    mint(&claims, None, &SECRET.into()).expect("a secret").expose().to_owned()
}

#[tokio::test]
async fn a_renewal_by_a_token_that_was_logged_out_or_of_a_banned_player_ends_the_connection() {
    let world = world().await;
    world.store.log_out(&LoggedOut::Token("two".into()), AN_HOUR).await.expect("noted");
    let renew = async |client: &mut Client, token: String| {
        client.send(&json!({ "t": "renew", "token": token }).to_string()).await;
    };
    let (mut ana, _) = welcome(&world, json!({ "token": token("42", "one", 0) })).await;
    renew(&mut ana, token("42", "two", 0)).await;
    assert_eq!(ana.close_code().await, 4501);

    let (mut ben, _) = welcome(&world, json!({ "token": token("43", "three", 0) })).await;
    ban(&world, "u:43").await;
    renew(&mut ben, token("43", "four", 0)).await;
    assert_eq!(ben.closed().await, cheating());
    world.rooms.receive("its leave", leaves(&ben.session, LeaveReason::Kicked)).await;
}

#[tokio::test]
async fn a_player_whose_name_is_blocked_gets_a_neutral_one_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("names");
    std::fs::write(&path, "admin\n").expect("written");
    let file = BlockedNamesFile::open(&path).expect("a list");
    let world = World::start_with(|options| {
        with_tokens(options);
        options.blocks_name = Some(file.filter());
        // The story says hello until the file has been read again.
        options.new_sessions = 100_000;
    })
    .await;
    let name = |welcome: &Value| welcome["name"].as_str().expect("a name").to_owned();
    let (_, guest) = welcome(&world, json!({ "name": "The Ádm1n" })).await;
    let neutral = name(&guest);
    assert!(neutral.starts_with("Player ") && neutral.len() == "Player 1234".len(), "{neutral}");
    let (_, again) = welcome(&world, json!({ "name": "admin", "guest": guest["guest"] })).await;
    assert_eq!(name(&again), neutral, "the same player has the same one");
    let (_, other) = welcome(&world, json!({ "name": "Ana" })).await;
    assert_eq!(name(&other), "Ana");
    let joins =
        |_, command: &RoomCommand| matches!(command, RoomCommand::Join(joining) if *joining.player.name == neutral);
    world.rooms.receive_many(2, "both joins", joins).await;
    assert_eq!(world.rooms.count(|command| format!("{command:?}").contains("Ádm1n")), 0, "it is in no record");

    std::fs::write(&path, "ana\n").expect("written");
    until("the file is read again", async || name(&welcome(&world, json!({ "name": "Ana" })).await.1) != "Ana").await;
    let (_, account) = welcome(&world, json!({ "token": token("42", "one", 0) })).await;
    assert!(name(&account).starts_with("Player "), "the names of tokens are checked too: {account}");
}

#[tokio::test]
async fn an_embedder_has_a_rule_of_its_own_for_names() {
    let world = World::start_with(|options| {
        options.blocks_name = Some(NameFilter(Arc::new(|name| name.len() > 3)));
    })
    .await;
    let (_, long) = welcome(&world, json!({ "name": "Anna" })).await;
    assert!(long["name"].as_str().expect("a name").starts_with("Player "));
    assert_eq!(welcome(&world, json!({ "name": "Ana" })).await.1["name"], "Ana");
}
