//! The promises of both back ends, as stories that run on either: `suite!(place)` makes a test of each, where `place()` is an
//! empty log, or none when this machine has no such place.
//!
//! No test waits for a state by sleeping: a result that does not come before the deadline is a failure.
#![allow(dead_code)] // Each test program uses its part.

use std::{future::Future, time::Duration};

use chorus_bus::{AppendError, Bus, EdgeReadError, EdgeReceiver, ReadError, Reader, TruncateError};
use chorus_core::{
    command::{EdgeCommand, LeaveReason, Record, RoomCommand},
    ids::{Offset, RoomId, SessionId, Time},
    json::Json,
};
use chorus_testing::{
    cast::{FIRST, machine},
    soon,
};

/// An empty log, which can be reopened any number of times.
pub trait EmptyLog {
    fn open(&self) -> impl Future<Output = Bus> + Send;
}

macro_rules! suite {
    ($place:path) => {
        suite! { $place:
            offsets_count_from_0_and_follow_the_order_of_calls
            each_partition_counts_for_itself
            a_reader_starts_at_its_offset_and_waits_for_further_records
            every_reader_gets_everything
            a_reader_from_beyond_the_end_waits_until_the_log_is_there
            a_call_that_is_dropped_has_taken_nothing
            what_was_confirmed_is_there_when_the_log_is_opened_again
            many_appenders_keep_each_its_own_order
            what_is_too_large_is_refused_and_the_log_goes_on
            below_the_kept_records_a_reader_gets_the_logs_first_offset
            a_flush_comes_after_all_that_was_appended
            a_closed_bus_refuses_and_its_readers_end
            an_edge_gets_what_it_is_sent_in_order
            an_edge_that_opens_its_channel_again_gets_only_what_comes_then
            what_is_sent_to_nobody_holds_up_nobody
        }
    };
    ($place:path: $($story:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            if let Some(place) = $place().await {
                suite::$story(place).await;
            }
        }
    )* };
}
pub(crate) use suite;

// The stories.

pub async fn offsets_count_from_0_and_follow_the_order_of_calls(place: impl EmptyLog) {
    let bus = place.open().await;
    let appends: Vec<_> = (0..100).map(|n| bus.append(&message(ROOM, n))).collect();
    for (n, append) in appends.into_iter().enumerate() {
        assert_eq!(soon(append).await.unwrap(), Some(n as Offset));
    }
    assert_eq!(soon(bus.end(of(&bus, ROOM))).await.unwrap(), 100);
    assert_eq!(soon(bus.start(of(&bus, ROOM))).await.unwrap(), 0);
    let read = read(&mut bus.read(of(&bus, ROOM), 0), 100).await;
    assert_eq!(read, (0..100).map(|n| (n, message(ROOM, n))).collect::<Vec<_>>());
}

pub async fn each_partition_counts_for_itself(place: impl EmptyLog) {
    let bus = place.open().await;
    let other = (0..).map(RoomId).find(|room| of(&bus, *room) != of(&bus, ROOM)).expect("there are two partitions");
    for n in 0..3 {
        assert_eq!(soon(bus.append(&message(ROOM, n))).await.unwrap(), Some(n));
        assert_eq!(soon(bus.append(&message(other, 10 + n))).await.unwrap(), Some(n));
    }
    assert_eq!(numbers(&read(&mut bus.read(of(&bus, ROOM), 0), 3).await), [0, 1, 2]);
    assert_eq!(numbers(&read(&mut bus.read(of(&bus, other), 0), 3).await), [10, 11, 12]);
}

pub async fn a_reader_starts_at_its_offset_and_waits_for_further_records(place: impl EmptyLog) {
    let bus = place.open().await;
    append_all(&bus, 0..10).await;
    let mut reader = bus.read(of(&bus, ROOM), 7);
    assert_eq!(numbers(&read(&mut reader, 3).await), [7, 8, 9]);

    let waiting = tokio::spawn(async move { (read(&mut reader, 1).await, reader) });
    append_all(&bus, 10..11).await;
    let (came, mut reader) = soon(waiting).await.unwrap();
    assert_eq!(came, [(10, message(ROOM, 10))]);
    append_all(&bus, 11..12).await;
    assert_eq!(numbers(&read(&mut reader, 1).await), [11]);
}

