//! Hosts: the shell of `core::hosting`, without sandboxes and disks.
//!
//! A host follows the log of its partitions, restores a room at its first record or its alarm, and carries out what the
//! machines decide.

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::{
    command::{Record, RoomCommand},
    effect::RestoreReason,
    hosting::{
        Hibernation, HostedRoom, Input, Output, Save, Takeover,
        ownership::{self, Ownership},
    },
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, SessionId, Time},
    placement::{MachineState, Partition},
    room::{self, RoomClock},
};

use crate::{
    Happened, Violation,
    dials::DIALS,
    event::{Event, Life, Report, Serial},
    network::Channel,
    script::{self, Script},
    world::{Role, World, life_of, partition_of},
};

pub(crate) struct Host {
    pub id: MachineId,
    ownership: Ownership,
    /// The partitions whose log it follows, and their takeovers.
    followed: BTreeMap<u32, Takeover>,
    rooms: BTreeMap<RoomId, Live>,
    alarms: BTreeMap<RoomId, Time>,
    clocks: BTreeMap<RoomId, RoomClock>,
    /// The active components, as it has read them last.
    active: BTreeMap<Kind, Digest>,
}

/// A room with a machine on a host.
struct Live {
    serial: Serial,
    hosted: HostedRoom,
    script: Option<Script>,
    /// The number of records that it has read from its channel.
    read: usize,
    /// A record has arrived that the machine did not accept.
    unread: bool,
    /// When its next tick is queued.
    tick: Option<Time>,
    /// The highest record for which its guest was called.
    called: Option<Offset>,
    /// Timers that this machine has appended.
    timers: BTreeSet<OutputId>,
    /// It hibernates, and leaves this behind.
    left: Option<Hibernation>,
}

