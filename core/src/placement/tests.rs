//! Stories of a monitor. The story has the tables: the monitor's decisions are written to them, as its shell would.

use super::*;

const OWN: &str = "monitor-1";
/// How often the tables are read.
const BEAT: u64 = 1_000;

// ---- hosts ----

#[test]
fn the_first_host_gets_all_partitions_and_the_second_half_of_them() {
    let mut story = Story::in_charge(6);
    story.join(Role::Host, "host-1");
    story.beat();
    assert_eq!(story.load(), [("host-1", 6)]);
    story.join(Role::Host, "host-2");
    assert_eq!(story.beat(), ["3 -> host-2 @2", "4 -> host-2 @2", "5 -> host-2 @2"]);
    assert_eq!(story.beat(), [""; 0], "and there it rests");
}

#[test]
fn a_third_host_takes_as_little_as_makes_it_even() {
    let mut story = Story::in_charge(7).with_hosts(2);
    assert_eq!(story.load(), [("host-1", 4), ("host-2", 3)]);
    story.join(Role::Host, "host-3");
    assert_eq!(story.beat().len(), 2, "7 = 3 + 2 + 2: one of four, one of three");
    assert_eq!(story.load(), [("host-1", 3), ("host-2", 2), ("host-3", 2)]);
}

#[test]
fn a_silent_host_is_declared_dead_and_its_partitions_move_in_the_same_breath() {
    let mut story = Story::in_charge(4).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(10_000);
    assert_eq!(story.beat(), ["host-2 is dead after 11000 ms", "1 -> host-1 @2", "3 -> host-1 @2"]);
    assert_eq!(story.beat(), [""; 0]);
}

#[test]
fn a_machine_that_was_silent_for_just_its_lease_still_lives() {
    let mut story = Story::in_charge(2).with_hosts(1);
    story.goes_silent("host-1");
    story.wait(9_000);
    assert_eq!(story.beat(), [""; 0]);
}

#[test]
fn who_was_declared_dead_and_speaks_again_stays_dead() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(11_000);
    story.beat();
    story.speaks_again("host-2");
    assert_eq!(story.beat(), [""; 0]);
    assert_eq!(story.load(), [("host-1", 2)]);
}

#[test]
fn a_draining_host_hands_over_first_and_may_leave_then() {
    let mut story = Story::in_charge(4).with_hosts(2);
    story.set("host-1", MachineState::Draining);
    assert_eq!(story.beat(), ["0 -> host-2 @2", "2 -> host-2 @2"]);
    assert_eq!(story.beat(), ["host-1 may leave"]);
    assert_eq!(story.beat(), [""; 0], "that is said once");
}

#[test]
fn a_host_that_drains_alone_keeps_its_partitions_until_another_one_comes() {
    let mut story = Story::in_charge(2).with_hosts(1);
    story.set("host-1", MachineState::Draining);
    assert_eq!(story.beat(), ["no hosts for 2 partitions"]);
    assert_eq!(story.beat(), [""; 0], "that is said once");
    story.join(Role::Host, "host-2");
    assert_eq!(story.beat(), ["hosts again", "0 -> host-2 @2", "1 -> host-2 @2"]);
    assert_eq!(story.beat(), ["host-1 may leave"]);
}

#[test]
fn without_hosts_partitions_stay_with_their_last_one_and_wait() {
    let mut story = Story::in_charge(2).with_hosts(1);
    story.goes_silent("host-1");
    story.wait(11_000);
    assert_eq!(story.beat(), ["host-1 is dead after 12000 ms", "no hosts for 2 partitions"]);
    assert_eq!(story.load(), [("host-1", 2)]);
    story.wait(7 * 3_600_000);
    assert_eq!(story.beat(), [""; 0], "its row is kept: it says where the partitions were");
    story.join(Role::Host, "host-2");
    story.beat();
    assert_eq!(story.load(), [("host-2", 2)]);
    assert_eq!(story.beat(), ["clean up host host-1"]);
}

#[test]
fn a_host_that_has_left_leaves_no_partition_behind() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.tables.machines.retain(|machine| &*machine.id.0 != "host-2");
    assert_eq!(story.beat(), ["1 -> host-1 @2"]);
}

// ---- edges ----

#[test]
fn the_rooms_of_a_dead_edge_are_told_once() {
    let mut story = Story::in_charge(0);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.wait(11_000);
    assert_eq!(story.beat(), ["edge-1 is dead after 12000 ms", "drop sessions of edge-1"]);
    assert_eq!(story.beat(), [""; 0], "it is being done");
    story.worked("edge-1", true);
    assert_eq!(story.beat(), [""; 0], "it is done");
}