pub async fn every_reader_gets_everything(place: impl EmptyLog) {
    let bus = place.open().await;
    append_all(&bus, 0..50).await;
    let mut readers: Vec<Reader> = (0..3).map(|_| bus.read(of(&bus, ROOM), 0)).collect();
    for reader in &mut readers {
        assert_eq!(numbers(&read(reader, 50).await), (0..50).collect::<Vec<_>>());
    }
    append_all(&bus, 50..60).await;
    for reader in &mut readers {
        assert_eq!(numbers(&read(reader, 10).await), (50..60).collect::<Vec<_>>());
    }
    // One is dropped, and another one takes its place, with a position of its own.
    drop(readers.remove(0));
    assert_eq!(numbers(&read(&mut bus.read(of(&bus, ROOM), 20), 40).await), (20..60).collect::<Vec<_>>());
}

pub async fn a_reader_from_beyond_the_end_waits_until_the_log_is_there(place: impl EmptyLog) {
    let bus = place.open().await;
    append_all(&bus, 0..2).await;
    let mut reader = bus.read(of(&bus, ROOM), 5);
    let waiting = tokio::spawn(async move { read(&mut reader, 1).await });
    append_all(&bus, 2..6).await;
    assert_eq!(soon(waiting).await.unwrap(), [(5, message(ROOM, 5))]);
}

pub async fn a_call_that_is_dropped_has_taken_nothing(place: impl EmptyLog) {
    let bus = place.open().await;
    let mut reader = bus.read(of(&bus, ROOM), 0);
    let mut into = Vec::new();
    for n in 0..200 {
        let append = bus.append(&message(ROOM, n));
        // Dropped at different moments.
        let _ = tokio::time::timeout(Duration::from_micros(n * 10), reader.next(&mut into)).await;
        drop(append);
    }
    while into.len() < 200 {
        soon(reader.next(&mut into)).await.unwrap();
    }
    assert_eq!(numbers(&into), (0..200).collect::<Vec<_>>());
}

pub async fn what_was_confirmed_is_there_when_the_log_is_opened_again(place: impl EmptyLog) {
    let bus = place.open().await;
    append_all(&bus, 0..10).await;
    soon(bus.close()).await.unwrap();

    let bus = place.open().await;
    assert_eq!(soon(bus.end(of(&bus, ROOM))).await.unwrap(), 10);
    assert_eq!(soon(bus.append(&message(ROOM, 10))).await.unwrap(), Some(10));
    let read = read(&mut bus.read(of(&bus, ROOM), 0), 11).await;
    assert_eq!(numbers(&read), (0..11).collect::<Vec<_>>());
}

pub async fn many_appenders_keep_each_its_own_order(place: impl EmptyLog) {
    const EACH: u64 = 500;
    let bus = place.open().await;
    let appenders: Vec<_> = (0..8u64)
        .map(|appender| {
            let bus = bus.clone();
            tokio::spawn(async move {
                let mut last = None;
                for n in 0..EACH {
                    last = Some(bus.append(&message(ROOM, appender << 32 | n)));
                    tokio::task::yield_now().await;
                }
                last.expect("there were some").await.unwrap();
            })
        })
        .collect();
    let read = read(&mut bus.read(of(&bus, ROOM), 0), 8 * EACH as usize).await;
    assert!(read.iter().map(|(offset, _)| *offset).eq(0..8 * EACH), "no offset is left out, none comes twice");
    for appender in 0..8 {
        let own = numbers(&read).into_iter().filter(|n| n >> 32 == appender);
        assert!(own.eq((0..EACH).map(|n| appender << 32 | n)), "appender {appender}");
    }
    for appender in appenders {
        soon(appender).await.unwrap();
    }
}

