//! The promises of `core::placement`, checked at each order of a monitor and at the end of a run.

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::{
    ids::MachineId,
    placement::{
        Assignment, Limits, MAX_CONCURRENT_WORK, Machine, MachineState, Notice, Output, Partition, Role, View,
    },
};

use super::{Monitor, Row, World, dials::DIALS};
use crate::Violation;

impl World {
    pub(super) fn judge(&mut self, n: usize, output: &Output) -> Result<(), Violation> {
        let found = match output {
            Output::Heartbeat | Output::AcquireLease | Output::ReadTables => None,
            Output::Notice(notice) => self.wrong_notice(n, *notice),
            _ if !self.may_act(n) => Some("the lease is not held".to_owned()),
            Output::DeclareDead { .. } => None,
            Output::Assign(plan) => self.wrong_plan(n, plan),
            Output::MayLeave { host } => self.wrong_release(n, host),
            Output::DropSessionsOf { edge } => self.wrong_drop(n, edge).or_else(|| self.wrong_work(n, edge)),
            Output::CleanUp { machine, .. } => self.wrong_clean_up(machine).or_else(|| self.wrong_work(n, machine)),
        };
        let id = &self.monitors[n].id;
        found.map_or(Ok(()), |what| Err(self.violation(format!("{id} orders {output:?}, and {what}"))))
    }

    /// The database's clock decides. After it was set forward, a lease expires before its holder can detect that.
    fn may_act(&self, n: usize) -> bool {
        let has_leapt = self.leapt_at.is_some_and(|leapt| self.now < leapt + Limits::default().lease_ms);
        self.holds_the_lease(n) || has_leapt
    }

    /// A change is reported once.
    fn wrong_notice(&mut self, n: usize, notice: Notice) -> Option<String> {
        let monitor = &mut self.monitors[n];
        let (before, now) = match notice {
            Notice::Active | Notice::Standby => (&mut monitor.noticed_active, notice == Notice::Active),
            Notice::NoHosts { .. } => (&mut monitor.noticed_no_hosts, true),
            Notice::HostsAgain => (&mut monitor.noticed_no_hosts, false),
            Notice::BrokerLost { .. } | Notice::GracePeriod { .. } => return None,
        };
        (std::mem::replace(before, now) == now).then(|| "has reported it before".to_owned())
    }

    // ---- assignments ----

    /// By the tables that the monitor has read: partitions go to hosts that send heartbeats and do not drain, load becomes even,
    /// and no more partitions move than that requires.
    fn wrong_plan(&self, n: usize, plan: &[Assignment]) -> Option<String> {
        let Monitor { view, declared, .. } = &self.monitors[n];
        let up = hosts(view, is_up);
        if let Some(line) = plan.iter().find(|line| !up.contains(&line.host)) {
            return Some(format!("{} cannot take partitions", line.host));
        }
        // Silent for too long, and not declared dead: so there is a grace period.
        let suspected = hosts(view, |host| is_alive_host(host) && !is_up(host) && !declared.contains(&host.id));
        let has_host = |host: &MachineId| up.contains(host) || suspected.contains(host);
        let is_left = |partition: &&Partition| !partition.host.as_ref().is_some_and(has_host);
        let left = view.partitions.iter().filter(is_left).count();
        let surplus = if suspected.is_empty() { surplus(&after(view, &[]), view.partitions.len()) } else { 0 };
        match () {
            () if plan.len() != left + surplus => {
                Some(format!("{left} partitions have no host, and {surplus} exceed a share"))
            }
            () if suspected.is_empty() && !is_even(&after(view, plan)) => Some("the load is not even then".to_owned()),
            () => None,
        }
    }

    // ---- draining and dead machines ----

    fn row(&self, id: &MachineId) -> Option<&Row> {
        self.machines.iter().find(|row| row.id == *id)
    }

    fn wrong_release(&mut self, n: usize, host: &MachineId) -> Option<String> {
        if self.view().is_host(host) {
            return Some("it has partitions".to_owned());
        }
        if self.row(host).is_some_and(|row| row.state == MachineState::Alive) {
            return Some("it does not drain".to_owned());
        }
        (!self.monitors[n].released.insert(host.clone())).then(|| "it was released before".to_owned())
    }

    fn wrong_drop(&self, n: usize, edge: &MachineId) -> Option<String> {
        if self.row(edge).is_some_and(|row| row.state != MachineState::Dead) {
            return Some("it was not declared dead".to_owned());
        }
        self.monitors[n].reaped.contains(edge).then(|| "its sessions were dropped before".to_owned())
    }

    fn wrong_clean_up(&self, machine: &MachineId) -> Option<String> {
        if self.view().is_host(machine) {
            return Some("it has partitions".to_owned());
        }
        let row = self.row(machine)?;
        match () {
            () if row.state != MachineState::Dead => Some("it was not declared dead".to_owned()),
            () if row.role == Role::Edge && !self.reaped.contains(machine) => Some("it has sessions".to_owned()),
            () if self.now - row.heartbeat_at < Limits::default().clean_after_ms => {
                Some("it died too recently".to_owned())
            }
            () => None,
        }
    }

