//! A loss in a log or a store is refused at a partition's takeover, by name, and can be accepted.

use std::{fs, path::Path, time::Duration};

use chorus_core::ids::{RoomId, Time};
use chorus_host::{HostError, Lost, Options};
use chorus_store::{RoomRow, RoomStatus, RoomUpdate, Snapshot};
use serde_json::json;

use crate::{
    checkpoints::reaches_the_end,
    support::{
        ANA, kind, until,
        world::{Setup, World},
    },
};

const ROOM: RoomId = RoomId(0x1057);
const OTHER: RoomId = RoomId(0x1058);

/// The loss with which a host is refused.
async fn refused(dir: &Path) -> Lost {
    match World::try_open(dir, Setup::default()).await {
        Err(HostError::Lost(lost)) => {
            let text = lost.to_string();
            assert!(text.contains("partition 0") && text.contains("--accept-loss"), "{text}");
            lost
        }
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("a part is missing, and it serves all the same"),
    }
}

fn accepting() -> Setup {
    Setup { options: Options { accept_loss: true, ..Options::default() }, ..Setup::default() }
}

/// A room that counts to three, and whose records are all below the checkpoint.
async fn counts_to_three(dir: &Path) {
    let mut world = World::open(dir, Setup { segment_bytes: 1 << 10, ..Setup::restless() }).await;
    world.publish("counter", "counter-v1").await;
    world.create(ROOM, "counter", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    world.edge.request(ANA, ROOM, "add", json!(3)).await.unwrap();
    reaches_the_end(&world).await;
    world.close().await;
}

/// The room goes on with its state.
async fn counts_on(mut world: World, next: i64) {
    // An id that no earlier process of the edge has used.
    world.edge.continue_from(ANA, 10 * next as u64);
    assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(next)));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_room_with_neither_a_snapshot_nor_its_creation_in_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    counts_to_three(dir.path()).await;
    // As if its snapshot had been deleted: none of its records below the checkpoint is read from the log.
    let world = World::open(dir.path(), Setup::default()).await;
    let row = world.store.room(ROOM).await.unwrap().expect("it is listed");
    let lost = RoomRow { id: OTHER, kind: kind("counter"), created_at: Time(1), ..row };
    world.store.write_rooms(vec![RoomUpdate { row: lost, snapshot: None }]).await.unwrap();
    world.close().await;

    for _ in 0..2 {
        let lost = refused(dir.path()).await;
        assert!(lost.to_string().contains(&OTHER.to_string()), "{lost}");
        assert!(matches!(lost, Lost::Rooms { rooms, .. } if rooms.0 == [OTHER]));
    }
    let world = World::open(dir.path(), accepting()).await;
    let row = world.store.room(OTHER).await.unwrap().expect("it is listed");
    assert_eq!(row.status, RoomStatus::Failed, "what is lost is shown to be");
    counts_on(world, 4).await;
    counts_on(World::open(dir.path(), Setup::default()).await, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_below_the_checkpoint_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    counts_to_three(dir.path()).await;
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    for _ in 0..2 {
        let lost = refused(dir.path()).await;
        assert!(matches!(lost, Lost::LogBehind { end: 0, checkpoint, .. } if checkpoint > 0), "{lost}");
    }
    counts_on(World::open(dir.path(), accepting()).await, 4).await;
    counts_on(World::open(dir.path(), Setup::default()).await, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_older_than_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    counts_to_three(dir.path()).await;
    let store = dir.path().join("store.sqlite");
    let older = fs::read(&store).unwrap();
    let mut world = World::open(dir.path(), Setup { segment_bytes: 1 << 10, ..Setup::restless() }).await;
    let before = world.store.checkpoint(0).await.unwrap();
    world.edge.continue_from(ANA, 9);
    for n in 0..200 {
        assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(4 + n)));
    }
    reaches_the_end(&world).await;
    until("the log to be truncated", async || world.bus.start(0).await.unwrap() > before).await;
    world.close().await;

    fs::write(&store, older).unwrap();
    for _ in 0..2 {
        let lost = refused(dir.path()).await;
        assert!(matches!(lost, Lost::StoreBehind { start, checkpoint, .. } if start > checkpoint), "{lost}");
    }
    World::open(dir.path(), accepting()).await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_creation_was_lost_in_a_power_cut_is_given_up_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    // The checkpoint does not move, so that the log may lose its end.
    let slow = || {
        let hour = Duration::from_secs(3600);
        let options = Options { checkpoint_every: hour, ..Options::default() };
        Setup { options, ..Setup::default() }
    };
    let world = World::open(dir.path(), slow()).await;
    world.publish("counter", "counter-v1").await;
    let component = world.store.active(&kind("counter")).await.unwrap().unwrap();
    let row = RoomRow {
        id: OTHER,
        offset: 4,
        kind: kind("counter"),
        component,
        status: RoomStatus::Live,
        creator: None,
        created_at: Time(1),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: None,
        members: 0,
    };
    world.store.write_rooms(vec![RoomUpdate { row, snapshot: None }]).await.unwrap();
    world.close().await;

    let world = World::open(dir.path(), slow()).await;
    let row = world.store.room(OTHER).await.unwrap().expect("it is listed");
    assert_eq!(row.status, RoomStatus::Failed);
    assert!(row.outcome.unwrap().as_str().contains("power cut"));
    assert_eq!(world.bus.end(0).await.unwrap(), 6, "the log goes on after it");
    world.close().await;
    World::open(dir.path(), Setup::default()).await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_snapshots_of_another_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    counts_to_three(dir.path()).await;
    let world = World::open(dir.path(), Setup::default()).await;
    let row = world.store.room(ROOM).await.unwrap().expect("it is listed");
    let (offset, component) = (row.offset, row.component);
    let row = RoomRow { id: RoomId::LOBBY, kind: kind("lobby"), ..row };
    let snapshot = Some(Snapshot { offset, component, state: vec![1, 2, 3].into() });
    world.store.write_rooms(vec![RoomUpdate { row, snapshot }]).await.unwrap();
    world.close().await;

    match World::try_open(dir.path(), Setup::default()).await {
        Err(HostError::Format(error)) => {
            let text = error.to_string();
            assert!(
                text.starts_with("a snapshot in format 1, ") && text.contains("run the version of chorus"),
                "{text}"
            );
        }
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("no room can be continued, and it serves all the same"),
    }
}
