//! The Kafka back end against a real broker: the shared suite, and the tests that need a broker: it dies and returns, has
//! topics with other settings, and is full of other users' topics.
//!
//! `node testing/services/services.mjs kafka -- cargo test -p chorus-bus` starts one; with `--brokers 3`, every record of the
//! suite has three copies, and an append waits for two of them.

mod suite;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chorus_bus::{
    AppendError, Bus, EdgeReadError, SendError,
    kafka::{self, OpenError, Options},
};
use chorus_core::ids::RoomId;
use chorus_services::Services;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use suite::*;

/// Topics of its own on a broker, with two partitions.
struct Broker(Options);

impl Broker {
    fn at(address: impl Into<String>) -> Broker {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Broker(Options { partitions: 2, prefix, ..Options::new(address) })
    }

    async fn shared() -> Option<Broker> {
        let mut broker = Broker::at(chorus_services::kafka()?);
        broker.0.replication = chorus_services::replication();
        Some(broker)
    }

    fn rooms(&self) -> String {
        format!("{}.rooms", self.0.prefix)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.0.brokers);
        config
    }

    async fn make_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
    }

    async fn open_error(&self) -> OpenError {
        soon(kafka::open(self.0.clone())).await.expect_err("it is refused")
    }
}

impl Place for Broker {
    async fn open(&self) -> Bus {
        soon(kafka::open(self.0.clone())).await.unwrap()
    }
}

mod broker {
    use super::*;
    suite!(Broker::shared);
}

// Opening.

