//! Bounds and retention: full queues, slow edges, truncation, skipped offsets.

use chorus_bus::{
    AppendError, Durability, EdgeReadError,
    embedded::{self, EDGE_LIMIT, Options},
};
use chorus_core::{
    command::{Record, RoomCommand},
    ids::Time,
};
use chorus_testing::{cast::machine, soon};

use crate::{files::Files, suite::*};

#[tokio::test(flavor = "current_thread")]
async fn a_full_queue_refuses_and_what_it_took_before_is_written() {
    let files = Files::new(Durability::Background);
    let bus = embedded::open(Options { queue_bytes: 25 << 10, ..files.options() }).await.unwrap();
    // The writer has no turn before this task waits.
    let appends: Vec<_> = (0..4).map(|n| bus.append(&large(n))).collect();
    let refused: Vec<_> = appends.iter().map(|append| append.refused().is_some()).collect();
    assert_eq!(refused, [false, false, true, true]);
    for (n, append) in appends.into_iter().enumerate() {
        match soon(append).await {
            Ok(offset) => assert_eq!(offset, Some(n as u64)),
            Err(error) => assert!(matches!(error, AppendError::Full { .. }) && n >= 2, "{error}"),
        }
    }
    assert_eq!(soon(bus.append(&large(4))).await.unwrap(), Some(2), "there is room again");
}

#[tokio::test(flavor = "current_thread")]
async fn a_record_larger_than_the_queue_is_let_in_alone() {
    let files = Files::new(Durability::Background);
    let bus = embedded::open(Options { queue_bytes: 100, ..files.options() }).await.unwrap();
    assert_eq!(soon(bus.append(&large(0))).await.unwrap(), Some(0));
}

#[tokio::test]
async fn an_edge_that_falls_too_far_behind_gets_one_overflow_with_the_number_of_dropped_commands() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    let mut edge = open(&bus, "edge-1").await;
    let limit = EDGE_LIMIT as u64;
    for n in 0..limit + 10 {
        drop(bus.send_edge(&machine("edge-1"), left(n)));
    }
    let mut into = Vec::new();
    let overflow = soon(edge.recv_many(&mut into)).await;
    assert_eq!((overflow, into.len()), (Err(EdgeReadError::Overflow { dropped: limit + 10 }), 0));
    drop(bus.send_edge(&machine("edge-1"), left(1)));
    assert_eq!(receive(&mut edge, 1).await, [left(1)]);
}

// Retention.

#[tokio::test]
async fn the_last_segment_is_never_cut_off() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    for n in 0..5 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    let partition = of(&bus, ROOM);
    bus.truncate(partition, 5).await.unwrap();
    assert_eq!((files.segments().len(), bus.start(partition).await.unwrap()), (1, 4));
    soon(bus.close()).await.unwrap();
    let bus = files.open().await;
    assert_eq!(bus.start(partition).await.unwrap(), 4);
    assert_eq!(soon(bus.append(&large(5))).await.unwrap(), Some(5), "no offset is given out twice");
}

/// What was written of an erased player can go at once, however small the segment is.
#[tokio::test]
async fn a_segment_ends_behind_an_erasure() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    let erase = Record { room: ROOM, time: Time(3), command: RoomCommand::Erase { player: "u:ana".into() } };
    assert_eq!(soon(bus.append(&erase)).await.unwrap(), Some(3));
    assert_eq!(files.segments().len(), 2, "it is there when the erasure is confirmed");
    assert_eq!(soon(bus.append(&message(ROOM, 4))).await.unwrap(), Some(4));
    let partition = of(&bus, ROOM);
    bus.truncate(partition, 3).await.unwrap();
    assert_eq!(bus.start(partition).await.unwrap(), 0, "some room needs the erasure");
    bus.truncate(partition, 4).await.unwrap();
    assert_eq!((files.segments().len(), bus.start(partition).await.unwrap()), (1, 4));
    soon(bus.append(&erase)).await.unwrap();
    soon(bus.close()).await.unwrap();
    let bus = files.open().await;
    assert_eq!(read(&mut bus.read(partition, 4), 2).await, [(4, message(ROOM, 4)), (5, erase)]);
    bus.truncate(partition, 6).await.unwrap();
    assert_eq!(bus.start(partition).await.unwrap(), 6, "the last one is empty");
    assert_eq!(soon(bus.append(&message(ROOM, 6))).await.unwrap(), Some(6));
}

#[tokio::test]
async fn after_a_skip_offsets_go_on_from_there() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    let partition = of(&bus, ROOM);
    let mut waiting = bus.read(partition, 3);
    bus.skip_to(partition, 2, &message(ROOM, 99)).await.unwrap(); // Nothing to do.
    bus.skip_to(partition, 10, &message(ROOM, 99)).await.unwrap();
    assert_eq!(bus.end(partition).await.unwrap(), 10);
    assert_eq!(soon(bus.append(&message(ROOM, 10))).await.unwrap(), Some(10));
    assert_eq!(read(&mut waiting, 1).await, [(10, message(ROOM, 10))]);
    drop(waiting);
    soon(bus.close()).await.unwrap();

    let bus = files.open().await;
    let read = read(&mut bus.read(partition, 0), 4).await;
    assert_eq!(read.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 1, 2, 10]);
}