#[test]
fn what_could_not_be_told_is_tried_again() {
    let mut story = Story::in_charge(0);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.wait(11_000);
    story.beat();
    story.worked("edge-1", false);
    assert_eq!(story.beat(), ["drop sessions of edge-1"]);
}

#[test]
fn a_successor_tells_the_rooms_of_the_dead_once_more() {
    let mut story = Story::in_charge(0);
    story.join(Role::Edge, "edge-1");
    story.set("edge-1", MachineState::Dead);
    assert_eq!(story.beat(), ["drop sessions of edge-1"], "nobody knows how far the one before has come");
}

#[test]
fn a_whole_site_is_reaped_a_few_at_a_time() {
    let mut story = Story::in_charge(0);
    let edges: Vec<String> = (0..WORK_AT_ONCE + 3).map(|n| format!("edge-{n:02}")).collect();
    edges.iter().for_each(|edge| story.join(Role::Edge, edge));
    edges.iter().for_each(|edge| story.set(edge, MachineState::Dead));
    assert_eq!(story.beat().len(), WORK_AT_ONCE);
    story.worked("edge-00", true);
    assert_eq!(story.beat(), [format!("drop sessions of edge-{:02}", WORK_AT_ONCE)]);
}

#[test]
fn the_dead_are_cleaned_up_after_hours_and_not_before_their_rooms_are_told() {
    let mut story = Story::in_charge(0);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.wait(7 * 3_600_000);
    assert_eq!(story.beat(), ["edge-1 is dead after 25201000 ms", "drop sessions of edge-1"]);
    assert_eq!(story.beat(), [""; 0]);
    story.worked("edge-1", true);
    assert_eq!(story.beat(), ["clean up edge edge-1"]);
}

#[test]
fn a_zombie_is_not_cleaned_up_while_it_speaks() {
    let mut story = Story::in_charge(0);
    story.join(Role::Monitor, "monitor-2");
    story.set("monitor-2", MachineState::Dead);
    story.wait(7 * 3_600_000);
    assert_eq!(story.beat(), [""; 0]);
    story.goes_silent("monitor-2");
    story.wait(7 * 3_600_000);
    assert_eq!(story.beat(), ["clean up monitor monitor-2"]);
}

// ---- the monitor itself ----

#[test]
fn without_the_lease_it_does_nothing_at_all() {
    let mut story = Story::begin(4);
    story.join(Role::Host, "host-1");
    story.lease(false);
    assert_eq!(story.beat(), ["patient for 10000 ms after started"]);
    story.wait(60_000);
    assert_eq!(story.view(), [""; 0]);
    assert_eq!(story.load(), []);
}

#[test]
fn a_lease_is_over_by_its_own_clock_too() {
    let mut story = Story::in_charge(4);
    for _ in 0..9 {
        story.pass(BEAT);
        assert_eq!(story.view(), [""; 0]);
    }
    story.pass(BEAT);
    story.join(Role::Host, "host-1");
    assert_eq!(story.view(), [""; 0], "it was not renewed");
    story.lease(true);
    assert_eq!(story.view().len(), 5, "four partitions, and the news that there is a host");
}

#[test]
fn a_standby_acts_when_it_gets_the_lease_and_says_so() {
    let mut story = Story::begin(2);
    story.join(Role::Host, "host-1");
    story.lease(false);
    story.beat();
    story.lease(true);
    assert_eq!(story.view(), ["in charge", "0 -> host-1 @1", "1 -> host-1 @1"]);
    story.lease(false);
    assert_eq!(story.beat(), ["standby"]);
}

#[test]
fn a_standby_that_was_in_touch_all_along_need_not_wait_to_judge() {
    let mut story = Story::begin(2).with_hosts(2);
    story.holds = false;
    for _ in 0..20 {
        story.beat();
    }
    story.goes_silent("host-2");
    story.wait(11_000);
    story.holds = true;
    assert_eq!(story.beat()[..2], ["in charge", "host-2 is dead after 12000 ms"]);
}

#[test]
fn whoever_was_cut_off_from_the_store_judges_nobody_for_a_while() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.is_gone(Input::StoreLost, 30_000);
    assert_eq!(story.beat(), ["patient for 10000 ms after store"], "all were silent, since nobody could be heard");
    story.speaks_again("host-1");
    story.goes_silent("host-2");
    for _ in 0..9 {
        assert_eq!(story.beat(), [""; 0]);
    }
    assert_eq!(story.beat()[0], "host-2 is dead after 41000 ms");
}

