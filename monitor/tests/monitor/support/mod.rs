//! A monitor, or its API alone, on a real bus and a real store, and a client for it.

mod http;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use chorus_bus::Bus;
use chorus_core::{
    command::{Record, RoomCommand},
    effect::SavedState,
    identity::Identity,
    ids::{Digest, MachineId, Offset, RoomId, RoomSecret, SessionId, Time},
    json::Json,
    placement::Limits,
    room::{Member, State},
};
use chorus_monitor::{Checked, Hooks, Monitor, MonitorError, Options, Token};
use chorus_store::{
    Clock, Durability, EmbeddedOptions, PostgresOptions, Registration, Role, RoomRow, RoomStatus, RoomUpdate,
    SessionRow, Snapshot, Store, migrate_postgres,
};
pub use chorus_testing::{
    cast::{ANA, BEN, FIRST, kind, machine, message, player},
    until, within,
};
pub use http::{Events, call, send};
use hyper::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A room of most stories.
pub const GAME: RoomId = RoomId(7);

pub const TOKEN: &str = "a-token-that-nobody-guesses";

/// A component that the checker accepts, after the bytes with which every component begins.
pub const GOOD: &[u8] = b"\0asm\x0d\0\x01\0good";
pub const BETTER: &[u8] = b"\0asm\x0d\0\x01\0good, and better";
pub const BAD: &[u8] = b"\0asm\x0d\0\x01\0bad";

/// The defaults, with a loop that is not slower than the tests.
pub const LIMITS: Limits =
    Limits { refresh_ms: 20, dead_after_ms: 10_000, lease_ms: 10_000, clean_after_ms: 6 * 3_600_000 };

pub struct World {
    pub bus: Bus,
    pub store: Store,
    limits: Limits,
    /// The first monitor.
    pub monitor: Running,
    _dir: TempDir,
}

pub struct Running {
    pub id: MachineId,
    pub monitor: Monitor,
    pub running: JoinHandle<Result<(), MonitorError>>,
}

