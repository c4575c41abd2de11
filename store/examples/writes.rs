//! The costs of the store: `cargo run --release -p chorus-store --example writes [DIR]`. Prints, asserts nothing. With the URL
//! of an empty database in `CHORUS_BENCH_POSTGRES`, the costs of Postgres, too.

use std::{future::Future, time::Instant};

use chorus_core::{
    command::Player,
    edge::Resuming,
    identity::Identity,
    ids::{Digest, Kind, MachineId, RoomId, SessionId, Time},
};
use chorus_store::{Durability, RoomRow, RoomStatus, RoomUpdate, SessionRow, Snapshot, Store, migrate_postgres};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let root = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into).join("chorus-bench-writes");
    println!("| store | what | p50 | p99 | per second |");
    println!("|---|---|---|---|---|");
    for fsync in [Durability::Background, Durability::Always] {
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).expect("a directory");
        let store = Store::open_embedded(&root.join("chorus.db"), fsync).await.expect("opens");
        measure(&format!("fsync {fsync:?}"), store).await;
    }
    let _ = std::fs::remove_dir_all(root);
    if let Ok(url) = std::env::var("CHORUS_BENCH_POSTGRES") {
        let options = url.parse().expect("a URL");
        migrate_postgres(&options).await.expect("migrates");
        measure("Postgres", Store::open_postgres(&options).await.expect("opens")).await;
    }
}

async fn measure(label: &str, store: Store) {
    let (db, edge) = (&store, &edge());
    db.partitions(64).await.expect("written");
    one_by_one(label, "open a session", 3_000, |n| db.open_session(session(n), RoomId::LOBBY)).await;
    one_by_one(label, "join a room", 3_000, |n| db.join_membership(SessionId(n), RoomId(n), edge)).await;
    one_by_one(label, "resume a session", 3_000, |n| async move {
        let by = Resuming { player: format!("player-{n}").into(), identity: None, address: None };
        db.resume_session(hash(n), hash(n + (1 << 64)), edge, &by).await
    })
    .await;
    one_by_one(label, "write a room of 8 KiB", 2_000, |n| db.write_rooms(vec![room(n)])).await;
    one_by_one(label, "read its snapshot", 2_000, |n| db.snapshot(RoomId(n))).await;
    one_by_one(label, "write 32 rooms", 200, |n| db.write_rooms((0..32).map(|i| room(1 << 20 | n << 8 | i)).collect()))
        .await;
    together(label, db, 20_000).await;
    store.close().await.expect("closes");
}

async fn one_by_one<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    label: &str,
    what: &str,
    rounds: u128,
    work: impl Fn(u128) -> F,
) {
    let mut took = Vec::new();
    let all = Instant::now();
    for n in 0..rounds {
        let begin = Instant::now();
        work(n).await.expect("works");
        took.push(begin.elapsed());
    }
    let rate = rounds as f64 / all.elapsed().as_secs_f64();
    took.sort();
    let [p50, p99] = [0.5, 0.99].map(|share| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e6);
    println!("| {label} | {what} | {p50:.0} µs | {p99:.0} µs | {rate:.0} |");
}

/// Many sessions that open at once.
async fn together(label: &str, store: &Store, sessions: u128) {
    let begin = Instant::now();
    let opened: Vec<_> = (0..sessions)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let begin = Instant::now();
                store.open_session(session(1 << 32 | n), RoomId::LOBBY).await.expect("opens");
                begin.elapsed()
            })
        })
        .collect();
    for opened in opened {
        opened.await.expect("runs");
    }
    let rate = sessions as f64 / begin.elapsed().as_secs_f64();
    println!("| {label} | open {sessions} sessions at once | – | – | {rate:.0} |");
}

fn edge() -> MachineId {
    MachineId("edge-1".into())
}

fn hash(n: u128) -> [u8; 32] {
    Digest::of(&n.to_be_bytes()).0
}

fn session(n: u128) -> SessionRow {
    let player = Player { id: format!("player-{n}").into(), name: "Ana".into() };
    SessionRow {
        id: SessionId(n),
        identity: Identity::guest(player),
        edge: edge(),
        resume_hash: hash(n),
        address: None,
    }
}

fn room(n: u128) -> RoomUpdate {
    let component = Digest([1; 32]);
    let row = RoomRow {
        id: RoomId(n),
        offset: 1,
        kind: Kind::lobby(),
        component,
        status: RoomStatus::Live,
        creator: None,
        created_at: Time(1),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: None,
        members: 2,
    };
    RoomUpdate { row, snapshot: Some(Snapshot { offset: 1, component, state: vec![b'x'; 8 << 10].into() }) }
}
