//! Disks that fail. `tests/embedded.rs` has all other tests, from outside.

use std::sync::atomic::Ordering;

use chorus_core::{
    command::{Record, RoomCommand},
    ids::{RoomId, Time},
};
use tempfile::TempDir;

use super::{Options, Partition, open};
use crate::{AppendError, Backend, Bus, Durability, FlushError, ReadError};

#[tokio::test]
async fn a_full_disk_fails_what_was_queued_and_leaves_the_log_as_it_was() {
    for written in [0, 1, 40, usize::MAX] {
        let (dir, bus) = fresh(Durability::Background).await;
        append(&bus, 0).await.unwrap();
        // The disk accepts this many more bytes.
        *partition(&bus).faults.full_after.lock().unwrap() = Some(written);
        let error = append(&bus, 1).await.unwrap_err();
        assert!(matches!(error, AppendError::NoSpace { .. }), "{error}");
        assert!(error.to_string().contains("make room"), "{error}");
        assert_eq!(bus.end(0).await.unwrap(), 1);

        assert_eq!(append(&bus, 2).await.unwrap(), Some(1), "there is room again");
        bus.close().await.unwrap();
        let bus = open(Options::new(dir.path())).await.unwrap();
        assert_eq!(read_all(&bus).await, [0, 2], "after {written} bytes of a batch");
    }
}

#[tokio::test]
async fn a_failed_sync_stops_the_log_for_good_and_says_so_to_everyone() {
    let (_dir, bus) = fresh(Durability::Always).await;
    append(&bus, 0).await.unwrap();
    let mut reader = bus.read(0, 1);
    partition(&bus).faults.sync.store(true, Ordering::Relaxed);
    let error = append(&bus, 1).await.unwrap_err();
    assert!(matches!(error, AppendError::Stopped(_)), "{error}");
    // A later sync would succeed, but prove nothing.
    partition(&bus).faults.sync.store(false, Ordering::Relaxed);
    assert!(matches!(bus.append(&record(2)).refused(), Some(AppendError::Stopped(_))));
    assert!(matches!(reader.next(&mut Vec::new()).await, Err(ReadError::Stopped(_))));
    assert!(matches!(bus.flush().await, Err(FlushError::Stopped(_))));
    assert!(matches!(bus.close().await, Err(FlushError::Stopped(_))));
}

#[tokio::test]
async fn a_failed_sync_in_the_background_stops_the_log_too() {
    let (_dir, bus) = fresh(Durability::Background).await;
    let mut reader = bus.read(0, 1);
    partition(&bus).faults.sync.store(true, Ordering::Relaxed);
    append(&bus, 0).await.unwrap();
    assert!(matches!(reader.next(&mut Vec::new()).await, Err(ReadError::Stopped(_))));
    assert!(matches!(bus.append(&record(1)).refused(), Some(AppendError::Stopped(_))));
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_together_is_written_together() {
    let (_dir, bus) = fresh(Durability::Always).await;
    let appends: Vec<_> = (0..100).map(|n| bus.append(&record(n))).collect();
    // A failed sync fails them all: they were one group.
    partition(&bus).faults.sync.store(true, Ordering::Relaxed);
    for append in appends {
        assert!(matches!(append.await, Err(AppendError::Stopped(_))));
    }
    assert_eq!(bus.end(0).await.unwrap(), 0, "and nobody has seen one of them");
}

async fn fresh(durability: Durability) -> (TempDir, Bus) {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(Options { durability, ..Options::new(dir.path()) }).await.unwrap();
    (dir, bus)
}

fn partition(bus: &Bus) -> &Partition {
    let Backend::Embedded(bus) = &bus.0 else { unreachable!("it was opened so") };
    bus.partition(0)
}

fn record(n: u64) -> Record {
    Record { room: RoomId(1), time: Time(n), command: RoomCommand::Close { reason: "over".into() } }
}

async fn append(bus: &Bus, n: u64) -> Result<Option<u64>, AppendError> {
    bus.append(&record(n)).await
}

async fn read_all(bus: &Bus) -> Vec<u64> {
    let (mut reader, mut into) = (bus.read(0, 0), Vec::new());
    while (into.len() as u64) < bus.end(0).await.unwrap() {
        reader.next(&mut into).await.unwrap();
    }
    into.iter().map(|(_, record)| record.time.0).collect()
}
