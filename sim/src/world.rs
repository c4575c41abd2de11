//! The world: all machines and players, and one queue of events in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::{
    command::{Record, RoomCommand},
    edge::StoredSession,
    frame::ClientFrame,
    hosting::ownership,
    ids::{Kind, MachineId, Offset, RoomId, RoomSecret, SessionId, Time},
    json::Json,
    session::Input,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sha2::{Digest as _, Sha256};

use crate::{
    Happened, Plan, Report, Violation,
    clients::Client,
    dials::DIALS,
    edge::Edge,
    event::{Event, Life, Serial},
    host::Host,
    monitor::Monitor,
    network::Channel,
    player::Player,
    script,
    store::Store,
};

/// Machines of each role.
pub(crate) const SLOTS: usize = 2;
/// The number of partitions with the rooms' channels.
const PARTITIONS: u32 = 4;
/// Players and operators send by this machine, which never fails.
pub(crate) const OUTSIDE: Life = 0;
/// The close code of a connection that was lost without a close frame.
pub(crate) const GONE: u16 = 1006;
const BEGIN: Time = Time(1_700_000_000_000);

pub(crate) struct World {
    seed: u64,
    pub plan: Plan,
    pub dice: ChaCha8Rng,
    pub now: Time,
    /// Events of one instant are in the order in which they were queued.
    pub queue: BTreeMap<(Time, u64), Event>,
    pub next_event: u64,
    pub log: BTreeMap<RoomId, Vec<(Offset, Record)>>,
    pub next_offset: Offset,
    pub store: Store,
    pub next_token: u64,
    pub next_session: u128,
    pub next_serial: Serial,
    pub next_component: u32,
    pub machines: BTreeMap<Life, Machine>,
    pub next_life: Life,
    /// The latest incarnation of each machine.
    pub slots: BTreeMap<Slot, Life>,
    /// When the latest message of an incarnation on a channel arrives: the next one arrives after it.
    pub last: BTreeMap<(Life, Channel), Time>,
    pub clients: Vec<Client>,
    pub faults_left: usize,
    pub calm_since: Time,
    /// The rooms in which a call has trapped that would not have in another attempt.
    pub trapped: BTreeSet<RoomId>,
    /// The sessions that a room's script or an operator has kicked.
    pub kicks: BTreeSet<SessionId>,
    pub happened: BTreeMap<Happened, usize>,
    pub seen: Sha256,
}

/// A machine that is restarted whenever it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Host(usize),
    Edge(usize),
    Monitor(usize),
}

pub(crate) struct Machine {
    pub role: Role,
    pub slot: Option<Slot>,
    pub alive: bool,
    pub stalled_until: Option<Time>,
    /// Messages of a dead machine up to this time still arrive.
    pub cut: Option<Time>,
}

pub(crate) enum Role {
    Host(Host),
    Edge(Edge),
    Monitor(Monitor),
    Outside,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> World {
        let mut world = World {
            seed,
            plan,
            dice: ChaCha8Rng::seed_from_u64(seed),
            now: BEGIN,
            queue: BTreeMap::new(),
            next_event: 0,
            log: BTreeMap::new(),
            next_offset: 0,
            store: Store::new(PARTITIONS),
            next_token: 0,
            next_session: 0,
            next_serial: 0,
            next_component: 0,
            machines: BTreeMap::new(),
            next_life: OUTSIDE + 1,
            slots: BTreeMap::new(),
            last: BTreeMap::new(),
            clients: Vec::new(),
            faults_left: plan.faults,
            calm_since: BEGIN,
            trapped: BTreeSet::new(),
            kicks: BTreeSet::new(),
            happened: BTreeMap::new(),
            seen: Sha256::new(),
        };
        let outside = Machine { role: Role::Outside, slot: None, alive: true, stalled_until: None, cut: None };
        world.machines.insert(OUTSIDE, outside);
        for slot in 0..SLOTS {
            for slot in [Slot::Host(slot), Slot::Edge(slot), Slot::Monitor(slot)] {
                world.start(slot);
            }
        }
        for kind in [Kind::lobby(), script::game()] {
            world.store.active.insert(kind.clone(), script::component(&kind, 0, false));
        }
        world.create_lobby();
        for client in 0..plan.players {
            world.clients.push(Client::new(world.clients.len()));
            world.after(1 + client as u64, Event::Act(client));
        }
        world.after(DIALS.fault.start, Event::Fault);
        world
    }

    fn create_lobby(&mut self) {
        let (kind, component) = (Kind::lobby(), script::component(&Kind::lobby(), 0, false));
        let (options, secret) = (Json::null(), RoomSecret(u128::from(self.seed)));
        let create = RoomCommand::Create { kind, component, options, creator: None, secret, allowance: 0 };
        self.append(OUTSIDE, RoomId::LOBBY, create);
    }

