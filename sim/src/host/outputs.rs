//! What a room's machine orders: guest calls, appends, commands to edges, and updates of the store.

use std::collections::BTreeSet;

use chorus_core::{
    command::{Fault, Record, RoomCommand},
    edge::StoredSession,
    effect::Effect,
    hosting::{Input, Output, Save},
    ids::{Offset, OutputId, RoomId, SessionId},
    room,
};

use super::Live;
use crate::{
    Happened, Violation,
    dials::DIALS,
    event::{Event, Life, Report, Serial},
    network::Channel,
    script,
    world::{Role, World, life_of, partition_of},
};

impl World {
    pub(super) fn carry_out(&mut self, life: Life, live: &mut Live) -> Result<(), Violation> {
        live.left = None;
        while let Some(output) = live.hosted.poll_output() {
            let is_append = matches!(output, Output::Append { .. });
            if is_append && self.faults_left > 0 && self.one_in(DIALS.append_lost) {
                self.begin_again(life, live);
                return Ok(());
            }
            self.carry_out_one(life, live, output)?;
        }
        Ok(())
    }

    fn carry_out_one(&mut self, life: Life, live: &mut Live, output: Output) -> Result<(), Violation> {
        let (room, serial) = (live.hosted.room().id(), live.serial);
        match output {
            Output::Guest(call) => self.call_guest(life, live, call)?,
            Output::DropInstance => live.script = None,
            Output::Append { room: to, time, command, receipt } => {
                if let RoomCommand::Timer { id, .. } = &command {
                    self.timer_appended(live, *id)?;
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
                let is_delayed = self.one_in(DIALS.kick_delayed);
                let ms = self.draw(if is_delayed { DIALS.kick_delay } else { DIALS.latency });
                self.after(ms, Event::EndSession(life, room, serial, session));
            }
            Output::Perform { number, .. } => {
                self.count(Happened::Request);
                let is_delayed = self.one_in(DIALS.kick_delayed);
                let ms = self.draw(if is_delayed { DIALS.kick_delay } else { DIALS.latency });
                self.after(ms, Event::Report(life, room, serial, Report::Performed(number)));
            }
            Output::Report(report) => self.write_report(room, *report)?,
            Output::Hibernate(hibernation) => live.left = Some(hibernation),
            Output::Notice(notice) => self.notice(life, live, &notice),
            Output::Ended { .. } | Output::Log { .. } => {}
        }
        Ok(())
    }

    fn call_guest(&mut self, life: Life, live: &mut Live, call: room::Call) -> Result<(), Violation> {
        let outcome = match call {
            room::Call::HandleAll(entries) => room::Outcome::CalledAll(self.call_for_all(life, live, entries)?),
            call => self.call_once(life, live, live.hosted.room().in_hand(), call)?,
        };
        live.hosted.handle(Input::Guest { outcome, fuel: 1 }, self.now);
        Ok(())
    }

    /// The results up to the first failure, or none if the call fails as a whole.
    fn call_for_all(
        &mut self,
        life: Life,
        live: &mut Live,
        entries: Vec<room::Entry>,
    ) -> Result<Vec<Result<Vec<Effect>, Fault>>, Violation> {
        self.count(Happened::Batch);
        if self.faults_left > 0 && self.one_in(DIALS.batch_lost) {
            self.count(Happened::BatchLost);
            live.script = None;
            return Ok(Vec::new());
        }
        let mut results = Vec::new();
        for entry in entries {
            let (record, call) = (Some(entry.offset), room::Call::Handle(entry));
            let room::Outcome::Called(result) = self.call_once(life, live, record, call)? else { continue };
            results.push(result);
            if live.script.is_none() {
                break;
            }
        }
        Ok(results)
    }

    fn call_once(
        &mut self,
        life: Life,
        live: &mut Live,
        record: Option<Offset>,
        call: room::Call,
    ) -> Result<room::Outcome, Violation> {
        let room = live.hosted.room().id();
        let is_new = record > live.called;
        live.called = live.called.max(record);
        let traps = self.faults_left > 0 && is_new && self.one_in(DIALS.trap);
        let traps = traps && !self.is_elsewhere(life, room, record);
        let outcome =
            script::answer(&mut live.script, call, traps).map_err(|what| self.wrong(format!("{room}: {what}")))?;
        if traps && matches!(outcome, room::Outcome::Called(Err(_))) {
            self.count(Happened::Trap);
            self.trapped.insert(room);
        }
        self.kicks.extend(script::kicked(&outcome));
        script::seat_changes(&outcome).for_each(|happened| self.count(happened));
        Ok(outcome)
    }

    fn timer_appended(&mut self, live: &mut Live, id: OutputId) -> Result<(), Violation> {
        self.count(Happened::Timer);
        match live.timers.insert(id) {
            true => Ok(()),
            false => Err(self.wrong(format!("{} has appended the timer {id:?} twice", live.hosted.room().id()))),
        }
    }

    fn notice(&mut self, life: Life, live: &mut Live, notice: &room::Notice) {
        match notice {
            room::Notice::Created { kind, .. } => {
                let active = self.host(life).and_then(|host| host.active.get(kind).copied());
                active.into_iter().for_each(|active| live.hosted.handle(Input::ActiveComponent(active), self.now));
            }
            room::Notice::Swapped { .. } => self.count(Happened::Swap),
            room::Notice::SwapUndone { .. } => self.count(Happened::SwapUndone),
            _ => {}
        }
    }

    /// Whether another host may have applied this record: one that had the partition before, or that was declared dead and has
    /// not read that yet.
    fn is_elsewhere(&self, life: Life, room: RoomId, record: Option<Offset>) -> bool {
        let partition = partition_of(room);
        let follows = |role: &Role| matches!(role, Role::Host(host) if host.followed.contains_key(&partition));
        let others =
            self.machines.iter().any(|(other, machine)| *other != life && machine.alive && follows(&machine.role));
        let Role::Host(host) = &self.machines[&life].role else { return others };
        let is_assigned = self.store.partitions[partition as usize].host.as_ref() == Some(&host.id);
        others || !is_assigned || host.followed.get(&partition).is_none_or(|takeover| record <= takeover.inherited)
    }

    /// An append of the room was lost: no later output leaves.
    fn begin_again(&mut self, life: Life, live: &mut Live) {
        self.count(Happened::LostAppend);
        let (room, now) = (live.hosted.room().id(), self.now);
        let takeover = self.host(life).and_then(|host| host.followed.get(&partition_of(room)).copied());
        let inherited = takeover.and_then(|takeover| takeover.inherited);
        live.hosted.begin_again(self.store.found(room), inherited, now).expect("a room has written its snapshot");
        live.read = self.read_index(room, self.store.offset(room));
        // Events in flight to the machine are not for the new one.
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

    /// A report that was written before is the same one.
    fn write_report(&mut self, room: RoomId, report: room::Report) -> Result<(), Violation> {
        self.count(Happened::Report);
        let number = report.number;
        let stored = self.store.reports.entry((room, number)).or_insert_with(|| report.clone());
        // After a trap, a host that was declared dead may report what the call that trapped elsewhere has reported.
        if *stored != report && !self.trapped.contains(&room) {
            return Err(self.wrong(format!("{room} has two reports under the number {number:?}")));
        }
        Ok(())
    }

    pub fn end_session(&mut self, life: Life, room: RoomId, serial: Serial, session: SessionId) {
        let row = self.store.sessions.get_mut(&session);
        let rooms = row.map_or(Vec::new(), |row| {
            row.kick();
            row.rooms().to_vec()
        });
        self.count(Happened::Kick);
        if self.faults_left > 0 && self.one_in(DIALS.erase) {
            self.erase_player_of(session, &rooms);
        }
        let ms = self.draw(DIALS.latency);
        self.after(ms, Event::Report(life, room, serial, Report::SessionEnded(session, rooms)));
    }

    /// An operator erases the player whose session has just been ended, if it has no other one. Its next session joins rooms
    /// behind that.
    fn erase_player_of(&mut self, session: SessionId, rooms: &[RoomId]) {
        let player_of = |row: &StoredSession<u64>| row.identity().player.id.clone();
        let Some(player) = self.store.sessions.get(&session).map(player_of) else { return };
        let mut others = self.store.sessions.values().filter(|row| !row.is_kicked());
        if others.any(|row| player_of(row) == player) {
            return;
        }
        self.count(Happened::Erasure);
        for room in rooms.iter().copied().chain([RoomId::LOBBY]).collect::<BTreeSet<_>>() {
            let command = RoomCommand::Erase { player: player.clone() };
            self.arrives(Record { room, time: self.now, command });
        }
    }
}