impl Host {
    pub fn new(id: MachineId) -> Host {
        Host {
            id,
            ownership: Ownership::default(),
            followed: BTreeMap::new(),
            rooms: BTreeMap::new(),
            alarms: BTreeMap::new(),
            clocks: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    pub fn kill(&mut self) {
        (self.rooms, self.alarms) = Default::default();
    }
}

impl World {
    fn host(&mut self, life: Life) -> Option<&mut Host> {
        match &mut self.machines.get_mut(&life)?.role {
            Role::Host(host) => Some(host),
            _ => None,
        }
    }

    // ---- the log ----

    pub fn append(&mut self, from: Life, room: RoomId, command: RoomCommand) -> Time {
        let time = self.now;
        self.append_at(from, time, room, command)
    }

    fn append_at(&mut self, from: Life, time: Time, room: RoomId, command: RoomCommand) -> Time {
        let at = self.arrival(from, Channel::Partition(partition_of(room)));
        self.at(at, Event::Arrives(from, Record { room, time, command }));
        at
    }

    pub fn arrives(&mut self, record: Record) {
        let (room, partition) = (record.room, partition_of(record.room));
        self.next_offset += 1;
        self.log.entry(room).or_default().push((self.next_offset, record));
        // A host that was declared dead, or that has not read of another assignment yet, still follows the log.
        let follows = |role: &Role| matches!(role, Role::Host(host) if host.followed.contains_key(&partition));
        let readers = self.machines.iter().filter(|(_, machine)| machine.alive && follows(&machine.role));
        for host in readers.map(|(life, _)| *life).collect::<Vec<_>>() {
            let ms = self.draw(DIALS.read);
            self.after(ms, Event::Read(host, room));
        }
    }

    fn read_index(&self, room: RoomId, after: Offset) -> usize {
        self.log.get(&room).map_or(0, |log| log.partition_point(|(at, _)| *at <= after))
    }

    // ---- rooms ----

    /// A record of the room, or its alarm, is to be handled.
    pub fn read(&mut self, life: Life, room: RoomId) -> Result<(), Violation> {
        let Some(mut live) = self.take(life, room) else { return Ok(()) };
        live.unread = true;
        self.serve(life, live)
    }

    pub fn alarm(&mut self, life: Life, room: RoomId, at: Time) -> Result<(), Violation> {
        let due = self.host(life).is_some_and(|host| host.alarms.get(&room) == Some(&at));
        if due { self.read(life, room) } else { Ok(()) }
    }

    pub fn room_tick(&mut self, life: Life, room: RoomId, serial: Serial, at: Time) -> Result<(), Violation> {
        let Some(mut live) = self.take_live(life, room, serial) else { return Ok(()) };
        if live.tick == Some(at) {
            live.tick = None;
            live.hosted.handle(Input::Tick, self.now);
        }
        self.serve(life, live)
    }

    pub fn report_to_room(
        &mut self,
        life: Life,
        room: RoomId,
        serial: Serial,
        report: Report,
    ) -> Result<(), Violation> {
        let Some(mut live) = self.take_live(life, room, serial) else { return Ok(()) };
        let input = match report {
            Report::Confirmed(id) => Input::Confirmed(id),
            Report::Flushed => Input::Flushed,
            Report::Stored(offset) => Input::Stored(offset),
            Report::Diverged(offset) => Input::Diverged(offset),
            Report::SessionEnded(session, rooms) => Input::SessionEnded { session, rooms },
        };
        live.hosted.handle(input, self.now);
        self.serve(life, live)
    }

    fn take_live(&mut self, life: Life, room: RoomId, serial: Serial) -> Option<Live> {
        let rooms = &mut self.host(life)?.rooms;
        if rooms.get(&room)?.serial == serial { rooms.remove(&room) } else { None }
    }

    /// Takes the room out of this host, which restores it if it follows the room's partition.
    fn take(&mut self, life: Life, room: RoomId) -> Option<Live> {
        let (now, serial) = (self.now, self.new_serial());
        let host = self.host(life)?;
        if let Some(live) = host.rooms.remove(&room) {
            return Some(live);
        }
        let takeover = *host.followed.get(&partition_of(room))?;
        host.alarms.remove(&room);
        let clock = host.clocks.remove(&room);
        let found = self.store.found(room);
        let hosted = HostedRoom::open(room, found, RestoreReason::Woken, takeover, clock, DIALS.rooms, now);
        let hosted = hosted.expect("a room has written its snapshot");
        let read = self.read_index(room, self.store.offset(room));
        let timers = BTreeSet::new();
        let (script, called, tick, left) = (None, None, None, None);
        Some(Live { serial, hosted, script, read, unread: false, tick, called, timers, left })
    }

    fn new_serial(&mut self) -> Serial {
        self.next_serial += 1;
        self.next_serial
    }

    /// Hands over the records that wait, carries out the outputs, and puts the room back into its host unless it hibernates.
    fn serve(&mut self, life: Life, mut live: Live) -> Result<(), Violation> {
        self.carry_out(life, &mut live)?;
        while live.unread && live.hosted.accepts_records() && live.left.is_none() {
            live.unread = false;
            self.hand_over(&mut live);
            self.carry_out(life, &mut live)?;
        }
        let room = live.hosted.room().id();
        match live.left.take() {
            Some(hibernation) if !live.unread => self.hibernated(life, room, hibernation),
            _ => self.keep(life, live),
        }
        self.report_hibernation(life, partition_of(room));
        self.drive_ownership(life)
    }

    fn hand_over(&mut self, live: &mut Live) {
        let records = self.log.get(&live.hosted.room().id()).map_or(&[][..], |log| &log[live.read..]).to_vec();
        live.read += records.len();
        for (offset, record) in records {
            live.hosted.handle(Input::Record(offset, record), self.now);
        }
    }

    fn keep(&mut self, life: Life, mut live: Live) {
        let (room, now) = (live.hosted.room().id(), self.now);
        if let Some(due) = live.hosted.poll_timeout().map(|due| due.max(now.plus(1)))
            && live.tick.is_none_or(|tick| due < tick)
        {
            live.tick = Some(due);
            self.at(due, Event::RoomTick(life, room, live.serial, due));
        }
        if let Some(host) = self.host(life) {
            host.rooms.insert(room, live);
        }
    }

    fn hibernated(&mut self, life: Life, room: RoomId, hibernation: Hibernation) {
        let with_alarm = hibernation.alarm.is_some();
        self.count(if with_alarm { Happened::HibernationWithAlarm } else { Happened::Hibernation });
        let Some(host) = self.host(life) else { return };
        if let Some(clock) = hibernation.clock {
            host.clocks.insert(room, clock);
        }
        if let Some(at) = hibernation.alarm {
            self.set_alarm(life, room, at);
        }
    }

    fn set_alarm(&mut self, life: Life, room: RoomId, at: Time) {
        let at = at.max(self.now);
        if let Some(host) = self.host(life) {
            host.alarms.insert(room, at);
        }
        self.at(at, Event::Alarm(life, room, at));
    }

    fn carry_out(&mut self, life: Life, live: &mut Live) -> Result<(), Violation> {
        let (room, serial) = (live.hosted.room().id(), live.serial);
        live.left = None;
        while let Some(output) = live.hosted.poll_output() {
            match output {
                Output::Guest(call) => {
                    let record = live.hosted.room().in_hand();
                    let is_new = record > live.called;
                    live.called = live.called.max(record);
                    let traps = self.faults_left > 0 && is_new && self.one_in(DIALS.trap);
                    let traps = traps && !self.is_elsewhere(life, room, record);
                    let outcome = script::answer(&mut live.script, call, traps);
                    if traps && matches!(outcome, room::Outcome::Called(Err(_))) {
                        self.count(Happened::Trap);
                        self.trapped.insert(room);
                    }
                    live.hosted.handle(Input::Guest { outcome, fuel: 1 }, self.now);
                }
                Output::DropInstance => live.script = None,
                Output::Append { room: to, time, command, receipt } => {
                    if self.faults_left > 0 && self.one_in(DIALS.append_lost) {
                        self.begin_again(life, live);
                        return Ok(());
                    }
                    if let RoomCommand::Timer { id, .. } = &command {
                        self.count(Happened::Timer);
                        if !live.timers.insert(*id) {
                            return Err(self.wrong(format!("{room} has appended the timer {id:?} twice")));
                        }
                    }
                    let at = self.append_at(life, time, to, command);
                    if let Some(id) = receipt {
                        self.at(at.plus(1), Event::Report(life, room, serial, Report::Confirmed(id)));
                    }
                }
                Output::Send { edge, command } => {
                    let edge = life_of(&edge);
                    let at = self.arrival(life, Channel::Edge(edge));
                    self.at(at, Event::ToEdge(life, edge, command));
                }
                Output::FindComponent(kind) => {
                    let component = self.store.active.get(&kind).copied();
                    live.hosted.handle(Input::Component(component), self.now);
                }
                Output::Flush => {
                    let at = self.all_arrived(life);
                    self.at(at, Event::Report(life, room, serial, Report::Flushed));
                }
                Output::Save(save) => {
                    let at = self.arrival(life, Channel::Room(room));
                    self.at(at, Event::Save(life, room, serial, save));
                }
                Output::EndSession { session, .. } => {
                    let at = self.arrival(life, Channel::Room(room));
                    self.at(at, Event::EndSession(life, room, serial, session));
                }
                Output::Hibernate(hibernation) => live.left = Some(hibernation),
                Output::Notice(room::Notice::Created { kind, .. }) => {
                    let active = self.host(life).and_then(|host| host.active.get(&kind).copied());
                    active.into_iter().for_each(|active| live.hosted.handle(Input::ActiveComponent(active), self.now));
                }
                Output::Notice(room::Notice::Swapped { .. }) => self.count(Happened::Swap),
                Output::Notice(room::Notice::SwapUndone { .. }) => self.count(Happened::SwapUndone),
                Output::Ended { .. } | Output::Log { .. } | Output::Notice(_) => {}
            }
        }
        Ok(())
    }

    /// Whether another host may have applied this record: one that had the partition before, or that was declared dead and does
    /// not know it yet.
    fn is_elsewhere(&self, life: Life, room: RoomId, record: Option<Offset>) -> bool {
        let partition = partition_of(room);
        let follows = |role: &Role| matches!(role, Role::Host(host) if host.followed.contains_key(&partition));
        let others =
            self.machines.iter().any(|(other, machine)| *other != life && machine.alive && follows(&machine.role));
        let Role::Host(host) = &self.machines[&life].role else { return others };
        let is_assigned = self.store.partitions[partition as usize].host.as_ref() == Some(&host.id);
        others || !is_assigned || host.followed.get(&partition).is_none_or(|takeover| record <= takeover.inherited)
    }

    /// An append of the room was lost: nothing after it leaves.
    fn begin_again(&mut self, life: Life, live: &mut Live) {
        self.count(Happened::LostAppend);
        let (room, now) = (live.hosted.room().id(), self.now);
        let takeover = self.host(life).and_then(|host| host.followed.get(&partition_of(room)).copied());
        let inherited = takeover.and_then(|takeover| takeover.inherited);
        live.hosted.begin_again(self.store.found(room), inherited, now).expect("a room has written its snapshot");
        live.read = self.read_index(room, self.store.offset(room));
        // What was on its way to the machine is not for the new one.
        live.serial = self.new_serial();
        (live.script, live.tick) = (None, None);
        live.timers.clear();
        live.unread = true;
    }

    // ---- the store ----

    pub fn save(&mut self, life: Life, room: RoomId, serial: Serial, save: Save) -> Result<(), Violation> {
        self.count(Happened::Snapshot);
        let offset = save.offset;
        let stored = self.store.save(save);
        // After a trap, a host that was declared dead may store the state in which the call did not trap.
        if stored.is_err() && !self.trapped.contains(&room) {
            return Err(self.wrong(format!("{room} has two states at offset {offset}")));
        }
        let report = if stored.is_ok() { Report::Stored(offset) } else { Report::Diverged(offset) };
        let ms = self.draw(DIALS.latency);
        self.after(ms, Event::Report(life, room, serial, report));
        Ok(())
    }

    pub fn end_session(&mut self, life: Life, room: RoomId, serial: Serial, session: SessionId) {
        let rooms = self.store.sessions.get_mut(&session).map_or(Vec::new(), |row| {
            row.kick();
            row.rooms().to_vec()
        });
        let ms = self.draw(DIALS.latency);
        self.after(ms, Event::Report(life, room, serial, Report::SessionEnded(session, rooms)));
    }

    // ---- partitions ----

    /// The answer to a host's heartbeat, and what it reads with it.
    pub fn host_refreshes(&mut self, life: Life, state: MachineState) -> Result<(), Violation> {
        let now = self.now;
        let Some(host) = self.host(life) else { return Ok(()) };
        let id = host.id.clone();
        let mine = |row: &&Partition| row.host.as_ref() == Some(&id);
        let partitions: BTreeSet<u32> = self.store.partitions.iter().filter(mine).map(|row| row.partition).collect();
        let active = self.store.active.clone();
        let host = self.host(life).expect("it was there");
        let none_left = partitions.is_empty();
        host.ownership.handle(ownership::Input::Assigned { partitions, within_ms: DIALS.hand_over }, now);
        let changed = host.active != active;
        host.active = active;
        self.drive_ownership(life)?;
        if changed {
            self.report_active(life)?;
        }
        if state == MachineState::Draining && none_left {
            self.host_leaves(life)?;
        }
        Ok(())
    }

    fn report_active(&mut self, life: Life) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        let active = host.active.clone();
        for (room, serial) in host.rooms.iter().map(|(room, live)| (*room, live.serial)).collect::<Vec<_>>() {
            let Some(mut live) = self.take_live(life, room, serial) else { continue };
            if let Some(component) = live.hosted.kind().and_then(|kind| active.get(kind)) {
                live.hosted.handle(Input::ActiveComponent(*component), self.now);
            }
            self.serve(life, live)?;
        }
        Ok(())
    }

    /// A host that drains ends when nothing is left with it.
    fn host_leaves(&mut self, life: Life) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        if !host.ownership.is_settled() {
            return Ok(());
        }
        let (owned, id) = (host.ownership.owned(), host.id.clone());
        if !owned.is_empty() {
            return Err(self.wrong(format!("{id} has handed over all partitions, but keeps {owned:?}")));
        }
        self.store.close(&id);
        self.count(Happened::Drained);
        self.machines.get_mut(&life).expect("it was there").alive = false;
        let ms = self.draw(DIALS.restart);
        self.after(ms, Event::Restart(life));
        Ok(())
    }