#[test]
fn a_lost_broker_is_not_reported_as_a_lost_store() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.is_gone(Input::BrokerLost, 30_000);
    assert_eq!(story.beat(), ["patient for 10000 ms after broker"]);
    story.is_gone(Input::StoreLost, 30_000);
    assert_eq!(story.beat(), ["patient for 10000 ms after store"]);
}

#[test]
fn whoever_was_paused_judges_nobody_for_a_while() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.goes_silent("host-2");
    story.now = story.now.plus(40_000);
    assert_eq!(story.beat(), ["patient for 10000 ms after paused"]);
}

#[test]
fn a_leap_of_the_databases_clock_kills_nobody_and_who_stays_silent_is_dead_all_the_same() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.beat();
    story.goes_silent("host-2");
    // All machines have sent a heartbeat before the leap, and none after it.
    story.tables.machines.iter_mut().for_each(|machine| machine.silent_ms += 3_600_000);
    assert_eq!(story.view(), ["patient for 10000 ms after leap"]);
    story.wait(8_000);
    assert_eq!(story.beat(), [] as [&str; 0]);
    story.wait(1_000);
    assert!(story.beat().iter().any(|said| said.starts_with("host-2 is dead after")));
}

#[test]
fn a_clock_that_went_back_is_no_clock_to_judge_by() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(9_000);
    story.now = Time(story.now.0 - 5_000);
    assert_eq!(story.beat(), ["patient for 10000 ms after paused"]);
}

#[test]
fn while_it_must_not_judge_orphans_find_a_home_but_nothing_else_moves() {
    let mut story = Story::in_charge(4).with_hosts(2);
    story.is_gone(Input::StoreLost, 30_000);
    story.speaks_again("host-1");
    story.join(Role::Host, "host-3");
    story.set("host-1", MachineState::Draining);
    let moves = story.beat();
    assert_eq!(
        moves,
        ["patient for 10000 ms after store", "0 -> host-3 @2", "2 -> host-3 @2"],
        "host-2 keeps what it has"
    );
}

#[test]
fn after_a_failure_what_was_still_to_be_done_is_planned_anew() {
    let mut story = Story::in_charge(2).with_hosts(1);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.goes_silent("host-1");
    story.join(Role::Host, "host-2");
    story.wait(11_000);
    story.now = story.now.plus(BEAT);
    story.lease(true);
    story.monitor.handle(Input::View(story.tables.clone()), story.now);
    assert!(matches!(story.monitor.poll_output(story.now), Some(Output::DeclareDead { .. })));
    story.monitor.handle(Input::StoreLost, story.now);
    assert_eq!(story.monitor.poll_output(story.now), None);
    story.set("edge-1", MachineState::Dead);
    let again = story.beat();
    assert!(again.contains(&"drop sessions of edge-1".to_owned()), "{again:?}");
}

