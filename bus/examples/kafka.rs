//! The costs of the Kafka back end, compared with the broker's bare client:
//! `node testing/services/services.mjs kafka -- cargo run --release -p chorus-bus --example kafka`. Prints, asserts nothing.
//!
//! *Latency* is from the call that sends one record to its arrival at a waiting reader, one at a time. *Idle* is the share of a
//! core that this process uses while it reads that many partitions without any records.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use chorus_bus::{AppendError, Bus, kafka};
use chorus_core::{
    command::{EdgeCommand, LeaveReason, Record, RequestId, RoomCommand},
    ids::{ConnectionId, MachineId, RoomId, SessionId, Time},
    json::Json,
    wire,
};
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};

const ROUNDS: usize = 3_000;
const RECORDS: u64 = 200_000;
const PARTITIONS: u32 = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let Ok(brokers) = std::env::var("CHORUS_TEST_KAFKA") else {
        println!("CHORUS_TEST_KAFKA must name a broker: see the head of this example");
        return;
    };
    // RUST_LOG shows the client's log lines.
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let prefix = format!("bench-{}", std::process::id());
    let begin = Instant::now();
    let options = kafka::Options { partitions: PARTITIONS, prefix, ..kafka::Options::new(&brokers) };
    let bus = kafka::open(options.clone()).await.expect("opens");
    println!("opened, with a new topic of {PARTITIONS} partitions, in {:.0?}", begin.elapsed());

    println!("| what | p50 | p99 |\n|---|---|---|");
    let topic = format!("{}.rooms", options.prefix);
    let raw = tokio::task::spawn_blocking(move || raw_latency(&brokers, &topic)).await.expect("runs");
    print("the client as it comes: produce to consume", raw);
    print("append to Reader::next", latency(&bus).await);
    let readers: Vec<_> = (1..PARTITIONS).map(|partition| tokio::spawn(drain(bus.clone(), partition))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    print("the same beside readers of all partitions", latency(&bus).await);
    print("send_edge to recv_many", edge_latency(&bus).await);
    print("append to confirmation", confirmation(&bus).await);
    readers.into_iter().for_each(|reader| reader.abort());
    let readers: Vec<_> = (0..PARTITIONS).map(|partition| tokio::spawn(drain(bus.clone(), partition))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("\nidle, reading {PARTITIONS} partitions: {:.2} % of a core", 100.0 * idle().await);

    readers.into_iter().for_each(|reader| reader.abort());
    let (written, read) = throughput(&bus).await;
    println!("{written:.0} records/s appended and confirmed, {read:.0} records/s read back, one partition");
    bus.close().await.expect("closes");
}

fn print(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let [p50, p99] = [0.5, 0.99].map(|share| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e3);
    println!("| {what} | {p50:.2} ms | {p99:.2} ms |");
}

fn raw_latency(brokers: &str, topic: &str) -> Vec<Duration> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("enable.idempotence", "true").set("linger.ms", "0");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "bench").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).expect("an offset");
    consumer.assign(&place).expect("assigns");
    let mut took = Vec::new();
    for n in 0..ROUNDS as u64 + 100 {
        let payload = wire::encode(&record(partition_0(n), n));
        let begin = Instant::now();
        producer.send(BaseRecord::<[u8], Vec<u8>>::to(topic).partition(0).payload(&payload)).expect("sends");
        while consumer.poll(Duration::from_secs(1)).is_none_or(|message| message.expect("reads").payload().is_none()) {}
        if n >= 100 {
            took.push(begin.elapsed());
        }
    }
    took
}

async fn latency(bus: &Bus) -> Vec<Duration> {
    let (mut reader, mut into) = (bus.read(0, bus.end(0).await.expect("an end")), Vec::new());
    let mut took = Vec::new();
    for n in 0..ROUNDS as u64 + 100 {
        let record = record(partition_0(n), n);
        let begin = Instant::now();
        drop(bus.append(&record));
        reader.next(&mut into).await.expect("reads");
        if n >= 100 {
            took.push(begin.elapsed());
        }
        into.clear();
    }
    took
}

async fn edge_latency(bus: &Bus) -> Vec<Duration> {
    let edge = MachineId("edge-1".into());
    let (mut receiver, mut into) = (bus.edge_channel(&edge).await.expect("opens"), Vec::new());
    let mut took = Vec::new();
    for n in 0..ROUNDS as u64 + 100 {
        let command = EdgeCommand::Left {
            session: SessionId(1),
            request: RequestId { connection: ConnectionId(1), number: 1 },
            room: RoomId(1),
            reason: LeaveReason::Left,
        };
        let begin = Instant::now();
        drop(bus.send_edge(&edge, command));
        receiver.recv_many(&mut into).await.expect("receives");
        if n >= 100 {
            took.push(begin.elapsed());
        }
        into.clear();
    }
    took
}

async fn confirmation(bus: &Bus) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in 0..ROUNDS as u64 {
        let begin = Instant::now();
        bus.append(&record(partition_0(n), n)).await.expect("appends");
        took.push(begin.elapsed());
    }
    took
}

async fn throughput(bus: &Bus) -> (f64, f64) {
    let from = bus.end(0).await.expect("an end");
    let begin = Instant::now();
    for n in 0..RECORDS {
        let record = record(partition_0(n), n);
        while let Some(AppendError::Full { .. }) = bus.append(&record).refused() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    bus.flush().await.expect("confirms");
    let written = RECORDS as f64 / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let (mut reader, mut into, mut seen) = (bus.read(0, from), Vec::new(), 0);
    while seen < RECORDS {
        reader.next(&mut into).await.expect("reads");
        seen += into.len() as u64;
        into.clear();
    }
    (written, RECORDS as f64 / begin.elapsed().as_secs_f64())
}

async fn drain(bus: Bus, partition: u32) {
    let (mut reader, mut into) = (bus.read(partition, 0), Vec::new());
    loop {
        reader.next(&mut into).await.expect("reads");
        into.clear();
    }
}

async fn idle() -> f64 {
    let (begin, used) = (Instant::now(), cpu());
    tokio::time::sleep(Duration::from_secs(5)).await;
    (cpu() - used) / begin.elapsed().as_secs_f64()
}

/// Seconds of processor time that this process has used: user and system, in ticks of 10 ms.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// One of a hundred rooms of partition 0.
fn partition_0(n: u64) -> RoomId {
    static ROOMS: LazyLock<Vec<RoomId>> =
        LazyLock::new(|| (0..).map(RoomId).filter(|room| room.partition(PARTITIONS) == 0).take(100).collect());
    ROOMS[n as usize % ROOMS.len()]
}

fn record(room: RoomId, n: u64) -> Record {
    let data = Json::trusted("{\"cell\":4,\"pad\":\"0123456789012345678901234567890123456789\"}");
    let command = RoomCommand::Message { session: SessionId(n.into()), message_id: n, msg_type: "move".into(), data };
    Record { room, time: Time(1_700_000_000_000 + n), command }
}