    fn wrong_work(&self, n: usize, machine: &MachineId) -> Option<String> {
        let work = &self.monitors[n].work;
        if work.len() >= MAX_CONCURRENT_WORK {
            return Some("works on too many machines".to_owned());
        }
        let is_same = |work: &Output| match work {
            Output::DropSessionsOf { edge } => edge == machine,
            Output::CleanUp { machine: other, .. } => other == machine,
            _ => false,
        };
        work.iter().any(|(_, work)| is_same(work)).then(|| "works on that machine already".to_owned())
    }

    // ---- the end ----

    /// After some time without faults every partition has a host, load is even, every machine that is silent was declared dead,
    /// the sessions of dead edges are dropped, hosts that drain may leave, and nothing is left of machines that died long ago.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        (self.settling, self.store_is_lost, self.broker_lost_since) = (true, false, None);
        self.monitors.iter_mut().for_each(|monitor| monitor.paused = false);
        self.start(Role::Host);
        for _ in 0..DIALS.settling {
            self.step()?;
        }
        self.unsettled().map_or(Ok(()), |what| Err(self.violation(what)))
    }

    fn unsettled(&self) -> Option<String> {
        let view = self.view();
        let up = hosts(&view, is_up);
        let is_served = |host: &Option<MachineId>| host.as_ref().is_some_and(|host| up.contains(host));
        if let Some(left) = view.partitions.iter().find(|partition| !is_served(&partition.host)) {
            return Some(format!("partition {} has no host", left.partition));
        }
        let loads = after(&view, &[]);
        if !is_even(&loads) {
            return Some(format!("the load is not even: {loads:?}"));
        }
        self.machines.iter().find_map(|row| self.unsettled_machine(row)).or_else(|| self.unreleased())
    }

    fn unsettled_machine(&self, row: &Row) -> Option<String> {
        let Row { id, role, state, lives, .. } = row;
        let long_dead = Limits::default().clean_after_ms + DIALS.settling as u64 * DIALS.step_ms;
        let is_dead = *state == MachineState::Dead;
        match () {
            () if !lives && !is_dead => Some(format!("{id} is silent, and was not declared dead")),
            () if is_dead && *role == Role::Edge && !self.reaped.contains(id) => {
                Some(format!("the sessions of {id} were not dropped"))
            }
            () if is_dead && self.now - row.heartbeat_at >= long_dead => Some(format!("{id} was not cleaned up")),
            () => None,
        }
    }

    /// The active monitor releases every host that drains, also those that another one has released before.
    fn unreleased(&self) -> Option<String> {
        let active = (0..self.monitors.len()).find(|n| self.holds_the_lease(*n))?;
        let released = &self.monitors[active].released;
        let drains = |row: &&Row| row.role == Role::Host && row.state == MachineState::Draining;
        let left = self.machines.iter().filter(drains).find(|row| !released.contains(&row.id))?;
        Some(format!("{} drains, and may not leave", left.id))
    }
}

/// Whether this is a host that can take partitions.
fn is_up(machine: &Machine) -> bool {
    is_alive_host(machine) && machine.silent_ms <= Limits::default().dead_after_ms
}

fn is_alive_host(machine: &Machine) -> bool {
    machine.role == Role::Host && machine.state == MachineState::Alive
}

fn hosts(view: &View, is_such: impl Fn(&Machine) -> bool) -> BTreeSet<&MachineId> {
    view.machines.iter().filter(|host| is_such(host)).map(|host| &host.id).collect()
}

/// The number of partitions of each host that is up, after this plan.
fn after<'a>(view: &'a View, plan: &'a [Assignment]) -> BTreeMap<&'a MachineId, usize> {
    let up = view.machines.iter().filter(|host| is_up(host));
    let mut loads: BTreeMap<&MachineId, usize> = up.map(|host| (&host.id, 0)).collect();
    for partition in &view.partitions {
        let moved = plan.iter().find(|line| line.partition == partition.partition).map(|line| &line.host);
        if let Some(load) = moved.or(partition.host.as_ref()).and_then(|host| loads.get_mut(host)) {
            *load += 1;
        }
    }
    loads
}

/// The number of partitions that exceed the shares of their hosts. Where shares cannot be equal, the hosts that have most keep
/// one more.
fn surplus(loads: &BTreeMap<&MachineId, usize>, partitions: usize) -> usize {
    let mut loads: Vec<usize> = loads.values().copied().collect();
    loads.sort_unstable_by(|a, b| b.cmp(a));
    let hosts = loads.len().max(1);
    let share = |place: usize| partitions / hosts + usize::from(place < partitions % hosts);
    loads.iter().enumerate().map(|(place, load)| load.saturating_sub(share(place))).sum()
}

fn is_even(loads: &BTreeMap<&MachineId, usize>) -> bool {
    loads.values().max().zip(loads.values().min()).is_none_or(|(max, min)| max - min <= 1)
}
