//! Monitors in virtual time: the machines of `core::placement`, over a store, and nothing else of chorus.
//!
//! Hosts and edges start, fall silent, recover, drain and leave. The store and the broker are lost and recover, and the
//! database's clock is set forward. Two monitors share a lease; each is paused at times, and continues with its earlier
//! decisions. A monitor that was drained or declared dead is replaced. All of it is drawn from one generator: a run is a
//! function of its seed.
//!
//! The promises of `core::placement` hold in all of these histories. Each is checked where it could be broken.
//!
//! Where to look: `dials` has every duration and frequency, `events` what happens to machines and services; `store` answers the
//! monitors, and `judge` checks what they order.

mod dials;
mod events;
mod judge;
mod store;

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::{
    ids::{MachineId, Time},
    placement::{Input, MachineState, Notice, Output, Partition, Placement, Role, View},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::Violation;
use dials::DIALS;

/// The numbers of what happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub deaths: usize,
    pub moves: usize,
    /// Dead edges whose sessions were dropped.
    pub reaped: usize,
    /// Machines of which nothing is left.
    pub cleaned: usize,
    /// Outputs that the store refused, since another monitor was faster or a heartbeat had arrived.
    pub refused: usize,
    pub grace_periods: usize,
    /// How often a monitor became the active one.
    pub activations: usize,
}

/// Runs one history, and ends it without faults.
///
/// # Errors
/// When a promise of `core::placement` did not hold.
pub fn run(seed: u64) -> Result<Report, Violation> {
    let mut world = World::new(seed);
    for _ in 0..DIALS.steps {
        world.event();
        world.step()?;
    }
    world.settle()?;
    Ok(world.report)
}

struct World {
    seed: u64,
    dice: ChaCha8Rng,
    /// The database's clock.
    now: u64,
    /// When it was last set forward.
    leapt_at: Option<u64>,
    store_is_lost: bool,
    broker_lost_since: Option<u64>,
    machines: Vec<Row>,
    partitions: Vec<Partition>,
    /// The monitor that holds the lease, and until when.
    lease: Option<(MachineId, u64)>,
    monitors: Vec<Monitor>,
    /// Every assignment that the store has accepted.
    history: BTreeMap<(u32, u64), MachineId>,
    /// Edges whose sessions were dropped after their death.
    reaped: BTreeSet<MachineId>,
    incarnations: u64,
    /// There are no more faults.
    settling: bool,
    report: Report,
}

/// A machine's row in the store, and the machine itself.
struct Row {
    id: MachineId,
    role: Role,
    state: MachineState,
    registered_at: u64,
    heartbeat_at: u64,
    /// It sends heartbeats when it can. After a pause, a monitor's first heartbeat sets this again.
    lives: bool,
    phase: u64,
}

