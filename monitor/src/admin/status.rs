//! The overview.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_core::ids::{Digest, Kind, MachineId};
use chorus_store::{MachineRow, MachineState, Partition, Role, RoomStatus};

use super::{
    Api,
    answer::{Answer, ApiError, json},
};
use crate::api::{KindStatus, MachineCounts, MonitorStatus, PartitionCounts, RoomCounts, Status};

pub(super) async fn status(api: &Arc<Api>) -> Answer {
    let machines = api.store.machines().await?;
    let assignments = api.store.assignments().await?;
    let monitor = api.monitor.as_ref().map(|monitor| {
        let status = monitor.borrow();
        MonitorStatus {
            id: status.id.to_string(),
            in_charge: status.active,
            active: status.holder.as_ref().map(MachineId::to_string),
        }
    });
    let partitions =
        PartitionCounts { count: assignments.len() as u64, hosted: hosted(&assignments, &machines) as u64 };
    // In `chorus dev` the one host has all partitions, without assignments.
    let problems = if monitor.is_some() { problems(&machines, &partitions) } else { Vec::new() };
    json(&Status { monitor, machines: count(&machines), partitions, kinds: kinds(api).await?, problems })
}

/// The active version of each kind, and the number of its rooms.
pub(super) async fn kinds(api: &Api) -> Result<Vec<KindStatus>, ApiError> {
    let mut rooms: BTreeMap<Kind, RoomCounts> = BTreeMap::new();
    for (kind, status, count) in api.store.count_rooms().await? {
        let counts = rooms.entry(kind).or_default();
        match status {
            RoomStatus::Live => counts.live = count,
            RoomStatus::Ended => counts.ended = count,
            RoomStatus::Failed => counts.failed = count,
        }
    }
    let kinds = api.store.kinds().await?;
    let row = |(kind, digest, version): (Kind, Digest, u32)| KindStatus {
        rooms: rooms.get(&kind).copied().unwrap_or_default(),
        kind: kind.to_string(),
        version,
        digest: digest.to_string(),
    };
    Ok(kinds.into_iter().map(row).collect())
}

fn count(machines: &[MachineRow]) -> BTreeMap<String, MachineCounts> {
    let mut counts: BTreeMap<String, MachineCounts> =
        Role::ALL.map(|role| (role.as_str().to_owned(), MachineCounts::default())).into();
    for machine in machines {
        let counts = counts.entry(machine.role.as_str().to_owned()).or_default();
        match machine.state {
            MachineState::Alive => counts.alive += 1,
            MachineState::Draining => counts.draining += 1,
            MachineState::Dead => counts.dead += 1,
        }
    }
    counts
}

/// The number of partitions whose host exists and is not dead.
pub(super) fn hosted(assignments: &[Partition], machines: &[MachineRow]) -> usize {
    let living = machines.iter().filter(|machine| machine.state != MachineState::Dead);
    let living: BTreeSet<&MachineId> = living.map(|machine| &machine.id).collect();
    assignments.iter().filter(|row| row.host.as_ref().is_some_and(|host| living.contains(host))).count()
}

fn problems(machines: &[MachineRow], partitions: &PartitionCounts) -> Vec<String> {
    let mut problems = Vec::new();
    let without = partitions.count - partitions.hosted;
    if without > 0 {
        problems.push(format!("{without} partitions have no host that lives: their rooms stand still; start a host"));
    }
    let serves = |role| machines.iter().any(|machine| machine.role == role && machine.state == MachineState::Alive);
    if !serves(Role::Edge) {
        problems.push("no edge is alive: nobody can connect; start an edge".into());
    }
    problems
}