#[tokio::test]
async fn a_broker_that_is_not_there_is_named() {
    let options = Options { open_timeout: Duration::from_secs(1), ..Options::new("127.0.0.1:1") };
    let error = kafka::open(options).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn settings_that_promises_rest_on_are_refused() {
    for key in ["acks", "enable.idempotence", "message.timeout.ms"] {
        let client = vec![(key.to_owned(), "1".to_owned())];
        let error = kafka::open(Options { client, ..Options::new("127.0.0.1:1") }).await.unwrap_err();
        assert!(matches!(&error, OpenError::Setting { key: named } if named == key), "{error}");
    }
    let client = vec![("no.such.setting".to_owned(), "1".to_owned())];
    let error = kafka::open(Options { client, ..Options::new("127.0.0.1:1") }).await.unwrap_err();
    assert!(error.to_string().contains("no.such.setting"), "{error}");
    let error = kafka::open(Options { prefix: "a b".to_owned(), ..Options::new("127.0.0.1:1") }).await.unwrap_err();
    assert!(matches!(error, OpenError::Prefix { .. }), "{error}");
}

#[tokio::test]
async fn more_copies_than_there_are_brokers_are_refused_plainly() {
    let Some(mut broker) = Broker::shared().await else { return };
    broker.0.replication = 7;
    let error = broker.open_error().await;
    assert!(matches!(error, OpenError::Replication { asked: 7, .. }), "{error}");
}

#[tokio::test]
async fn a_topic_with_another_number_of_partitions_is_refused() {
    let Some(broker) = Broker::shared().await else { return };
    broker.make_topic(&broker.rooms(), 3, &[]).await;
    let error = broker.open_error().await;
    assert!(matches!(error, OpenError::Partitions { found: 3, asked: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_compacted_topic_is_refused() {
    let Some(broker) = Broker::shared().await else { return };
    broker.make_topic(&broker.rooms(), 2, &[("cleanup.policy", "compact")]).await;
    let error = broker.open_error().await;
    assert!(matches!(&error, OpenError::Compacted { policy, .. } if policy == "compact"), "{error}");
}

#[tokio::test]
async fn a_topic_that_takes_only_small_records_bounds_them_here_too() {
    let Some(broker) = Broker::shared().await else { return };
    broker.make_topic(&broker.rooms(), 2, &[("max.message.bytes", "70000")]).await;
    let bus = broker.open().await;
    let error = bus.append(&large(0)).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { limit: 4464, .. }), "{error}");
    append_all(&bus, 0..1).await;
}

// Reading.

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
    producer.send(foreign, SOON).await.unwrap();
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
async fn when_a_record_fails_for_good_nothing_later_leaves_and_everyone_is_told() {
    let Some(broker) = Broker::shared().await else { return };
    let bus = broker.open().await;
    append_all(&bus, 0..1).await;
    let mut reader = bus.read(of(&bus, ROOM), 1);
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    admin.delete_topics(&[&broker.rooms()], &AdminOptions::new()).await.unwrap();

    let appends: Vec<_> = (1..4).map(|n| bus.append(&message(ROOM, n)).however_long()).collect();
    for append in appends {
        let error = soon(append).await.unwrap_err();
        assert!(matches!(error, AppendError::Stopped(_)), "{error}");
    }
    let told = soon(bus.stopped()).await.to_string();
    assert!(told.contains("Restart when the cause is gone"), "{told}");
    assert!(matches!(bus.append(&message(ROOM, 4)).refused(), Some(AppendError::Stopped(_))));
    assert!(matches!(soon(bus.send_edge(&machine("edge-1"), left(1))).await, Err(SendError::Stopped(_))));
    assert!(soon(reader.next(&mut Vec::new())).await.is_err());
    assert!(soon(bus.ping()).await.is_err());
    assert!(soon(bus.close()).await.is_err());
}

// Machines.

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

// The broker dies and returns.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_in_mid_flow_loses_nothing_and_doubles_nothing() {
    let Some(mut services) = Services::brokers(1) else { return };
    let bus = Broker::at(services.kafka()).open().await;
    let mut edge = open(&bus, "edge-1").await;
    let flow = tokio::spawn(flow(bus.clone()));
    for _ in 0..2 {
        services = on_the_side(services, |services| {
            services.order("kill kafka 0");
            services.order("start kafka 0");
        })
        .await;
        let before = soon(bus.end(of(&bus, ROOM))).await.unwrap();
        // Records flow again before the broker is killed again.
        soon(bus.read(of(&bus, ROOM), before + 1000).next(&mut Vec::new())).await.unwrap();
    }
    flow.abort();
    let _ = flow.await;
    soon(bus.flush()).await.unwrap();
    check_flow(&bus, &mut edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broker_of_three_may_die_and_nothing_waits_for_it() {
    let Some(mut services) = Services::brokers(3) else { return };
    let mut place = Broker::at(services.kafka());
    place.0.replication = 3;
    let bus = place.open().await;
    let mut edge = open(&bus, "edge-1").await;
    let flow = tokio::spawn(flow(bus.clone()));
    for victim in 0..2 {
        services = on_the_side(services, move |services| services.order(&format!("kill kafka {victim}"))).await;
        // The two others continue: new records are confirmed and read while it is dead.
        append_all(&bus, OUTSIDE + 10 * victim..OUTSIDE + 10 * victim + 10).await;
        let end = soon(bus.end(of(&bus, ROOM))).await.unwrap();
        assert!(soon(bus.read(of(&bus, ROOM), end - 1).next(&mut Vec::new())).await.is_ok());
        services = on_the_side(services, move |services| services.order(&format!("start kafka {victim}"))).await;
        soon(bus.append(&message(ROOM, OUTSIDE + 100 + victim))).await.unwrap();
    }
    flow.abort();
    let _ = flow.await;
    soon(bus.flush()).await.unwrap();
    check_flow(&bus, &mut edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_gone_appends_wait_to_a_bound_and_are_there_in_order_when_it_is_back() {
    let Some(services) = Services::brokers(1) else { return };
    let mut place = Broker::at(services.kafka());
    place.0.append_timeout = Duration::from_secs(1);
    place.0.queue_bytes = 1 << 20;
    let bus = place.open().await;
    append_all(&bus, 0..1).await;
    let services = on_the_side(services, |services| services.order("kill kafka 0")).await;

    let mut waiting = Vec::new();
    let full = loop {
        let append = bus.append(&large(1 + waiting.len() as u64));
        match append.refused() {
            None => waiting.push(append),
            Some(error) => break error.clone(),
        }
        assert!(waiting.len() < 1000, "the queue is bounded");
    };
    assert!(matches!(full, AppendError::Full { .. }), "{full}");
    let patient = waiting.pop().unwrap().however_long();
    let error = soon(waiting.pop().unwrap()).await.unwrap_err();
    assert!(matches!(error, AppendError::Unconfirmed { .. }), "{error}");
    assert!(error.to_string().contains("may or may not be in the log"), "{error}");
    assert!(soon(bus.ping()).await.is_err());

    let _services = on_the_side(services, |services| services.order("start kafka 0")).await;
    let last = soon(patient).await.unwrap().unwrap();
    assert_eq!(last, waiting.len() as u64 + 2, "also what nobody waited for any more");
    let read = read(&mut bus.read(of(&bus, ROOM), 0), last as usize + 1).await;
    assert_eq!(numbers(&read), (0..=last).collect::<Vec<_>>());
    soon(bus.ping()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_is_told_where_commands_are_missing_that_found_no_place() {
    let Some(services) = Services::brokers(1) else { return };
    let mut place = Broker::at(services.kafka());
    place.0.queue_bytes = 64 << 10;
    let bus = place.open().await;
    let mut edge = open(&bus, "edge-1").await;
    soon(bus.send_edge(&machine("edge-1"), left(0))).await.unwrap();
    let services = on_the_side(services, |services| services.order("kill kafka 0")).await;

    let sent: Vec<_> = (1..20_000).map(|n| bus.send_edge(&machine("edge-1"), left(n))).collect();
    let dropped = tokio::spawn(async move {
        for sent in sent {
            sent.await.unwrap(); // Each is received, or reported as missing.
        }
    });
    assert!(!dropped.is_finished());
    let _services = on_the_side(services, |services| services.order("start kafka 0")).await;

    let mut into = Vec::new();
    let told = loop {
        if let Err(told) = soon(edge.recv_many(&mut into)).await {
            break told;
        }
    };
    let (came, all) = (into.len() as u64, 20_000);
    assert_eq!(told, EdgeReadError::Overflow { dropped: all - came });
    assert_eq!(into, (0..came).map(left).collect::<Vec<_>>());
    soon(dropped).await.unwrap();
    soon(bus.send_edge(&machine("edge-1"), left(1))).await.unwrap();
    assert_eq!(receive(&mut edge, 1).await, [left(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_dropped_while_the_broker_is_gone_leaves_nobody_waiting() {
    let Some(services) = Services::brokers(1) else { return };
    let bus = Broker::at(services.kafka()).open().await;
    let mut edge = open(&bus, "edge-1").await;
    let mut reader = bus.read(0, 0);
    let _services = on_the_side(services, |services| services.order("kill kafka 0")).await;
    let append = bus.append(&message(ROOM, 0)).however_long();
    let sent = bus.send_edge(&machine("edge-1"), left(0));
    drop(bus);
    assert!(soon(append).await.is_err());
    assert!(soon(sent).await.is_err());
    assert!(soon(reader.next(&mut Vec::new())).await.is_err());
    assert_eq!(soon(edge.recv_many(&mut Vec::new())).await, Err(EdgeReadError::Closed));
}

// Helpers.

/// Numbers of records outside the flow.
const OUTSIDE: u64 = 1 << 40;

/// Appends and sends without an end, as fast as the bus accepts.
async fn flow(bus: Bus) {
    for n in 0.. {
        let append = bus.append(&message(ROOM, n));
        drop(bus.append(&message(RoomId(1 << 90), n)));
        drop(bus.send_edge(&machine("edge-1"), left(n)));
        assert!(append.refused().is_none(), "{append:?}");
        if n % 100 == 0 {
            append.however_long().await.unwrap();
        }
    }
}

/// Every appended record is in the log once, in order, by offsets without a gap; and so is every command at the edge.
async fn check_flow(bus: &Bus, edge: &mut chorus_bus::EdgeReceiver) {
    let end = soon(bus.end(of(bus, ROOM))).await.unwrap();
    let read = read(&mut bus.read(of(bus, ROOM), 0), end as usize).await;
    assert!(read.iter().map(|(offset, _)| *offset).eq(0..end));
    let own = read.iter().filter(|(_, record)| record.room == ROOM && number(record) < OUTSIDE);
    let own: Vec<u64> = own.map(|(_, record)| number(record)).collect();
    assert!(own.len() > 1000, "{}", own.len());
    assert!(own.iter().copied().eq(0..own.len() as u64), "none is lost, none is there twice, none is out of order");

    soon(bus.send_edge(&machine("edge-1"), left(OUTSIDE))).await.unwrap();
    let mut received = Vec::new();
    while received.last() != Some(&left(OUTSIDE)) {
        soon(edge.recv_many(&mut received)).await.unwrap();
    }
    received.pop();
    assert!(received.len() >= own.len() - 1);
    assert!(received.iter().cloned().eq((0..received.len() as u64).map(left)));
}

/// Runs blocking work, and returns the services.
async fn on_the_side(mut services: Services, work: impl FnOnce(&mut Services) + Send + 'static) -> Services {
    let done = tokio::task::spawn_blocking(move || {
        work(&mut services);
        services
    });
    done.await.unwrap()
}
