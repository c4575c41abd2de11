//! The placement machine: everything that a monitor decides. (Its shell is `monitor/`.)
//!
//! Its input is what the store has (whether this monitor holds the lease, and the tables of machines and partitions), with the
//! time; it returns its outputs by [`Placement::poll_output`]. It keeps almost no state: each view of the tables is compared
//! with the intended assignment, and the differences are output. So an output that has failed is repeated after the next view,
//! by this monitor or by its successor.
//!
//! Where to look: this file decides which machines are dead; `plan` assigns partitions; `view` is the tables.
//!
//! What it guarantees:
//! - **One monitor acts.** Without the lease a monitor outputs nothing but notices. A lease expires [`Limits::lease_ms`] after
//!   it was *requested*, by this monitor's own clock: before the store can have given it to another one.
//! - **One host for each epoch.** An assignment raises the partition's epoch by one, and the store accepts it only from the
//!   epoch that the view had: of two monitors that both act, one is refused.
//! - **No false death.** A machine is dead when it was silent for too long by the *database's* clock. But an unreachable store
//!   is unreachable for every machine. So after this monitor was out of touch with the store (the store was unreachable, the
//!   monitor was paused, or its clock jumped), it declares no machine dead until all had [`Limits::dead_after_ms`] to send a
//!   heartbeat.
//! - **Death is final.** A machine that was declared dead and sends a heartbeat again stays dead: it restarts with a new id.
//! - **Even load, few moves.** Hosts differ by at most one partition, and no plan with that property moves fewer.
//!
//! An operator's drain is a state in the table, not an input: any monitor can accept it, and it survives that monitor.
//!
//! Bounds: outputs by the partitions and machines of one view; its state by the dead machines in the table, which are deleted
//! after [`Limits::clean_after_ms`]; work on dead machines by [`WORK_AT_ONCE`].

#[cfg(test)]
mod chance;
mod plan;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use view::{Machine, MachineState, Partition, Role, View};

use crate::ids::{MachineId, Time};

/// Dead machines that are cleaned up at a time, so that the loss of a whole site does not flood the log.
pub const WORK_AT_ONCE: usize = 8;

/// A monitor's time limits. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A machine that was silent for longer is dead. Machines send four heartbeats in this time.
    pub dead_after_ms: u64,
    /// How long a lease lasts after it was requested.
    pub lease_ms: u64,
    /// How long after its last heartbeat a dead machine's row and channel are kept: for operators, and for hosts that have not
    /// read of the death yet and may still send to it.
    pub clean_after_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { dead_after_ms: 10_000, lease_ms: 10_000, clean_after_ms: 6 * 3_600_000 }
    }
}

/// One monitor.
#[derive(Debug)]
pub struct Placement {
    id: MachineId,
    limits: Limits,
    /// When the lease that it holds was requested.
    lease: Option<Time>,
    /// Whether its latest notice about the lease was [`Notice::InCharge`].
    in_charge: bool,
    /// When the store last answered. `None` before the first answer, and after a failure of the store or the broker.
    heard: Option<Time>,
    /// When the last view was read, and each machine's silence in it, by the database's clock.
    looked: Option<(Time, BTreeMap<MachineId, u64>)>,
    /// Why it could not see heartbeats, for the next [`Notice::Patient`].
    blind: Blind,
    /// It was out of touch, and declares no machine dead before this time.
    judges_from: Option<Time>,
    /// Dead edges whose sessions have been dropped from their rooms.
    reaped: BTreeSet<MachineId>,
    /// Dead machines that the shell works on.
    working: BTreeMap<MachineId, Work>,
    /// Hosts that were released by [`Output::MayLeave`].
    released: BTreeSet<MachineId>,
    /// Whether its latest notice about hosts was [`Notice::NoHosts`].
    without_hosts: bool,
    outputs: VecDeque<Output>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The store's answer to a request for the lease that was made at `asked`.
    Lease { held: bool, asked: Time },
    /// The tables, as just read from the store.
    View(View),
    /// The store could not be reached. Outputs other than notices that have not been polled yet are dropped.
    StoreLost,
    /// The broker could not be reached. Machines that cannot reach it either send no heartbeats, so their silence proves
    /// nothing. Outputs are dropped likewise.
    BrokerLost,
    /// The store has refused an output: the tables have changed since the view. Outputs are dropped likewise; the next view has
    /// the present tables.
    Refused,
    /// The end of an [`Output::DropSessionsOf`] or [`Output::CleanUp`], and whether it has succeeded.
    Worked { machine: MachineId, done: bool },
}

