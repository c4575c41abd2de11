//! The assignment of partitions: even load, by few moves. The same tables give the same plan.
//!
//! A move pauses the rooms of a partition (they are restored on the other host), so no needless move is made: partitions
//! without a host go to the hosts that have the fewest, and a host gives away only what exceeds its share. Rooms are spread
//! over partitions by a hash, so the number of partitions is a good measure of load.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{Assignment, Partition};
use crate::ids::MachineId;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In the order of partitions.
    pub moves: Vec<Assignment>,
    /// The number of partitions that need a host, when there is none.
    pub unassigned: usize,
}

/// `up`: hosts that can take partitions. `suspected`: hosts that keep their partitions, and may or may not be dead: until that
/// is decided, no partition is moved for evenness.
pub(super) fn plan(partitions: &[Partition], up: &[&MachineId], suspected: &BTreeSet<&MachineId>) -> Plan {
    let mut loads: BTreeMap<&MachineId, BTreeSet<u32>> = up.iter().map(|host| (*host, BTreeSet::new())).collect();
    let mut unassigned = BTreeSet::new();
    for Partition { partition, host, .. } in partitions {
        match host.as_ref().and_then(|host| loads.get_mut(host)) {
            Some(load) => drop(load.insert(*partition)),
            None if host.as_ref().is_some_and(|host| suspected.contains(host)) => {}
            None => drop(unassigned.insert(*partition)),
        }
    }
    if loads.is_empty() {
        // A suspected host may send a heartbeat at any moment.
        let unassigned = if suspected.is_empty() { unassigned.len() } else { 0 };
        return Plan { moves: Vec::new(), unassigned };
    }
    if suspected.is_empty() {
        unassigned.extend(surplus(&mut loads, partitions.len()));
    }
    let new_hosts = deal(unassigned, loads);
    let moved = |partition: &Partition| {
        let host = new_hosts.get(&partition.partition)?;
        Some(Assignment { partition: partition.partition, host: (*host).clone(), epoch: partition.epoch + 1 })
    };
    let mut moves: Vec<Assignment> = partitions.iter().filter_map(moved).collect();
    moves.sort_unstable_by_key(|assignment| assignment.partition);
    Plan { moves, unassigned: 0 }
}

/// Takes from hosts what exceeds their share. Where shares cannot be equal, the hosts that have most keep one more.
fn surplus(loads: &mut BTreeMap<&MachineId, BTreeSet<u32>>, partitions: usize) -> Vec<u32> {
    let (share, extra) = (partitions / loads.len(), partitions % loads.len());
    let mut by_load: Vec<&mut BTreeSet<u32>> = loads.values_mut().collect();
    by_load.sort_by_key(|load| std::cmp::Reverse(load.len()));
    let mut surplus = Vec::new();
    for (place, load) in by_load.into_iter().enumerate() {
        let share = share + usize::from(place < extra);
        while load.len() > share {
            surplus.extend(load.pop_last());
        }
    }
    surplus
}

/// Assigns each partition to the host that has the fewest by then; among equals, to the first by name.
fn deal(unassigned: BTreeSet<u32>, loads: BTreeMap<&MachineId, BTreeSet<u32>>) -> BTreeMap<u32, &MachineId> {
    let mut by_load: BTreeSet<(usize, &MachineId)> = loads.iter().map(|(host, load)| (load.len(), *host)).collect();
    let mut dealt = BTreeMap::new();
    for partition in unassigned {
        let Some((load, host)) = by_load.pop_first() else { break };
        by_load.insert((load + 1, host));
        dealt.insert(partition, host);
    }
    dealt
}
