//! The placement machine: how a monitor decides. (Its shell is `monitor/`.)
//!
//! It is handed what the store says (whether this monitor holds the lease, and the tables of machines and partitions)
//! with the time, and says what to do with [`Placement::poll_output`]. It remembers next to nothing: each view of the
//! tables is compared with what should be, and what is missing is done, so whatever failed on the way is found again
//! in the next view, by this monitor or by its successor.
//!
//! What to read in: this file judges machines; `plan` deals partitions out; `view` is what it is handed.
//!
//! What it guarantees:
//! - **One monitor acts.** Without the lease it says nothing, and a lease is over [`Limits::lease_ms`] after it was
//!   *asked* for, by this monitor's own clock: before the store can have given it to another one.
//! - **One host for each epoch.** A move raises the partition's epoch by one, and the store takes it only from the epoch
//!   that the view had: of two monitors that both believe to be in charge, one is refused.
//! - **No false verdict.** A machine is dead when the *database's* clock says that it was silent for too long. But when
//!   the store was gone, it was gone for everybody: whenever this monitor was out of touch with the store (it could not
//!   reach it, it was paused, its clock jumped), it judges nobody until all had [`Limits::dead_after_ms`] to be heard.
//! - **Death is for ever.** A machine that was declared dead and speaks again stays dead: it comes back with a new id.
//! - **Few moves, even load.** Hosts differ by at most one partition, and no plan that does that moves fewer.
//!
//! An operator's drain is a state in the table, not an input: so it can be asked of any monitor, and outlives it.
//!
//! Bounds: outputs by the partitions and machines of one view; what it remembers by the dead machines that the table
//! still has, which go after [`Limits::clean_after_ms`]; work on the dead by [`WORK_AT_ONCE`].

#[cfg(test)]
mod chance;
mod plan;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use view::{Machine, MachineState, Partition, Role, View};

use crate::ids::{MachineId, Time};

/// Dead machines that are worked on at a time, so that the death of a whole site does not flood the log.
pub const WORK_AT_ONCE: usize = 8;

/// How patient a monitor is. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A machine that was silent for longer is dead. Machines are to be heard four times in this time.
    pub dead_after_ms: u64,
    /// How long a monitor is in charge after it has asked for it.
    pub lease_ms: u64,
    /// How long after its last word a dead machine's row and channel are kept: somebody may want to look at them, and
    /// a host that has not heard of the death may still send to it.
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
    /// When the lease that it holds was asked for.
    lease: Option<Time>,
    /// It has said that it is in charge.
    in_charge: bool,
    /// When the store last answered. `None` from a failure of the store or the broker on, and before the first answer.
    heard: Option<Time>,
    /// When the tables were looked at last, and for how long each machine had been silent then, by the database's clock.
    looked: Option<(Time, BTreeMap<MachineId, u64>)>,
    /// Why it could not judge, for the next [`Notice::Patient`].
    blind: Blind,
    /// It was out of touch, and machines had no chance to be heard before then.
    judges_from: Option<Time>,
    /// Dead edges whose sessions' rooms have been told.
    buried: BTreeSet<MachineId>,
    /// Dead machines that the shell works on.
    working: BTreeMap<MachineId, Work>,
    /// Hosts that have been told that they may go.
    released: BTreeSet<MachineId>,
    /// It has said that there are no hosts.
    without_hosts: bool,
    outputs: VecDeque<Output>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The store's answer to a request for the lease, which was made at `asked`.
    Lease { held: bool, asked: Time },
    /// The tables, as the store has just given them.
    View(View),
    /// The store could not be reached. The outputs that have not been taken yet are void.
    StoreLost,
    /// The broker could not be reached. Machines that do not reach it either send no heartbeats, which says nothing
    /// about them. The outputs that have not been taken yet are void.
    BrokerLost,
    /// The store has refused an output: the tables are not any more what the view was. The outputs that have not been
    /// taken yet are void; the next view will be right.
    Refused,
    /// The end of an [`Output::DropSessionsOf`] or [`Output::CleanUp`]: whether it is done.
    Worked { machine: MachineId, done: bool },
}

