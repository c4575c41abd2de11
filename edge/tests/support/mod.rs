//! An edge on a real bus and a real store, with rooms that do what their messages request.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod client;
mod rooms;

use std::{net::SocketAddr, sync::Arc};

use chorus_bus::Bus;
use chorus_core::ids::RoomId;
use chorus_edge::{Edge, Options, ServeError};
use chorus_store::{Durability, Registration, Role, Store};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use chorus_testing::{DEADLINE, until, within};
pub use client::{Client, Raw, frame};
pub use rooms::Rooms;

pub const LOBBY: RoomId = RoomId::LOBBY;
pub const GAME: RoomId = RoomId(7);
/// A room that admits nobody.
pub const CLOSED: RoomId = RoomId(13);

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
        let rooms = Rooms::run(bus.clone());
        let edge = serve(&bus, &store, change).await;
        World { edge, rooms, bus, store, _dir: dir }
    }

    /// From now on clients connect to another edge of the same world. Returns the first one, which still runs.
    pub async fn start_another_edge(&mut self) -> Edge {
        let edge = serve(&self.bus, &self.store, |_| {}).await;
        std::mem::replace(&mut self.edge, edge)
    }

    /// Why another edge with these options does not start.
    pub async fn refuses(&self, change: impl FnOnce(&mut Options)) -> String {
        try_to_serve(&self.bus, &self.store, change).await.expect_err("it does not start").to_string()
    }

    pub fn address(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    /// A client that has sent nothing yet.
    pub async fn connect(&self) -> Client {
        self.connect_with(&[("Sec-WebSocket-Protocol", "v1.json.chorus")]).await.expect("upgraded")
    }

    /// A client that has said hello with these members.
    pub async fn hello(&self, members: Value) -> Client {
        let mut hello = json!({ "t": "hello" });
        hello.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        let mut client = self.connect().await;
        client.send(&hello.to_string()).await;
        client
    }

    /// The error is the status of the response, when the connection is not upgraded.
    pub async fn connect_with(&self, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
        Client::connect(self.address(), headers).await
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

    /// A client that has sent a token, and the last frame of the lobby that it has received, if it names one.
    pub async fn send_resume(&self, token: &str, last: Option<u64>) -> Client {
        let last = last.map_or(String::new(), |last| format!(r#","last":{{"{LOBBY}":{last}}}"#));
        let mut client = self.connect().await;
        client.send(&format!(r#"{{"t":"hello","resume":"{token}"{last}}}"#)).await;
        client
    }

    /// The same; it has resumed Ana's session.
    pub async fn resume(&self, token: &str, last: Option<u64>) -> Client {
        let mut client = self.send_resume(token, last).await;
        let welcome = client.welcome().await;
        assert_eq!((&welcome["recovered"], &welcome["name"]), (&true.into(), &"Ana".into()), "{welcome}");
        client
    }

    /// A connection for raw bytes.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.address()).await
    }

    /// A connection for raw bytes, after the upgrade.
    pub async fn raw_web_socket(&self) -> Raw {
        let mut raw = self.raw().await;
        raw.upgrade().await;
        raw
    }

    /// The head of the response to a request.
    pub async fn request(&self, request: &[u8]) -> String {
        let mut raw = self.raw().await;
        raw.send(request).await;
        raw.head().await
    }

    /// The value of one of the edge's metrics, by its name and labels; 0 where it has none.
    pub fn metric(&self, name: &str) -> u64 {
        let (mut registry, mut page) = (Registry::default(), String::new());
        self.edge.register(&mut registry);
        encode(&mut page, &registry).expect("a string takes everything");
        let value = page.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// The status of the response to a GET request.
    pub async fn get(&self, path: &str) -> u16 {
        let head = self.request(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
        status(&head)
    }
}

async fn serve(bus: &Bus, store: &Store, change: impl FnOnce(&mut Options)) -> Edge {
    try_to_serve(bus, store, change).await.expect("it listens")
}

async fn try_to_serve(bus: &Bus, store: &Store, change: impl FnOnce(&mut Options)) -> Result<Edge, ServeError> {
    let id = store.register_machine(&Registration::new(Role::Edge)).await.expect("an edge's id").id;
    let mut options = Options::new(id, "127.0.0.1:0".parse().expect("an address"));
    change(&mut options);
    let routes = chorus_edge::no_routes();
    chorus_edge::serve(options, bus.clone(), store.clone(), routes).await
}

/// The status in the head of a response.
pub fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"))
}