/// Work for the shell, in this order: each output only when the one before is done. If it cannot be done, the shell passes in
/// [`Input::StoreLost`] or [`Input::Refused`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Marks the machine as dead, unless it has sent a heartbeat since. (The store then refuses this.)
    DeclareDead { machine: MachineId, silent_ms: u64 },
    /// Writes the hosts of these partitions: all or none, and only if each epoch is still the one before.
    Assign(Vec<Assignment>),
    /// Notifies a draining host that it has no partition left.
    MayLeave { host: MachineId },
    /// Appends a `Drop` for each of a dead edge's sessions to each of its rooms. In the background, since it may take long;
    /// [`Input::Worked`] when it has ended.
    DropSessionsOf { edge: MachineId },
    /// Deletes a dead machine's channel and row. In the background; [`Input::Worked`] when it has ended.
    CleanUp { machine: MachineId, role: Role },
    /// Something that is reported to operators.
    Notice(Notice),
}

/// The host of a partition from this epoch on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub partition: u32,
    pub host: MachineId,
    pub epoch: u64,
}

/// Something that is reported to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This monitor acts from now on.
    InCharge,
    /// Another monitor acts, or none.
    Standby,
    /// This monitor could not see heartbeats, and declares no machine dead for this long.
    Patient { after: Blind, for_ms: u64 },
    /// No host can take these partitions; they stay assigned as they were.
    NoHosts { partitions: usize },
    /// There are hosts again.
    HostsAgain,
}

/// Why a monitor could not see heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// It has just started.
    Started,
    /// The store could not be reached.
    Store,
    /// The broker could not be reached.
    Broker,
    /// Its own loop stalled, or its clock was set.
    Paused,
    /// The database's clock was set forward.
    Leap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Dropping,
    Cleaning,
}

/// A machine's standing, by this monitor's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It sends heartbeats, and does not drain.
    Up,
    /// Its partitions are to be moved.
    Draining,
    /// Silent for too long, while this monitor may not declare machines dead.
    Silent,
    Gone,
}

impl Placement {
    /// A monitor without input yet. `id` is its own: it never declares itself dead.
    pub fn new(id: MachineId, limits: Limits) -> Placement {
        Placement {
            id,
            limits,
            lease: None,
            in_charge: false,
            heard: None,
            looked: None,
            blind: Blind::Started,
            judges_from: None,
            reaped: BTreeSet::new(),
            working: BTreeMap::new(),
            released: BTreeSet::new(),
            without_hosts: false,
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Lease { held, asked } => self.on_lease(held, asked, now),
            Input::View(view) => self.on_view(&view, now),
            Input::StoreLost => self.on_lost(Blind::Store),
            Input::BrokerLost => self.on_lost(Blind::Broker),
            Input::Refused => self.void(),
            Input::Worked { machine, done } => self.on_worked(machine, done),
        }
    }

    /// The next output, until there is none. Outputs that were decided under an expired lease are dropped, except notices.
    pub fn poll_output(&mut self, now: Time) -> Option<Output> {
        if !self.is_in_charge(now) {
            self.void();
        }
        self.outputs.pop_front()
    }

    /// Whether it acts now.
    pub fn is_in_charge(&self, now: Time) -> bool {
        // After a clock was set back, the age of the lease cannot be computed.
        self.lease.is_some_and(|asked| asked <= now && now.since(asked) < self.limits.lease_ms)
    }

