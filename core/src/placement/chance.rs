//! Random worlds: hosts and edges start, fall silent, drain and leave; the store is lost and recovers; two monitors share a
//! lease, are paused, and act late on old views. The promises of [`super`] hold in all of them.
//!
//! A failure names its seed: `SEED=<n> cargo test -p chorus-core placement::chance` runs that one alone.

use super::{plan::plan, *};

const SEEDS: u64 = 400;
const STEPS: usize = 300;
/// How often monitors read the tables.
const BEAT: u64 = 1_000;
/// A machine sends a heartbeat in one of this many beats, not all in the same.
const PHASES: u64 = 3;

#[test]
fn in_random_worlds_the_promises_hold() {
    // A test's own dial, not the machine's: the one seed that a failure has named.
    #[allow(clippy::disallowed_methods)]
    let one = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().expect("SEED is a number"));
    for seed in one.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.settle();
    }
}

#[test]
fn no_plan_that_is_even_moves_fewer() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let hosts: Vec<MachineId> = (0..1 + random.below(5)).map(|n| MachineId(format!("host-{n}").into())).collect();
        let mut owner = |partition| {
            let host = random.below(hosts.len() as u64 + 2) as usize;
            Partition { partition, host: hosts.get(host).cloned(), epoch: 3, checkpoint: 0 }
        };
        let partitions: Vec<Partition> = (0..12).map(&mut owner).collect();
        let up: Vec<&MachineId> = hosts.iter().collect();
        let moves = plan(&partitions, &up, &BTreeSet::new()).moves;
        assert_eq!(moves.len(), fewest_moves(&partitions, &hosts), "{partitions:?}");
        let after = apply(&partitions, &moves);
        assert_even(&loads(&after, &hosts));
    }
}

/// By trying every choice of the hosts that have one more.
fn fewest_moves(partitions: &[Partition], hosts: &[MachineId]) -> usize {
    let loads = loads(partitions, hosts);
    let homeless = partitions.len() - loads.iter().sum::<usize>();
    let (share, extra) = (partitions.len() / hosts.len(), partitions.len() % hosts.len());
    let ways = (0u32..1 << hosts.len()).filter(|way| way.count_ones() as usize == extra);
    let surplus = |way: u32| {
        let above = |(place, load): (usize, &usize)| load.saturating_sub(share + (way >> place & 1) as usize);
        loads.iter().enumerate().map(above).sum::<usize>()
    };
    homeless + ways.map(surplus).min().expect("there is always one way")
}

fn loads(partitions: &[Partition], hosts: &[MachineId]) -> Vec<usize> {
    let of = |host: &MachineId| partitions.iter().filter(|partition| partition.host.as_ref() == Some(host)).count();
    hosts.iter().map(of).collect()
}

fn apply(partitions: &[Partition], moves: &[Assignment]) -> Vec<Partition> {
    let mut after = partitions.to_vec();
    for Assignment { partition, host, epoch } in moves {
        let row = &mut after[*partition as usize];
        (row.host, row.epoch) = (Some(host.clone()), *epoch);
    }
    after
}

fn assert_even(loads: &[usize]) {
    let (least, most) = (loads.iter().min(), loads.iter().max());
    assert!(most.zip(least).is_none_or(|(most, least)| most - least <= 1), "{loads:?}");
}

/// Everything but the monitors' shells.
struct World {
    seed: u64,
    random: Random,
    /// The database's clock.
    clock: u64,
    /// No machine reaches the store.
    store_is_gone: bool,
    machines: Vec<Living>,
    partitions: Vec<Partition>,
    /// The monitor that holds the lease, and until when.
    lease: Option<(usize, u64)>,
    monitors: Vec<Shell>,
    /// Every assignment that the store has ever accepted.
    history: BTreeMap<(u32, u64), MachineId>,
    born: u64,
}

struct Living {
    id: MachineId,
    role: Role,
    state: MachineState,
    heard: u64,
    /// It sends heartbeats when it can.
    lives: bool,
    phase: u64,
}

