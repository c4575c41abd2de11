//! The queue of events, and the effect of each on the machines.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use chorus_core::{
    command::{EdgeCommand, LeaveReason, Player as Identity, Record, RoomCommand},
    effect::RestoreReason,
    frame::{ClientFrame, CloseCode},
    ids::{ConnectionId, Digest, Kind, MachineId, Offset, OutputId, RoomId, Secret, SessionId, Time},
    json::Json,
    room::{Call, Input as RoomInput, Outcome, Output as RoomOutput, Room, RoomClock},
    session::{Input, Limits, Opened, Output, Session, StoreWrite},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest as _, Sha256};

use crate::{
    Plan, Report, Violation,
    dials::DIALS,
    player::{Player, Wish},
    script::{Script, spec},
};

/// A host or an edge, in one incarnation.
type Life = u32;

/// Machines of each role.
const SLOTS: usize = 2;
/// The number of partitions with the rooms' channels.
const PARTITIONS: u128 = 4;
const BEGIN: Time = Time(1_700_000_000_000);

pub struct World {
    seed: u64,
    plan: Plan,
    dice: ChaCha8Rng,
    now: Time,
    /// Events of one instant are in the order in which they were queued.
    queue: BTreeMap<(Time, u64), What>,
    next_event: u64,
    log: BTreeMap<RoomId, Vec<(Offset, Record)>>,
    next_offset: Offset,
    snapshots: BTreeMap<RoomId, (Offset, Arc<[u8]>)>,
    ended: BTreeMap<RoomId, Offset>,
    sessions: BTreeMap<SessionId, Row>,
    next_token: u64,
    machines: BTreeMap<Life, Machine>,
    next_life: Life,
    hosts: [Life; SLOTS],
    edges: [Life; SLOTS],
    /// When the latest append of an incarnation to a channel arrives: the next one arrives after it.
    last: BTreeMap<(Life, Channel), Time>,
    players: Vec<Client>,
    faults_left: usize,
    calm_since: Time,
    seen: Sha256,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Partition(u128),
    Edge(Life),
    Client(usize, u32),
    Store(u32),
}

struct Row {
    edge: Life,
    connected: bool,
    /// The token that resumes the session; the previous token, and the one that was overtaken by that, until the client has
    /// confirmed the new one.
    token: u64,
    previous: Option<u64>,
    overtaken: Option<u64>,
    rooms: Vec<RoomId>,
    /// A room has kicked it.
    kicked: bool,
}

struct Machine {
    role: Role,
    alive: bool,
    stands_until: Option<Time>,
    /// Appends of a dead machine up to this time still arrive.
    cut: Option<Time>,
}

enum Role {
    Host {
        slot: usize,
        rooms: BTreeMap<RoomId, Live>,
    },
    Edge {
        slot: usize,
        lines: BTreeMap<ConnectionId, Line>,
        sessions: BTreeMap<SessionId, ConnectionId>,
        next: u32,
    },
    /// It drops the sessions of dead edges, and never fails in a run.
    Monitor,
}

/// A room, as one host has it.
struct Live {
    room: Room,
    script: Option<Script>,
    /// The number of records that it has read from its channel.
    read: usize,
    offset: Offset,
    clock: RoomClock,
    rung: Option<OutputId>,
    /// Rooms that it has created, and when their `Create` is in the log: no member is moved there before that.
    made: BTreeMap<RoomId, Time>,
    held_until: Time,
}

struct Line {
    session: Session,
    client: usize,
    link: u32,
}

struct Client {
    player: Player,
    /// Its connection: the edge and the edge's number for it.
    line: Option<(Life, ConnectionId)>,
    link: u32,
}

enum What {
    Arrives(Life, Record),
    Read(Life, RoomId),
    Ring(Life, RoomId, OutputId),
    Snapshot(Life, RoomId, Offset, Arc<[u8]>),
    Ended(Life, RoomId, Offset),
    ToEdge(Life, Life, EdgeCommand),
    Frame(Life, ConnectionId, String),
    Pong(Life, ConnectionId),
    Lost(Life, ConnectionId),
    Opens(Life, ConnectionId, Option<u64>),
    Written(Life, ConnectionId, StoreWrite),
    ToClient(Life, usize, u32, Option<String>),
    Act(usize),
    Fault,
    TakenOver(Life),
    Fenced(Life),
}