    pub fn drive_ownership(&mut self, life: Life) -> Result<(), Violation> {
        while let Some(output) = self.host(life).and_then(|host| host.ownership.poll_output()) {
            match output {
                ownership::Output::Take(partition) => {
                    let ms = self.draw(DIALS.takeover);
                    self.after(ms, Event::TakenOver(life, partition));
                }
                ownership::Output::Hibernate(partition) => self.hibernate_all(life, partition)?,
                ownership::Output::Store(partition) => {
                    let at = self.all_arrived(life);
                    self.at(at, Event::PartitionStored(life, partition));
                }
                ownership::Output::Release(partition) => {
                    self.count(Happened::HandOver);
                    self.release(life, partition);
                }
            }
        }
        if let Some(due) = self.host(life).and_then(|host| host.ownership.poll_timeout()) {
            self.at(due, Event::OwnershipTick(life));
        }
        Ok(())
    }

    pub fn ownership_input(&mut self, life: Life, input: ownership::Input) -> Result<(), Violation> {
        let now = self.now;
        if let Some(host) = self.host(life) {
            host.ownership.handle(input, now);
        }
        self.drive_ownership(life)
    }

    /// The host brings its rooms up to the log's end: those with records that are in no snapshot. A room that has ended may
    /// have later records too, such as joins that still need an answer.
    pub fn taken_over(&mut self, life: Life, partition: u32) -> Result<(), Violation> {
        let takeover = Takeover { at: self.now, inherited: Some(self.next_offset) };
        let Some(host) = self.host(life) else { return Ok(()) };
        host.followed.insert(partition, takeover);
        self.count(Happened::Takeover);
        let rooms: Vec<RoomId> = self.log.keys().copied().filter(|room| partition_of(*room) == partition).collect();
        for room in rooms {
            let has_more = self.log[&room].last().is_some_and(|(last, _)| *last > self.store.offset(room));
            let timer = self.store.rooms.get(&room).and_then(|stored| Some((stored.next_timer?, stored.clock)));
            if has_more {
                let ms = self.draw(DIALS.takeover);
                self.after(ms, Event::Read(life, room));
            } else if let Some((due, clock)) = timer {
                self.set_alarm(life, room, room::wakes_at(due, clock, takeover.at));
            }
        }
        self.ownership_input(life, ownership::Input::Taken { partition, done: true })
    }

    fn hibernate_all(&mut self, life: Life, partition: u32) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        host.followed.remove(&partition);
        let live = host.rooms.iter().filter(|(room, _)| partition_of(**room) == partition);
        for (room, serial) in live.map(|(room, live)| (*room, live.serial)).collect::<Vec<_>>() {
            if let Some(mut live) = self.take_live(life, room, serial) {
                live.hosted.handle(Input::Drain, self.now);
                self.serve(life, live)?;
            }
        }
        self.report_hibernation(life, partition);
        Ok(())
    }

    fn report_hibernation(&mut self, life: Life, partition: u32) {
        let now = self.now;
        let Some(host) = self.host(life) else { return };
        let is_live = host.rooms.keys().any(|room| partition_of(*room) == partition);
        if !is_live && host.ownership.is_leaving(partition) {
            host.ownership.handle(ownership::Input::Hibernated(partition), now);
        }
    }

    fn release(&mut self, life: Life, partition: u32) {
        let Some(host) = self.host(life) else { return };
        host.followed.remove(&partition);
        host.rooms.retain(|room, _| partition_of(*room) != partition);
        host.alarms.retain(|room, _| partition_of(*room) != partition);
        host.clocks.retain(|room, _| partition_of(*room) != partition);
    }
}
