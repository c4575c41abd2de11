//! The log does not grow without end: for any history of its rooms, the checkpoint reaches the log's end once nothing is
//! left to do.

use std::time::Duration;

use chorus_core::{
    command::{EdgeCommand, LeaveReason, RoomCommand},
    ids::{RoomId, SessionId, Time},
};
use chorus_host::{HostEventKind, Options};
use chorus_store::{RoomFilter, RoomRow, RoomStatus, RoomUpdate, Snapshot};
use serde_json::json;

use crate::support::{
    ANA, BEN, CLEO, join, kind, until,
    world::{Setup, World},
};

const ROOM: RoomId = RoomId(0xc4ec);
const OTHER: RoomId = RoomId(0xc4ed);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_records_go_once_every_room_has_them_in_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { segment_bytes: 64 << 10, ..Setup::restless() };
    let mut world = World::open(dir.path(), setup).await;
    world.publish("echo", "echo").await;
    for room in [ROOM, OTHER] {
        world.create(room, "echo", json!({})).await;
        world.edge.join(ANA, room).await;
    }
    let text = "x".repeat(2_000);
    for id in 0..500 {
        world.edge.request(ANA, ROOM, "echo", json!(text)).await.unwrap();
        if id % 100 == 0 {
            world.edge.request(ANA, OTHER, "echo", json!(id)).await.unwrap();
        }
    }
    reaches_the_end(&world).await;
    let start = world.bus.start(0).await.unwrap();
    assert!(start > 100, "1 MB in segments of 64 KiB: the log begins at {start}");
    assert_eq!(world.edge.request(ANA, OTHER, "echo", json!("still")).await, Ok(json!("still")));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_did_not_truncate_goes_although_nothing_more_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup { segment_bytes: 64 << 10, ..Setup::restless() };
    // As if it were killed when the checkpoint is set.
    let untruncated = Options { truncate: false, ..setup().options };
    let mut world = World::open(dir.path(), Setup { options: untruncated, ..setup() }).await;
    world.publish("echo", "echo").await;
    world.create(ROOM, "echo", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    let text = "x".repeat(2_000);
    for _ in 0..100 {
        world.edge.request(ANA, ROOM, "echo", json!(text)).await.unwrap();
    }
    reaches_the_end(&world).await;
    assert_eq!(world.bus.start(0).await.unwrap(), 0);
    let end = world.bus.end(0).await.unwrap();
    world.close().await;

    let world = World::open(dir.path(), setup()).await;
    until("the log to be truncated", async || world.bus.start(0).await.unwrap() > 0).await;
    assert_eq!((world.bus.end(0).await.unwrap(), world.store.checkpoint(0).await.unwrap()), (end, end));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_room_is_listed_before_anything_of_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    let digest = world.publish("echo", "echo").await;
    world.create(ROOM, "echo", json!({})).await;
    let all = async || world.store.rooms(&RoomFilter::default(), None, 10).await.unwrap();
    until("the room to be listed", async || !all().await.is_empty()).await;
    let listed = all().await.remove(0);
    assert_eq!((listed.id, listed.component, listed.status), (ROOM, digest, RoomStatus::Live));
    assert_eq!(world.store.snapshot(ROOM).await.unwrap(), None);
    assert_eq!(world.store.checkpoint(0).await.unwrap(), 0, "the log is kept");
    // The listed room is not treated as one that is stored.
    world.edge.join(ANA, ROOM).await;
    assert_eq!(world.edge.request(ANA, ROOM, "echo", json!(1)).await, Ok(json!(1)));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_came_out_in_two_ways_ends_and_its_log_can_be_cut() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default();
    let options = Options { checkpoint_every: Duration::from_millis(60), ..setup.options };
    let mut world = World::open(dir.path(), Setup { options, ..setup }).await;
    let component = world.publish("throw-everywhere", "throw-everywhere").await;
    world.create(ROOM, "throw-everywhere", json!({ "throwIn": "message" })).await;
    world.edge.join(ANA, ROOM).await;
    let offset = world.bus.end(0).await.unwrap();
    // Another host has stored it with another state after the next record. A throw makes a snapshot.
    let row = RoomRow {
        id: ROOM,
        offset,
        kind: kind("throw-everywhere"),
        component,
        status: RoomStatus::Live,
        creator: None,
        created_at: Time(0),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: None,
        members: 1,
    };
    let snapshot = Some(Snapshot { offset, component, state: "another".into() });
    world.store.write_rooms(vec![RoomUpdate { row, snapshot }]).await.unwrap();
    world.edge.request(ANA, ROOM, "message", json!(null)).await.expect_err("it throws");

    let failed = world.happens("the room to end", |event| match &event.what {
        HostEventKind::Ended { failed } if event.room == ROOM => failed.clone(),
        _ => None,
    });
    let why = failed.await;
    assert!(why.ends_with("came out in two ways"), "{why}");
    reaches_the_end(&world).await;
    let row = world.store.room(ROOM).await.unwrap().expect("it was there");
    assert_eq!(row.status, RoomStatus::Failed);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_has_ended_holds_nothing_and_turns_away_who_comes_late() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    world.publish("throw-everywhere", "throw-everywhere").await;
    world.create(ROOM, "throw-everywhere", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    world.edge.send(ANA, ROOM, "finish", json!(null)).await;
    world.happens("the room to end", |event| matches!(event.what, HostEventKind::Ended { .. }).then_some(())).await;
    // While its task is still live, and when it is gone.
    for session in [BEN, CLEO] {
        let edge = world.edge.id.clone();
        world.append(ROOM, RoomCommand::Leave { session: ANA, reason: LeaveReason::Left }).await;
        world.append(ROOM, join(session, &edge, 0)).await;
        let refused = refusal(&mut world, session).await;
        assert_eq!(refused, "the room has ended");
        reaches_the_end(&world).await;
        world.quiet().await;
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_fails_as_it_is_created_is_remembered_as_failed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    world.publish("throw-everywhere", "throw-everywhere").await;
    world.create(ROOM, "throw-everywhere", json!({ "throwIn": "onCreate" })).await;
    reaches_the_end(&world).await;
    world.quiet().await;
    let row = world.store.room(ROOM).await.unwrap().expect("it is listed");
    assert_eq!(row.status, chorus_store::RoomStatus::Failed);
    let edge = world.edge.id.clone();
    world.append(ROOM, join(ANA, &edge, 0)).await;
    assert_eq!(refusal(&mut world, ANA).await, "the room has ended");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_never_was_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::restless()).await;
    let edge = world.edge.id.clone();
    world.append(ROOM, join(ANA, &edge, 0)).await;
    assert_eq!(refusal(&mut world, ANA).await, "there is no such room");
    reaches_the_end(&world).await;
    world.quiet().await;
    world.close().await;
}

async fn refusal(world: &mut World, of: SessionId) -> String {
    let refused = |edge: &crate::support::world::Edge| {
        edge.received.iter().find_map(|command| match command {
            EdgeCommand::Refused { session, reason, .. } if *session == of => Some(reason.to_string()),
            _ => None,
        })
    };
    world.edge.until("a refusal", refused).await
}

/// Waits until the checkpoint is at the log's end.
pub async fn reaches_the_end(world: &World) {
    until("the checkpoint to reach the log's end", async || {
        world.store.checkpoint(0).await.unwrap() >= world.bus.end(0).await.unwrap()
    })
    .await;
}