pub async fn what_is_too_large_is_refused_and_the_log_goes_on(place: impl EmptyLog) {
    let bus = place.open().await;
    let large = Json::trusted(format!("\"{}\"", "x".repeat(chorus_bus::MAX_RECORD)));
    let append = bus.append(&Record { command: data(0, large), ..message(ROOM, 0) });
    assert!(matches!(append.refused(), Some(AppendError::TooLarge { .. })), "{append:?}");
    let nearly = Json::trusted(format!("\"{}\"", "x".repeat(chorus_bus::MAX_RECORD - 100)));
    let nearly = Record { command: data(0, nearly), ..message(ROOM, 0) };
    assert_eq!(soon(bus.append(&nearly)).await.unwrap(), Some(0));
    assert_eq!(read(&mut bus.read(of(&bus, ROOM), 0), 1).await, [(0, nearly)]);
}

pub async fn below_the_kept_records_a_reader_gets_the_logs_first_offset(place: impl EmptyLog) {
    let bus = place.open().await;
    // Each is larger than a segment may grow, so that whole segments can go.
    for n in 0..20 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    let partition = of(&bus, ROOM);
    let mut behind = bus.read(partition, 0);
    soon(behind.next(&mut Vec::new())).await.unwrap();
    match soon(bus.truncate(partition, 10)).await {
        Err(error @ TruncateError::Unsupported) => return eprintln!("!!! NOT tested: {error}"),
        done => done.unwrap(),
    }

    let start = soon(bus.start(partition)).await.unwrap();
    assert!((1..=10).contains(&start), "{start}");
    assert_eq!(numbers(&read(&mut bus.read(partition, start), 20 - start as usize).await)[0], start);
    let error = soon(bus.read(partition, 0).next(&mut Vec::new())).await.unwrap_err();
    assert!(matches!(error, ReadError::Gone { from: 0, start: reported, .. } if reported == start), "{error}");

    // Offsets continue after any truncation.
    soon(bus.truncate(partition, Offset::MAX)).await.unwrap();
    assert_eq!(soon(bus.append(&large(20))).await.unwrap(), Some(20));
}

pub async fn a_flush_comes_after_all_that_was_appended(place: impl EmptyLog) {
    let bus = place.open().await;
    let appends: Vec<_> = (0..1000).map(|n| bus.append(&message(RoomId(n.into()), n))).collect();
    soon(bus.flush()).await.unwrap();
    for append in appends {
        let now = tokio::time::timeout(Duration::ZERO, append).await;
        assert!(matches!(now, Ok(Ok(Some(_)))), "{now:?}");
    }
}

pub async fn a_closed_bus_refuses_and_its_readers_end(place: impl EmptyLog) {
    let bus = place.open().await;
    append_all(&bus, 0..3).await;
    let partition = of(&bus, ROOM);
    let mut reader = bus.read(partition, 0);
    let mut edge = open(&bus, "edge-1").await;
    read(&mut reader, 3).await;
    let clone = bus.clone();
    soon(bus.close()).await.unwrap();

    let refused = clone.append(&message(ROOM, 3));
    assert!(matches!(refused.refused(), Some(AppendError::Closed)), "{refused:?}");
    assert!(matches!(soon(reader.next(&mut Vec::new())).await, Err(ReadError::Closed)));
    assert_eq!(soon(edge.recv_many(&mut Vec::new())).await, Err(EdgeReadError::Closed));
}

pub async fn an_edge_gets_what_it_is_sent_in_order(place: impl EmptyLog) {
    let bus = place.open().await;
    let (mut one, mut two) = (open(&bus, "edge-1").await, open(&bus, "edge-2").await);
    let mut sent = Vec::new();
    for n in 0..500 {
        sent.push(bus.send_edge(&machine("edge-1"), left(n)));
        sent.push(bus.send_edge(&machine("edge-2"), left(1000 + n)));
    }
    assert_eq!(receive(&mut one, 500).await, (0..500).map(left).collect::<Vec<_>>());
    assert_eq!(receive(&mut two, 500).await, (1000..1500).map(left).collect::<Vec<_>>());
    for sent in sent {
        soon(sent).await.unwrap();
    }
}

