//! When a machine's silence proves its death.
//!
//! Silence is measured by the database's clock. A monitor's view of it is interrupted when the store or the broker cannot be
//! reached (machines that cannot reach them send no heartbeats either), when the monitor is paused, and when either clock is
//! set. After an interruption every machine gets a **grace period** of [`Limits::dead_after_ms`] to send a heartbeat, in which
//! no machine is declared dead.

use std::collections::BTreeMap;

use super::{Dependency, Interruption, Limits, Machine, MachineState, Notice, View};
use crate::{
    ids::{MachineId, Time},
    reachability::{Change, Reachability},
};

#[derive(Debug)]
pub(super) struct FailureDetector {
    /// This monitor: it never declares itself dead.
    own_id: MachineId,
    dead_after_ms: u64,
    /// When the store last answered. `None` before the first answer, and after an interruption.
    last_contact: Option<Time>,
    store_is_lost: bool,
    broker: Reachability,
    /// When the last view was read, and each machine's times in it.
    last_view: Option<(Time, BTreeMap<MachineId, Times>)>,
    /// The interruption that the next contact ends.
    interruption: Interruption,
    grace_until: Option<Time>,
}

/// A machine's times in a view, by the database's clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    silence: u64,
    age: u64,
}

/// The result of comparing a machine's silence with the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// It sends heartbeats, and does not drain.
    Up,
    /// Its partitions are to be moved, whether or not it sends heartbeats.
    Draining,
    /// Silent for too long, during a grace period.
    Suspected,
    /// Silent for too long: it is declared dead now.
    Expired,
    /// It was declared dead before.
    Dead,
}

impl FailureDetector {
    pub fn new(own_id: MachineId, limits: Limits, now: Time) -> FailureDetector {
        FailureDetector {
            own_id,
            dead_after_ms: limits.dead_after_ms,
            last_contact: None,
            store_is_lost: false,
            broker: Reachability::new(limits.dead_after_ms / 2, now),
            last_view: None,
            interruption: Interruption::Started,
            grace_until: None,
        }
    }

    /// The service without which this monitor cannot work now.
    pub fn unreachable(&self) -> Option<Dependency> {
        match self.store_is_lost {
            true => Some(Dependency::Store),
            false => self.broker.is_lost().then_some(Dependency::Broker),
        }
    }

    pub fn broker_is_lost(&self) -> bool {
        self.broker.is_lost()
    }

    /// A loss that is over before the next tick is an interruption all the same. (If the contact with the store was lost too,
    /// the next one ends that.)
    pub fn broker_answered(&mut self, sent_at: Time) {
        let in_contact = self.last_contact.is_some_and(|last| sent_at.since(last) <= self.dead_after_ms / 2);
        if self.broker.answered(sent_at) && in_contact {
            self.interrupt(Interruption::BrokerLost);
        }
    }

    /// Begins an interruption when the broker is out of reach.
    pub fn check_broker(&mut self, now: Time) -> Option<Notice> {
        let change = self.broker.check(now);
        if self.broker.is_lost() {
            self.interrupt(Interruption::BrokerLost);
        }
        match change? {
            Change::Lost { silent_ms } => Some(Notice::BrokerLost { silent_ms }),
            // The notice of the grace period reports that.
            Change::Recovered => None,
        }
    }

    pub fn store_lost(&mut self) {
        self.store_is_lost = true;
        self.interrupt(Interruption::StoreLost);
    }

    fn interrupt(&mut self, why: Interruption) {
        self.last_contact = None;
        self.interruption = why;
    }

    /// The store has answered. After an interruption, a grace period begins.
    pub fn contact(&mut self, now: Time) -> Option<Notice> {
        let is_prompt = |last: Time| last <= now && now.since(last) <= self.dead_after_ms / 2;
        let uninterrupted = self.last_contact.replace(now).is_some_and(is_prompt);
        let after = std::mem::replace(&mut self.interruption, Interruption::Paused);
        if uninterrupted {
            return None;
        }
        self.grace_until = Some(now.plus(self.dead_after_ms));
        Some(Notice::GracePeriod { after, for_ms: self.dead_after_ms })
    }

    /// The tables were read: the monitor has all that it needs.
    pub fn view(&mut self, view: &View, now: Time) -> Option<Notice> {
        self.store_is_lost = false;
        if self.database_clock_has_leapt(view, now) {
            self.interrupt(Interruption::ClockLeap);
        }
        self.contact(now)
    }

    /// A machine's age grows by the time that has passed, by this monitor's clock, and its silence by no more; those of a machine
    /// that was in no view before begin at 0. If one of them grows by more, the database's clock was set forward, and silence
    /// proves nothing about machines without a heartbeat since. A heartbeat may hide that in the silence, and an earlier leap
    /// backwards in the age, which is never negative.
    fn database_clock_has_leapt(&mut self, view: &View, now: Time) -> bool {
        let times = view.machines.iter().map(|machine| (machine.id.clone(), Times::of(machine))).collect();
        let Some((last, before)) = self.last_view.replace((now, times)) else { return false };
        let max_growth = now.since(last).saturating_add(self.dead_after_ms / 2);
        let has_leapt = |machine: &Machine| {
            let before = before.get(&machine.id).copied().unwrap_or_default();
            Times::of(machine).has_grown_by_more(before, max_growth)
        };
        last <= now && view.machines.iter().any(has_leapt)
    }

    /// The liveness of each machine.
    pub fn assess(&mut self, view: &View, now: Time) -> BTreeMap<MachineId, Liveness> {
        self.grace_until = self.grace_until.filter(|until| now < *until);
        let in_grace = self.grace_until.is_some();
        let liveness = |machine: &Machine| {
            let is_silent = machine.silent_ms > self.dead_after_ms && machine.id != self.own_id;
            (machine.id.clone(), Liveness::of(machine.state, is_silent, in_grace))
        };
        view.machines.iter().map(liveness).collect()
    }
}

impl Times {
    fn of(machine: &Machine) -> Times {
        Times { silence: machine.silent_ms, age: machine.age_ms }
    }

    fn has_grown_by_more(self, before: Times, ms: u64) -> bool {
        self.silence > before.silence.saturating_add(ms) || self.age > before.age.saturating_add(ms)
    }
}

impl Liveness {
    fn of(state: MachineState, is_silent: bool, in_grace: bool) -> Liveness {
        match state {
            MachineState::Dead => Liveness::Dead,
            MachineState::Alive | MachineState::Draining if is_silent && !in_grace => Liveness::Expired,
            MachineState::Alive if is_silent => Liveness::Suspected,
            MachineState::Alive => Liveness::Up,
            MachineState::Draining => Liveness::Draining,
        }
    }

    pub fn is_dead(self) -> bool {
        matches!(self, Liveness::Expired | Liveness::Dead)
    }
}
