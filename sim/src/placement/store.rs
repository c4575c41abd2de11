//! The store's answers to monitors, and their work on dead machines.

use std::collections::BTreeSet;

use chorus_core::{
    ids::{MachineId, Time},
    placement::{Assignment, Input, Limits, Machine, MachineState, Output, Placement, Role, View},
};

use super::{Monitor, Row, World, dials::DIALS};
use crate::Violation;

impl World {
    /// A monitor that was drained or declared dead leaves, and another is started in its place.
    pub(super) fn heartbeat_of(&mut self, n: usize) -> Option<Input> {
        let (id, now) = (self.monitors[n].id.clone(), self.now);
        let row = self.machines.iter_mut().find(|row| row.id == id);
        if let Some(row) = row.filter(|row| row.state == MachineState::Alive) {
            (row.lives, row.heartbeat_at) = (true, now);
            return Some(Input::Done);
        }
        self.machines.retain(|row| row.id != id || row.state == MachineState::Dead);
        self.lease = self.lease.take().filter(|(holder, _)| *holder != id);
        let ahead = self.monitors[n].ahead;
        self.monitors[n] = self.new_monitor(ahead);
        None
    }

    pub(super) fn new_monitor(&mut self, ahead: u64) -> Monitor {
        let id = self.register(Role::Monitor);
        let placement = Placement::new(id.clone(), Limits::default(), Time(self.now + ahead));
        Monitor {
            id,
            placement,
            paused: false,
            answer: None,
            ahead,
            view: View::default(),
            declared: BTreeSet::new(),
            work: Vec::new(),
            reaped: BTreeSet::new(),
            released: BTreeSet::new(),
            noticed_active: false,
            noticed_no_hosts: false,
        }
    }

    pub(super) fn holds_the_lease(&self, n: usize) -> bool {
        self.lease.as_ref().is_some_and(|(holder, until)| *holder == self.monitors[n].id && self.now < *until)
    }

    pub(super) fn acquire_lease(&mut self, n: usize) -> Input {
        let (id, sent_at) = (self.monitors[n].id.clone(), self.clock_of(n));
        let held = self.lease.as_ref().is_none_or(|(holder, until)| *holder == id || *until <= self.now);
        if held {
            self.lease = Some((id, self.now + Limits::default().lease_ms));
        }
        Input::Lease { held, sent_at }
    }

    pub(super) fn view(&self) -> View {
        let machine = |row: &Row| Machine {
            id: row.id.clone(),
            role: row.role,
            state: row.state,
            silent_ms: self.now - row.heartbeat_at,
            age_ms: self.now - row.registered_at,
        };
        View { machines: self.machines.iter().map(machine).collect(), partitions: self.partitions.clone() }
    }

    /// Refused if the machine has sent a heartbeat since. A machine without a row is dead.
    pub(super) fn declare_dead(&mut self, n: usize, id: &MachineId) -> Result<Input, Violation> {
        let now = self.now;
        self.monitors[n].declared.insert(id.clone());
        let Some(row) = self.machines.iter_mut().find(|row| row.id == *id) else { return Ok(Input::Done) };
        if row.state == MachineState::Dead {
            return Ok(Input::Done);
        }
        if now - row.heartbeat_at <= Limits::default().dead_after_ms {
            self.monitors[n].declared.remove(id);
            self.report.refused += 1;
            return Ok(Input::Refused);
        }
        row.state = MachineState::Dead;
        self.report.deaths += 1;
        match row.lives {
            true => Err(self.violation(format!("{id} is alive, and was declared dead"))),
            false => Ok(Input::Done),
        }
    }

    /// Accepts all assignments or none: only under the lease, and only if each raises its partition's epoch by one.
    pub(super) fn assign(&mut self, n: usize, plan: Vec<Assignment>) -> Result<Input, Violation> {
        let is_next = |line: &Assignment| self.partitions[line.partition as usize].epoch + 1 == line.epoch;
        if !self.holds_the_lease(n) || !plan.iter().all(is_next) {
            self.report.refused += 1;
            return Ok(Input::Refused);
        }
        for Assignment { partition, host, epoch } in plan {
            if self.history.insert((partition, epoch), host.clone()).is_some() {
                return Err(self.violation(format!("partition {partition} has two hosts at epoch {epoch}")));
            }
            let row = &mut self.partitions[partition as usize];
            (row.host, row.epoch) = (Some(host), epoch);
            self.report.moves += 1;
        }
        Ok(Input::Done)
    }

    // ---- work on dead machines ----

    pub(super) fn begin_work(&mut self, n: usize, work: Output) {
        let steps = self.below(DIALS.work);
        self.monitors[n].work.push((steps, work));
    }

    /// One step of the work of this monitor.
    pub(super) fn work(&mut self, n: usize) {
        let mut work = std::mem::take(&mut self.monitors[n].work);
        work.iter_mut().for_each(|(steps, _)| *steps = steps.saturating_sub(1));
        let (ended, left) = work.into_iter().partition(|(steps, _)| *steps == 0);
        self.monitors[n].work = left;
        for (_, work) in ended {
            let succeeded = !self.store_is_lost && !self.one_in(DIALS.failed_work);
            let (Output::DropSessionsOf { edge: machine } | Output::CleanUp { machine, .. }) = &work else { continue };
            let succeeded = succeeded && self.finish(n, &work);
            self.handle(n, Input::WorkEnded { machine: machine.clone(), succeeded });
        }
    }

    /// Returns whether the work succeeds: the sessions of an edge cannot be dropped without the broker.
    fn finish(&mut self, n: usize, work: &Output) -> bool {
        match work {
            Output::DropSessionsOf { .. } if self.broker_lost_since.is_some() => return false,
            Output::DropSessionsOf { edge } => {
                self.report.reaped += 1;
                self.reaped.insert(edge.clone());
                self.monitors[n].reaped.insert(edge.clone());
            }
            Output::CleanUp { machine, .. } => {
                self.report.cleaned += 1;
                self.machines.retain(|row| row.id != *machine);
            }
            _ => {}
        }
        true
    }
}