struct Shell {
    machine: Placement,
    paused: bool,
    /// Its clock's difference from the database's.
    skew: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let partition = |partition| Partition { partition, host: None, epoch: 0, checkpoint: 0 };
        let shell = |n: u64| Shell {
            machine: Placement::new(MachineId(format!("monitor-{n}").into()), Limits::default()),
            paused: false,
            skew: n * 1_000_000,
        };
        World {
            seed,
            clock: 1_000_000,
            store_is_gone: false,
            machines: Vec::new(),
            partitions: (0..1 + random.below(20) as u32).map(partition).collect(),
            lease: None,
            monitors: vec![shell(0), shell(1)],
            history: BTreeMap::new(),
            born: 0,
            random,
        }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0 | 1 => self.birth(Role::Host),
            2 => self.birth(Role::Edge),
            3 => self.some_machine(|machine| machine.lives = false),
            4 => self.some_machine(|machine| machine.state = machine.state.max(MachineState::Draining)),
            5 => self.some_machine_leaves(),
            6 => self.some_machine_wakes(),
            7 => self.store_is_gone = true,
            8..=10 => self.store_is_gone = false,
            11 => self.some_monitor(|monitor| monitor.paused = true),
            12..=14 => self.some_monitor(|monitor| monitor.paused = false),
            15 => self.clock += 6 * 3_600_000 * self.random.below(2),
            _ => {}
        }
        self.beat();
    }

    fn beat(&mut self) {
        self.clock += BEAT;
        if !self.store_is_gone {
            let clock = self.clock;
            let speaks = |machine: &&mut Living| machine.lives && (clock / BEAT + machine.phase).is_multiple_of(PHASES);
            self.machines.iter_mut().filter(speaks).for_each(|machine| machine.heard = clock);
        }
        for monitor in 0..self.monitors.len() {
            self.turn(monitor);
        }
    }

    /// One round of a monitor's loop.
    fn turn(&mut self, n: usize) {
        if self.monitors[n].paused {
            return;
        }
        // It may have been paused before it had carried out its decisions.
        self.carry_out(n);
        if self.store_is_gone {
            return self.tell(n, Input::StoreLost);
        }
        let held = self.take_lease(n);
        self.tell(n, Input::Lease { held, asked: self.now(n) });
        self.tell(n, Input::View(self.view()));
        match self.random.below(10) {
            0 => self.monitors[n].paused = true,
            _ => self.carry_out(n),
        }
    }

    fn tell(&mut self, n: usize, input: Input) {
        let now = self.now(n);
        self.monitors[n].machine.handle(input, now);
    }

    fn now(&self, n: usize) -> Time {
        Time(self.clock + self.monitors[n].skew)
    }

    fn take_lease(&mut self, n: usize) -> bool {
        let free = self.lease.is_none_or(|(holder, until)| holder == n || until <= self.clock);
        if free {
            self.lease = Some((n, self.clock + Limits::default().lease_ms));
        }
        free
    }

    fn view(&self) -> View {
        let row = |Living { id, role, state, heard, .. }: &Living| Machine {
            id: id.clone(),
            role: *role,
            state: *state,
            silent_ms: self.clock - heard,
        };
        View { machines: self.machines.iter().map(row).collect(), partitions: self.partitions.clone() }
    }

    fn carry_out(&mut self, n: usize) {
        let now = self.now(n);
        while let Some(output) = self.monitors[n].machine.poll_output(now) {
            let holds = self.lease.is_some_and(|(holder, until)| holder == n && self.clock < until);
            assert!(holds || matches!(output, Output::Notice(_)), "seed {}: it acts without the lease", self.seed);
            if self.store_is_gone {
                self.tell(n, Input::StoreLost);
            } else if !self.carry_out_one(n, output) {
                self.tell(n, Input::Refused);
            }
        }
    }

    /// Whether the store has not refused it.
    fn carry_out_one(&mut self, n: usize, output: Output) -> bool {
        match output {
            Output::DeclareDead { machine, .. } => return self.declare_dead(&machine),
            Output::Assign(plan) => return self.assign(plan),
            Output::DropSessionsOf { edge: machine } => {
                let state = self.machine(&machine).map(|edge| edge.state);
                assert!(state.is_none_or(|state| state == MachineState::Dead), "seed {}: {machine} lives", self.seed);
                let done = self.random.below(3) > 0;
                self.tell(n, Input::Worked { machine, done });
            }
            Output::CleanUp { machine, .. } => {
                assert!(!self.view().is_host(&machine), "seed {}", self.seed);
                self.machines.retain(|other| other.id != machine);
                self.tell(n, Input::Worked { machine, done: true });
            }
            Output::MayLeave { .. } | Output::Notice(_) => {}
        }
        true
    }

    /// As the store does it: refused if the machine has sent a heartbeat since. Returns whether it is dead.
    fn declare_dead(&mut self, id: &MachineId) -> bool {
        let (clock, seed) = (self.clock, self.seed);
        let Some(machine) = self.machines.iter_mut().find(|machine| machine.id == *id) else { return true };
        if machine.state != MachineState::Dead {
            if clock - machine.heard <= Limits::default().dead_after_ms {
                return false;
            }
            assert!(!machine.lives, "seed {seed}: {id} lives, and was declared dead");
            machine.state = MachineState::Dead;
        }
        true
    }

    /// As the store does it: all from the epochs before, or none.
    fn assign(&mut self, plan: Vec<Assignment>) -> bool {
        if plan.iter().any(|line| self.partitions[line.partition as usize].epoch + 1 != line.epoch) {
            return false;
        }
        for Assignment { partition, host, epoch } in &plan {
            let twice = self.history.insert((*partition, *epoch), host.clone());
            assert_eq!(twice, None, "seed {}: two hosts of {partition} at epoch {epoch}", self.seed);
        }
        self.partitions = apply(&self.partitions, &plan);
        true
    }

    /// After some time without faults, every partition has a host and every dead machine was declared dead.
    fn settle(&mut self) {
        self.store_is_gone = false;
        self.monitors.iter_mut().for_each(|monitor| monitor.paused = false);
        self.birth(Role::Host);
        for _ in 0..60 {
            self.beat();
            self.monitors.iter_mut().for_each(|monitor| monitor.paused = false);
        }
        let is_up =
            |machine: &&Living| machine.role == Role::Host && machine.lives && machine.state == MachineState::Alive;
        let hosts: Vec<MachineId> = self.machines.iter().filter(is_up).map(|host| host.id.clone()).collect();
        let loads = loads(&self.partitions, &hosts);
        assert_eq!(loads.iter().sum::<usize>(), self.partitions.len(), "seed {}: some have no host", self.seed);
        assert_even(&loads);
        let forgotten = |machine: &&Living| !machine.lives && machine.state != MachineState::Dead;
        assert_eq!(self.machines.iter().filter(forgotten).count(), 0, "seed {}: someone died unseen", self.seed);
    }

    fn birth(&mut self, role: Role) {
        self.born += 1;
        let id = MachineId(format!("{role}-{}", self.born).into());
        let (state, heard, phase) = (MachineState::Alive, self.clock, self.born);
        self.machines.push(Living { id, role, state, heard, lives: true, phase });
    }

    fn machine(&self, id: &MachineId) -> Option<&Living> {
        self.machines.iter().find(|machine| machine.id == *id)
    }

    fn some_machine(&mut self, change: impl FnOnce(&mut Living)) {
        if !self.machines.is_empty() {
            let at = self.random.below(self.machines.len() as u64) as usize;
            change(&mut self.machines[at]);
        }
    }

    /// Its first heartbeat is immediate, if the store is reachable: before that no monitor can see that it is alive.
    fn some_machine_wakes(&mut self) {
        let (clock, store_is_gone) = (self.clock, self.store_is_gone);
        self.some_machine(|zombie| {
            zombie.lives = true;
            zombie.heard = if store_is_gone { zombie.heard } else { clock };
        });
    }

    fn some_machine_leaves(&mut self) {
        if !self.machines.is_empty() {
            let at = self.random.below(self.machines.len() as u64) as usize;
            self.machines.remove(at);
        }
    }

    fn some_monitor(&mut self, change: impl FnOnce(&mut Shell)) {
        let at = self.random.below(self.monitors.len() as u64) as usize;
        change(&mut self.monitors[at]);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
