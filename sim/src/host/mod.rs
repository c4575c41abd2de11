//! Hosts: the shell of `core::hosting`, without sandboxes and disks.
//!
//! A host follows the log of its partitions, restores a room at its first record or its alarm, and carries out what the
//! machines decide. This file has the log and the rooms; `outputs` has what rooms order, and `partitions` what a host takes over
//! and hands over.

mod outputs;
mod partitions;

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::{
    command::{Record, RoomCommand},
    effect::RestoreReason,
    hosting::{
        Hibernation, HostedRoom, Input, Takeover,
        ownership::Ownership,
        recovery::{self, Recovery, is_awaited},
    },
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, SessionId, Time},
    json::Json,
    room::RoomClock,
};

use crate::{
    Happened, Violation,
    dials::DIALS,
    event::{Event, Life, Report, Serial},
    network::Channel,
    script::Script,
    world::{Role, World, partition_of},
};

/// Rooms that a host restores at a time in the background.
const RESTORED_AT_ONCE: usize = 1;

pub(crate) struct Host {
    pub id: MachineId,
    ownership: Ownership,
    recovery: Recovery,
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
    /// What the host keeps of the room when it hibernates.
    left: Option<Hibernation>,
}

impl Host {
    pub fn new(id: MachineId) -> Host {
        Host {
            id,
            ownership: Ownership::default(),
            recovery: Recovery::new(RESTORED_AT_ONCE),
            followed: BTreeMap::new(),
            rooms: BTreeMap::new(),
            alarms: BTreeMap::new(),
            clocks: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    /// Whether a room here has yet to end this session.
    pub fn kicks(&self, session: SessionId) -> bool {
        let mut states = self.rooms.values().filter_map(|live| live.hosted.room().state());
        states.any(|state| state.kicks.contains_key(&session))
    }

    pub fn kill(&mut self) {
        (self.rooms, self.alarms) = Default::default();
        self.recovery = Recovery::new(RESTORED_AT_ONCE);
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
        let (offset, awaited) = (self.next_offset, is_awaited(&record.command));
        self.log.entry(room).or_default().push((self.next_offset, record));
        // A host that was declared dead, or that has not read of another assignment yet, still follows the log.
        let follows = |role: &Role| matches!(role, Role::Host(host) if host.followed.contains_key(&partition));
        let readers = self.machines.iter().filter(|(_, machine)| machine.alive && follows(&machine.role));
        for host in readers.map(|(life, _)| *life).collect::<Vec<_>>() {
            let ms = self.draw(DIALS.read);
            self.after(ms, Event::Read(host, room, offset, awaited));
        }
    }

    fn read_index(&self, room: RoomId, after: Offset) -> usize {
        self.log.get(&room).map_or(0, |log| log.partition_point(|(at, _)| *at <= after))
    }

    // ---- rooms ----

    pub fn read(&mut self, life: Life, room: RoomId, offset: Offset, awaited: bool) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        if awaited || host.rooms.contains_key(&room) {
            return self.need(life, room);
        }
        if host.followed.contains_key(&partition_of(room)) && !host.recovery.waits(room) {
            host.recovery.handle(recovery::Input::Found(room, offset));
            self.restore_next(life);
        }
        Ok(())
    }

    /// A record of the room, or its alarm, is to be handled now.
    fn need(&mut self, life: Life, room: RoomId) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        if host.recovery.waits(room) {
            host.recovery.handle(recovery::Input::Needed(room));
            self.restore_next(life);
            return Ok(());
        }
        let Some(mut live) = self.take(life, room) else { return Ok(()) };
        live.unread = true;
        self.serve(life, live)
    }

    pub(super) fn restore_next(&mut self, life: Life) {
        while let Some(room) = self.host(life).and_then(|host| host.recovery.poll_output()) {
            let ms = self.draw(DIALS.restore);
            self.after(ms, Event::Restore(life, room));
        }
    }

    pub fn restore(&mut self, life: Life, room: RoomId) -> Result<(), Violation> {
        self.need(life, room)?;
        if let Some(host) = self.host(life) {
            host.recovery.handle(recovery::Input::Restored(room));
        }
        self.restore_next(life);
        Ok(())
    }

    pub fn alarm(&mut self, life: Life, room: RoomId, at: Time) -> Result<(), Violation> {
        let due = self.host(life).is_some_and(|host| host.alarms.get(&room) == Some(&at));
        if due { self.need(life, room) } else { Ok(()) }
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
            Report::Performed(number) => Input::Performed { number, result: Ok(Json::trusted("[]")) },
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

    /// Hands over the records that wait, some at once, carries out the outputs, and puts the room back into its host unless it hibernates.
    fn serve(&mut self, life: Life, mut live: Live) -> Result<(), Violation> {
        self.carry_out(life, &mut live)?;
        while live.unread && live.hosted.accepts_records() && live.left.is_none() {
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
        let at_once = self.draw(DIALS.at_once) as usize;
        let waiting = self.log.get(&live.hosted.room().id()).map_or(&[][..], |log| &log[live.read..]);
        // A `Fault` takes effect before its record is applied.
        let faults = waiting.iter().rposition(|(_, record)| matches!(record.command, RoomCommand::Fault { .. }));
        let at_once = at_once.max(faults.map_or(0, |last| last + 1));
        live.unread = waiting.len() > at_once;
        let records = waiting.iter().take(at_once).cloned().collect::<Vec<_>>();
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
}
