//! The costs of the embedded log: `cargo run --release -p chorus-bus --example append [DIR]`. Prints, asserts nothing.
//!
//! *Added latency* is from the call of `append` to the record's arrival at a reader that waits at the tail: the cost of the log
//! for one message. *Records/s* is with 100 appenders that do not wait for their answers.

use std::{path::Path, time::Instant};

use chorus_bus::{AppendError, Bus, Durability, embedded};
use chorus_core::{
    command::{Record, RoomCommand},
    ids::{RoomId, SessionId, Time},
    json::Json,
};
use tokio::runtime::{Builder, Runtime};

const APPENDERS: u64 = 100;

fn main() {
    let root = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into).join("chorus-bench-append");
    println!("| runtime | fsync | p50 | p99 | p99.9 | records/s in memory and on disk | read back/s |");
    println!("|---|---|---|---|---|---|---|");
    for (name, runtime) in [("1 thread", one_thread as fn() -> Runtime), ("2 threads", two_threads)] {
        for (durability, rounds, records) in
            [(Durability::Background, 200_000, 2_000_000), (Durability::Always, 500, 500_000)]
        {
            let [p50, p99, p999] = runtime().block_on(latency(&root, durability, rounds));
            let (written, read) = runtime().block_on(throughput(&root, durability, records));
            println!("| {name} | {durability} | {p50:.1} µs | {p99:.1} µs | {p999:.1} µs | {written:.0} | {read:.0} |");
        }
    }
    let _ = std::fs::remove_dir_all(root);
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

async fn open(dir: &Path, durability: Durability) -> Bus {
    let _ = std::fs::remove_dir_all(dir);
    embedded::open(embedded::Options { durability, ..embedded::Options::new(dir) }).await.expect("opens")
}

async fn latency(dir: &Path, durability: Durability, rounds: usize) -> [f64; 3] {
    let bus = open(dir, durability).await;
    let appender = bus.clone();
    let mut took = tokio::spawn(async move {
        let mut reader = appender.read(0, 0);
        let mut into = Vec::new();
        let mut took = Vec::with_capacity(rounds);
        for n in 0..rounds as u64 {
            let begin = Instant::now();
            drop(appender.append(&record(n)));
            reader.next(&mut into).await.expect("reads");
            took.push(begin.elapsed());
            into.clear();
        }
        took
    })
    .await
    .expect("runs");
    bus.close().await.expect("closes");
    took.sort();
    [0.5, 0.99, 0.999].map(|share| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e6)
}

async fn throughput(dir: &Path, durability: Durability, records: u64) -> (f64, f64) {
    let bus = open(dir, durability).await;
    let begin = Instant::now();
    let reader = tokio::spawn(read(bus.clone(), records));
    for appender in 0..APPENDERS {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..records / APPENDERS {
                let mut append = bus.append(&record(appender << 32 | n));
                while let Some(AppendError::Full { .. }) = append.refused() {
                    tokio::task::yield_now().await;
                    append = bus.append(&record(appender << 32 | n));
                }
                // A socket's task waits for its next frame here.
                tokio::task::yield_now().await;
            }
        });
    }
    reader.await.expect("runs");
    bus.flush().await.expect("syncs");
    let written = records as f64 / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    read(bus.clone(), records).await;
    let back = records as f64 / begin.elapsed().as_secs_f64();
    bus.close().await.expect("closes");
    (written, back)
}

async fn read(bus: Bus, records: u64) {
    let (mut reader, mut into, mut seen) = (bus.read(0, 0), Vec::new(), 0);
    while seen < records {
        reader.next(&mut into).await.expect("reads");
        seen += into.len() as u64;
        into.clear();
    }
}

fn record(n: u64) -> Record {
    let data = Json::trusted("{\"cell\":4,\"pad\":\"0123456789012345678901234567890123456789\"}");
    let command = RoomCommand::Message { session: SessionId(n.into()), message_id: n, msg_type: "move".into(), data };
    Record { room: RoomId(n.into()), time: Time(1_700_000_000_000 + n), command }
}
