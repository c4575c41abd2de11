//! Stories of clients that follow the protocol.

mod support;

use std::time::Duration;

use chorus_core::{
    command::{Joining, LeaveReason, RoomCommand},
    session::Limits,
};
use serde_json::json;
use support::{CLOSED, DEADLINE, GAME, LOBBY, World, until, within};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_client_is_welcomed_and_joins_the_lobby() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(r#"{"t":"hello","name":" Ana "}"#).await;
    let welcome = client.welcome().await;
    assert_eq!(
        (&welcome["name"], &welcome["recovered"], &welcome["pingMs"]),
        (&"Ana".into(), &false.into(), &8000.into())
    );
    assert_eq!(welcome["resume"].as_str().map(str::len), Some(64));
    assert_eq!(client.frame("room").await["room"], LOBBY.to_string());
    assert_eq!((world.edge.connections(), world.edge.sessions()), (1, 1));
}

#[tokio::test]
async fn a_welcome_has_the_time_of_the_servers_clock_also_after_a_resume() {
    let world = World::start().await;
    let clock = world.store.clock();
    let mut hello = json!({});
    for recovered in [false, true] {
        let before = clock.now();
        let welcome = world.hello(hello).await.welcome().await;
        assert_eq!(welcome["recovered"], recovered);
        let now = welcome["now"].as_u64().expect("milliseconds");
        assert!((before.0..=clock.now().0).contains(&now), "{now} is not between {before:?} and {:?}", clock.now());
        hello = json!({ "resume": welcome["resume"] });
    }
}

#[tokio::test]
async fn a_message_is_answered_by_its_room() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "echo", r#"{"a":[1]}"#).await;
    let reply = client.frame("reply").await;
    assert_eq!((reply["id"].as_u64(), reply["seq"].as_u64(), &reply["data"]["a"][0]), (Some(1), Some(2), &1.into()));
}

#[tokio::test]
async fn a_frame_that_a_room_repeats_is_delivered_once() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "twice", "null").await;
    client.message(2, "echo", "null").await;
    for seq in [2, 3] {
        assert_eq!(client.frame("reply").await["seq"], seq);
    }
}

#[tokio::test]
async fn a_lost_connection_is_resumed_with_the_missed_frames() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "echo", "1").await;
    client.message(2, "echo", "2").await;
    assert_eq!(client.frame("reply").await["seq"], 2);
    let (resume, session) = (client.resume.clone(), client.session.clone());
    drop(client);
    world.rooms.receive("the drop", |room, command| room == LOBBY && matches!(command, RoomCommand::Drop { .. })).await;

    let mut client = world.resume(&resume, Some(2)).await;
    assert_eq!(client.session, session);
    assert_eq!(client.frame("reply").await["seq"], 3);
    client.message(3, "echo", "3").await;
    assert_eq!(client.frame("reply").await["seq"], 4);
}

#[tokio::test]
async fn a_session_that_resumes_without_naming_its_last_frame_gets_the_whole_view() {
    let world = World::start().await;
    let token = world.join().await.resume;
    let mut client = world.resume(&token, None).await;
    assert_eq!(client.frame("room").await["seq"], 2);
}

