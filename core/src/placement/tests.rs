//! Stories of a monitor. The story has the tables: the monitor's decisions are written to them, as its shell would.

use super::*;

const OWN: &str = "monitor-1";
/// How often the tables are read.
const BEAT: u64 = 1_000;

// ---- hosts ----

#[test]
fn the_first_host_gets_all_partitions_and_the_second_half_of_them() {
    let mut story = Story::active(6);
    story.join(Role::Host, "host-1");
    story.beat();
    assert_eq!(story.load(), [("host-1", 6)]);
    story.join(Role::Host, "host-2");
    assert_eq!(story.beat(), ["3 -> host-2 @2", "4 -> host-2 @2", "5 -> host-2 @2"]);
    assert_eq!(story.beat(), [""; 0], "and there it stays");
}

#[test]
fn a_third_host_takes_as_little_as_makes_it_even() {
    let mut story = Story::active(7).with_hosts(2);
    assert_eq!(story.load(), [("host-1", 4), ("host-2", 3)]);
    story.join(Role::Host, "host-3");
    assert_eq!(story.beat().len(), 2, "7 = 3 + 2 + 2: one of four, one of three");
    assert_eq!(story.load(), [("host-1", 3), ("host-2", 2), ("host-3", 2)]);
}

#[test]
fn a_silent_host_is_declared_dead_and_its_partitions_move_in_the_same_view() {
    let mut story = Story::active(4).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(10_000);
    assert_eq!(story.beat(), ["host-2 is dead after 11000 ms", "1 -> host-1 @2", "3 -> host-1 @2"]);
    assert_eq!(story.beat(), [""; 0]);
}

#[test]
fn a_machine_that_was_silent_for_just_the_limit_is_alive() {
    let mut story = Story::active(2).with_hosts(1);
    story.goes_silent("host-1");
    story.wait(9_000);
    assert_eq!(story.beat(), [""; 0]);
}

