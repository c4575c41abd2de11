//! A host that dies from one moment to the next, and the next host, which goes on from its log and store.

use std::{path::Path, time::Duration};

use chorus_core::{command::RoomCommand, frame::FrameTag, ids::RoomId};
use serde_json::json;

use crate::{
    checkpoints::reaches_the_end,
    support::{
        ANA, BEN, FIRST,
        world::{Edge, Frame, Setup, World},
    },
};

const ROOM: RoomId = RoomId(0xdead);

#[test]
fn no_acknowledged_message_is_lost_and_repeated_frames_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut received: Vec<Frame> = life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.publish("counter", "counter-v1").await;
        world.create(ROOM, "counter", json!({})).await;
        world.edge.join(ANA, ROOM).await;
        world.edge.of(ANA, ROOM)
    });
    let (mut count, mut repeated) = (0, 0);
    // Before the first snapshot, just before and after the one that the 128th record brings, and long after.
    for messages in [1, 7, 115, 3, 140, 0, 300] {
        let frames = life(async {
            let mut world = World::open(dir.path(), Setup::default()).await;
            world.edge.continue_from(ANA, count);
            for _ in 0..messages {
                count += 1;
                assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(count)));
            }
            world.edge.of(ANA, ROOM)
        });
        for frame in frames {
            match received.iter().find(|known| known.seq == frame.seq) {
                Some(known) => {
                    assert_eq!(known.text, frame.text, "a repeated frame is the same");
                    repeated += 1;
                }
                None => received.push(frame),
            }
        }
    }
    assert!(repeated > 10, "the next host repeats outputs of the one that died");
    assert!(received.iter().zip(1..).all(|(frame, seq)| frame.seq == seq), "no gap");
}

#[test]
fn records_that_nobody_had_read_yet_are_applied_by_the_next_host() {
    let dir = tempfile::tempdir().unwrap();
    life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.publish("counter", "counter-v1").await;
        world.create(ROOM, "counter", json!({})).await;
        world.edge.join(ANA, ROOM).await;
        for _ in 0..1_000 {
            // In the log, and no more: the answers are not awaited.
            world.edge.send(ANA, ROOM, "add", json!(1)).await;
        }
    });
    life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.edge.continue_from(ANA, 1_000);
        assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(1_001)));
        world.close().await;
    });
}

#[test]
fn a_fault_that_is_in_the_log_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.publish("spin-forever", "spin-forever").await;
        world.create(ROOM, "spin-forever", json!({})).await;
        world.edge.join(ANA, ROOM).await;
        world.edge.request(ANA, ROOM, "spin", json!(null)).await.expect_err("it is a fault");
    });
    life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.edge.continue_from(ANA, 1);
        assert_eq!(world.edge.request(ANA, ROOM, "echo", json!(1)).await, Ok(json!(1)));
        let log = world.log_of(ROOM).await;
        let faults = log.iter().filter(|(_, record)| matches!(record.command, RoomCommand::Fault { .. })).count();
        assert_eq!(faults, 1);
        world.close().await;
    });
}

#[test]
fn a_client_that_resumes_after_a_crash_gets_the_frames_that_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let last = life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.publish("chat", "chat").await;
        world.create(ROOM, "chat", json!({})).await;
        for session in [ANA, BEN] {
            world.edge.join(session, ROOM).await;
        }
        world.edge.request(ANA, ROOM, "say", json!("seen")).await.unwrap();
        let last = world.edge.of(BEN, ROOM).last().unwrap().seq;
        world.edge.request(ANA, ROOM, "say", json!("missed")).await.unwrap();
        last
    });
    life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        let edge = world.edge.id.clone();
        // A client that resumes has lost the frames that the old edge had in flight to it.
        world.append(ROOM, RoomCommand::Reconnect { session: BEN, edge, request: FIRST, last_seq: Some(last) }).await;
        let missed = |edge: &Edge| {
            edge.of(BEN, ROOM).into_iter().rfind(|frame| frame.seq == last + 1 && frame.text.contains("missed"))
        };
        let frame = world.edge.until("the frame that was missed", missed).await;
        assert_eq!(frame.tag, FrameTag::Event);
        world.close().await;
    });
}

#[test]
fn snapshots_that_are_ahead_of_the_checkpoint_hold_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    life(counts_to_three_and_sleeps(dir.path()));
    life(async {
        let mut world = World::open(dir.path(), Setup::restless()).await;
        world.quiet().await;
        reaches_the_end(&world).await;
        world.close().await;
    });
}

#[test]
fn a_log_that_has_lost_its_end_goes_on_after_the_store() {
    let dir = tempfile::tempdir().unwrap();
    life(counts_to_three_and_sleeps(dir.path()));
    // More is lost than in a power cut.
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    // The first time nothing is appended. The second process must start all the same, and the third must not take a new
    // record for one that its snapshot contains.
    for used in [1, 1, 2] {
        life(async {
            let mut world = World::open(dir.path(), Setup::default()).await;
            world.edge.continue_from(ANA, used);
            if used == 2 {
                assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(4)));
            }
        });
    }
}

/// A process whose snapshots are stored, and whose checkpoint has never moved.
async fn counts_to_three_and_sleeps(dir: &Path) {
    let setup = Setup::restless();
    let options = chorus_host::Options { checkpoint_every: Duration::from_secs(3600), ..setup.options };
    let mut world = World::open(dir, Setup { options, ..setup }).await;
    world.publish("counter", "counter-v1").await;
    world.create(ROOM, "counter", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    world.edge.request(ANA, ROOM, "add", json!(3)).await.unwrap();
    world.quiet().await;
    assert_eq!(world.store.checkpoint(0).await.unwrap(), 0);
}

/// One process: when the story ends, all of its tasks are dropped, wherever they were.
pub fn life<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let result = runtime.block_on(story);
    runtime.shutdown_timeout(Duration::from_secs(60));
    result
}