struct Monitor {
    id: MachineId,
    placement: Placement,
    paused: bool,
    /// The answer to the output after which it was paused.
    answer: Option<Input>,
    /// By how much its clock is ahead of the database's.
    ahead: u64,
    /// The tables, as it has read them last.
    view: View,
    /// The machines that it has declared dead since.
    declared: BTreeSet<MachineId>,
    /// Its work on dead machines, each with the number of steps that it still takes.
    work: Vec<(u64, Output)>,
    /// The edges whose sessions it has dropped, and the hosts that it has released.
    reaped: BTreeSet<MachineId>,
    released: BTreeSet<MachineId>,
    /// Its latest notice was `Active`; its latest notice about hosts was `NoHosts`.
    noticed_active: bool,
    noticed_no_hosts: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            seed,
            dice: ChaCha8Rng::seed_from_u64(seed),
            now: 1_000_000,
            leapt_at: None,
            store_is_lost: false,
            broker_lost_since: None,
            machines: Vec::new(),
            partitions: Vec::new(),
            lease: None,
            monitors: Vec::new(),
            history: BTreeMap::new(),
            reaped: BTreeSet::new(),
            incarnations: 0,
            settling: false,
            report: Report::default(),
        };
        let partition = |partition| Partition { partition, host: None, epoch: 0, checkpoint: 0 };
        world.partitions = (0..1 + world.below(DIALS.partitions) as u32).map(partition).collect();
        // Each has a clock of its own. They are far ahead, so that the database's can be set forward.
        world.monitors = [1 << 40, 1 << 41].map(|ahead| world.new_monitor(ahead)).into();
        world
    }

    fn below(&mut self, end: u64) -> u64 {
        self.dice.next_u64() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn violation(&self, what: String) -> Violation {
        Violation { seed: self.seed, at_ms: self.now, what }
    }

    // ---- one step ----

    fn step(&mut self) -> Result<(), Violation> {
        self.now += DIALS.step_ms;
        self.heartbeats();
        (0..self.monitors.len()).try_for_each(|n| self.monitor(n))
    }

    fn heartbeats(&mut self) {
        let now = self.now;
        let cut_off = self.broker_lost_since.is_some_and(|since| now - since > DIALS.broker_patience_ms);
        if self.store_is_lost || cut_off {
            return;
        }
        let is_due = |row: &&mut Row| (now / DIALS.step_ms + row.phase).is_multiple_of(DIALS.heartbeat);
        for row in self.machines.iter_mut().filter(|row| row.role != Role::Monitor && row.lives).filter(is_due) {
            match row.state {
                // It reads that it was declared dead, and stops.
                MachineState::Dead => row.lives = false,
                MachineState::Alive | MachineState::Draining => row.heartbeat_at = now,
            }
        }
    }

    /// As the shell of a monitor drives its machine.
    fn monitor(&mut self, n: usize) -> Result<(), Violation> {
        if self.monitors[n].paused {
            return Ok(());
        }
        self.work(n);
        if let Some(answer) = self.monitors[n].answer.take() {
            self.handle(n, answer);
            self.carry_out(n)?;
        }
        if self.broker_lost_since.is_none() {
            self.handle(n, Input::BrokerAnswered { sent_at: self.clock_of(n) });
        }
        if self.monitors[n].placement.poll_timeout().is_some_and(|due| due <= self.clock_of(n)) {
            self.handle(n, Input::Tick);
        }
        self.carry_out(n)
    }

    fn handle(&mut self, n: usize, input: Input) {
        let now = self.clock_of(n);
        if let Input::View(view) = &input {
            self.monitors[n].view = view.clone();
            self.monitors[n].declared.clear();
        }
        self.monitors[n].placement.handle(input, now);
    }

    fn clock_of(&self, n: usize) -> Time {
        Time(self.now + self.monitors[n].ahead)
    }

    fn carry_out(&mut self, n: usize) -> Result<(), Violation> {
        while !self.monitors[n].paused
            && let Some(output) = self.monitors[n].placement.poll_output()
        {
            let Some(answer) = self.answer(n, output)? else { continue };
            if !self.settling && self.one_in(DIALS.pause) {
                self.pause(n);
                self.monitors[n].answer = Some(answer);
            } else {
                self.handle(n, answer);
            }
        }
        Ok(())
    }

    fn answer(&mut self, n: usize, output: Output) -> Result<Option<Input>, Violation> {
        self.judge(n, &output)?;
        match output {
            Output::Notice(notice) => self.count(notice),
            Output::MayLeave { .. } => {}
            Output::DropSessionsOf { .. } | Output::CleanUp { .. } => self.begin_work(n, output),
            _ if self.store_is_lost => return Ok(Some(Input::StoreLost)),
            Output::Heartbeat => return Ok(self.heartbeat_of(n)),
            Output::AcquireLease => return Ok(Some(self.acquire_lease(n))),
            Output::ReadTables => return Ok(Some(Input::View(self.view()))),
            Output::DeclareDead { machine, .. } => return self.declare_dead(n, &machine).map(Some),
            Output::Assign(plan) => return self.assign(n, plan).map(Some),
        }
        Ok(None)
    }

    fn count(&mut self, notice: Notice) {
        match notice {
            Notice::Active => self.report.activations += 1,
            Notice::GracePeriod { .. } => self.report.grace_periods += 1,
            Notice::Standby | Notice::BrokerLost { .. } | Notice::NoHosts { .. } | Notice::HostsAgain => {}
        }
    }
}