/// What to do, in this order: each only when the one before is done. When it cannot be done, [`Input::StoreLost`] or
/// [`Input::Refused`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Writes that the machine is dead, unless it was heard again. (Then that is refused.)
    DeclareDead { machine: MachineId, silent_ms: u64 },
    /// Writes who hosts these partitions: all or none, and only if each one's epoch is still the one before.
    Assign(Vec<Assignment>),
    /// Tells a draining host that nothing is left with it.
    MayLeave { host: MachineId },
    /// Appends a `Drop` for each of a dead edge's sessions to each of its rooms. Aside, since it may take long;
    /// [`Input::Worked`] when it has ended.
    DropSessionsOf { edge: MachineId },
    /// Deletes a dead machine's channel and row. Aside; [`Input::Worked`] when it has ended.
    CleanUp { machine: MachineId, role: Role },
    /// Something that an operator should know.
    Notice(Notice),
}

/// A partition has this host from this epoch on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub partition: u32,
    pub host: MachineId,
    pub epoch: u64,
}

/// What an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This monitor acts from now on.
    InCharge,
    /// Another monitor acts, or none.
    Standby,
    /// This monitor could not see heartbeats, and declares no machine dead for this long.
    Patient { after: Blind, for_ms: u64 },
    /// There is no host that could take these partitions; they stay where they were.
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
    /// Its own loop stood still, or its clock was set.
    Paused,
    /// The database's clock was set forward.
    Leap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Dropping,
    Cleaning,
}

/// How a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Heard of, and here to stay.
    Up,
    /// Its partitions are to go.
    Draining,
    /// Silent for too long, by a judge who must not judge yet.
    Silent,
    Gone,
}

impl Placement {
    /// A monitor that has heard nothing yet. `id` is its own: nobody judges himself.
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
            buried: BTreeSet::new(),
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

    /// The next thing to do, until there is none. What was decided under a lease that is over is void.
    pub fn poll_output(&mut self, now: Time) -> Option<Output> {
        if !self.is_in_charge(now) {
            self.void();
        }
        self.outputs.pop_front()
    }

    /// Whether it acts now.
    pub fn is_in_charge(&self, now: Time) -> bool {
        // A clock that went back says nothing of how much of the lease is over.
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

    /// Nothing that was decided is to be done.
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

    /// The store has answered. If that was not to be taken for granted, everybody gets the time to be heard again.
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

    /// A machine is silent for longer by the time that has passed, and not by more. Beyond that the database's clock was
    /// set forward, and says nothing of the machines that were not heard since.
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
        self.bury(view, &standings);
        self.clean_up(view);
    }

    /// Machines that are in the table no longer are nobody's concern.
    fn forget(&mut self, view: &View) {
        let known: BTreeSet<&MachineId> = view.machines.iter().map(|machine| &machine.id).collect();
        self.buried.retain(|id| known.contains(id));
        self.working.retain(|id, _| known.contains(id));
        self.released.retain(|id| known.contains(id));
    }

    /// Who is dead, and how the others stand.
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
                // It gives up what it has, whether it can be heard or not.
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

    /// Says once that there are no hosts, and once that there are again.
    fn tell_of_hosts(&mut self, homeless: usize, none_up: bool) {
        if homeless > 0 && !self.without_hosts {
            self.without_hosts = true;
            self.notice(Notice::NoHosts { partitions: homeless });
        } else if !none_up && self.without_hosts {
            self.without_hosts = false;
            self.notice(Notice::HostsAgain);
        }
    }

    /// A draining host with nothing left may go.
    fn release(&mut self, view: &View, standings: &BTreeMap<MachineId, Standing>) {
        for host in view.machines.iter().filter(|machine| machine.role == Role::Host) {
            let draining = standings.get(&host.id) == Some(&Standing::Draining);
            if draining && !view.is_host(&host.id) && self.released.insert(host.id.clone()) {
                self.outputs.push_back(Output::MayLeave { host: host.id.clone() });
            }
        }
    }

    // ---- the dead ----

    /// The rooms of a dead edge's sessions are told. (One that leaves in good order tells them itself.)
    fn bury(&mut self, view: &View, standings: &BTreeMap<MachineId, Standing>) {
        for edge in view.machines.iter().filter(|machine| machine.role == Role::Edge) {
            let dead = standings.get(&edge.id) == Some(&Standing::Gone);
            if dead && !self.buried.contains(&edge.id) && self.begin(&edge.id, Work::Dropping) {
                self.outputs.push_back(Output::DropSessionsOf { edge: edge.id.clone() });
            }
        }
    }

    fn clean_up(&mut self, view: &View) {
        for machine in &view.machines {
            let dead = machine.state == MachineState::Dead;
            let old = machine.silent_ms >= self.limits.clean_after_ms;
            let told = machine.role != Role::Edge || self.buried.contains(&machine.id);
            // Without hosts, partitions stay with their last one: its row says where they were.
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
            self.buried.insert(machine);
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }
}
