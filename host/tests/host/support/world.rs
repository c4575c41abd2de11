//! A host on its log and store, and a fake edge, which answers moves as an edge must and keeps all frames.

use std::{collections::BTreeMap, path::Path, time::Duration};

use chorus_bus::{Bus, EdgeReceiver, embedded};
use chorus_core::{
    command::{Answer, EdgeCommand, Joining, LeaveReason, OutputRef, Record, RoomCommand},
    frame::FrameTag,
    ids::{Digest, MachineId, Offset, RoomId, SessionId},
    room::Notice,
};
use chorus_host::{Host, HostError, HostEvent, HostEventKind, Options, guest::Engine};
use chorus_store::{Clock, EmbeddedOptions, Store};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{
    DEADLINE, FIRST, create,
    guests::{self, Built},
    join, kind, machine, message, player, until, within,
};

/// How a world is set up.
pub struct Setup {
    pub options: Options,
    pub engine: Engine,
    /// Bytes of the log's segments: the unit of truncation.
    pub segment_bytes: u64,
    /// The clock of the process, unless it begins at the wall clock.
    pub clock: Option<Clock>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { options: Options::default(), engine: guests::engine(), segment_bytes: 64 << 20, clock: None }
    }
}

impl Setup {
    /// Rooms hibernate as soon as they are idle.
    pub fn restless() -> Setup {
        let soon = Duration::from_millis(60);
        Setup {
            options: Options {
                hibernate_after: soon,
                snapshot_after: soon,
                checkpoint_every: soon,
                ..Options::default()
            },
            ..Setup::default()
        }
    }
}

pub struct World {
    pub host: Host,
    pub bus: Bus,
    pub store: Store,
    pub edge: Edge,
    pub events: broadcast::Receiver<HostEvent>,
    failed: tokio::task::JoinHandle<()>,
}

impl World {
    /// Opens the data directory `dir`, new or existing.
    pub async fn open(dir: &Path, setup: Setup) -> World {
        World::try_open(dir, setup).await.expect("the host starts")
    }

    /// The same, for a host that may refuse to start.
    pub async fn try_open(dir: &Path, setup: Setup) -> Result<World, HostError> {
        let log = embedded::Options { segment_bytes: setup.segment_bytes, ..embedded::Options::new(dir) };
        let bus = embedded::open(log).await.expect("the log opens");
        let store = EmbeddedOptions { clock: setup.clock, ..EmbeddedOptions::new(dir.join("store.sqlite")) };
        let store = Store::open_embedded_with(store).await.expect("it opens");
        store.partitions(1).await.expect("the store takes the number of partitions");
        let edge = Edge::open(&bus, store.clock()).await;
        let started = chorus_host::start(setup.options, bus.clone(), store.clone(), setup.engine);
        let (host, failed) = match within("the host to start", started).await {
            Ok(started) => started,
            Err(error) => {
                drop(edge);
                bus.close().await.expect("the log closes");
                store.close().await.expect("the store closes");
                // Until the host's own tasks have released the directory.
                let is_free = async || embedded::lock_dir(embedded::Options::new(dir)).await.is_ok();
                until("the directory to be free", is_free).await;
                return Err(error);
            }
        };
        let failed = tokio::spawn(async {
            let error = failed.await;
            eprintln!("the host has failed: {error}");
        });
        Ok(World { events: host.events(), host, bus, store, edge, failed })
    }

    /// Makes a built guest the component of the kind with this name.
    pub async fn publish(&self, name: &str, guest: &str) -> Digest {
        let Built { digest, wasm } = guests::built(guest);
        // The tests' own list holds it, so that it stays loaded.
        guests::component(guest).await;
        let kind = kind(name);
        self.store.publish(&kind, digest, &wasm).await.expect("it is stored");
        self.host.activate(&kind, digest).await.expect("it is activated");
        digest
    }

    /// A new room of the kind with this name.
    pub async fn create(&self, room: RoomId, name: &str, options: Value) {
        let component = self.store.active(&kind(name)).await.unwrap().expect("it was published");
        self.append(room, create(kind(name), component, &options)).await;
    }

    /// So many rooms of the kind with this name, and a member of each. The joins are not awaited: all rooms request an instance at the
    /// same time.
    pub async fn rooms_with_a_member(&self, name: &str, count: u64) -> Vec<(SessionId, RoomId)> {
        let rooms: Vec<_> = (1..=u128::from(count)).map(|n| (SessionId(n), RoomId(n))).collect();
        for (session, room) in &rooms {
            self.create(*room, name, json!({})).await;
            self.append(*room, join(*session, &self.edge.id, 0)).await;
        }
        rooms
    }