impl What {
    /// The sender and the receiver of this event.
    fn machines(&self) -> (Option<Life>, Option<Life>) {
        match self {
            What::Arrives(from, _) | What::Snapshot(from, ..) | What::Ended(from, ..) => (Some(*from), None),
            What::ToEdge(from, edge, _) => (Some(*from), Some(*edge)),
            What::ToClient(from, ..) => (Some(*from), None),
            What::Read(at, _) | What::Ring(at, ..) => (None, Some(*at)),
            What::Frame(at, ..)
            | What::Pong(at, _)
            | What::Lost(at, _)
            | What::Opens(at, ..)
            | What::Written(at, ..) => (None, Some(*at)),
            What::Act(_) | What::Fault | What::TakenOver(_) | What::Fenced(_) => (None, None),
        }
    }
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
            snapshots: BTreeMap::new(),
            ended: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_token: 0,
            machines: BTreeMap::new(),
            next_life: 0,
            hosts: [0; SLOTS],
            edges: [0; SLOTS],
            last: BTreeMap::new(),
            players: Vec::new(),
            faults_left: plan.faults,
            calm_since: BEGIN,
            seen: Sha256::new(),
        };
        world.begin_life(Role::Monitor);
        for slot in 0..SLOTS {
            world.hosts[slot] = world.new_host(slot);
            world.edges[slot] = world.new_edge(slot);
        }
        let command = RoomCommand::Create {
            kind: Kind::lobby(),
            component: Digest([0; 32]),
            options: Json::null(),
            creator: None,
            secret: Secret(u128::from(seed)),
            allowance: 0,
        };
        world.append(MONITOR, RoomId::LOBBY, command);
        for client in 0..plan.players {
            world.players.push(Client { player: Player::default(), line: None, link: 0 });
            world.after(1 + client as u64, What::Act(client));
        }
        world.after(1_000, What::Fault);
        world
    }

    pub fn run(mut self) -> Result<Report, Violation> {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            if let Some(event) = self.may_happen(event) {
                self.happen(event)?;
            }
            let calm = self.faults_left == 0;
            let late = self.players.iter().enumerate().filter(|(_, client)| !client.player.is_home());
            if calm && !self.play_on() && late.clone().next().is_none() {
                break;
            }
            if calm && self.now.since(self.calm_since) > DIALS.finish {
                let late: Vec<String> =
                    late.map(|(n, client)| format!("player {n} {}", client.player.place())).collect();
                return Err(self.wrong(format!("these get no further: {}", late.join("; "))));
            }
        }
        let of = |count: fn(&Player) -> usize| self.players.iter().map(|client| count(&client.player)).sum();
        Ok(Report {
            games: of(|player| player.ended.len()),
            messages: of(|player| player.messages() as usize),
            frames: of(|player| player.frames),
            resumes: of(|player| player.resumes),
            digest: self.seen.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Whether players start games: there are faults left, or some player has games left, for which it needs others.
    fn play_on(&self) -> bool {
        self.faults_left > 0 || self.players.iter().any(|client| client.player.ended.len() < self.plan.games)
    }

    fn wrong(&self, what: String) -> Violation {
        Violation { seed: self.seed, at_ms: self.now.since(BEGIN), what }
    }

    // ---- time and chance ----

    fn draw(&mut self, from: Range<u64>) -> u64 {
        from.start + self.dice.next_u64() % (from.end - from.start)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.draw(0..many) == 0
    }

    fn after(&mut self, ms: u64, what: What) {
        self.at(self.now.plus(ms), what);
    }

    fn at(&mut self, time: Time, what: What) {
        self.next_event += 1;
        self.queue.insert((time, self.next_event), what);
    }

    /// When a message that is sent now, or not before `earliest`, arrives.
    fn arrival(&mut self, from: Life, channel: Channel, earliest: Time) -> Time {
        let slow = if self.one_in(DIALS.delayed) { self.draw(DIALS.delay) } else { 0 };
        let takes = self.draw(DIALS.latency) + slow;
        let last = self.last.get(&(from, channel)).copied().unwrap_or_default();
        let at = self.now.max(earliest).plus(takes).max(last);
        self.last.insert((from, channel), at);
        at
    }

    /// A dead machine receives nothing, and what it sent too late is dropped. A stalled machine sends and receives when it
    /// recovers; what has arrived by then is kept for it, even if its sender has died.
    fn may_happen(&mut self, event: What) -> Option<What> {
        let (from, hears) = event.machines();
        if let Some(from) = from.map(|life| &self.machines[&life]) {
            if from.cut.is_some_and(|cut| self.now > cut) {
                return None;
            }
            if let Some(until) = from.stands_until.filter(|until| *until > self.now) {
                self.at(until, event);
                return None;
            }
        }
        if let Some(hears) = hears.map(|life| &self.machines[&life]) {
            if !hears.alive {
                return None;
            }
            if let Some(until) = hears.stands_until.filter(|until| *until > self.now) {
                let kept = match event {
                    What::ToEdge(_, edge, command) => What::ToEdge(MONITOR, edge, command),
                    other => other,
                };
                self.at(until, kept);
                return None;
            }
        }
        Some(event)
    }

    fn happen(&mut self, event: What) -> Result<(), Violation> {
        match event {
            What::Arrives(_, record) => self.arrives(record),
            What::Read(host, room) => self.read(host, room),
            What::Ring(host, room, id) => self.ring(host, room, id),
            What::Snapshot(_, room, offset, bytes) => {
                let newest = self.snapshots.get(&room).map(|(newest, _)| *newest);
                if newest.is_none_or(|newest| offset > newest) && !self.ended.contains_key(&room) {
                    self.snapshots.insert(room, (offset, bytes));
                }
            }
            What::Ended(_, room, offset) => drop(self.ended.insert(room, offset)),
            What::ToEdge(_, edge, command) => self.edge_hears(edge, command),
            What::Frame(edge, connection, text) => {
                self.input(edge, connection, Input::Frame(ClientFrame::parse(&text)));
            }
            What::Pong(edge, connection) => self.input(edge, connection, Input::Pong),
            What::Lost(edge, connection) => self.input(edge, connection, Input::Lost { code: 1006 }),
            What::Opens(edge, connection, session) => self.opens(edge, connection, session),
            What::Written(edge, connection, write) => self.written(edge, connection, write),
            What::ToClient(_, client, link, text) => return self.client_hears(client, link, text),
            What::Act(client) => self.act(client),
            What::Fault => self.fault(),
            What::TakenOver(life) => self.taken_over(life),
            What::Fenced(life) => self.kill(life),
        }
        Ok(())
    }

    // ---- the log ----

    fn append(&mut self, from: Life, room: RoomId, command: RoomCommand) -> Time {
        let record = Record { room, time: self.now, command };
        let at = self.arrival(from, Channel::Partition(room.0 % PARTITIONS), self.now);
        self.at(at, What::Arrives(from, record));
        at
    }

    fn arrives(&mut self, record: Record) {
        let (room, slot) = (record.room, slot_of(record.room));
        self.next_offset += 1;
        self.log.entry(room).or_default().push((self.next_offset, record));
        // A host that was replaced and is not fenced yet still reads.
        let reads =
            |machine: &Machine| machine.alive && matches!(machine.role, Role::Host { slot: its, .. } if its == slot);
        let readers: Vec<Life> =
            self.machines.iter().filter(|(_, machine)| reads(machine)).map(|(life, _)| *life).collect();
        for host in readers {
            let ms = self.draw(DIALS.read);
            self.after(ms, What::Read(host, room));
        }
    }

    // ---- hosts ----

    fn read(&mut self, host: Life, room: RoomId) {
        let Some(mut live) = self.take(host, room) else { return };
        let records = self.log.get(&room).map_or(&[][..], |log| &log[live.read..]).to_vec();
        live.read += records.len();
        for (offset, record) in records {
            live.offset = offset;
            live.room.handle(RoomInput::Record(offset, record));
            self.carry_out(host, &mut live);
        }
        if self.one_in(DIALS.snapshot) {
            live.room.handle(RoomInput::TakeSnapshot);
            self.carry_out(host, &mut live);
        }
        self.set_alarm(host, &mut live);
        self.put(host, live);
    }

    fn rooms(&mut self, host: Life) -> Option<&mut BTreeMap<RoomId, Live>> {
        match &mut self.machines.get_mut(&host)?.role {
            Role::Host { rooms, .. } => Some(rooms),
            _ => None,
        }
    }

    /// Takes the room out of this host; restores it from the snapshot if the host does not have it.
    fn take(&mut self, host: Life, room: RoomId) -> Option<Live> {
        if let Some(live) = self.rooms(host)?.remove(&room) {
            return Some(live);
        }
        let (machine, offset) = match (self.ended.get(&room), self.snapshots.get(&room)) {
            (Some(offset), _) => (Room::ended(room), *offset),
            (None, Some((offset, bytes))) => {
                (Room::restore(room, bytes, RestoreReason::Recovered).expect("a room wrote it"), *offset)
            }
            (None, None) => (Room::new(room), 0),
        };
        let known = |log: &Vec<(Offset, Record)>| log.partition_point(|(at, _)| *at <= offset);
        let read = self.log.get(&room).map_or(0, known);
        let (made, held_until) = (BTreeMap::new(), self.now);
        let clock = RoomClock::new(self.now);
        Some(Live { room: machine, script: None, read, offset, clock, rung: None, made, held_until })
    }

    fn put(&mut self, host: Life, live: Live) {
        let room = live.room.id();
        if let Some(rooms) = self.rooms(host) {
            rooms.insert(room, live);
        }
    }

    fn carry_out(&mut self, host: Life, live: &mut Live) {
        let room = live.room.id();
        while let Some(output) = live.room.poll_output() {
            match output {
                RoomOutput::Guest(call) => {
                    let outcome = answer(&mut live.script, call);
                    live.room.handle(RoomInput::Guest { outcome, fuel: 0 });
                }
                RoomOutput::Append(to, command) => drop(self.append(host, to, command)),
                RoomOutput::Create { id, kind, options, source, secret, allowance } => {
                    let (component, creator) = (Digest([1; 32]), Some(source));
                    let create = RoomCommand::Create { kind, component, options, creator, secret, allowance };
                    let at = self.append(host, id, create);
                    live.made.insert(id, at);
                }
                RoomOutput::Edge(edge, command) => {
                    if let EdgeCommand::Move { room, .. } = &command {
                        live.held_until = live.held_until.max(live.made.get(room).copied().unwrap_or_default());
                    }
                    let edge = life_of(&edge);
                    let at = self.arrival(host, Channel::Edge(edge), live.held_until);
                    self.at(at, What::ToEdge(host, edge, command));
                }
                RoomOutput::Kick { session, .. } => self.kick(host, room, session),
                RoomOutput::Snapshot { offset, bytes } => {
                    let at = self.all_arrived(host);
                    self.at(at, What::Snapshot(host, room, offset, bytes));
                }
                RoomOutput::Ended { .. } => {
                    let at = self.all_arrived(host);
                    self.at(at, What::Ended(host, room, live.offset));
                }
                RoomOutput::Log { .. } | RoomOutput::Notice(_) => {}
            }
        }
    }

    /// The kick goes to the store first, then to the session's rooms, the room that kicks last.
    fn kick(&mut self, host: Life, room: RoomId, session: SessionId) {
        let row = self.sessions.get_mut(&session);
        let rooms = row.map_or(Vec::new(), |row| {
            row.kicked = true;
            row.rooms.clone()
        });
        for room in rooms.into_iter().filter(|other| *other != room).chain([room]) {
            self.append(host, room, RoomCommand::Leave { session, reason: LeaveReason::Kicked });
        }
    }

    /// When everything that this machine has sent has arrived.
    fn all_arrived(&self, life: Life) -> Time {
        let said = self.last.range((life, Channel::Partition(0))..).take_while(|((from, _), _)| *from == life);
        said.map(|(_, at)| *at).max().unwrap_or_default().max(self.now).plus(1)
    }

    fn set_alarm(&mut self, host: Life, live: &mut Live) {
        let now = self.now;
        let Some(ring) = live.room.state().and_then(|state| live.clock.next_timer(state, now)) else { return };
        if live.rung != Some(ring.id) {
            live.rung = Some(ring.id);
            let room = live.room.id();
            self.at(ring.at.max(now), What::Ring(host, room, ring.id));
        }
    }

    fn ring(&mut self, host: Life, room: RoomId, id: OutputId) {
        let now = self.now;
        let Some(live) = self.rooms(host).and_then(|rooms| rooms.get_mut(&room)) else { return };
        let ring = live.room.state().and_then(|state| live.clock.next_timer(state, now));
        if ring.is_some_and(|ring| ring.id == id && ring.at <= now) {
            self.append(host, room, RoomCommand::Timer { id, name: None });
        }
    }

    // ---- edges ----

    fn edge_hears(&mut self, edge: Life, command: EdgeCommand) {
        match command {
            EdgeCommand::Deliver { room, targets, frame } => {
                for target in targets {
                    if let Some(connection) = self.connection_of(edge, target.session) {
                        self.input(edge, connection, Input::Deliver { room, target, frame: &frame });
                    }
                }
            }
            EdgeCommand::Replaced { session } => {
                let Some(connection) = self.connection_of(edge, session) else { return };
                let is_here = self.sessions.get(&session).is_some_and(|row| row.edge == edge);
                let said = Input::Command(EdgeCommand::Replaced { session });
                self.input(edge, connection, if is_here { Input::Contested } else { said });
            }
            EdgeCommand::Move { session, .. }
            | EdgeCommand::Left { session, .. }
            | EdgeCommand::Kick { session, .. }
            | EdgeCommand::Admitted { session, .. }
            | EdgeCommand::Refused { session, .. }
            | EdgeCommand::Spent { session, .. }
            | EdgeCommand::Resumed { session, .. } => {
                if let Some(connection) = self.connection_of(edge, session) {
                    self.input(edge, connection, Input::Command(command));
                }
            }
        }
    }

    fn connection_of(&self, edge: Life, session: SessionId) -> Option<ConnectionId> {
        match &self.machines[&edge].role {
            Role::Edge { sessions, .. } => sessions.get(&session).copied(),
            _ => None,
        }
    }

    fn input(&mut self, edge: Life, connection: ConnectionId, input: Input<'_>) {
        let now = self.now;
        let Role::Edge { lines, sessions, .. } = &mut self.machines.get_mut(&edge).expect("it is there").role else {
            return;
        };
        let Some(line) = lines.get_mut(&connection) else { return };
        let whose = line.session.id();
        line.session.handle(input, now);
        let outputs: Vec<Output> = std::iter::from_fn(|| line.session.poll_output()).collect();
        let (over, client, link) = (line.session.is_ended(), line.client, line.link);
        if let (true, Some(session)) = (over, whose)
            && sessions.get(&session) == Some(&connection)
        {
            sessions.remove(&session);
        }
        for output in outputs {
            self.carry_out_line(edge, connection, (client, link), output);
        }
    }

    fn carry_out_line(&mut self, edge: Life, connection: ConnectionId, (client, link): (usize, u32), output: Output) {
        match output {
            Output::Send(frame) => self.send(edge, client, link, Some(frame.into_text())),
            Output::Ping => self.send(edge, client, link, Some(PING.to_owned())),
            Output::Close { .. } => self.send(edge, client, link, None),
            Output::Hello(hello) => {
                let token = hello.resume.and_then(|token| token.parse().ok());
                let ms = self.draw(DIALS.open);
                self.after(ms, What::Opens(edge, connection, token));
            }
            Output::Append { room, command, .. } => drop(self.append(edge, room, command)),
            Output::Store(write) => {
                let at = self.arrival(edge, Channel::Store(connection.0), self.now);
                self.at(at, What::Written(edge, connection, write));
            }
        }
    }

    fn send(&mut self, edge: Life, client: usize, link: u32, text: Option<String>) {
        let at = self.arrival(edge, Channel::Client(client, link), self.now);
        self.at(at, What::ToClient(edge, client, link, text));
    }

    fn opens(&mut self, edge: Life, connection: ConnectionId, token: Option<u64>) {
        let Role::Edge { lines, .. } = &self.machines[&edge].role else { return };
        // An edge reads everything that has arrived before it handles a `hello`, so it has noticed a client that has left.
        if lines.get(&connection).is_none_or(|line| line.session.is_ended()) {
            return;
        }
        self.next_token += 1;
        let new = self.next_token;
        let fits = |row: &Row| {
            token.is_some_and(|token| row.token == token || [row.previous, row.overtaken].contains(&Some(token)))
        };
        if self.sessions.values().any(|row| row.kicked && fits(row)) {
            let (code, reason) = (CloseCode::Kicked, "kicked".into());
            return self.input(edge, connection, Input::NotOpened { code, reason });
        }
        let known = self.sessions.iter_mut().find(|(_, row)| fits(row));
        let (session, recovered) = match known {
            Some((session, row)) => {
                let (session, before) = (*session, std::mem::replace(&mut row.edge, edge));
                let was_elsewhere = before != edge && row.connected;
                row.overtaken = (row.previous == token).then_some(row.token);
                (row.connected, row.previous, row.token) = (true, token, new);
                let rooms = row.rooms.clone();
                if was_elsewhere {
                    let at = self.arrival(edge, Channel::Edge(before), self.now);
                    self.at(at, What::ToEdge(edge, before, EdgeCommand::Replaced { session }));
                }
                (session, Some(rooms))
            }
            None => {
                let session = SessionId(self.sessions.len() as u128 + 1);
                let (rooms, previous) = (vec![RoomId::LOBBY], None);
                self.sessions.insert(
                    session,
                    Row { edge, connected: true, token: new, previous, overtaken: None, rooms, kicked: false },
                );
                (session, None)
            }
        };
        if let Role::Edge { sessions, .. } = &mut self.machines.get_mut(&edge).expect("it is there").role {
            let earlier = sessions.insert(session, connection);
            if let Some(earlier) = earlier {
                self.input(edge, earlier, Input::Replaced);
            }
        }
        let player = Identity { id: session.to_string().into(), name: "Ana".into() };
        let opened = Opened { session, player, resume: new.to_string(), owed: 0, recovered };
        self.input(edge, connection, Input::Opened(opened));
    }

    fn written(&mut self, edge: Life, connection: ConnectionId, write: StoreWrite) {
        match write {
            StoreWrite::Join(session, room) => {
                let row = self.sessions.get_mut(&session).filter(|row| row.edge == edge && !row.kicked);
                let done = row.is_some();
                if let Some(row) = row.filter(|row| !row.rooms.contains(&room)) {
                    row.rooms.push(room);
                }
                self.input(edge, connection, Input::Stored { room, done });
            }
            StoreWrite::Leave(session, room) => {
                if let Some(row) = self.row_if_still(edge, connection, session) {
                    row.rooms.retain(|other| *other != room);
                }
            }
            StoreWrite::Disconnected { session, .. } => {
                if let Some(row) = self.row_if_still(edge, connection, session) {
                    row.connected = false;
                }
            }
            StoreWrite::End(session) => drop(self.sessions.remove(&session)),
            StoreWrite::Confirm(session) => {
                if let Some(row) = self.sessions.get_mut(&session).filter(|row| row.edge == edge) {
                    (row.previous, row.overtaken) = (None, None);
                }
            }
        }
    }

    /// The row of a session that has not reconnected by another connection.
    fn row_if_still(&mut self, edge: Life, connection: ConnectionId, session: SessionId) -> Option<&mut Row> {
        let is_back = self.connection_of(edge, session).is_some_and(|now| now != connection);
        self.sessions.get_mut(&session).filter(|row| row.edge == edge && !is_back)
    }

    // ---- players ----

    fn act(&mut self, client: usize) {
        let ms = self.draw(DIALS.act);
        self.after(ms, What::Act(client));
        if self.players[client].line.is_none() {
            return self.connect(client);
        }
        let leaves = self.faults_left > 0 && self.one_in(DIALS.hang_up);
        let (plays, now) = (self.play_on(), self.now);
        match self.players[client].player.wish(plays, now) {
            _ if leaves => self.hang_up(client),
            Wish::GoAnotherWay => self.hang_up(client),
            Wish::Say(text) => self.say(client, text),
            Wish::Wait => {}
        }
    }

    fn connect(&mut self, client: usize) {
        let slot = self.draw(0..SLOTS as u64) as usize;
        let (edge, now) = (self.edges[slot], self.now);
        let this = &mut self.players[client];
        let link = this.link;
        let Machine { alive: true, role: Role::Edge { lines, next, .. }, .. } =
            self.machines.get_mut(&edge).expect("it is there")
        else {
            return;
        };
        *next += 1;
        let connection = ConnectionId(*next);
        let limits = Limits { per_second: 1_000_000, burst: 1_000_000, ..Limits::default() };
        let session = Session::new(machine_id(edge), connection, limits, now);
        lines.insert(connection, Line { session, client, link });
        this.line = Some((edge, connection));
        let hello = this.player.hello(now);
        self.say(client, hello);
    }

    fn hang_up(&mut self, client: usize) {
        let this = &mut self.players[client];
        this.link += 1;
        if let Some((edge, connection)) = this.line.take() {
            let ms = self.draw(DIALS.lost);
            self.after(ms, What::Lost(edge, connection));
        }
    }

    fn say(&mut self, client: usize, text: String) {
        self.answer(client, |edge, connection| What::Frame(edge, connection, text));
    }

    /// Sends an event to the edge that the client is connected to.
    fn answer(&mut self, client: usize, what: impl FnOnce(Life, ConnectionId) -> What) {
        let Some((edge, connection)) = self.players[client].line else { return };
        let link = self.players[client].link;
        // Any machine that never fails serves as the sender; the monitor is one.
        let at = self.arrival(MONITOR, Channel::Client(client, link), self.now);
        self.at(at, what(edge, connection));
    }

    fn client_hears(&mut self, client: usize, link: u32, text: Option<String>) -> Result<(), Violation> {
        if self.players[client].link != link {
            return Ok(());
        }
        let Some(text) = text else {
            self.hang_up(client);
            return Ok(());
        };
        if text == PING {
            self.answer(client, What::Pong);
            return Ok(());
        }
        self.seen.update(text.as_bytes());
        match self.players[client].player.sees(&text, self.now) {
            Ok(answers) => {
                answers.into_iter().for_each(|answer| self.say(client, answer));
                Ok(())
            }
            Err(what) => Err(self.wrong(format!("player {client}: {what}"))),
        }
    }

    // ---- faults ----

    fn begin_life(&mut self, role: Role) -> Life {
        let life = self.next_life;
        self.next_life += 1;
        self.machines.insert(life, Machine { role, alive: true, stands_until: None, cut: None });
        life
    }

    fn new_host(&mut self, slot: usize) -> Life {
        self.begin_life(Role::Host { slot, rooms: BTreeMap::new() })
    }

    fn new_edge(&mut self, slot: usize) -> Life {
        self.begin_life(Role::Edge { slot, lines: BTreeMap::new(), sessions: BTreeMap::new(), next: 0 })
    }

    fn fault(&mut self) {
        if self.faults_left == 0 {
            return;
        }
        self.faults_left -= 1;
        self.calm_since = self.now;
        let ms = self.draw(DIALS.fault);
        self.after(ms, What::Fault);
        let slot = self.draw(0..SLOTS as u64) as usize;
        let life = if self.one_in(DIALS.edge_fault) { self.edges[slot] } else { self.hosts[slot] };
        let stands = self.one_in(DIALS.stall);
        let machine = &self.machines[&life];
        if !machine.alive || machine.stands_until.is_some() {
            return;
        }
        if stands {
            let stall = self.draw(DIALS.stall_beyond);
            let until = self.now.plus(DIALS.dead_after + stall);
            self.machines.get_mut(&life).expect("it is there").stands_until = Some(until);
            self.after(DIALS.dead_after, What::TakenOver(life));
            // It continues for some time before it is fenced.
            let fenced = until.plus(self.draw(DIALS.fenced));
            self.at(fenced, What::Fenced(life));
        } else {
            self.kill(life);
            self.after(DIALS.dead_after, What::TakenOver(life));
        }
    }

    fn kill(&mut self, life: Life) {
        let cut = self.now.plus(self.draw(DIALS.cut));
        let machine = self.machines.get_mut(&life).expect("it is there");
        machine.alive = false;
        machine.stands_until = None;
        machine.cut = Some(cut);
        if let Role::Host { rooms, .. } = &mut machine.role {
            rooms.clear();
        }
        let clients = (0..self.players.len()).filter(|n| self.players[*n].line.is_some_and(|(edge, _)| edge == life));
        for client in clients.collect::<Vec<_>>() {
            self.hang_up(client);
        }
    }

    fn taken_over(&mut self, life: Life) {
        match &self.machines[&life].role {
            Role::Host { slot, .. } => {
                let slot = *slot;
                let host = self.new_host(slot);
                self.hosts[slot] = host;
                // A room that has ended may have later records, such as joins that still need an answer.
                let has_more = |(room, log): (&RoomId, &Vec<(Offset, Record)>)| {
                    let ended = self.ended.get(room);
                    let more = ended.is_none_or(|ended| log.last().is_some_and(|(last, _)| last > ended));
                    (slot_of(*room) == slot && more).then_some(*room)
                };
                for room in self.log.iter().filter_map(has_more).collect::<Vec<_>>() {
                    let ms = self.draw(DIALS.takeover);
                    self.after(ms, What::Read(host, room));
                }
            }
            Role::Edge { slot, .. } => {
                let slot = *slot;
                self.edges[slot] = self.new_edge(slot);
                let mut dropped = Vec::new();
                for (session, row) in self.sessions.iter_mut().filter(|(_, row)| row.edge == life && row.connected) {
                    row.connected = false;
                    dropped.extend(row.rooms.iter().map(|room| (*session, *room)));
                }
                for (session, room) in dropped {
                    self.append(MONITOR, room, RoomCommand::Drop { session, edge: machine_id(life), code: 1006 });
                }
            }
            Role::Monitor => {}
        }
    }
}

/// A ping, in place of a frame.
const PING: &str = "ping";

/// The first incarnation.
const MONITOR: Life = 0;

fn answer(script: &mut Option<Script>, call: Call) -> Outcome {
    match call {
        Call::Open { info, saved, .. } => {
            *script = Some(Script::open(&info, saved.as_ref()));
            Outcome::Opened(Ok(spec(&info.kind)))
        }
        Call::Handle { at, event, .. } => Outcome::Called(Ok(script.as_mut().expect("it is open").handle(&at, event))),
        Call::Save => Outcome::Saved(Ok(script.as_ref().expect("it is open").save())),
        Call::Swap { .. } => Outcome::Swapped(Err("there is one script".into())),
    }
}

fn slot_of(room: RoomId) -> usize {
    (room.0 % SLOTS as u128) as usize
}

fn machine_id(life: Life) -> MachineId {
    MachineId(format!("edge-{life}").into())
}

fn life_of(edge: &MachineId) -> Life {
    edge.0.strip_prefix("edge-").and_then(|life| life.parse().ok()).expect("it was given by machine_id")
}
