//! Topics that others change: foreign records, skipped offsets, deleted topics, and the monitor's view of machines' channels.

use chorus_bus::{AppendError, EdgeReadError, SendError};
use chorus_testing::{DEADLINE, cast::machine, soon};
use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};

use crate::{broker::Broker, suite::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_follows_another_gets_nothing_of_what_that_had_fetched_ahead() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    append_all(&bus, 0..5000).await;
    let partition = of(&bus, ROOM);
    for from in [4000, 0, 2500, 10, 4990] {
        let mut reader = bus.read(partition, from);
        let mut into = Vec::new();
        while into.len() < 5 {
            soon(reader.next(&mut into)).await.unwrap();
        }
        let expected: Vec<_> = (from..from + into.len() as u64).collect();
        assert_eq!(numbers(&into), expected, "the rest of it is in the queue when it goes");
    }
}

#[tokio::test]
async fn what_is_not_a_record_is_an_error_that_names_its_place_each_time() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    append_all(&bus, 0..2).await;
    let partition = of(&bus, ROOM);
    let producer: FutureProducer = broker.client().create().unwrap();
    let topic = broker.rooms();
    let foreign = FutureRecord::<str, [u8]>::to(&topic).partition(partition as i32).payload(&[9, 9, 9]);
    producer.send(foreign, DEADLINE).await.unwrap();
    let mut reader = bus.read(partition, 0);
    assert_eq!(numbers(&read(&mut reader, 2).await), [0, 1]);
    for _ in 0..2 {
        let error = soon(reader.next(&mut Vec::new())).await.unwrap_err().to_string();
        assert!(error.contains("offset 2") && error.contains("format 9"), "{error}");
    }
}

#[tokio::test]
async fn skipped_offsets_are_filled_with_records() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    append_all(&bus, 0..3).await;
    let (partition, filler) = (of(&bus, ROOM), message(ROOM, 99));
    bus.skip_to(partition, 3, &filler).await.unwrap();
    assert_eq!(bus.end(partition).await.unwrap(), 3, "there was nothing to skip");
    // More than are written at once.
    bus.skip_to(partition, 10_004, &filler).await.unwrap();
    assert_eq!(bus.end(partition).await.unwrap(), 10_004);
    assert_eq!(soon(bus.append(&message(ROOM, 3))).await.unwrap(), Some(10_004));
    assert_eq!(read(&mut bus.read(partition, 10_003), 2).await, [(10_003, filler), (10_004, message(ROOM, 3))]);
}

#[tokio::test]
async fn when_a_record_fails_for_good_nothing_later_leaves_and_every_caller_gets_the_error() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    append_all(&bus, 0..1).await;
    let mut reader = bus.read(of(&bus, ROOM), 1);
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    admin.delete_topics(&[&broker.rooms()], &AdminOptions::new()).await.unwrap();

    let appends: Vec<_> = (1..4).map(|n| bus.append(&message(ROOM, n)).without_deadline()).collect();
    for append in appends {
        let error = soon(append).await.unwrap_err();
        assert!(matches!(error, AppendError::Stopped(_)), "{error}");
    }
    let stopped = soon(bus.stopped()).await.to_string();
    assert!(stopped.contains("Remove the cause, then restart"), "{stopped}");
    assert!(matches!(bus.append(&message(ROOM, 4)).refused(), Some(AppendError::Stopped(_))));
    assert!(matches!(soon(bus.send_edge(&machine("edge-1"), left(1))).await, Err(SendError::Stopped(_))));
    assert!(soon(reader.next(&mut Vec::new())).await.is_err());
    assert!(soon(bus.check_ready()).await.is_err());
    assert!(soon(bus.close()).await.is_err());
}

#[tokio::test]
async fn the_monitor_lists_machines_and_deletes_the_dead() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    let mut dead = open(&bus, "edge-1").await;
    let mut alive = open(&bus, "edge-2").await;
    let mut machines = bus.machines().await.unwrap();
    machines.sort();
    assert_eq!(machines, [machine("edge-1"), machine("edge-2")]);

    soon(bus.delete_machine(&machine("edge-1"))).await.unwrap();
    soon(bus.delete_machine(&machine("edge-that-never-was"))).await.unwrap();
    assert_eq!(bus.machines().await.unwrap(), [machine("edge-2")]);
    // The edge that was taken for dead is notified, and a host that sends to it is not blocked.
    assert_eq!(soon(dead.recv_many(&mut Vec::new())).await, Err(EdgeReadError::Closed));
    soon(bus.send_edge(&machine("edge-1"), left(1))).await.unwrap();
    soon(bus.send_edge(&machine("edge-2"), left(2))).await.unwrap();
    assert_eq!(receive(&mut alive, 1).await, [left(2)]);
}

/// A broker keeps what is deleted until its segment ends.
#[tokio::test]
async fn a_segment_of_each_topic_is_written_for_an_hour() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    let _edge = open(&bus, "edge-1").await;
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    for topic in [broker.rooms(), format!("{}.machine.edge-1", broker.0.prefix)] {
        let described =
            admin.describe_configs(&[ResourceSpecifier::Topic(&topic)], &AdminOptions::new()).await.unwrap();
        let settings = described.into_iter().next().unwrap().unwrap();
        let segment =
            settings.entries.into_iter().find(|entry| entry.name == "segment.ms").and_then(|entry| entry.value);
        assert_eq!(segment.as_deref(), Some("3600000"), "{topic}");
    }
}