    pub fn run(mut self) -> Result<Report, Violation> {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            if let Some(event) = self.may_happen(event) {
                self.happen(event)?;
            }
            if self.faults_left > 0 {
                continue;
            }
            if !self.play_on() && self.clients.iter().all(|client| self.is_home(&client.player)) {
                break;
            }
            if self.now.since(self.calm_since) > DIALS.finish {
                return Err(self.no_progress());
            }
        }
        Ok(self.report())
    }

    /// Whether the player is in the lobby with no answer pending, and no kick. A rollback may have taken a kick back.
    fn is_home(&self, player: &Player) -> bool {
        player.is_home() && !player.session().is_some_and(|session| self.ends(session))
    }

    fn ends(&self, session: SessionId) -> bool {
        let kicks = |role: &Role| matches!(role, Role::Host(host) if host.kicks(session));
        self.store.sessions.get(&session).is_some_and(StoredSession::is_kicked)
            || self.machines.values().any(|machine| machine.alive && kicks(&machine.role))
    }

    /// Whether a room kicks the player's session, has kicked it, or has taken that back; or whether an operator has kicked it.
    pub fn is_kicked(&self, player: &Player) -> bool {
        player.session().is_some_and(|session| self.kicks.contains(&session))
    }

    fn no_progress(&self) -> Violation {
        let late = self.clients.iter().enumerate().filter(|(_, client)| !self.is_home(&client.player));
        let late: Vec<String> = late.map(|(n, client)| format!("player {n} {}", client.player.place())).collect();
        self.wrong(format!("these make no progress: {}", late.join("; ")))
    }

    pub fn count(&mut self, what: Happened) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn report(self) -> Report {
        let of = |count: fn(&Player) -> usize| self.clients.iter().map(|client| count(&client.player)).sum();
        Report {
            happened: self.happened.clone(),
            games: of(|player| player.ended.len()),
            messages: of(|player| player.messages() as usize),
            frames: of(|player| player.frames),
            resumes: of(|player| player.resumes),
            digest: hex::encode(self.seen.finalize()),
        }
    }

    /// Whether players start games: there are faults left, or some player has games left, for which it needs others.
    pub fn play_on(&self) -> bool {
        self.faults_left > 0 || self.clients.iter().any(|client| client.player.ended.len() < self.plan.games)
    }

    pub fn wrong(&self, what: String) -> Violation {
        Violation { seed: self.seed, at_ms: self.now.since(BEGIN), what }
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrives(_, record) => self.arrives(record),
            Event::Read(life, room, offset, awaited) => self.read(life, room, offset, awaited)?,
            Event::Restore(life, room) => self.restore(life, room)?,
            Event::RoomTick(life, room, serial, at) => self.room_tick(life, room, serial, at)?,
            Event::Report(life, room, serial, report) => self.report_to_room(life, room, serial, report)?,
            Event::Save(life, room, serial, save) => self.save(life, room, serial, *save)?,
            Event::EndSession(life, room, serial, session) => self.end_session(life, room, serial, session),
            Event::Alarm(life, room, at) => self.alarm(life, room, at)?,
            Event::TakenOver(life, partition) => self.taken_over(life, partition)?,
            Event::PartitionStored(life, partition) => {
                self.ownership_input(life, ownership::Input::Stored(partition))?;
            }
            Event::OwnershipTick(life) => self.ownership_input(life, ownership::Input::Tick)?,
            Event::ToEdge(_, life, command) => self.edge_receives(life, command),
            Event::Frame(life, connection, text) => {
                self.input(life, connection, Input::Frame(ClientFrame::parse(&text)))
            }
            Event::Pong(life, connection) => self.input(life, connection, Input::Pong),
            Event::Lost(life, connection) => self.input(life, connection, Input::Lost { code: GONE }),
            Event::Opens(life, connection, hello) => self.opens(life, connection, &hello),
            Event::Renews(life, connection, token) => self.renews(life, connection, &token),
            Event::Written(life, connection, write) => self.written(life, connection, write),
            Event::SessionTick(life, connection) => self.session_tick(life, connection),
            Event::Heartbeat(life) => self.heartbeat(life),
            Event::HeartbeatAnswer(life) => self.heartbeat_answer(life)?,
            Event::MonitorTick(life) => self.monitor_tick(life),
            Event::SessionsDropped(life, edge) => self.sessions_dropped(life, edge),
            Event::ToClient(_, client, link, sent) => self.client_receives(client, link, sent)?,
            Event::Act(client) => self.act(client),
            Event::Fault => self.fault(),
            Event::Recover(life) => self.recover(life),
            Event::Restart(life) => self.restart(life),
            Event::Activate(component) => self.activate(&component),
        }
        Ok(())
    }
}

pub(crate) fn partition_of(room: RoomId) -> u32 {
    room.partition(PARTITIONS)
}

pub(crate) fn machine_id(life: Life) -> MachineId {
    MachineId(format!("machine-{life}").into())
}

pub(crate) fn life_of(machine: &MachineId) -> Life {
    machine.0.strip_prefix("machine-").and_then(|life| life.parse().ok()).expect("it was given by machine_id")
}