#[test]
fn a_machine_that_was_declared_dead_stays_dead_when_it_sends_a_heartbeat_again() {
    let mut story = Story::active(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(11_000);
    story.beat();
    story.recovers("host-2");
    assert_eq!(story.beat(), [""; 0]);
    assert_eq!(story.load(), [("host-1", 2)]);
}

#[test]
fn a_draining_host_hands_over_first_and_may_leave_then() {
    let mut story = Story::active(4).with_hosts(2);
    story.set("host-1", MachineState::Draining);
    assert_eq!(story.beat(), ["0 -> host-2 @2", "2 -> host-2 @2"]);
    assert_eq!(story.beat(), ["host-1 may leave"]);
    assert_eq!(story.beat(), [""; 0], "that is reported once");
}

#[test]
fn a_release_that_was_dropped_with_a_refused_assignment_is_repeated() {
    let mut story = Story::active(4).with_hosts(2);
    story.set("host-1", MachineState::Draining);
    story.beat();
    story.join(Role::Host, "host-3");
    story.handle(Input::View(story.tables.clone()));
    assert!(matches!(story.monitor.poll_output(), Some(Output::Assign(_))));
    story.handle(Input::Refused);
    assert!(story.beat().contains(&"host-1 may leave".to_owned()));
}

#[test]
fn a_host_that_drains_alone_keeps_its_partitions_until_another_one_comes() {
    let mut story = Story::active(2).with_hosts(1);
    story.set("host-1", MachineState::Draining);
    assert_eq!(story.beat(), ["no hosts for 2 partitions"]);
    assert_eq!(story.beat(), [""; 0], "that is reported once");
    story.join(Role::Host, "host-2");
    assert_eq!(story.beat(), ["hosts again", "0 -> host-2 @2", "1 -> host-2 @2"]);
    assert_eq!(story.beat(), ["host-1 may leave"]);
}

#[test]
fn without_hosts_partitions_stay_with_their_last_one_and_wait() {
    let mut story = Story::active(2).with_hosts(1);
    story.goes_silent("host-1");
    story.wait(11_000);
    assert_eq!(story.beat(), ["host-1 is dead after 12000 ms", "no hosts for 2 partitions"]);
    assert_eq!(story.load(), [("host-1", 2)]);
    story.wait(7 * 3_600_000);
    assert_eq!(story.beat(), [""; 0], "its row is kept: the partitions refer to it");
    story.join(Role::Host, "host-2");
    story.beat();
    assert_eq!(story.load(), [("host-2", 2)]);
    assert_eq!(story.beat(), ["clean up host host-1"]);
}

#[test]
fn a_host_that_has_left_leaves_no_partition_behind() {
    let mut story = Story::active(2).with_hosts(2);
    story.tables.machines.retain(|machine| &*machine.id.0 != "host-2");
    assert_eq!(story.beat(), ["1 -> host-1 @2"]);
}

// ---- edges ----

#[test]
fn the_sessions_of_a_dead_edge_are_dropped_once() {
    let mut story = Story::active(0);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.wait(11_000);
    assert_eq!(story.beat(), ["edge-1 is dead after 12000 ms", "drop sessions of edge-1"]);
    assert_eq!(story.beat(), [""; 0], "it is being done");
    story.work_ended("edge-1", true);
    assert_eq!(story.beat(), [""; 0], "it is done");
}

#[test]
fn sessions_that_could_not_be_dropped_are_dropped_at_the_next_attempt() {
    let mut story = Story::active(0);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.wait(11_000);
    story.beat();
    story.work_ended("edge-1", false);
    assert_eq!(story.beat(), ["drop sessions of edge-1"]);
}

#[test]
fn a_successor_drops_the_sessions_of_a_dead_edge_once_more() {
    let mut story = Story::active(0);
    story.join(Role::Edge, "edge-1");
    story.set("edge-1", MachineState::Dead);
    assert_eq!(story.beat(), ["drop sessions of edge-1"], "how far the one before has come is not stored");
}

#[test]
fn a_whole_site_is_reaped_a_few_at_a_time() {
    let mut story = Story::active(0);
    let edges: Vec<String> = (0..MAX_CONCURRENT_WORK + 3).map(|n| format!("edge-{n:02}")).collect();
    edges.iter().for_each(|edge| story.join(Role::Edge, edge));
    edges.iter().for_each(|edge| story.set(edge, MachineState::Dead));
    assert_eq!(story.beat().len(), MAX_CONCURRENT_WORK);
    story.work_ended("edge-00", true);
    assert_eq!(story.beat(), [format!("drop sessions of edge-{:02}", MAX_CONCURRENT_WORK)]);
}

#[test]
fn work_that_goes_on_keeps_its_place_when_another_monitor_has_cleaned_up() {
    let mut story = Story::active(0);
    let edges: Vec<String> = (0..MAX_CONCURRENT_WORK + 1).map(|n| format!("edge-{n:02}")).collect();
    edges.iter().for_each(|edge| story.join(Role::Edge, edge));
    edges.iter().for_each(|edge| story.set(edge, MachineState::Dead));
    assert_eq!(story.beat().len(), MAX_CONCURRENT_WORK);
    story.tables.machines.remove(0);
    assert_eq!(story.beat(), [""; 0]);
    story.work_ended("edge-00", true);
    assert_eq!(story.beat(), [format!("drop sessions of edge-{:02}", MAX_CONCURRENT_WORK)]);
}

#[test]
fn a_dead_machine_is_cleaned_up_after_hours_and_not_before_its_sessions_are_dropped() {
    let mut story = Story::active(0);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.wait(7 * 3_600_000);
    assert_eq!(story.beat(), ["edge-1 is dead after 25201000 ms", "drop sessions of edge-1"]);
    assert_eq!(story.beat(), [""; 0]);
    story.work_ended("edge-1", true);
    assert_eq!(story.beat(), ["clean up edge edge-1"]);
}

#[test]
fn a_dead_machine_is_not_cleaned_up_while_it_sends_heartbeats() {
    let mut story = Story::active(0);
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
fn without_the_lease_a_monitor_changes_nothing() {
    let mut story = Story::begin(4);
    story.join(Role::Host, "host-1");
    story.lease(false);
    assert_eq!(story.beat(), ["grace period of 10000 ms: Started"]);
    story.wait(60_000);
    assert_eq!(story.view(), [""; 0]);
    assert_eq!(story.load(), []);
}

#[test]
fn a_lease_expires_by_the_monitors_own_clock_too() {
    let mut story = Story::active(4);
    for _ in 0..9 {
        story.pass(BEAT);
        assert_eq!(story.view(), [""; 0]);
    }
    story.pass(BEAT);
    story.join(Role::Host, "host-1");
    assert_eq!(story.view(), [""; 0], "it was not renewed");
    story.lease(true);
    assert_eq!(story.view().len(), 5, "four partitions, and the notice that there is a host");
}

#[test]
fn a_standby_acts_when_it_gets_the_lease_and_reports_that() {
    let mut story = Story::begin(2);
    story.join(Role::Host, "host-1");
    story.lease(false);
    story.beat();
    story.lease(true);
    assert_eq!(story.view(), ["active", "0 -> host-1 @1", "1 -> host-1 @1"]);
    story.lease(false);
    assert_eq!(story.beat(), ["standby"]);
}

#[test]
fn a_standby_that_was_never_interrupted_needs_no_grace_period() {
    let mut story = Story::begin(2).with_hosts(2);
    story.lease_is_free = false;
    for _ in 0..20 {
        story.beat();
    }
    story.goes_silent("host-2");
    story.wait(11_000);
    story.lease_is_free = true;
    assert_eq!(story.beat()[..2], ["active", "host-2 is dead after 12000 ms"]);
}

#[test]
fn after_a_loss_of_the_store_no_machine_is_declared_dead_in_the_grace_period() {
    let mut story = Story::active(2).with_hosts(2);
    story.store_is_lost(30_000);
    assert_eq!(story.beat(), ["grace period of 10000 ms: StoreLost"], "all were silent: no heartbeat could be written");
    story.recovers("host-1");
    story.goes_silent("host-2");
    for _ in 0..9 {
        assert_eq!(story.beat(), [""; 0]);
    }
    assert_eq!(story.beat()[0], "host-2 is dead after 41000 ms");
}

#[test]
fn a_monitor_that_is_cut_off_from_the_broker_declares_no_machine_dead_and_still_sends_its_heartbeat() {
    let mut story = Story::active(2).with_hosts(2);
    story.goes_silent("host-2");
    story.broker_is_up = false;
    for _ in 0..5 {
        assert_eq!(story.beat(), [""; 0], "it may be slow for a moment");
    }
    assert_eq!(story.beat(), ["broker lost for 6000 ms"]);
    assert_eq!(story.monitor.unreachable(), Some(Dependency::Broker));
    for _ in 0..20 {
        assert_eq!(story.beat(), [""; 0]);
    }
    assert_eq!(story.heartbeats, story.ticks);
    story.broker_is_up = true;
    assert_eq!(story.beat(), ["grace period of 10000 ms: BrokerLost"]);
    assert_eq!(story.monitor.unreachable(), None);
    story.wait(9_000);
    assert_eq!(story.beat()[0], "host-2 is dead after 37000 ms");
}

#[test]
fn a_loss_of_the_broker_that_is_over_before_the_next_tick_is_noticed() {
    let mut story = Story::active(2).with_hosts(2);
    story.broker_is_up = false;
    for _ in 0..4 {
        assert_eq!(story.beat(), [""; 0]);
    }
    story.pass(3_000);
    story.broker_is_up = true;
    assert_eq!(story.beat(), ["grace period of 10000 ms: BrokerLost"]);
}

#[test]
fn a_loss_of_the_broker_is_noticed_before_machines_are_declared_dead_by_a_late_view() {
    let mut story = Story::active(2).with_hosts(2);
    story.broker_is_up = false;
    story.goes_silent("host-2");
    for _ in 0..3 {
        assert_eq!(story.beat(), [""; 0]);
    }
    story.pass(BEAT);
    story.handle(Input::Tick);
    while story.monitor.poll_output() != Some(Output::ReadTables) {
        story.lease(true);
    }
    story.pass(4_000);
    assert_eq!(story.view(), ["broker lost for 8000 ms", "grace period of 10000 ms: BrokerLost"]);
}

#[test]
fn a_lost_broker_is_not_reported_as_a_lost_store() {
    let mut story = Story::active(2).with_hosts(2);
    story.broker_is_up = false;
    while story.beat().is_empty() {}
    story.store_is_lost(30_000);
    story.broker_is_up = true;
    assert_eq!(story.monitor.unreachable(), Some(Dependency::Store));
    assert_eq!(story.beat(), ["grace period of 10000 ms: StoreLost"]);
    assert_eq!(story.monitor.unreachable(), None);
}

#[test]
fn after_a_pause_no_machine_is_declared_dead_in_the_grace_period() {
    let mut story = Story::active(2).with_hosts(2);
    story.goes_silent("host-2");
    story.now = story.now.plus(40_000);
    assert_eq!(story.beat(), ["grace period of 10000 ms: Paused"]);
}

#[test]
fn a_leap_of_the_databases_clock_kills_no_machine_and_one_that_stays_silent_is_dead_all_the_same() {
    let mut story = Story::active(2).with_hosts(2);
    story.beat();
    story.goes_silent("host-2");
    // All machines have sent a heartbeat before the leap, and none after it.
    story.leap();
    assert_eq!(story.view(), ["grace period of 10000 ms: ClockLeap"]);
    story.wait(8_000);
    assert_eq!(story.beat(), [] as [&str; 0]);
    story.wait(1_000);
    assert!(story.beat().iter().any(|line| line.starts_with("host-2 is dead after")));
}

#[test]
fn a_leap_of_the_databases_clock_kills_no_machine_that_registered_since_the_last_view() {
    let mut story = Story::active(2).with_hosts(2);
    story.join(Role::Host, "host-3");
    story.leap();
    assert_eq!(story.view()[0], "grace period of 10000 ms: ClockLeap");
}

#[test]
fn a_leap_of_the_databases_clock_is_noticed_although_a_heartbeat_hides_it_in_the_silence() {
    let mut story = Story::active(2).with_hosts(1);
    story.leap();
    story.view();
    story.wait(11_000);
    story.leap();
    assert_eq!(story.view(), ["grace period of 10000 ms: ClockLeap"]);
}

#[test]
fn after_its_clock_was_set_back_a_monitor_declares_no_machine_dead() {
    let mut story = Story::active(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(9_000);
    story.now = Time(story.now.0 - 5_000);
    assert_eq!(story.beat(), ["grace period of 10000 ms: Paused"]);
}

#[test]
fn in_a_grace_period_partitions_without_a_host_get_one_and_no_other_moves() {
    let mut story = Story::active(4).with_hosts(2);
    story.store_is_lost(30_000);
    story.recovers("host-1");
    story.join(Role::Host, "host-3");
    story.set("host-1", MachineState::Draining);
    let moves = story.beat();
    assert_eq!(
        moves,
        ["grace period of 10000 ms: StoreLost", "0 -> host-3 @2", "2 -> host-3 @2"],
        "host-2 keeps what it has"
    );
}

#[test]
fn after_a_failure_the_remaining_outputs_are_decided_again() {
    let mut story = Story::active(2).with_hosts(1);
    story.join(Role::Edge, "edge-1");
    story.goes_silent("edge-1");
    story.goes_silent("host-1");
    story.join(Role::Host, "host-2");
    story.wait(12_000);
    story.handle(Input::View(story.tables.clone()));
    assert!(matches!(story.monitor.poll_output(), Some(Output::DeclareDead { .. })));
    story.handle(Input::StoreLost);
    assert_eq!(story.monitor.poll_output(), None);
    story.set("edge-1", MachineState::Dead);
    let again = story.beat();
    assert!(again.contains(&"drop sessions of edge-1".to_owned()), "{again:?}");
}

#[test]
fn a_host_whose_heartbeat_arrives_in_the_last_moment_loses_nothing() {
    let mut story = Story::active(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(11_000);
    story.handle(Input::View(story.tables.clone()));
    assert!(matches!(story.monitor.poll_output(), Some(Output::DeclareDead { .. })));
    story.handle(Input::Refused);
    assert_eq!(story.monitor.poll_output(), None);
    story.recovers("host-2");
    assert_eq!(story.beat(), [""; 0]);
}

#[test]
fn an_output_waits_for_the_answer_to_the_one_before() {
    let mut story = Story::active(2).with_hosts(2);
    story.goes_silent("host-2");
    story.wait(11_000);
    story.handle(Input::View(story.tables.clone()));
    assert!(matches!(story.monitor.poll_output(), Some(Output::DeclareDead { .. })));
    assert_eq!(story.monitor.poll_output(), None);
    story.handle(Input::BrokerAnswered { sent_at: story.now });
    assert_eq!(story.monitor.poll_output(), None, "that is no answer");
    story.handle(Input::Done);
    assert!(matches!(story.monitor.poll_output(), Some(Output::Assign(_))));
}

#[test]
fn what_was_decided_under_an_expired_lease_is_not_carried_out() {
    let mut story = Story::active(2);
    story.join(Role::Host, "host-1");
    story.lease(true);
    story.handle(Input::View(story.tables.clone()));
    story.pass(10_000);
    story.handle(Input::Tick);
    let outputs: Vec<String> = std::iter::from_fn(|| story.step()).flatten().collect();
    assert_eq!(outputs[..2], ["hosts again", "grace period of 10000 ms: Paused"], "it was paused in between");
}

#[test]
fn ticks_are_due_once_in_a_period() {
    let mut story = Story::begin(0);
    assert_eq!(story.monitor.poll_timeout(), Some(story.now), "the first one at once");
    story.handle(Input::Tick);
    assert_eq!(story.monitor.poll_output(), Some(Output::Heartbeat));
    story.handle(Input::StoreLost);
    let due = story.now.plus(BEAT);
    assert_eq!(story.monitor.poll_timeout(), Some(due));
    story.now = story.now.plus(BEAT - 1);
    story.handle(Input::Tick);
    assert_eq!(story.monitor.poll_output(), None, "it is too early");
    assert_eq!(story.monitor.poll_timeout(), Some(due));
}

#[test]
fn a_monitor_never_declares_itself_dead() {
    let mut story = Story::active(0);
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
    lease_is_free: bool,
    broker_is_up: bool,
    now: Time,
    ticks: usize,
    heartbeats: usize,
}

impl Story {
    fn begin(partitions: u32) -> Story {
        let row = |partition| Partition { partition, host: None, epoch: 0, checkpoint: 0 };
        let now = Time(1_000_000);
        Story {
            monitor: Placement::new(id(OWN), Limits::default(), now),
            tables: View { machines: vec![], partitions: (0..partitions).map(row).collect() },
            silent: BTreeSet::new(),
            lease_is_free: true,
            broker_is_up: true,
            now,
            ticks: 0,
            heartbeats: 0,
        }
    }

    /// A monitor that may declare machines dead.
    fn active(partitions: u32) -> Story {
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
        self.tables.machines.push(Machine { id: id(name), role, state: MachineState::Alive, silent_ms: 0, age_ms: 0 });
    }

    fn goes_silent(&mut self, name: &str) {
        self.silent.insert(id(name));
    }

    fn recovers(&mut self, name: &str) {
        self.silent.remove(&id(name));
    }

    fn set(&mut self, name: &str, state: MachineState) {
        let machine = self.tables.machines.iter_mut().find(|machine| machine.id == id(name));
        machine.expect("it has joined").state = state;
    }

    fn handle(&mut self, input: Input) {
        self.monitor.handle(input, self.now);
    }

    fn lease(&mut self, held: bool) {
        self.lease_is_free = held;
        self.handle(Input::Lease { held, sent_at: self.now });
    }

    fn work_ended(&mut self, name: &str, succeeded: bool) {
        self.handle(Input::WorkEnded { machine: id(name), succeeded });
    }

    /// The next period, and its outputs, without its heartbeat and queries.
    fn beat(&mut self) -> Vec<String> {
        self.pass(BEAT);
        self.handle(Input::Tick);
        self.ticks += 1;
        self.outputs()
    }

    /// This time passes, and the lease is renewed, but no view is read.
    fn wait(&mut self, ms: u64) {
        for _ in 0..ms / BEAT {
            self.pass(BEAT);
            self.lease(self.lease_is_free);
        }
    }

    /// The database's clock is set forward. No machine has sent a heartbeat since.
    fn leap(&mut self) {
        for machine in &mut self.tables.machines {
            machine.silent_ms += 3_600_000;
            machine.age_ms += 3_600_000;
        }
    }

    /// The store is out of reach for this long.
    fn store_is_lost(&mut self, ms: u64) {
        self.handle(Input::StoreLost);
        self.now = self.now.plus(ms);
        for machine in &mut self.tables.machines {
            machine.silent_ms += ms;
            machine.age_ms += ms;
        }
        self.silent.extend(self.tables.machines.iter().map(|machine| machine.id.clone()));
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        for machine in &mut self.tables.machines {
            machine.silent_ms = if self.silent.contains(&machine.id) { machine.silent_ms + ms } else { 0 };
            machine.age_ms += ms;
        }
        if self.broker_is_up {
            self.handle(Input::BrokerAnswered { sent_at: self.now });
        }
    }

    fn view(&mut self) -> Vec<String> {
        self.handle(Input::View(self.tables.clone()));
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.step()).flatten().collect()
    }

    /// Carries out one output. Returns its lines, or nothing after the last one.
    fn step(&mut self) -> Option<Vec<String>> {
        let output = self.monitor.poll_output()?;
        let lines = self.lines(&output);
        match output {
            Output::Heartbeat => {
                self.heartbeats += 1;
                self.handle(Input::Done);
            }
            Output::AcquireLease => self.lease(self.lease_is_free),
            Output::ReadTables => self.handle(Input::View(self.tables.clone())),
            Output::DeclareDead { machine, .. } => {
                self.set(&machine.0, MachineState::Dead);
                self.handle(Input::Done);
            }
            Output::Assign(plan) => {
                plan.into_iter().for_each(|assignment| self.assign(assignment));
                self.handle(Input::Done);
            }
            Output::MayLeave { .. } | Output::DropSessionsOf { .. } | Output::CleanUp { .. } | Output::Notice(_) => {}
        }
        Some(lines)
    }

    fn assign(&mut self, Assignment { partition, host, epoch }: Assignment) {
        let row = &mut self.tables.partitions[partition as usize];
        assert_eq!(row.epoch + 1, epoch);
        (row.host, row.epoch) = (Some(host), epoch);
    }

    fn lines(&self, output: &Output) -> Vec<String> {
        let line = |Assignment { partition, host, epoch }: &Assignment| format!("{partition} -> {host} @{epoch}");
        vec![match output {
            Output::Heartbeat | Output::AcquireLease | Output::ReadTables => return vec![],
            Output::Assign(plan) => return plan.iter().map(line).collect(),
            Output::DeclareDead { machine, silent_ms } => format!("{machine} is dead after {silent_ms} ms"),
            Output::MayLeave { host } => format!("{host} may leave"),
            Output::DropSessionsOf { edge } => format!("drop sessions of {edge}"),
            Output::CleanUp { machine, role } => format!("clean up {role} {machine}"),
            Output::Notice(Notice::Active) => "active".into(),
            Output::Notice(Notice::Standby) => "standby".into(),
            Output::Notice(Notice::BrokerLost { silent_ms }) => format!("broker lost for {silent_ms} ms"),
            Output::Notice(Notice::GracePeriod { after, for_ms }) => format!("grace period of {for_ms} ms: {after:?}"),
            Output::Notice(Notice::NoHosts { partitions }) => format!("no hosts for {partitions} partitions"),
            Output::Notice(Notice::HostsAgain) => "hosts again".into(),
        }]
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
