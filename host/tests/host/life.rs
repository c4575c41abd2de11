//! Rooms hibernate, are restored, fire timers, and change instances; their members notice nothing.

use chorus_core::{
    command::RoomCommand,
    effect::{LogLevel, RestoreReason},
    ids::RoomId,
};
use chorus_host::HostEventKind;
use serde_json::json;

use crate::support::{
    ANA, BEN,
    stage::Stage,
    world::{Edge, Setup, World},
};

const ROOM: RoomId = RoomId(0x11fe);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_with_nothing_to_do_is_put_aside_and_woken_by_the_next_message() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    world.publish("counter", "counter-v1").await;
    world.create(ROOM, "counter", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    for count in 1..=5 {
        assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(count)));
        world.quiet().await;
    }
    let frames = world.edge.of(ANA, ROOM);
    assert!(frames.iter().zip(1..).all(|(frame, seq)| frame.seq == seq), "no gap, and nothing twice: {frames:?}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_instance_is_dropped_has_the_same_state_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("counter", "counter-v1").await;
    world.create(ROOM, "counter", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    for count in 1..=3 {
        assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(count)));
        let look = world.host.look(ROOM).await.expect("it is live");
        assert_eq!((look.members, look.connected), (1, 1));
        let rebuilt = world.host.lose_instance(ROOM).await.expect("it is live");
        assert!(rebuilt.before.is_some(), "its script can save");
        assert_eq!((rebuilt.before, rebuilt.offset), (rebuilt.after, look.offset));
    }
    let frames = world.edge.of(ANA, ROOM);
    assert!(frames.iter().zip(1..).all(|(frame, seq)| frame.seq == seq), "no gap, and nothing twice: {frames:?}");
    assert!(world.host.lose_instance(RoomId(1)).await.is_none(), "there is no such room");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_wakes_a_room_that_sleeps() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    world.publish("chance-and-time", "chance-and-time").await;
    world.create(ROOM, "chance-and-time", json!({ "rounds": 6, "everyMs": 400 })).await;
    world.edge.join(ANA, ROOM).await;
    let mut woken = 0;
    for round in 1..=6 {
        for _ in 0..100 {
            if asleep_now(&world).await {
                woken += 1;
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        rings(&mut world, round).await;
    }
    assert!(woken > 0, "it slept at least once before it rang");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_that_came_due_while_no_host_ran_rings_when_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    world.publish("chance-and-time", "chance-and-time").await;
    world.create(ROOM, "chance-and-time", json!({ "rounds": 1, "everyMs": 300 })).await;
    world.edge.join(ANA, ROOM).await;
    world.close().await;
    let mut world = World::open(dir.path(), Setup::restless()).await;
    rings(&mut world, 1).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_seat_is_given_up_though_the_room_sleeps() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    world.publish("throw-everywhere", "throw-everywhere").await;
    world.create(ROOM, "throw-everywhere", json!({})).await;
    for session in [ANA, BEN] {
        world.edge.join(session, ROOM).await;
    }
    let edge = world.edge.id.clone();
    world.append(ROOM, RoomCommand::Drop { session: BEN, edge, code: 1006 }).await;
    let left = |edge: &Edge| edge.of(ANA, ROOM).iter().any(|frame| frame.text.contains("onLeave")).then_some(());
    world.edge.until("ben to be given up", left).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_keeps_things_where_they_do_not_survive_gets_a_new_instance_before_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("module-globals", "module-globals").await;
    world.create(ROOM, "module-globals", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    let value = "x".repeat(200_000);
    for key in 0..600 {
        // 120 MB in all; the room may have 64 MiB.
        let data = json!({ "key": key, "value": value });
        world.edge.request(ANA, ROOM, "remember", data).await.expect("it never runs full");
    }
    world.close().await;
}

#[tokio::test]
async fn an_instance_gets_the_reason_of_its_restore() {
    let mut stage = Stage::with("counter-v1", json!({}), &[ANA]).await;
    stage.send(ANA, "add", json!(1)).await;
    let snapshot = stage.snapshot().await.unwrap();
    for why in [RestoreReason::Woken, RestoreReason::Recovered] {
        stage.room = chorus_core::room::Room::restore(stage.room.id(), &snapshot, why).unwrap();
        stage.runner.drop_instance();
        stage.send(ANA, "add", json!(1)).await.reply();
        assert_eq!(stage.opened.last(), Some(&Some(why)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_of_a_script_are_host_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("console", "console").await;
    world.create(ROOM, "console", json!({})).await;
    let line = |event: &chorus_host::HostEvent| match &event.what {
        HostEventKind::Log(level, text) if event.room == ROOM => Some((*level, text.to_string())),
        _ => None,
    };
    let (level, text) = world.happens("a line of log", line).await;
    assert_eq!((level, text.starts_with("created")), (LogLevel::Info, true), "{text}");
    world.close().await;
}

/// Waits until the room's timer has fired this often.
async fn rings(world: &mut World, rounds: usize) {
    let rung = |edge: &Edge| {
        let drawn = edge.of(ANA, ROOM).into_iter().filter(|frame| frame.text.contains(r#""why":"round""#)).count();
        (drawn >= rounds).then_some(())
    };
    world.edge.until("the timer to ring", rung).await;
}

/// Whether the room has only its snapshot and its alarm.
async fn asleep_now(world: &World) -> bool {
    world.host.live_rooms() == 0 && !world.store.timers(&[0], None, 1).await.unwrap().is_empty()
}
