//! The clock goes back, or leaps, between two processes of a host: timers still fire in their time.

use chorus_core::{
    command::RoomCommand,
    ids::{RoomId, Time},
    room::GRACE_MS,
};
use chorus_store::Clock;
use serde_json::json;

use crate::support::{
    ANA,
    world::{Edge, Setup, World},
};

const ROOM: RoomId = RoomId(0xc10c);
const NOON: Time = Time(1_900_000_000_000);
const HOUR: u64 = 3_600_000;

/// A process that starts at this time, by its own clock.
fn at(time: Time, setup: Setup) -> Setup {
    Setup { clock: Some(Clock::starting_at(time)), ..setup }
}

/// Starts a room with a timer that is set for so many milliseconds, at NOON.
async fn waits(world: &mut World, ms: u64) {
    world.publish("chance-and-time", "chance-and-time").await;
    world.create(ROOM, "chance-and-time", json!({ "rounds": 1, "everyMs": ms })).await;
    world.edge.join(ANA, ROOM).await;
}

/// Waits until the timer has fired. Returns the time in its record.
async fn fires(world: &mut World) -> Time {
    let fired = |edge: &Edge| {
        let round = |text: &str| text.contains(r#""why":"round""#);
        edge.of(ANA, ROOM).iter().any(|frame| round(&frame.text)).then_some(())
    };
    world.edge.until("the timer to fire", fired).await;
    let log = world.log_of(ROOM).await;
    let timer = log.iter().find(|(_, record)| matches!(record.command, RoomCommand::Timer { .. }));
    timer.expect("it is in the log").1.time
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_in_its_time_although_the_clock_went_back_by_an_hour() {
    // With a room that is live when the host goes, and with one that hibernates.
    for setup in [Setup::default, Setup::restless] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::open(dir.path(), at(NOON, setup())).await;
        waits(&mut world, 2_000).await;
        world.close().await;
        let back = Time(NOON.0 - HOUR);
        let mut world = World::open(dir.path(), at(back, setup())).await;
        let fired = fires(&mut world).await;
        assert!(fired >= NOON.plus(2_000), "its record carries the room's time: {fired:?}");
        assert!(world.store.clock().now() < NOON, "and nobody has waited for an hour");
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_due_while_no_host_had_the_room_fires_after_a_while_and_not_at_once() {
    for setup in [Setup::default, Setup::restless] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::open(dir.path(), at(NOON, setup())).await;
        waits(&mut world, 30_000).await;
        world.close().await;
        let later = NOON.plus(HOUR);
        let mut world = World::open(dir.path(), at(later, setup())).await;
        let fired = fires(&mut world).await;
        assert!(fired >= later.plus(GRACE_MS), "nobody loses a turn to a restart: {fired:?}");
        world.close().await;
    }
}