    // ---- the store ----

    fn on_lease(&mut self, held: bool, asked: Time, now: Time) {
        self.reached(now);
        self.lease = held.then_some(asked);
        let in_charge = self.is_in_charge(now);
        if in_charge != self.in_charge {
            self.in_charge = in_charge;
            self.notice(if in_charge { Notice::InCharge } else { Notice::Standby });
        }
    }

    fn on_lost(&mut self, what: Blind) {
        self.heard = None;
        self.blind = what;
        self.void();
    }

    /// Drops all outputs but notices, so that they are decided again.
    fn void(&mut self) {
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::DropSessionsOf { edge: machine } | Output::CleanUp { machine, .. } => {
                    self.working.remove(&machine);
                }
                Output::MayLeave { host } => {
                    self.released.remove(&host);
                }
                Output::Notice(_) => self.outputs.push_back(output),
                Output::DeclareDead { .. } | Output::Assign(_) => {}
            }
        }
    }

    /// The store has answered. If the monitor was out of touch before, every machine gets the time to send a heartbeat again.
    fn reached(&mut self, now: Time) {
        let in_touch =
            self.heard.is_some_and(|heard| heard <= now && now.since(heard) <= self.limits.dead_after_ms / 2);
        self.heard = Some(now);
        let after = std::mem::replace(&mut self.blind, Blind::Paused);
        if !in_touch {
            self.judges_from = Some(now.plus(self.limits.dead_after_ms));
            self.notice(Notice::Patient { after, for_ms: self.limits.dead_after_ms });
        }
    }

    /// Detects a leap of the database's clock. A machine's silence grows by the time that has passed, and by no more. If it
    /// grows by more, the clock was set forward, and the silence proves nothing about machines without a heartbeat since.
    fn notice_leap(&mut self, view: &View, now: Time) {
        let silences = view.machines.iter().map(|machine| (machine.id.clone(), machine.silent_ms)).collect();
        let Some((looked, before)) = self.looked.replace((now, silences)) else { return };
        let most = now.since(looked).saturating_add(self.limits.dead_after_ms / 2);
        let has_leapt = |machine: &Machine| {
            before.get(&machine.id).is_some_and(|before| machine.silent_ms > before.saturating_add(most))
        };
        if looked <= now && view.machines.iter().any(has_leapt) {
            self.on_lost(Blind::Leap);
        }
    }

    fn may_judge(&mut self, now: Time) -> bool {
        if self.judges_from.is_some_and(|from| now >= from) {
            self.judges_from = None;
        }
        self.judges_from.is_none()
    }

    // ---- the tables ----

    fn on_view(&mut self, view: &View, now: Time) {
        self.notice_leap(view, now);
        self.reached(now);
        self.forget(view);
        if !self.is_in_charge(now) {
            return;
        }
        let judging = self.may_judge(now);
        let standings = self.judge(view, judging);
        self.place(view, &standings);
        self.release(view, &standings);
        self.reap(view, &standings);
        self.clean_up(view);
    }

    /// Drops the state of machines that are no longer in the table.
    fn forget(&mut self, view: &View) {
        let known: BTreeSet<&MachineId> = view.machines.iter().map(|machine| &machine.id).collect();
        self.reaped.retain(|id| known.contains(id));
        self.working.retain(|id, _| known.contains(id));
        self.released.retain(|id| known.contains(id));
    }

    /// Decides the standing of each machine, and declares machines dead.
    fn judge(&mut self, view: &View, judging: bool) -> BTreeMap<MachineId, Standing> {
        let mut standings = BTreeMap::new();
        for machine in &view.machines {
            let silent = machine.silent_ms > self.limits.dead_after_ms && machine.id != self.id;
            let standing = match machine.state {
                MachineState::Dead => Standing::Gone,
                MachineState::Alive | MachineState::Draining if silent && judging => {
                    let (machine, silent_ms) = (machine.id.clone(), machine.silent_ms);
                    self.outputs.push_back(Output::DeclareDead { machine, silent_ms });
                    Standing::Gone
                }
                MachineState::Alive if silent => Standing::Silent,
                MachineState::Alive => Standing::Up,
                // Its partitions are moved whether or not it sends heartbeats.
                MachineState::Draining => Standing::Draining,
            };
            standings.insert(machine.id.clone(), standing);
        }
        standings
    }

    fn place(&mut self, view: &View, standings: &BTreeMap<MachineId, Standing>) {
        let hosts = || view.machines.iter().filter(|machine| machine.role == Role::Host);
        let stands = |machine: &&Machine, standing| standings.get(&machine.id) == Some(&standing);
        let up: Vec<&MachineId> = hosts().filter(|host| stands(host, Standing::Up)).map(|host| &host.id).collect();
        let silent: BTreeSet<&MachineId> =
            hosts().filter(|host| stands(host, Standing::Silent)).map(|host| &host.id).collect();
        let plan = plan::plan(&view.partitions, &up, &silent);
        self.tell_of_hosts(plan.homeless, up.is_empty());
        if !plan.moves.is_empty() {
            self.outputs.push_back(Output::Assign(plan.moves));
        }
    }

    /// Notices once that there are no hosts, and once that there are again.
    fn tell_of_hosts(&mut self, homeless: usize, none_up: bool) {
        if homeless > 0 && !self.without_hosts {
            self.without_hosts = true;
            self.notice(Notice::NoHosts { partitions: homeless });
        } else if !none_up && self.without_hosts {
            self.without_hosts = false;
            self.notice(Notice::HostsAgain);
        }
    }

    /// Releases a draining host that has no partition left.
    fn release(&mut self, view: &View, standings: &BTreeMap<MachineId, Standing>) {
        for host in view.machines.iter().filter(|machine| machine.role == Role::Host) {
            let draining = standings.get(&host.id) == Some(&Standing::Draining);
            if draining && !view.is_host(&host.id) && self.released.insert(host.id.clone()) {
                self.outputs.push_back(Output::MayLeave { host: host.id.clone() });
            }
        }
    }

    // ---- the dead ----

    /// Drops the sessions of dead edges from their rooms. (An edge that drains does that itself.)
    fn reap(&mut self, view: &View, standings: &BTreeMap<MachineId, Standing>) {
        for edge in view.machines.iter().filter(|machine| machine.role == Role::Edge) {
            let dead = standings.get(&edge.id) == Some(&Standing::Gone);
            if dead && !self.reaped.contains(&edge.id) && self.begin(&edge.id, Work::Dropping) {
                self.outputs.push_back(Output::DropSessionsOf { edge: edge.id.clone() });
            }
        }
    }

    fn clean_up(&mut self, view: &View) {
        for machine in &view.machines {
            let dead = machine.state == MachineState::Dead;
            let old = machine.silent_ms >= self.limits.clean_after_ms;
            let told = machine.role != Role::Edge || self.reaped.contains(&machine.id);
            // Without hosts, partitions stay assigned to their last one, whose row is still needed.
            let needed = view.is_host(&machine.id);
            if dead && old && told && !needed && self.begin(&machine.id, Work::Cleaning) {
                self.outputs.push_back(Output::CleanUp { machine: machine.id.clone(), role: machine.role });
            }
        }
    }

    /// Whether the shell may work on this machine now.
    fn begin(&mut self, machine: &MachineId, work: Work) -> bool {
        if self.working.len() >= WORK_AT_ONCE || self.working.contains_key(machine) {
            return false;
        }
        self.working.insert(machine.clone(), work);
        true
    }

    fn on_worked(&mut self, machine: MachineId, done: bool) {
        if self.working.remove(&machine) == Some(Work::Dropping) && done {
            self.reaped.insert(machine);
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }
}