#[tokio::test]
async fn a_token_that_was_used_and_superseded_opens_a_new_session() {
    let world = World::start().await;
    let client = world.join().await;
    let (first, session) = (client.resume.clone(), client.session.clone());
    let mut client = world.resume(&first, Some(1)).await;
    // Any answer shows that the new token has arrived, and that the store has it.
    client.message(1, "echo", "null").await;
    client.frame("reply").await;
    within("the old token's end", async {
        loop {
            let mut other = world.send_resume(&first, None).await;
            if other.welcome().await["recovered"] == false {
                assert_ne!(other.session, session);
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_connection_of_a_session_replaces_the_first() {
    let world = World::start().await;
    let mut first = world.join().await;
    let mut second = world.resume(&first.resume, Some(1)).await;
    assert_eq!(first.close_code().await, 4504);
    second.message(1, "echo", "null").await;
    assert_eq!(second.frame("reply").await["seq"], 2);
    assert_eq!(world.rooms.count(|command| matches!(command, RoomCommand::Drop { .. })), 0);
    assert_eq!(world.edge.sessions(), 1);
}

#[tokio::test]
async fn a_session_moves_over_the_same_socket() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "move", &format!(r#""{GAME}""#)).await;
    let room = client.frame("room").await;
    assert_eq!(room["room"], GAME.to_string());
    assert_eq!(client.frame("left").await["room"], LOBBY.to_string());
    client.message(2, "echo", "null").await;
    // The message that the lobby received and did not answer before the session left.
    client.error("not_in_room", Some(1)).await;
    assert_eq!(client.frame("reply").await["room"], GAME.to_string());
    let moves = world.rooms.count(|command| matches!(command, RoomCommand::Join(Joining { from: Some(_), .. })));
    assert_eq!(moves, 1, "it was requested twice");
}

#[tokio::test]
async fn a_session_that_leaves_its_last_room_is_in_the_lobby_again() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "move", &format!(r#""{GAME}""#)).await;
    client.frame("room").await;
    client.frame("left").await;
    client.error("not_in_room", Some(1)).await;
    client.message(2, "leave", "null").await;
    client.frame("left").await;
    client.error("not_in_room", Some(2)).await;
    let room = client.frame("room").await;
    assert_eq!((room["room"].as_str(), room["seq"].as_u64()), (Some(&*LOBBY.to_string()), Some(3)));
}

#[tokio::test]
async fn a_refused_move_is_reported_to_the_room_that_requested_it() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "move", &format!(r#""{CLOSED}""#)).await;
    world
        .rooms
        .receive("the refusal", |room, command| room == LOBBY && matches!(command, RoomCommand::Answer { .. }))
        .await;
    client.message(2, "echo", "null").await;
    assert_eq!(client.frame("reply").await["room"], LOBBY.to_string());
}

#[tokio::test]
async fn a_session_resumes_at_another_edge_and_its_first_edge_closes_the_older_connection() {
    let mut world = World::start().await;
    let mut first = world.join().await;
    first.message(1, "echo", "1").await;
    first.frame("reply").await;
    let _first_edge = world.start_another_edge().await;
    let mut second = world.resume(&first.resume, Some(1)).await;
    assert_eq!(first.close_code().await, 4504);
    assert_eq!(second.frame("reply").await["seq"], 2);
    second.message(1, "echo", "1").await;
    second.message(2, "echo", "2").await;
    assert_eq!(second.frame("reply").await["id"], 2, "the first was applied, and answered, before");
}

#[tokio::test]
async fn an_edge_without_its_log_closes_its_connections_as_unavailable() {
    let world = World::start().await;
    let mut client = world.join().await;
    world.bus.clone().close().await.expect("closed");
    assert_eq!(client.close_code().await, 4010);
}

#[tokio::test]
async fn a_kicked_session_is_over() {
    let world = World::start().await;
    let mut client = world.join().await;
    let (session, resume) = (client.session.parse().expect("an id"), client.resume.clone());
    world.store.kick_session(session, "cheating").await.expect("the room's host does this first");
    client.message(1, "kick", "null").await;
    assert_eq!(client.close_code().await, 4503);
    let kicked = |_, command: &RoomCommand| matches!(command, RoomCommand::Leave { reason: LeaveReason::Kicked, .. });
    world.rooms.receive("the kick", kicked).await;
    let mut again = world.send_resume(&resume, None).await;
    assert_eq!(again.close_code().await, 4503);
}

#[tokio::test]
async fn a_client_that_disconnects_is_dropped_with_its_own_code() {
    let world = World::start().await;
    let mut client = world.join().await;
    within("the close", client.socket.close(None)).await.expect("closed");
    world.rooms.receive("the drop", |_, command| matches!(command, RoomCommand::Drop { code: 1005, .. })).await;
}

#[tokio::test]
async fn a_drain_closes_every_connection_and_drops_every_member() {
    let world = World::start().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(world.join().await);
    }
    let silent = world.connect().await;
    clients.push(silent);
    let edge = world.edge.clone();
    let drained = tokio::spawn(async move { edge.drain(Duration::ZERO, DEADLINE).await });
    for client in &mut clients {
        assert_eq!(client.close_code().await, 4001);
        // Reading on answers the close frame.
        assert!(within("the end", futures_util::StreamExt::next(&mut client.socket)).await.is_none());
    }
    within("the drain", drained).await.expect("drained");
    assert_eq!((world.edge.connections(), world.edge.sessions()), (0, 0));
    let drops = |_, command: &RoomCommand| matches!(command, RoomCommand::Drop { code: 4001, .. });
    world.rooms.receive_many(5, "the drops", drops).await;
    assert!(tokio::net::TcpStream::connect(world.address()).await.is_err(), "no connection is accepted any more");
}

#[tokio::test]
async fn the_server_pings_and_a_client_that_answers_stays() {
    let limits = Limits { ping_ms: 50, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    let mut client = world.join().await;
    for _ in 0..5 {
        // Reading answers the ping.
        assert!(matches!(client.next_message().await, Message::Ping(_)));
    }
    client.message(1, "echo", "null").await;
    client.frame("reply").await;
}

#[tokio::test]
async fn a_half_open_connection_is_noticed() {
    let limits = Limits { ping_ms: 50, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    let mut silent = world.raw_web_socket().await;
    silent.send_frame(0x81, br#"{"t":"hello"}"#).await;
    assert_eq!(silent.close_code().await, Some(4009));
    world.rooms.receive("the drop", |_, command| matches!(command, RoomCommand::Drop { code: 4009, .. })).await;
}

#[tokio::test]
async fn a_client_that_exceeds_its_rate_gets_an_error_and_is_then_closed() {
    let limits = Limits { per_second: 1, burst: 5, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    let mut client = world.join().await;
    for id in 1..=4 {
        client.message(id, "echo", "null").await;
        client.frame("reply").await;
    }
    client.message(5, "echo", "null").await;
    let error = client.error("rate_limited", Some(5)).await;
    assert!(error["retryAfterMs"].as_u64().is_some_and(|ms| (1..=1001).contains(&ms)), "{error}");
    for id in 6..12 {
        client.message(id, "echo", "null").await;
    }
    assert_eq!(client.close_code().await, 4029);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_receives_everything_when_it_resumes() {
    let world = World::start().await;
    let mut client = world.join().await;
    let resume = client.resume.clone();
    client.message(1, "flood", "9000").await;
    // It reads nothing until the edge closes it.
    world.rooms.receive("the drop", |_, command| matches!(command, RoomCommand::Drop { code: 4008, .. })).await;
    let mut last = 1;
    while let Some(Ok(message)) = within("the end", futures_util::StreamExt::next(&mut client.socket)).await {
        let Message::Text(text) = message else { continue };
        let frame: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        last += 1;
        assert_eq!(frame["seq"], last, "without a gap");
    }
    assert!(last < 9001, "it was closed before the end");
    // It takes several rounds to receive everything, each up to the capacity of the outbox.
    let mut token = resume;
    while last < 9001 {
        let mut client = world.resume(&token, Some(last)).await;
        token = client.resume.clone();
        while last < 9001 {
            match within("a frame", futures_util::StreamExt::next(&mut client.socket)).await {
                Some(Ok(Message::Text(text))) => {
                    let frame: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                    last += 1;
                    assert_eq!(frame["seq"], last);
                }
                Some(Ok(_)) => {}
                _ => break,
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_has_ended_leaves_nothing_behind() {
    let world = World::start().await;
    for _ in 0..20 {
        drop(world.join().await);
    }
    until("the ends", async || world.edge.connections() + world.edge.sessions() == 0).await;
}
