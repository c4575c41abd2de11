//! Monitors in virtual time: the machines of `core::placement`, over a store, and nothing else of chorus.
//!
//! Hosts and edges start, fall silent, recover, drain and leave. The store and the broker are lost and recover, and the
//! database's clock is set forward. Two monitors share a lease; each is paused at times, and continues with what it had decided
//! before. A monitor that was drained or declared dead is replaced. All of it is drawn from one generator: a run is a function
//! of its seed.
//!
//! The promises of `core::placement` hold in all of these histories. Each is checked where it could be broken.

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::{
    ids::{MachineId, Time},
    placement::{Assignment, Input, Limits, Machine, MachineState, Notice, Output, Partition, Placement, Role, View},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::Violation;

/// Every dial of this scenario. Times are in milliseconds.
struct Dials {
    /// Steps with faults.
    steps: usize,
    /// Steps without faults, after which all is in order again.
    settling: usize,
    step_ms: u64,
    /// A machine sends a heartbeat in one step of this many.
    heartbeat: u64,
    /// A machine that cannot reach the broker for longer sends no heartbeats.
    broker_patience_ms: u64,
    /// The greatest number of partitions.
    partitions: u64,
    /// The database's clock is set forward by this, and not again within `leap_pause_ms`: a monitor sees a leap by the silence of
    /// machines, which a leap just before may hide.
    leap_ms: u64,
    leap_pause_ms: u64,
    /// A night: all clocks advance by this between two steps.
    night_ms: u64,
    /// A monitor is paused after one output of this many.
    pause: u64,
    /// One attempt of this many to drop a dead edge's sessions fails.
    failed_work: u64,
    /// What happens before a step, with the weight of each event.
    events: [(u64, Event); 15],
}

#[derive(Clone, Copy)]
enum Event {
    Nothing,
    StartHost,
    StartEdge,
    FallSilent,
    Recover,
    Drain,
    Leave,
    LoseStore,
    RecoverStore,
    LoseBroker,
    RecoverBroker,
    Pause,
    Resume,
    Leap,
    Night,
}

const DIALS: Dials = Dials {
    steps: 300,
    settling: 60,
    step_ms: 1_000,
    heartbeat: 3,
    broker_patience_ms: 4_000,
    partitions: 20,
    leap_ms: 3_600_000,
    leap_pause_ms: 60_000,
    night_ms: 6 * 3_600_000,
    pause: 40,
    failed_work: 3,
    events: [
        (44, Event::Nothing),
        (4, Event::StartHost),
        (2, Event::StartEdge),
        (2, Event::FallSilent),
        (2, Event::Recover),
        (2, Event::Drain),
        (2, Event::Leave),
        (2, Event::LoseStore),
        (6, Event::RecoverStore),
        (2, Event::LoseBroker),
        (4, Event::RecoverBroker),
        (1, Event::Pause),
        (6, Event::Resume),
        (1, Event::Leap),
        (1, Event::Night),
    ],
};

/// The amount of what happened in a run.
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
    /// Times at which a monitor became the active one.
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
    heartbeat_at: u64,
    /// It sends heartbeats when it can. A monitor that was paused does so again from its first heartbeat on.
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

    // ---- what happens ----

    fn event(&mut self) {
        let mut draw = self.below(DIALS.events.iter().map(|(weight, _)| weight).sum());
        let drawn = DIALS.events.iter().find(|(weight, _)| {
            let hit = draw < *weight;
            draw = draw.saturating_sub(*weight);
            hit
        });
        match drawn.expect("the weights add up").1 {
            Event::Nothing => {}
            Event::StartHost => self.start(Role::Host),
            Event::StartEdge => self.start(Role::Edge),
            Event::FallSilent => self.some_machine(|machine| machine.lives = false),
            Event::Recover => self.recover_some_machine(),
            Event::Drain => self.drain_some_machine(),
            Event::Leave => self.some_machine_leaves(),
            Event::LoseStore => self.store_is_lost = true,
            Event::RecoverStore => self.store_is_lost = false,
            Event::LoseBroker => drop(self.broker_lost_since.get_or_insert(self.now)),
            Event::RecoverBroker => self.broker_lost_since = None,
            Event::Pause => {
                let n = self.some_monitor();
                self.pause(n);
            }
            Event::Resume => {
                let n = self.some_monitor();
                self.monitors[n].paused = false;
            }
            Event::Leap => self.leap(),
            Event::Night => self.now += DIALS.night_ms,
        }
    }

    fn start(&mut self, role: Role) {
        if !self.store_is_lost {
            self.register(role);
        }
    }

    fn register(&mut self, role: Role) -> MachineId {
        self.incarnations += 1;
        let id = MachineId(format!("{role}-{}", self.incarnations).into());
        let (state, heartbeat_at, phase) = (MachineState::Alive, self.now, self.incarnations);
        self.machines.push(Row { id: id.clone(), role, state, heartbeat_at, lives: true, phase });
        id
    }

    /// Its first heartbeat is immediate: before that, no monitor can see that it is alive.
    fn recover_some_machine(&mut self) {
        let now = self.now;
        if self.store_is_lost || self.broker_lost_since.is_some() {
            return;
        }
        self.some_machine(|machine| {
            if machine.state != MachineState::Dead {
                (machine.lives, machine.heartbeat_at) = (true, now);
            }
        });
    }

    /// Of any role: an operator may drain a monitor too.
    fn drain_some_machine(&mut self) {
        if !self.machines.is_empty() && !self.store_is_lost {
            let at = self.below(self.machines.len() as u64) as usize;
            let machine = &mut self.machines[at];
            machine.state = machine.state.max(MachineState::Draining);
        }
    }

    fn some_machine_leaves(&mut self) {
        let mut leaves = None;
        self.some_machine(|machine| leaves = Some(machine.id.clone()));
        if !self.store_is_lost {
            self.machines.retain(|machine| Some(&machine.id) != leaves.as_ref());
        }
    }

    /// A host or an edge.
    fn some_machine(&mut self, change: impl FnOnce(&mut Row)) {
        let mut others: Vec<&mut Row> = self.machines.iter_mut().filter(|row| row.role != Role::Monitor).collect();
        if !others.is_empty() {
            let at = (self.dice.next_u64() % others.len() as u64) as usize;
            change(others[at]);
        }
    }

    fn some_monitor(&mut self) -> usize {
        self.below(self.monitors.len() as u64) as usize
    }

    fn pause(&mut self, n: usize) {
        self.monitors[n].paused = true;
        let id = &self.monitors[n].id;
        self.machines.iter_mut().filter(|row| row.id == *id).for_each(|row| row.lives = false);
    }

    /// The database's clock alone: the other clocks are ahead of it by less.
    fn leap(&mut self) {
        if self.leapt_at.is_some_and(|leapt| self.now < leapt + DIALS.leap_pause_ms) {
            return;
        }
        self.now += DIALS.leap_ms;
        self.leapt_at = Some(self.now);
        for monitor in &mut self.monitors {
            monitor.ahead -= DIALS.leap_ms;
        }
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
        if !matches!(output, Output::Heartbeat | Output::AcquireLease | Output::ReadTables | Output::Notice(_)) {
            self.must_hold_the_lease(n, &output)?;
        }
        match output {
            Output::Notice(notice) => self.count(notice),
            Output::MayLeave { host } => self.may_leave(&host)?,
            Output::DropSessionsOf { edge } => self.drop_sessions_of(n, edge)?,
            Output::CleanUp { machine, .. } => self.clean_up(n, machine)?,
            _ if self.store_is_lost => return Ok(Some(Input::StoreLost)),
            Output::Heartbeat => return Ok(self.heartbeat_of(n)),
            Output::AcquireLease => return Ok(Some(self.acquire_lease(n))),
            Output::ReadTables => return Ok(Some(Input::View(self.view()))),
            Output::DeclareDead { machine, .. } => return self.declare_dead(&machine).map(Some),
            Output::Assign(plan) => return self.assign(n, plan).map(Some),
        }
        Ok(None)
    }

    /// The database's clock decides. After that was set forward, a lease is over before its holder can see that.
    fn must_hold_the_lease(&self, n: usize, output: &Output) -> Result<(), Violation> {
        let has_leapt = self.leapt_at.is_some_and(|leapt| self.now < leapt + Limits::default().lease_ms);
        match self.holds_the_lease(n) || has_leapt {
            true => Ok(()),
            false => Err(self.violation(format!("{} acts without the lease: {output:?}", self.monitors[n].id))),
        }
    }

    fn holds_the_lease(&self, n: usize) -> bool {
        self.lease.as_ref().is_some_and(|(holder, until)| *holder == self.monitors[n].id && self.now < *until)
    }

    fn count(&mut self, notice: Notice) {
        match notice {
            Notice::Active => self.report.activations += 1,
            Notice::GracePeriod { .. } => self.report.grace_periods += 1,
            Notice::Standby | Notice::BrokerLost { .. } | Notice::NoHosts { .. } | Notice::HostsAgain => {}
        }
    }

    // ---- the store ----

    /// A monitor that was drained or declared dead leaves, and another is started in its place.
    fn heartbeat_of(&mut self, n: usize) -> Option<Input> {
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

    fn new_monitor(&mut self, ahead: u64) -> Monitor {
        let id = self.register(Role::Monitor);
        let placement = Placement::new(id.clone(), Limits::default(), Time(self.now + ahead));
        Monitor { id, placement, paused: false, answer: None, ahead }
    }

    fn acquire_lease(&mut self, n: usize) -> Input {
        let (id, sent_at) = (self.monitors[n].id.clone(), self.clock_of(n));
        let held = self.lease.as_ref().is_none_or(|(holder, until)| *holder == id || *until <= self.now);
        if held {
            self.lease = Some((id, self.now + Limits::default().lease_ms));
        }
        Input::Lease { held, sent_at }
    }

    fn view(&self) -> View {
        let machine = |row: &Row| Machine {
            id: row.id.clone(),
            role: row.role,
            state: row.state,
            silent_ms: self.now - row.heartbeat_at,
        };
        View { machines: self.machines.iter().map(machine).collect(), partitions: self.partitions.clone() }
    }

    /// Refused if the machine has sent a heartbeat since.
    fn declare_dead(&mut self, id: &MachineId) -> Result<Input, Violation> {
        let now = self.now;
        let Some(row) = self.machines.iter_mut().find(|row| row.id == *id) else { return Ok(Input::Done) };
        if row.state == MachineState::Dead {
            return Ok(Input::Done);
        }
        if now - row.heartbeat_at <= Limits::default().dead_after_ms {
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

    /// All from the epochs before, or none; and only under the lease.
    fn assign(&mut self, n: usize, plan: Vec<Assignment>) -> Result<Input, Violation> {
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

    // ---- dead and draining machines ----

    fn may_leave(&self, host: &MachineId) -> Result<(), Violation> {
        match self.view().is_host(host) {
            true => Err(self.violation(format!("{host} may leave, and has partitions"))),
            false => Ok(()),
        }
    }

    fn drop_sessions_of(&mut self, n: usize, machine: MachineId) -> Result<(), Violation> {
        if self.machines.iter().any(|row| row.id == machine && row.state != MachineState::Dead) {
            return Err(self.violation(format!("{machine} was not declared dead, and its sessions are dropped")));
        }
        let succeeded = !self.store_is_lost && self.broker_lost_since.is_none() && !self.one_in(DIALS.failed_work);
        if succeeded {
            self.report.reaped += 1;
            self.reaped.insert(machine.clone());
        }
        self.handle(n, Input::WorkEnded { machine, succeeded });
        Ok(())
    }

    fn clean_up(&mut self, n: usize, machine: MachineId) -> Result<(), Violation> {
        if self.view().is_host(&machine) {
            return Err(self.violation(format!("{machine} has partitions, and its row is deleted")));
        }
        let row = self.machines.iter().find(|row| row.id == machine);
        if row.is_some_and(|row| row.role == Role::Edge && !self.reaped.contains(&machine)) {
            return Err(self.violation(format!("{machine} has sessions, and its row is deleted")));
        }
        let succeeded = !self.store_is_lost;
        if succeeded {
            self.report.cleaned += 1;
            self.machines.retain(|row| row.id != machine);
        }
        self.handle(n, Input::WorkEnded { machine, succeeded });
        Ok(())
    }

    // ---- the end ----

    /// After some time without faults every partition has a host, load is even, every machine that is silent was declared dead,
    /// and the sessions of dead edges are dropped.
    fn settle(&mut self) -> Result<(), Violation> {
        (self.settling, self.store_is_lost, self.broker_lost_since) = (true, false, None);
        self.monitors.iter_mut().for_each(|monitor| monitor.paused = false);
        self.start(Role::Host);
        for _ in 0..DIALS.settling {
            self.step()?;
        }
        let is_up = |row: &&Row| row.role == Role::Host && row.lives && row.state == MachineState::Alive;
        let load =
            |host: &Row| self.partitions.iter().filter(|partition| partition.host.as_ref() == Some(&host.id)).count();
        let loads: Vec<usize> = self.machines.iter().filter(is_up).map(load).collect();
        if loads.iter().sum::<usize>() != self.partitions.len() {
            return Err(self.violation(format!("of {} partitions some have no host: {loads:?}", self.partitions.len())));
        }
        if loads.iter().max().zip(loads.iter().min()).is_some_and(|(max, min)| max - min > 1) {
            return Err(self.violation(format!("the load is not even: {loads:?}")));
        }
        let unnoticed = |row: &&Row| !row.lives && row.state != MachineState::Dead;
        if let Some(row) = self.machines.iter().find(unnoticed) {
            return Err(self.violation(format!("{} is silent, and was not declared dead", row.id)));
        }
        let is_left = |row: &&Row| row.role == Role::Edge && row.state == MachineState::Dead;
        match self.machines.iter().filter(is_left).find(|row| !self.reaped.contains(&row.id)) {
            Some(row) => Err(self.violation(format!("the sessions of {} were not dropped", row.id))),
            None => Ok(()),
        }
    }
}