pub async fn an_edge_that_opens_its_channel_again_gets_only_what_comes_then(place: impl EmptyLog) {
    let bus = place.open().await;
    let mut first = open(&bus, "edge-1").await;
    soon(bus.send_edge(&machine("edge-1"), left(1))).await.unwrap();
    assert_eq!(receive(&mut first, 1).await, [left(1)]);
    soon(bus.send_edge(&machine("edge-1"), left(2))).await.unwrap();
    let mut second = open(&bus, "edge-1").await;
    let mut into = Vec::new();
    while soon(first.recv_many(&mut into)).await.is_ok() {}
    assert!(into.is_empty() || into == [left(2)], "{into:?}");
    soon(bus.send_edge(&machine("edge-1"), left(3))).await.unwrap();
    assert_eq!(receive(&mut second, 1).await, [left(3)]);
}

pub async fn what_is_sent_to_nobody_holds_up_nobody(place: impl EmptyLog) {
    let bus = place.open().await;
    let mut edge = open(&bus, "edge-1").await;
    for n in 0..10 {
        drop(bus.send_edge(&machine("edge-that-never-was"), left(n)));
        drop(bus.send_edge(&machine("no such name! /\u{0}"), left(n)));
        soon(bus.send_edge(&machine("edge-1"), left(n))).await.unwrap();
    }
    assert_eq!(receive(&mut edge, 10).await, (0..10).map(left).collect::<Vec<_>>());
}

// Helpers.

pub const ROOM: RoomId = RoomId(7);

pub fn of(bus: &Bus, room: RoomId) -> u32 {
    room.partition(bus.partitions())
}

pub fn message(room: RoomId, n: u64) -> Record {
    Record { room, time: Time(1_700_000_000_000 + n), command: data(n, Json::trusted("{\"cell\":4}")) }
}

fn data(n: u64, data: Json) -> RoomCommand {
    RoomCommand::Message { session: SessionId(9), message_id: n, msg_type: "move".into(), data }
}

/// A message of some 10 KiB.
pub fn large(n: u64) -> Record {
    let text = Json::trusted(format!("\"{}\"", "x".repeat(10 << 10)));
    Record { command: data(n, text), ..message(ROOM, n) }
}

pub fn number(record: &Record) -> u64 {
    match &record.command {
        RoomCommand::Message { message_id, .. } => *message_id,
        other => panic!("not a message: {other:?}"),
    }
}

pub fn numbers(records: &[(Offset, Record)]) -> Vec<u64> {
    records.iter().map(|(_, record)| number(record)).collect()
}

pub async fn append_all(bus: &Bus, numbers: std::ops::Range<u64>) {
    let appends: Vec<_> = numbers.map(|n| bus.append(&message(ROOM, n))).collect();
    for append in appends {
        soon(append).await.unwrap();
    }
}

/// The next records, when there are exactly this many.
pub async fn read(reader: &mut Reader, count: usize) -> Vec<(Offset, Record)> {
    let mut into = Vec::new();
    while into.len() < count {
        soon(reader.next(&mut into)).await.unwrap();
    }
    assert_eq!(into.len(), count);
    into
}

pub async fn open(bus: &Bus, edge: &str) -> EdgeReceiver {
    soon(bus.edge_channel(&machine(edge))).await.unwrap()
}

/// A command that is distinguishable by its number.
pub fn left(n: u64) -> EdgeCommand {
    EdgeCommand::Left { session: SessionId(n.into()), request: FIRST, room: ROOM, reason: LeaveReason::Left }
}

pub async fn receive(edge: &mut EdgeReceiver, count: usize) -> Vec<EdgeCommand> {
    let mut into = Vec::new();
    while into.len() < count {
        soon(edge.recv_many(&mut into)).await.unwrap();
    }
    into
}
