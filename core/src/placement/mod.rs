//! The placement machine: everything that a monitor decides. (Its shell is `monitor/`.)
//!
//! It compares each view of the store's tables with the intended assignment, and outputs the differences. It keeps almost no
//! state: an output that has failed is repeated after the next view, by this monitor or by its successor.
//!
//! Where to look: `io` has the inputs and outputs; this file assigns partitions and cleans up after dead machines;
//! `failure_detector` decides which machines are dead; `plan` computes assignments; `view` is the tables.
//!
//! **How a shell drives it.**
//! - At [`Placement::poll_timeout`] it passes in [`Input::Tick`]. After every input it carries out the outputs, one after the
//!   other, until [`Placement::poll_output`] returns none.
//! - An output that is carried out in the foreground has one answer, which is an input: [`Input::Done`] or the result. Until
//!   that is passed in, there is no further output. [`Input::StoreLost`] answers any of them.
//! - Work on dead machines is carried out in the background, and ends with [`Input::WorkEnded`].
//! - In each period ([`Limits::refresh_ms`]) it sends a query to the broker, and passes in [`Input::BrokerAnswered`] when that
//!   is answered.
//!
//! So an undisturbed period is: `Tick`, [`Output::Heartbeat`], `Done`, [`Output::AcquireLease`], [`Input::Lease`],
//! [`Output::ReadTables`], [`Input::View`], and what the view calls for: [`Output::DeclareDead`], `Done`, [`Output::Assign`],
//! `Done`. The machine has no copy of the tables: they change only when outputs are carried out, and the next view has that.
//!
//! What it guarantees:
//! - **One monitor acts.** Without the lease a monitor outputs nothing but its heartbeat, queries and notices. A lease expires
//!   [`Limits::lease_ms`] after it was *requested*, by this monitor's own clock: before the store can have given it to another
//!   one. Each input drops the outputs that were decided under an expired lease.
//! - **One host for each epoch.** An assignment raises the partition's epoch by one, and the store accepts it only from the
//!   epoch that the view had: of two monitors that both act, one is refused.
//! - **No false death.** A machine is dead when it was silent for too long by the *database's* clock. But a store or a broker
//!   that is unreachable is unreachable for every machine. So after an interruption (one of them was unreachable, the monitor
//!   was paused, or a clock was set) no machine is declared dead until all had [`Limits::dead_after_ms`] to send a heartbeat.
//! - **Death is final.** A machine that was declared dead and sends a heartbeat again stays dead: it restarts with a new id.
//! - **Even load, few moves.** Hosts differ by at most one partition, and no plan with that property moves fewer.
//!
//! An operator's drain is a state in the table, not an input: any monitor can accept it, and it survives that monitor.
//!
//! Bounds: outputs by the partitions and machines of one view; its state by the machines in the table, of which dead ones are
//! deleted after [`Limits::clean_after_ms`]; work on dead machines by [`MAX_CONCURRENT_WORK`].

mod failure_detector;
mod io;
mod plan;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use io::{Assignment, Dependency, Input, Interruption, Limits, Notice, Output};
pub use view::{Machine, MachineState, Partition, Role, View};

use crate::ids::{MachineId, Time};
use failure_detector::{FailureDetector, Liveness};

/// Dead machines that are cleaned up at a time, so that the loss of a whole site does not flood the log.
pub const MAX_CONCURRENT_WORK: usize = 8;

/// One monitor.
#[derive(Debug)]
pub struct Placement {
    limits: Limits,
    detector: FailureDetector,
    next_refresh: Time,
    /// When the lease that it holds was requested.
    lease: Option<Time>,
    /// Whether its latest notice about the lease was [`Notice::Active`].
    noticed_active: bool,
    /// Whether its latest notice about hosts was [`Notice::NoHosts`].
    noticed_no_hosts: bool,
    /// Dead edges whose sessions have been dropped from their rooms.
    reaped: BTreeSet<MachineId>,
    /// Dead machines that the shell works on.
    in_progress: BTreeMap<MachineId, Work>,
    /// Hosts that were released by [`Output::MayLeave`].
    released: BTreeSet<MachineId>,
    outputs: VecDeque<Output>,
    /// The latest output was polled, and has no answer yet.
    awaits_answer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    DroppingSessions,
    CleaningUp,
}