    /// The members all send `add` at the same time, and receive this count.
    pub async fn all_add(&mut self, rooms: &[(SessionId, RoomId)], count: u64) {
        let mut asked = vec![];
        for (session, room) in rooms {
            asked.push((*session, self.edge.send(*session, *room, "add", json!(1)).await));
        }
        for (session, id) in asked {
            assert_eq!(self.edge.answer(session, id).await, Ok(json!(count)));
        }
    }

    /// Creates a new room with this component, which need not be the active one of its kind.
    pub async fn create_with(&self, room: RoomId, name: &str, component: Digest) {
        self.append(room, create(kind(name), component, &json!({}))).await;
    }

    pub async fn append(&self, room: RoomId, command: RoomCommand) -> Offset {
        append(&self.bus, self.store.clock(), room, command).await
    }

    /// All records so far, of one room.
    pub async fn log_of(&self, room: RoomId) -> Vec<(Offset, Record)> {
        let mut log = self.log().await;
        log.retain(|(_, record)| record.room == room);
        log
    }

    /// All records so far.
    pub async fn log(&self) -> Vec<(Offset, Record)> {
        let (start, end) = (self.bus.start(0).await.expect("a start"), self.bus.end(0).await.expect("an end"));
        let mut reader = self.bus.read(0, start);
        let mut log = vec![];
        while log.last().is_none_or(|(offset, _): &(Offset, Record)| offset + 1 < end) {
            within("the log to be read", reader.next(&mut log)).await.expect("the log can be read");
        }
        log
    }

    /// Waits until all rooms hibernate.
    pub async fn quiet(&mut self) {
        until("all rooms to hibernate", async || self.host.live_rooms() == 0).await;
    }

    /// Waits for an event.
    pub async fn happens<T>(&mut self, what: &str, mut find: impl FnMut(&HostEvent) -> Option<T>) -> T {
        let event = async {
            loop {
                let event = self.events.recv().await.expect("nobody is that slow here");
                if let Some(found) = find(&event) {
                    return found;
                }
            }
        };
        within(what, event).await
    }

    /// Waits for a notice of this room.
    pub async fn notices<T>(&mut self, of: RoomId, what: &str, mut find: impl FnMut(&Notice) -> Option<T>) -> T {
        let find = |event: &HostEvent| match &event.what {
            HostEventKind::Notice(notice) if event.room == of => find(notice),
            _ => None,
        };
        self.happens(what, find).await
    }

    /// Stops the host in good order.
    pub async fn close(self) {
        self.host.drain(DEADLINE).await;
        let World { host, bus, store, failed, edge, events } = self;
        failed.abort();
        let _ = failed.await;
        drop((host, edge, events));
        bus.close().await.expect("the log closes");
        store.close().await.expect("the store closes");
    }
}

async fn append(bus: &Bus, clock: &Clock, room: RoomId, command: RoomCommand) -> Offset {
    let append = bus.append(&Record { room, time: clock.now(), command });
    let offset = within("the log to take a record", append).await.expect("the log takes it");
    offset.expect("an embedded log returns the offset")
}

/// A frame as its session received it.
#[derive(Clone, Debug)]
pub struct Frame {
    pub room: RoomId,
    pub seq: u64,
    pub tag: FrameTag,
    pub text: String,
}

impl Frame {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("a frame is JSON")
    }
}

pub struct Edge {
    pub id: MachineId,
    bus: Bus,
    clock: Clock,
    inbox: EdgeReceiver,
    /// All commands received, in order, except those that report a session's cost: that depends on the clock.
    pub received: Vec<EdgeCommand>,
    /// Microseconds that each session has cost, as far as they were reported.
    pub spent: BTreeMap<SessionId, u64>,
    pub frames: BTreeMap<SessionId, Vec<Frame>>,
    ids: BTreeMap<SessionId, u64>,
}

impl Edge {
    /// The same edge at every opening, so that repeated commands of a room can be compared.
    async fn open(bus: &Bus, clock: &Clock) -> Edge {
        let id = machine("edge-1");
        let inbox = bus.edge_channel(&id).await.expect("a channel");
        Edge {
            id,
            bus: bus.clone(),
            clock: clock.clone(),
            inbox,
            received: vec![],
            spent: BTreeMap::new(),
            frames: BTreeMap::new(),
            ids: BTreeMap::new(),
        }
    }