impl World {
    pub async fn start() -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open_embedded(&dir.path().join("store.sqlite"), Durability::default()).await;
        World::on(store.expect("a store"), dir, LIMITS).await
    }

    /// On a database in which machines can be silent.
    pub async fn on_postgres(url: &str, limits: Limits) -> World {
        let options: PostgresOptions = url.parse().expect("an address");
        migrate_postgres(&options).await.expect("migrated");
        let store = Store::open_postgres(&options).await.expect("a store");
        World::on(store, tempfile::tempdir().expect("a temporary directory"), limits).await
    }

    async fn on(store: Store, dir: TempDir, limits: Limits) -> World {
        let mut options = chorus_bus::embedded::Options::new(dir.path());
        options.partitions = 4;
        let bus = chorus_bus::embedded::open(options).await.expect("a bus");
        let monitor = start_monitor(&bus, &store, limits).await;
        World { bus, store, limits, monitor, _dir: dir }
    }

    /// The bus and the store without an active monitor: its housekeeping would do the same work as the test.
    pub async fn without_a_monitor() -> World {
        World::by_the_clock(None).await
    }

    /// The same, on a store with this clock.
    pub async fn by_the_clock(clock: Option<Clock>) -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = EmbeddedOptions { clock, ..EmbeddedOptions::new(dir.path().join("store.sqlite")) };
        let store = Store::open_embedded_with(options).await.expect("a store");
        let mut world = World::on(store, dir, LIMITS).await;
        world.monitor.monitor.drain();
        let ended = within("the monitor leaves", &mut world.monitor.running).await.expect("it does not panic");
        ended.expect("it leaves without an error");
        world
    }

    pub async fn another_monitor(&self) -> Running {
        start_monitor(&self.bus, &self.store, self.limits).await
    }

    pub fn address(&self) -> SocketAddr {
        self.monitor.monitor.local_addr()
    }

    pub async fn register(&self, role: Role) -> MachineId {
        self.store.register_machine(&Registration::new(role)).await.expect("registered").id
    }

    // ---- the API ----

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        call(self.address(), "GET", path, Some(TOKEN), Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> (StatusCode, Value) {
        call(self.address(), "POST", path, Some(TOKEN), body.into()).await
    }

    pub async fn good(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub async fn events(&self, path: &str) -> Events {
        Events::open(self.address(), path).await
    }

    // ---- hosts and edges ----

    pub async fn open_session(&self, id: SessionId, edge: &MachineId, room: RoomId) {
        self.open_session_of(Identity::guest(player(id)), id, edge, room).await;
    }

    pub async fn open_session_of(&self, identity: Identity, id: SessionId, edge: &MachineId, room: RoomId) {
        let mut resume_hash = [0; 32];
        resume_hash[..16].copy_from_slice(&id.0.to_be_bytes());
        let address = Some("192.0.2.7".parse().expect("an address"));
        let session = SessionRow { id, identity, edge: edge.clone(), resume_hash, address };
        self.store.open_session(session, room).await.expect("opened");
    }

    /// The hosts of all partitions that have one.
    pub async fn hosts(&self) -> Vec<MachineId> {
        self.store.assignments().await.expect("read").into_iter().filter_map(|row| row.host).collect()
    }

    pub async fn live_room(&self, id: RoomId, kind: &str, created_at: u64) {
        self.write_room(row(id, kind, created_at), None).await;
    }

    pub async fn write_room(&self, row: RoomRow, state: Option<State>) {
        let snapshot = state.map(|state| Snapshot {
            offset: state.offset,
            component: state.component,
            state: state.encode().into(),
        });
        self.store.write_rooms(vec![RoomUpdate { row, snapshot }]).await.expect("written");
    }

    pub async fn append(&self, room: RoomId, command: RoomCommand) -> Offset {
        let append = self.bus.append(&Record { room, time: Time(1_000), command });
        append.await.expect("appended").expect("embedded logs know the offset")
    }

    /// All records of the room so far.
    pub async fn records(&self, room: RoomId) -> Vec<RoomCommand> {
        let partition = room.partition(self.bus.partitions());
        let end = self.bus.end(partition).await.expect("its end");
        let mut reader = self.bus.read(partition, 0);
        let mut records = Vec::new();
        while records.last().map_or(0, |(offset, _)| offset + 1) < end {
            within("the records", reader.next(&mut records)).await.expect("read");
        }
        records.into_iter().filter(|(_, record)| record.room == room).map(|(_, record)| record.command).collect()
    }
}

async fn start_monitor(bus: &Bus, store: &Store, limits: Limits) -> Running {
    let id = store.register_machine(&Registration::new(Role::Monitor)).await.expect("a monitor's id").id;
    let mut options = Options::new(id.clone(), TOKEN.parse::<Token>().expect("a token"));
    options.listen = "127.0.0.1:0".parse().expect("an address");
    options.limits = limits;
    let check = |wasm: Bytes| -> futures_util::future::BoxFuture<'static, Result<Checked, String>> {
        Box::pin(async move {
            match wasm.ends_with(b"bad") {
                true => Err("it throws in onCreate".into()),
                false => Ok(Checked { state_version: 2 }),
            }
        })
    };
    let started = chorus_monitor::start(options, bus.clone(), store.clone(), Hooks::new(Arc::new(check))).await;
    let (monitor, running) = started.expect("it starts");
    Running { id, monitor, running: tokio::spawn(running) }
}

pub fn row(id: RoomId, name: &str, created_at: u64) -> RoomRow {
    RoomRow {
        id,
        offset: 1,
        kind: kind(name),
        component: Digest::of(GOOD),
        status: RoomStatus::Live,
        creator: None,
        created_at: Time(created_at),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: Some(Json::trusted(r#"{"stakes":3}"#)),
        members: 2,
    }
}

pub fn state_with_ana(name: &str) -> State {
    let mut state = State::new(kind(name), Digest::of(GOOD), None, RoomSecret(7), 16, Time(5), 9);
    let ana = Member {
        player: player(ANA),
        request: FIRST,
        edge: machine("edge-1"),
        connected: true,
        spectator: false,
        joined: 0,
        last_message_id: 0,
        out_seq: 1,
        first_seq: 1,
        view: None,
        hold: None,
        moving: None,
    };
    state.members.insert(ANA, Box::new(ana));
    state.saved = Some(SavedState { version: 2, state: Json::trusted(r#"{"board":[null,0,1]}"#) });
    state
}

/// What Ana sends.
pub fn saying(text: &str) -> RoomCommand {
    message(ANA, 1, "say", &text)
}