#[test]
fn whoever_was_heard_in_the_last_moment_loses_nothing() {
    let mut story = Story::in_charge(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(11_000);
    story.monitor.handle(Input::View(story.tables.clone()), story.now);
    assert!(matches!(story.monitor.poll_output(story.now), Some(Output::DeclareDead { .. })));
    story.monitor.handle(Input::Refused, story.now);
    assert_eq!(story.monitor.poll_output(story.now), None);
    story.speaks_again("host-2");
    assert_eq!(story.beat(), [""; 0]);
}

#[test]
fn what_was_decided_under_a_lease_that_is_over_is_not_done() {
    let mut story = Story::in_charge(2);
    story.join(Role::Host, "host-1");
    story.lease(true);
    story.monitor.handle(Input::View(story.tables.clone()), story.now);
    let late = story.monitor.poll_output(story.now.plus(10_000));
    assert_eq!(late, Some(Output::Notice(Notice::HostsAgain)), "it was paused in between");
    assert_eq!(story.monitor.poll_output(story.now.plus(10_000)), None);
}

#[test]
fn nobody_judges_himself() {
    let mut story = Story::in_charge(0);
    story.join(Role::Monitor, OWN);
    story.goes_silent(OWN);
    story.wait(60_000);
    assert_eq!(story.beat(), [""; 0]);
}

// ---- helpers ----

struct Story {
    monitor: Placement,
    tables: View,
    silent: BTreeSet<MachineId>,
    /// Whether the store gives the monitor the lease.
    holds: bool,
    leased_at: Time,
    now: Time,
}

impl Story {
    fn begin(partitions: u32) -> Story {
        let row = |partition| Partition { partition, host: None, epoch: 0, checkpoint: 0 };
        Story {
            monitor: Placement::new(id(OWN), Limits::default()),
            tables: View { machines: vec![], partitions: (0..partitions).map(row).collect() },
            silent: BTreeSet::new(),
            holds: true,
            leased_at: Time(0),
            now: Time(1_000_000),
        }
    }

    /// A monitor that may declare machines dead.
    fn in_charge(partitions: u32) -> Story {
        let mut story = Story::begin(partitions);
        story.beat();
        story.wait(10_000);
        story
    }

    fn with_hosts(mut self, hosts: u32) -> Story {
        for host in 1..=hosts {
            self.join(Role::Host, &format!("host-{host}"));
        }
        self.beat();
        self
    }

    fn join(&mut self, role: Role, name: &str) {
        self.tables.machines.push(Machine { id: id(name), role, state: MachineState::Alive, silent_ms: 0 });
    }

    fn goes_silent(&mut self, name: &str) {
        self.silent.insert(id(name));
    }

    fn speaks_again(&mut self, name: &str) {
        self.silent.remove(&id(name));
    }

    fn set(&mut self, name: &str, state: MachineState) {
        let machine = self.tables.machines.iter_mut().find(|machine| machine.id == id(name));
        machine.expect("it has joined").state = state;
    }

    fn lease(&mut self, held: bool) {
        self.holds = held;
        self.leased_at = self.now;
        self.monitor.handle(Input::Lease { held, asked: self.now }, self.now);
    }

    fn worked(&mut self, name: &str, done: bool) {
        self.monitor.handle(Input::Worked { machine: id(name), done }, self.now);
    }

    /// The next round of the loop, and its outputs.
    fn beat(&mut self) -> Vec<String> {
        self.pass(BEAT);
        self.lease(self.holds);
        self.view()
    }

    /// The loop runs for this long with nothing but time passing: no view is read.
    fn wait(&mut self, ms: u64) {
        for _ in 0..ms / BEAT {
            self.pass(BEAT);
            self.lease(self.holds);
        }
    }

    /// The store or the broker is lost, as given by `lost`, for this long.
    fn is_gone(&mut self, lost: Input, ms: u64) {
        self.monitor.handle(lost, self.now);
        self.now = self.now.plus(ms);
        self.tables.machines.iter_mut().for_each(|machine| machine.silent_ms += ms);
        self.silent.extend(self.tables.machines.iter().map(|machine| machine.id.clone()));
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        for machine in &mut self.tables.machines {
            machine.silent_ms = if self.silent.contains(&machine.id) { machine.silent_ms + ms } else { 0 };
        }
    }

    fn view(&mut self) -> Vec<String> {
        self.monitor.handle(Input::View(self.tables.clone()), self.now);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.monitor.poll_output(self.now)).collect();
        outputs.iter().flat_map(|output| self.carry_out(output)).collect()
    }

    fn carry_out(&mut self, output: &Output) -> Vec<String> {
        match output {
            Output::Assign(plan) => plan.iter().map(|assignment| self.assign(assignment)).collect(),
            other => vec![self.carry_out_one(other)],
        }
    }

    fn assign(&mut self, Assignment { partition, host, epoch }: &Assignment) -> String {
        let row = &mut self.tables.partitions[*partition as usize];
        assert_eq!(row.epoch + 1, *epoch);
        (row.host, row.epoch) = (Some(host.clone()), *epoch);
        format!("{partition} -> {host} @{epoch}")
    }

    fn carry_out_one(&mut self, output: &Output) -> String {
        match output {
            Output::DeclareDead { machine, silent_ms } => {
                self.set(&machine.0, MachineState::Dead);
                format!("{machine} is dead after {silent_ms} ms")
            }
            Output::Assign(_) => unreachable!("it has many"),
            Output::MayLeave { host } => format!("{host} may leave"),
            Output::DropSessionsOf { edge } => format!("drop sessions of {edge}"),
            Output::CleanUp { machine, role } => format!("clean up {role} {machine}"),
            Output::Notice(Notice::InCharge) => "in charge".into(),
            Output::Notice(Notice::Standby) => "standby".into(),
            Output::Notice(Notice::Patient { after, for_ms }) => {
                let blind = format!("{after:?}").to_lowercase();
                format!("patient for {for_ms} ms after {blind}")
            }
            Output::Notice(Notice::NoHosts { partitions }) => format!("no hosts for {partitions} partitions"),
            Output::Notice(Notice::HostsAgain) => "hosts again".into(),
        }
    }

    /// The number of partitions of each host that has some.
    fn load(&self) -> Vec<(&str, usize)> {
        let mut loads: BTreeMap<&str, usize> = BTreeMap::new();
        for host in self.tables.partitions.iter().filter_map(|partition| partition.host.as_ref()) {
            *loads.entry(&host.0).or_default() += 1;
        }
        loads.into_iter().collect()
    }
}

fn id(name: &str) -> MachineId {
    MachineId(name.into())
}