    pub async fn join(&mut self, session: SessionId, room: RoomId) {
        let joined = join(session, &self.id, self.last_id(session));
        append(&self.bus, &self.clock, room, joined).await;
        let admitted = |command: &EdgeCommand| match command {
            EdgeCommand::Admitted { session: admitted, room: entered, .. } => (*admitted, *entered) == (session, room),
            EdgeCommand::Refused { session: refused, reason, .. } if *refused == session => panic!("refused: {reason}"),
            _ => false,
        };
        self.until("a session to be admitted", move |edge| edge.received.iter().any(admitted).then_some(())).await;
    }

    /// Sends a message, and waits for its answer: a reply's data, or an error's code and text.
    pub async fn request(
        &mut self,
        session: SessionId,
        room: RoomId,
        msg_type: &str,
        data: Value,
    ) -> Result<Value, (String, String)> {
        let id = self.send(session, room, msg_type, data).await;
        self.answer(session, id).await
    }

    /// Sends a message. Returns its id.
    pub async fn send(&mut self, session: SessionId, room: RoomId, msg_type: &str, data: Value) -> u64 {
        let id = self.last_id(session) + 1;
        self.ids.insert(session, id);
        append(&self.bus, &self.clock, room, message(session, id, msg_type, &data)).await;
        id
    }

    pub async fn answer(&mut self, session: SessionId, id: u64) -> Result<Value, (String, String)> {
        let answer = move |edge: &Edge| {
            edge.frames.get(&session)?.iter().rev().filter(|frame| is_answer(frame.tag)).find_map(|frame| {
                let value = frame.value();
                (value["id"] == id).then_some((frame.tag, value))
            })
        };
        let (tag, frame) = self.until(&format!("an answer to message {id} of {session}"), answer).await;
        let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
        if tag == FrameTag::Reply { Ok(frame["data"].clone()) } else { Err((text("code"), text("message"))) }
    }

    /// The session has used ids up to this one in an earlier process of the edge.
    pub fn continue_from(&mut self, session: SessionId, id: u64) {
        self.ids.insert(session, id);
    }

    fn last_id(&self, session: SessionId) -> u64 {
        self.ids.get(&session).copied().unwrap_or(0)
    }

    /// Receives until there is a value.
    pub async fn until<T>(&mut self, what: &str, mut find: impl FnMut(&Edge) -> Option<T>) -> T {
        let receive = async {
            loop {
                if let Some(found) = find(self) {
                    return found;
                }
                self.receive().await;
            }
        };
        within(what, receive).await
    }

    async fn receive(&mut self) {
        let mut commands = vec![];
        self.inbox.recv_many(&mut commands).await.expect("nothing is dropped");
        for command in commands {
            if let EdgeCommand::Spent { session, micros, .. } = command {
                *self.spent.entry(session).or_default() += u64::from(micros);
                continue;
            }
            self.carry_out(&command).await;
            self.received.push(command);
        }
    }

    async fn carry_out(&mut self, command: &EdgeCommand) {
        match command {
            EdgeCommand::Deliver(deliveries) => {
                for (target, frame) in deliveries.iter() {
                    let text = frame.with_seq(target.seq);
                    let frame = Frame { room: frame.room_id(), seq: target.seq, tag: frame.tag(), text };
                    self.frames.entry(target.session).or_default().push(frame);
                }
            }
            EdgeCommand::Move { session, room, options, from, .. } => {
                let (session, options, from) = (*session, options.clone(), Some(*from));
                let (edge, message_id) = (self.id.clone(), self.last_id(session));
                let join = RoomCommand::Join(Joining {
                    session,
                    player: player(session),
                    claims: None,
                    edge,
                    request: FIRST,
                    message_id,
                    options,
                    from,
                });
                append(&self.bus, &self.clock, *room, join).await;
            }
            EdgeCommand::Admitted { session, from: Some(from), .. } => {
                let leave = RoomCommand::Leave { session: *session, reason: LeaveReason::Moved };
                append(&self.bus, &self.clock, from.room, leave).await;
            }
            EdgeCommand::Refused { session, room, from: Some(OutputRef { room: source, number }), reason, .. } => {
                let (session, room, reason) = (*session, *room, reason.clone());
                let answer = Answer::MoveRefused { session, room, reason };
                append(&self.bus, &self.clock, *source, RoomCommand::Answer { request: *number, answer }).await;
            }
            _ => {}
        }
    }

    /// The frames that this session received from this room, in order.
    pub fn of(&self, session: SessionId, room: RoomId) -> Vec<Frame> {
        let all = self.frames.get(&session).into_iter().flatten();
        all.filter(|frame| frame.room == room).cloned().collect()
    }
}

fn is_answer(tag: FrameTag) -> bool {
    matches!(tag, FrameTag::Reply | FrameTag::Error)
}