impl Placement {
    /// A monitor without input yet, whose own id is `id`. Its first tick is due now.
    pub fn new(id: MachineId, limits: Limits, now: Time) -> Placement {
        Placement {
            limits,
            detector: FailureDetector::new(id, limits, now),
            next_refresh: now,
            lease: None,
            noticed_active: false,
            noticed_no_hosts: false,
            reaped: BTreeSet::new(),
            in_progress: BTreeMap::new(),
            released: BTreeSet::new(),
            outputs: VecDeque::new(),
            awaits_answer: false,
        }
    }

    pub fn handle(&mut self, input: Input, now: Time) {
        if !self.is_active(now) {
            self.drop_outputs(Output::needs_lease);
        }
        match input {
            Input::Tick => self.on_tick(now),
            Input::Lease { held, sent_at } => self.on_lease(held, sent_at, now),
            Input::View(view) => self.on_view(&view, now),
            Input::Done => self.awaits_answer = false,
            Input::Refused => self.on_refused(),
            Input::StoreLost => self.on_store_lost(),
            Input::BrokerAnswered { sent_at } => self.detector.broker_answered(sent_at),
            Input::WorkEnded { machine, succeeded } => self.on_work_ended(machine, succeeded),
        }
    }

    /// The next output. `None`: there is none for now, or the latest one has no answer yet.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.awaits_answer {
            return None;
        }
        let output = self.outputs.pop_front()?;
        self.awaits_answer = output.has_answer();
        Some(output)
    }

    /// When [`Input::Tick`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        Some(self.next_refresh)
    }

    /// Whether it is the active monitor: it holds the lease.
    pub fn is_active(&self, now: Time) -> bool {
        // After a clock was set back, the age of the lease cannot be computed.
        self.lease.is_some_and(|sent_at| sent_at <= now && now.since(sent_at) < self.limits.lease_ms)
    }

    /// The service that is out of reach, without which it cannot work.
    pub fn unreachable(&self) -> Option<Dependency> {
        self.detector.unreachable()
    }

    // ---- the period ----

    /// Begins a period. What is left of the one before is decided again.
    fn on_tick(&mut self, now: Time) {
        if now < self.next_refresh {
            return;
        }
        self.next_refresh = now.plus(self.limits.refresh_ms);
        if self.awaits_answer {
            return;
        }
        self.drop_outputs(Output::is_work);
        let broker_lost = self.detector.check_broker(now);
        self.notice(broker_lost);
        // Without the broker too: it still serves operators, and is not to be declared dead.
        self.outputs.push_back(Output::Heartbeat);
        if !self.detector.broker_is_lost() {
            self.outputs.extend([Output::AcquireLease, Output::ReadTables]);
        }
    }

    fn on_lease(&mut self, held: bool, sent_at: Time, now: Time) {
        self.awaits_answer = false;
        let grace_period = self.detector.contact(now);
        self.notice(grace_period);
        self.lease = held.then_some(sent_at);
        let active = self.is_active(now);
        if active != self.noticed_active {
            self.noticed_active = active;
            self.notice(Some(if active { Notice::Active } else { Notice::Standby }));
        }
    }

    fn on_refused(&mut self) {
        self.awaits_answer = false;
        self.drop_outputs(Output::is_work);
    }

    fn on_store_lost(&mut self) {
        self.awaits_answer = false;
        self.detector.store_lost();
        self.drop_outputs(Output::is_work);
    }

    /// Drops outputs that were not polled yet, so that they are decided again.
    fn drop_outputs(&mut self, is_dropped: impl Fn(&Output) -> bool) {
        for output in std::mem::take(&mut self.outputs) {
            match output {
                kept if !is_dropped(&kept) => self.outputs.push_back(kept),
                Output::DropSessionsOf { edge: machine } | Output::CleanUp { machine, .. } => {
                    self.in_progress.remove(&machine);
                }
                Output::MayLeave { host } => {
                    self.released.remove(&host);
                }
                _ => {}
            }
        }
    }

    // ---- the tables ----

    fn on_view(&mut self, view: &View, now: Time) {
        self.awaits_answer = false;
        // It may have been paused since the tick.
        let broker_lost = self.detector.check_broker(now);
        self.notice(broker_lost);
        let grace_period = self.detector.view(view, now);
        self.notice(grace_period);
        self.retain_known(view);
        if !self.is_active(now) {
            return;
        }
        let machines = self.detector.assess(view, now);
        self.declare_dead(view, &machines);
        self.assign(view, &machines);
        self.release(view, &machines);
        self.reap(view, &machines);
        self.clean_up(view);
    }

    /// Drops the state of machines that are no longer in the table. Work on them goes on until it has ended.
    fn retain_known(&mut self, view: &View) {
        let known: BTreeSet<&MachineId> = view.machines.iter().map(|machine| &machine.id).collect();
        self.reaped.retain(|id| known.contains(id));
        self.released.retain(|id| known.contains(id));
    }

    fn declare_dead(&mut self, view: &View, machines: &BTreeMap<MachineId, Liveness>) {
        for machine in view.machines.iter().filter(|machine| machines[&machine.id] == Liveness::Expired) {
            let (machine, silent_ms) = (machine.id.clone(), machine.silent_ms);
            self.outputs.push_back(Output::DeclareDead { machine, silent_ms });
        }
    }

    fn assign(&mut self, view: &View, machines: &BTreeMap<MachineId, Liveness>) {
        let hosts = |liveness| {
            let is_such = move |host: &&Machine| host.role == Role::Host && machines[&host.id] == liveness;
            view.machines.iter().filter(is_such).map(|host| &host.id)
        };
        let up: Vec<&MachineId> = hosts(Liveness::Up).collect();
        let suspected: BTreeSet<&MachineId> = hosts(Liveness::Suspected).collect();
        let plan = plan::plan(&view.partitions, &up, &suspected);
        self.notice_hosts(plan.unassigned, up.is_empty());
        if !plan.moves.is_empty() {
            self.outputs.push_back(Output::Assign(plan.moves));
        }
    }

    /// Reports once that there are no hosts, and once that there are again.
    fn notice_hosts(&mut self, unassigned: usize, none_up: bool) {
        if unassigned > 0 && !self.noticed_no_hosts {
            self.noticed_no_hosts = true;
            self.notice(Some(Notice::NoHosts { partitions: unassigned }));
        } else if !none_up && self.noticed_no_hosts {
            self.noticed_no_hosts = false;
            self.notice(Some(Notice::HostsAgain));
        }
    }

    /// Releases a draining host that has no partition left.
    fn release(&mut self, view: &View, machines: &BTreeMap<MachineId, Liveness>) {
        for host in view.machines.iter().filter(|machine| machine.role == Role::Host) {
            let draining = machines[&host.id] == Liveness::Draining;
            if draining && !view.is_host(&host.id) && self.released.insert(host.id.clone()) {
                self.outputs.push_back(Output::MayLeave { host: host.id.clone() });
            }
        }
    }

    // ---- dead machines ----

    /// Drops the sessions of dead edges from their rooms. (An edge that drains does that itself.)
    fn reap(&mut self, view: &View, machines: &BTreeMap<MachineId, Liveness>) {
        for edge in view.machines.iter().filter(|machine| machine.role == Role::Edge) {
            let dead = machines[&edge.id].is_dead();
            if dead && !self.reaped.contains(&edge.id) && self.begin(&edge.id, Work::DroppingSessions) {
                self.outputs.push_back(Output::DropSessionsOf { edge: edge.id.clone() });
            }
        }
    }

    fn clean_up(&mut self, view: &View) {
        for machine in &view.machines {
            let dead = machine.state == MachineState::Dead;
            let old = machine.silent_ms >= self.limits.clean_after_ms;
            let reaped = machine.role != Role::Edge || self.reaped.contains(&machine.id);
            // Without hosts, partitions stay assigned to their last one, whose row is still needed.
            let needed = view.is_host(&machine.id);
            if dead && old && reaped && !needed && self.begin(&machine.id, Work::CleaningUp) {
                self.outputs.push_back(Output::CleanUp { machine: machine.id.clone(), role: machine.role });
            }
        }
    }

    /// Whether the shell may work on this machine now.
    fn begin(&mut self, machine: &MachineId, work: Work) -> bool {
        if self.in_progress.len() >= MAX_CONCURRENT_WORK || self.in_progress.contains_key(machine) {
            return false;
        }
        self.in_progress.insert(machine.clone(), work);
        true
    }

    fn on_work_ended(&mut self, machine: MachineId, succeeded: bool) {
        if self.in_progress.remove(&machine) == Some(Work::DroppingSessions) && succeeded {
            self.reaped.insert(machine);
        }
    }

    fn notice(&mut self, notice: Option<Notice>) {
        self.outputs.extend(notice.map(Output::Notice));
    }
}
