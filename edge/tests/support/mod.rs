//! An edge on a real bus and a real store, with rooms that do what their messages request.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod client;
mod rooms;

use std::{sync::Arc, time::Duration};

use chorus_bus::Bus;
use chorus_core::ids::RoomId;
use chorus_edge::{Edge, Options};
use chorus_store::{Durability, Registration, Role, Store};
use tempfile::TempDir;

pub use client::{Client, Raw, frame};
pub use rooms::Rooms;

pub const LOBBY: RoomId = RoomId::LOBBY;
pub const GAME: RoomId = RoomId(7);
/// A room that admits nobody.
pub const CLOSED: RoomId = RoomId(13);

/// Nothing here takes that long unless it is broken.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct World {
    pub edge: Edge,
    pub rooms: Rooms,
    pub bus: Bus,
    pub store: Store,
    _dir: Arc<TempDir>,
}

impl World {
    pub async fn start() -> World {
        World::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Options)) -> World {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let bus = chorus_bus::embedded::open(chorus_bus::embedded::Options::new(dir.path())).await.expect("a bus");
        let store =
            Store::open_embedded(&dir.path().join("store.sqlite"), Durability::default()).await.expect("a store");
        let id = store.register_machine(&Registration::new(Role::Edge)).await.expect("an edge's id").id;
        let rooms = Rooms::run(bus.clone());
        let mut options = Options::new(id, "127.0.0.1:0".parse().expect("an address"));
        change(&mut options);
        let edge = chorus_edge::serve(options, bus.clone(), store.clone(), chorus_edge::no_routes()).await;
        World { edge: edge.expect("it listens"), rooms, bus, store, _dir: dir }
    }

    /// From now on clients connect to another edge of the same world. Returns the one before, which goes on.
    pub async fn another_edge(&mut self) -> Edge {
        let id = self.store.register_machine(&Registration::new(Role::Edge)).await.expect("an edge's id").id;
        let options = Options::new(id, "127.0.0.1:0".parse().expect("an address"));
        let (bus, store) = (self.bus.clone(), self.store.clone());
        let edge = chorus_edge::serve(options, bus, store, chorus_edge::no_routes()).await.expect("it listens");
        std::mem::replace(&mut self.edge, edge)
    }

    /// A client that is in the lobby.
    pub async fn join(&self) -> Client {
        let mut client = self.connect().await;
        client.send(r#"{"t":"hello","name":"Ana"}"#).await;
        client.welcome().await;
        let room = client.frame("room").await;
        assert_eq!((room["room"].as_str(), room["seq"].as_u64()), (Some(&*LOBBY.to_string()), Some(1)));
        client
    }

    /// A client that has sent nothing yet.
    pub async fn connect(&self) -> Client {
        connect(&self.edge).await
    }

    /// A connection for raw bytes.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.edge.local_addr()).await
    }

    /// A connection for raw bytes, after the upgrade.
    pub async fn raw_web_socket(&self) -> Raw {
        let mut raw = self.raw().await;
        raw.upgrade().await;
        raw
    }
}

async fn connect(edge: &Edge) -> Client {
    let ours = [("Sec-WebSocket-Protocol", "v1.json.chorus")];
    Client::connect(edge.local_addr(), &ours).await.expect("upgraded")
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
