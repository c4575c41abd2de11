//! Players and their sessions.

use chorus_bus::EdgeReceiver;
use chorus_core::{
    command::{EdgeCommand, LeaveReason, Player, RoomCommand},
    frame::CloseCode,
    identity::{Ending, Identity, SessionsOf},
    ids::{MachineId, RoomId, SessionId},
};
use chorus_store::{Arrival, Role};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn sessions_are_listed_page_by_page_by_player() {
    let world = World::start().await;
    let edge = world.register(Role::Edge).await;
    for n in [4, 2, 5, 1, 3] {
        world.open_session(SessionId(n), &edge, GAME).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/players?limit=2".to_owned();
    loop {
        let page = world.good(&path).await;
        let sessions = page["sessions"].as_array().expect("a list");
        seen.extend(sessions.iter().map(|session| session["session"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/players?limit=2&after={next}");
    }
    let all: Vec<String> = (1..=5).map(|n| SessionId(n).to_string()).collect();
    assert_eq!(seen, all);
    for query in ["limit=0", "limit=501", "limit=x", "after=5", "after=x-y", "sort=up"] {
        let (status, body) = world.get(&format!("/v1/players?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
        assert!(body["error"].is_string() && body["do"].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_player_is_shown_with_its_sessions_and_their_rooms() {
    let world = World::start().await;
    let edge = world.register(Role::Edge).await;
    world.open_session(ANA, &edge, RoomId::LOBBY).await;
    assert!(world.store.join_membership(ANA, GAME, &edge).await.expect("joined"));
    world.store.session_disconnected(ANA, &edge, false).await.expect("noted");
    let id = player(ANA).id;
    let shown = world.good(&format!("/v1/players/{id}")).await;
    let session = &shown["sessions"][0];
    assert_eq!((&shown["player"], &session["session"]), (&json!(&*id), &json!(ANA.to_string())));
    assert_eq!(session["rooms"], json!([RoomId::LOBBY.to_string(), GAME.to_string()]));
    assert_eq!((&session["connected"], &session["edge"]), (&json!(false), &json!(edge.to_string())));
    assert_eq!(world.get("/v1/players/u%3Anobody%2F%C3%A9").await.0, StatusCode::NOT_FOUND);
    for bad in ["%ff".to_owned(), "x".repeat(129), String::new()] {
        assert_eq!(world.get(&format!("/v1/players/{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

/// An edge with a channel, and what it has received.
async fn edge_with_channel(world: &World) -> (MachineId, EdgeReceiver) {
    let edge = world.register(Role::Edge).await;
    let channel = world.bus.edge_channel(&edge).await.expect("a channel");
    (edge, channel)
}

async fn next_ending(channel: &mut EdgeReceiver) -> Ending {
    let mut commands = Vec::new();
    within("an ending", channel.recv_many(&mut commands)).await.expect("open");
    match commands.as_slice() {
        [EdgeCommand::End(ending)] => ending.clone(),
        other => panic!("{other:?}"),
    }
}

fn account(id: &str) -> Identity {
    Identity::guest(Player { id: id.into(), name: "Ana".into() })
}

fn leave(session: SessionId, reason: LeaveReason) -> RoomCommand {
    RoomCommand::Leave { session, reason }
}

async fn post(world: &World, path: &str, body: Value) -> (StatusCode, Value) {
    world.post(path, body.to_string()).await
}

#[tokio::test]
async fn a_kick_ends_the_rows_then_notifies_every_edge_and_the_rooms() {
    let world = World::start().await;
    let (edge, mut channel) = edge_with_channel(&world).await;
    let (_, mut other) = edge_with_channel(&world).await;
    world.open_session_of(account("u:1"), ANA, &edge, GAME).await;
    world.open_session_of(account("u:2"), BEN, &edge, GAME).await;
    let (status, kicked) = post(&world, "/v1/players/u%3A1/kick", json!({ "reason": "cheating" })).await;
    assert_eq!((status, &kicked), (StatusCode::OK, &json!({ "player": "u:1", "sessions": 1 })));
    let of = SessionsOf::Player("u:1".into());
    let ending = Ending { of, code: CloseCode::Kicked, reason: "cheating".into() };
    assert_eq!(next_ending(&mut channel).await, ending);
    assert_eq!(next_ending(&mut other).await, ending, "a connection may be anywhere by now");
    assert_eq!(world.records(GAME).await, [leave(ANA, LeaveReason::Kicked)]);
    assert_eq!(world.good("/v1/players/u:1").await["sessions"][0]["kicked"], "cheating");
    assert_eq!(world.good("/v1/players/u:2").await["sessions"][0]["kicked"], Value::Null);

    let (_, again) = post(&world, "/v1/players/u:1/kick", json!({})).await;
    assert_eq!(again["sessions"], 0, "none has ended by this one");
    assert_eq!(world.records(GAME).await.len(), 2, "but the first attempt may have been interrupted before the rooms");
}

#[tokio::test]
async fn a_ban_is_kept_listed_and_lifted() {
    let world = World::start().await;
    let (edge, mut channel) = edge_with_channel(&world).await;
    world.open_session_of(account("u:1"), ANA, &edge, GAME).await;
    let order = json!({ "player": "u:1", "reason": " cheating ", "note": "see the log", "for_ms": 3_600_000 });
    let (status, banned) = post(&world, "/v1/bans", order).await;
    assert_eq!(status, StatusCode::CREATED, "{banned}");
    let ban = &banned["bans"][0];
    assert_eq!((&ban["target"], &ban["reason"], &banned["sessions"]), (&json!("u:1"), &json!("cheating"), &json!(1)));
    assert_eq!(ban["ends_at"].as_u64().expect("a time") - ban["created_at"].as_u64().expect("a time"), 3_600_000);
    assert_eq!(next_ending(&mut channel).await.of, SessionsOf::Player("u:1".into()));
    assert_eq!(world.good("/v1/players/u:1").await["ban"], *ban);

    let (_, network) = post(&world, "/v1/bans", json!({ "address": "2001:db8::7", "reason": "a bot" })).await;
    assert_eq!(network["bans"][0]["target"], "2001:db8::/64");
    assert_eq!(next_ending(&mut channel).await.of, SessionsOf::Network("2001:db8::/64".parse().expect("a network")));
    let page = world.good("/v1/bans?limit=1").await;
    assert_eq!((&page["bans"][0]["target"], &page["next"]), (&json!("2001:db8::/64"), &json!("2001:db8::/64")));
    let page = world.good("/v1/bans?limit=1&after=2001:db8::/64").await;
    assert_eq!(page["bans"][0]["note"], "see the log");

    let lift = async |body: Value| post(&world, "/v1/bans/lift", body).await.0;
    assert_eq!(lift(json!({ "player": "u:1" })).await, StatusCode::OK);
    assert_eq!(lift(json!({ "player": "u:1" })).await, StatusCode::NOT_FOUND);
    assert_eq!(lift(json!({ "address": "2001:db8::8" })).await, StatusCode::OK, "the same /64");
    assert_eq!(world.good("/v1/bans").await["bans"], json!([]));
}

#[tokio::test]
async fn a_guest_and_the_account_that_it_became_are_banned_together() {
    let world = World::start().await;
    let (edge, mut channel) = edge_with_channel(&world).await;
    let upgraded = Identity { guest: Some("g:1".into()), ..account("u:1") };
    for (banned, session) in [("g:1", ANA), ("u:1", BEN)] {
        world.open_session_of(upgraded.clone(), session, &edge, GAME).await;
        let (_, made) = post(&world, "/v1/bans", json!({ "player": banned, "reason": "cheating" })).await;
        let targets: Vec<&Value> = made["bans"].as_array().expect("a list").iter().map(|ban| &ban["target"]).collect();
        assert_eq!(targets, [&json!("g:1"), &json!("u:1")], "by {banned}");
        assert_eq!(made["sessions"], 1);
        let mut ended = Vec::new();
        while ended.len() < 2 {
            let mut commands = Vec::new();
            within("both endings", channel.recv_many(&mut commands)).await.expect("open");
            ended.extend(commands);
        }
    }
}

#[tokio::test]
async fn a_logout_ends_the_sessions_and_refuses_the_tokens_until_then() {
    let world = World::start().await;
    let (edge, mut channel) = edge_with_channel(&world).await;
    let by_token = |id: &str, token: &str| Identity { token_id: Some(token.into()), ..account(id) };
    world.open_session_of(by_token("u:1", "one"), ANA, &edge, GAME).await;
    world.open_session_of(by_token("u:2", "two"), BEN, &edge, GAME).await;
    let (status, out) = post(&world, "/v1/players/u:1/logout", json!({})).await;
    let days = 30 * 24 * 3_600_000_u64;
    let expected = json!({ "player": "u:1", "token_id": null, "sessions": 1, "refused_ms": days });
    assert_eq!((status, out), (StatusCode::OK, expected));
    let ending = next_ending(&mut channel).await;
    assert_eq!((ending.of, ending.code), (SessionsOf::Player("u:1".into()), CloseCode::Unauthorized));
    let mut records = world.records(GAME).await;
    // Housekeeping may end the session at the same time.
    records.dedup();
    assert_eq!(records, [leave(ANA, LeaveReason::Left)]);
    assert_eq!(world.store.session_edge(ANA).await.expect("read"), None, "its row is gone");

    let (_, out) = post(&world, "/v1/tokens/two/logout", json!({ "for_ms": 5_000 })).await;
    assert_eq!((&out["token_id"], &out["sessions"], &out["refused_ms"]), (&json!("two"), &json!(1), &json!(5_000)));
    assert_eq!(next_ending(&mut channel).await.of, SessionsOf::Token("two".into()));
    let arrival = Arrival {
        players: vec!["u:1".into()],
        account: Some("u:1".into()),
        token_id: Some("two".into()),
        address: [192, 0, 2, 7].into(),
    };
    let standing = world.store.standing(&arrival).await.expect("read");
    assert!(standing.logged_out.is_some() && standing.token_logged_out, "{standing:?}");

    let guest = format!("g:{:032x}", 7);
    let (_, out) = post(&world, &format!("/v1/players/{guest}/logout"), json!({})).await;
    assert_eq!(out["refused_ms"], Value::Null, "a guest keeps its token");
}

#[tokio::test]
async fn an_order_that_is_wrong_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let long = "x".repeat(121);
    for (path, body) in [
        ("/v1/bans", json!({ "reason": "cheating" })),
        ("/v1/bans", json!({ "player": "u:1" })),
        ("/v1/bans", json!({ "player": "u:1", "address": "192.0.2.7", "reason": "cheating" })),
        ("/v1/bans", json!({ "player": "Ana", "reason": "cheating" })),
        ("/v1/bans", json!({ "address": "0.0.0.0/0", "reason": "cheating" })),
        ("/v1/bans", json!({ "address": "example.org", "reason": "cheating" })),
        ("/v1/bans", json!({ "player": "u:1", "reason": "" })),
        ("/v1/bans", json!({ "player": "u:1", "reason": long })),
        ("/v1/bans", json!({ "player": "u:1", "reason": "two\nlines" })),
        ("/v1/bans", json!({ "player": "u:1", "reason": "cheating", "for_ms": 0 })),
        ("/v1/bans", json!({ "player": "u:1", "reason": "cheating", "days": 7 })),
        ("/v1/bans/lift", json!({})),
        ("/v1/players/u:1/kick", json!({ "reason": long })),
        ("/v1/players/u:1/logout", json!({ "for_ms": -1 })),
        ("/v1/tokens/%ff/logout", json!({})),
    ] {
        let (status, answer) = post(&world, path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {answer}");
        assert!(answer["error"].is_string() && answer["do"].is_string(), "{path} {body}: {answer}");
    }
    assert_eq!(world.good("/v1/bans").await["bans"], json!([]));
    assert_eq!(world.get("/v1/players/u:1/kick").await.0, StatusCode::METHOD_NOT_ALLOWED);
}
