//! Stories of clients that send more than they may, and of what others notice of it: nothing.

mod support;

use chorus_core::{command::RoomCommand, edge::PlayerLimits, session::Limits};
use support::{Client, World, until};

/// A message of this many bytes is far beyond the rates of these stories: a client that has sent it waits for longer than any
/// test lasts.
const LARGE: usize = 60_000;

/// A rate at which a hello fits into the burst, and a large message takes two minutes.
const SLOW: u32 = 500;

#[tokio::test]
async fn a_session_that_exceeds_its_bytes_is_slowed_and_loses_nothing() {
    let limits = Limits { bytes_per_second: 64 * 1024, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    let mut client = world.join().await;
    for id in 1..=5 {
        client.message(id, "echo", &text(LARGE)).await;
    }
    for id in 1..=5 {
        assert_eq!(client.frame("reply").await["id"], id);
    }
    assert!(world.metric(r#"slowed_total{by="session"}"#) >= 2);
    assert_eq!(world.metric("refused_frames_total"), 0);
}

#[tokio::test]
async fn nothing_is_read_from_a_session_that_waits_and_no_other_player_waits() {
    let limits = Limits { bytes_per_second: SLOW, slowed_ms: u64::MAX, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    let (mut ana, mut ben) = (world.join().await, world.join().await);
    ana.message(1, "echo", &text(LARGE)).await;
    ana.frame("reply").await;
    ana.message(2, "echo", "null").await;
    // Ben's fits into the burst beside the hello.
    ben.send(r#"{"t":"ping"}"#).await;
    ben.frame("pong").await;
    assert_eq!(messages(&world), 1);
    assert_eq!(world.metric(r#"slowed_total{by="session"}"#), 1);
}

#[tokio::test]
async fn a_client_that_is_slowed_for_too_long_is_closed_and_resumes() {
    let limits = Limits { bytes_per_second: SLOW, slowed_ms: 60_000, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    let mut client = world.join().await;
    client.message(1, "echo", &text(LARGE)).await;
    assert_eq!(client.close_code().await, 4029);
    world.rooms.receive("the message", |_, command| matches!(command, RoomCommand::Message { .. })).await;
    world.resume(&client.resume, None).await;
}

#[tokio::test]
async fn the_sessions_of_a_player_share_its_rates() {
    let player = PlayerLimits { bytes_per_second: SLOW, ..PlayerLimits::default() };
    let limits = Limits { slowed_ms: u64::MAX, ..Limits::default() };
    let world = World::start_with(|options| (options.player, options.limits) = (player, limits)).await;
    let (mut first, guest) = guest(&world).await;
    let mut second = world.connect().await;
    second.send(&hello(&guest)).await;
    let mut other = world.join().await;
    second.welcome().await;
    first.message(1, "echo", &text(LARGE)).await;
    first.frame("reply").await;
    // One frame arrives before its session waits for what the player owes.
    second.frame("room").await;
    second.message(1, "echo", "1").await;
    second.frame("reply").await;
    second.message(2, "echo", "2").await;
    other.send(r#"{"t":"ping"}"#).await;
    other.frame("pong").await;
    assert_eq!(messages(&world), 2);
    assert_eq!(world.metric(r#"slowed_total{by="player"}"#), 2);
}

#[tokio::test]
async fn a_players_frames_are_counted_together() {
    let player = PlayerLimits { per_second: 20, ..PlayerLimits::default() };
    let world = World::start_with(|options| options.player = player).await;
    let (mut first, guest) = guest(&world).await;
    let mut second = world.connect().await;
    second.send(&hello(&guest)).await;
    second.welcome().await;
    second.frame("room").await;
    for id in 1..=25 {
        first.message(id, "echo", "null").await;
        second.message(id, "echo", "null").await;
    }
    for id in 1..=25 {
        assert_eq!(first.frame("reply").await["id"], id);
        assert_eq!(second.frame("reply").await["id"], id);
    }
    assert!(world.metric(r#"slowed_total{by="player"}"#) > 0);
    assert_eq!(world.metric("refused_frames_total"), 0);
}

#[tokio::test]
async fn a_players_connections_are_bounded_and_those_of_others_are_not() {
    let player = PlayerLimits { connections: 2, ..PlayerLimits::default() };
    let world = World::start_with(|options| options.player = player).await;
    let (first, guest) = guest(&world).await;
    let mut second = world.connect().await;
    second.send(&hello(&guest)).await;
    second.welcome().await;
    let mut third = world.connect().await;
    third.send(&hello(&guest)).await;
    assert_eq!(third.close_code().await, 4030);
    world.join().await;
    assert_eq!(world.metric(r#"refused_connections_total{limit="player"}"#), 1);

    // A session that resumes takes the place of its earlier connection.
    let mut resumed = world.send_resume(&first.resume, None).await;
    assert_eq!(resumed.welcome().await["recovered"], true);
    drop((first, resumed));
    until("a place", async || world.edge.sessions() == 1).await;
    let mut third = world.connect().await;
    third.send(&hello(&guest)).await;
    third.welcome().await;
}

/// A session of a new guest, and the guest's token.
async fn guest(world: &World) -> (Client, String) {
    let mut client = world.connect().await;
    client.send(r#"{"t":"hello"}"#).await;
    let guest = client.welcome().await["guest"].as_str().expect("a guest").to_owned();
    client.frame("room").await;
    (client, guest)
}

fn hello(guest: &str) -> String {
    format!(r#"{{"t":"hello","guest":"{guest}"}}"#)
}

fn text(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes))
}

fn messages(world: &World) -> usize {
    world.rooms.count(|command| matches!(command, RoomCommand::Message { .. }))
}
