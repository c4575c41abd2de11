//! What a host does with a room as time passes: timers, snapshots, hibernation.

use super::{HostedRoom, Output, Scarcity, io::Hibernation};
use crate::{
    command::{Record, RoomCommand},
    ids::{OutputId, Time},
    planted::{Bug, planted},
    room::{self, TimerDue},
};

/// A room that has ended, or never existed, hibernates after this many milliseconds.
pub const ENDED_AFTER_MS: u64 = 100;

/// How soon an overdue snapshot or hibernation is tried again when no record arrives, in milliseconds.
const OVERDUE_RETRY_MS: u64 = 100;

/// A host's configuration of its rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A room that has been idle for this long hibernates.
    pub hibernate_after_ms: u64,
    /// The longest time until a record is in a snapshot of its room.
    pub snapshot_after_ms: u64,
}

#[derive(Debug)]
pub(super) struct Schedule {
    pub options: Options,
    pub scarcity: Scarcity,
    /// The time of the last record, or of the last timer that was appended.
    idle_since: Time,
    /// The time of the first record that is in no snapshot.
    pub unsaved_since: Option<Time>,
    /// When a snapshot or hibernation was last overdue, if no record has arrived since.
    overdue: Option<Time>,
    /// The timer whose record is in flight.
    appended: Option<OutputId>,
}

impl Schedule {
    pub fn new(options: Options, now: Time) -> Schedule {
        Schedule {
            options,
            scarcity: Scarcity::default(),
            idle_since: now,
            unsaved_since: None,
            overdue: None,
            appended: None,
        }
    }

    pub fn on_record(&mut self, now: Time) {
        self.idle_since = now;
        self.unsaved_since.get_or_insert(now);
        self.overdue = None;
        if planted(Bug::TimerTwice) {
            self.appended = None;
        }
    }

    pub fn is_appended(&self, timer: OutputId) -> bool {
        self.appended == Some(timer)
    }

    /// When a snapshot or hibernation is next due. `over`: the room has ended, or never existed.
    pub fn next(&self, over: bool) -> Time {
        let hibernates = self.idle_since.plus(self.hibernate_after(over));
        let snapshot = self.unsaved_since.map(|since| since.plus(self.options.snapshot_after_ms));
        let due = snapshot.map_or(hibernates, |snapshot| snapshot.min(hibernates));
        self.overdue.map_or(due, |last| due.max(last.plus(OVERDUE_RETRY_MS)))
    }

    fn is_idle(&self, over: bool, now: Time) -> bool {
        now >= self.idle_since.plus(self.hibernate_after(over))
    }

    fn is_snapshot_due(&self, now: Time) -> bool {
        self.unsaved_since.is_some_and(|since| now >= since.plus(self.options.snapshot_after_ms))
    }

    fn hibernate_after(&self, over: bool) -> u64 {
        if over { ENDED_AFTER_MS } else { self.scarcity.shortened(self.options.hibernate_after_ms) }
    }
}

impl HostedRoom {
    pub(super) fn next_timer(&mut self) -> Option<TimerDue> {
        let now = self.now;
        self.room.state().and_then(|state| self.clock.next_timer(state, now))
    }

    pub(super) fn on_tick(&mut self) {
        self.append_timer();
        let idle = self.schedule.is_idle(self.room.state().is_none(), self.now);
        if idle || self.schedule.is_snapshot_due(self.now) {
            self.schedule.overdue = Some(self.now);
            self.room.handle(room::Input::TakeSnapshot);
        }
    }

    fn append_timer(&mut self) {
        let Some(timer) = self.next_timer().filter(|timer| timer.at <= self.now) else { return };
        if self.schedule.is_appended(timer.id) {
            return;
        }
        let (id, time, room) = (timer.id, timer.stamp(self.now), self.room.id());
        self.schedule.appended = Some(id);
        self.schedule.idle_since = self.now;
        if planted(Bug::TimerOutsideTheLog) {
            let offset = self.applied.map_or(0, |applied| applied + 1);
            return self.on_record(offset, Record { room, time, command: RoomCommand::Timer { id, name: None } });
        }
        let command = RoomCommand::Timer { id, name: self.room.timer_name(id) };
        self.outputs.push_back(Output::Append { room, time, command, receipt: None });
    }

    /// Whether the store has all that must be kept of the room's records.
    pub(super) fn is_stored(&self) -> bool {
        let arrived = self.saving.is_none_or(|offset| self.stored >= Some(offset));
        arrived && self.accepts_records() && self.gate.held() == 0 && self.room.is_saved()
    }

    /// The room hibernates when it has been idle for long enough, or its partition is handed over. The next host of a partition
    /// that is handed over repeats the kicks and the requests that are pending.
    pub(super) fn hibernate(&mut self) -> Option<Output> {
        if !self.is_stored() {
            return None;
        }
        self.schedule.unsaved_since = None;
        let wanted = self.draining || self.schedule.is_idle(self.room.state().is_none(), self.now);
        let free = self.kicks.is_empty() && self.performing.is_empty() || self.draining;
        if self.offered || !wanted || !free {
            return None;
        }
        self.offered = true;
        let timer = self.next_timer().filter(|_| !planted(Bug::LostAlarm));
        let clock = timer.is_some() && self.clock.is_worth_keeping();
        Some(Output::Hibernate(Hibernation {
            alarm: timer.map(|timer| timer.at),
            clock: clock.then(|| self.clock.clone()),
        }))
    }
}
