//! Conversions between the store's tables and [`chorus_core::placement`].

use std::time::Duration;

use chorus_core::placement::{self, Machine, Partition, View};
use chorus_store::{Assign, Assignment, MachineRow, MachineState, Role, Store, StoreError};

/// The input of placement's decisions.
pub(crate) async fn view(store: &Store) -> Result<View, StoreError> {
    // In this order: a host that is only in the second table has just registered, and waits a turn.
    let machines = store.machines().await?;
    let partitions = store.assignments().await?;
    let partitions = partitions.into_iter().map(partition).collect();
    Ok(View { machines: machines.iter().map(machine).collect(), partitions })
}

fn machine(row: &MachineRow) -> Machine {
    let role = match row.role {
        Role::Edge => placement::Role::Edge,
        Role::Host => placement::Role::Host,
        Role::Monitor => placement::Role::Monitor,
    };
    let state = match row.state {
        MachineState::Alive => placement::MachineState::Alive,
        MachineState::Draining => placement::MachineState::Draining,
        MachineState::Dead => placement::MachineState::Dead,
    };
    Machine { id: row.id.clone(), role, state, silent_ms: ms(row.silent_for) }
}

fn partition(Assignment { partition, host, epoch, checkpoint }: Assignment) -> Partition {
    Partition { partition, host, epoch, checkpoint }
}

/// A plan for the store.
pub(crate) fn plan(plan: Vec<placement::Assignment>) -> Vec<Assign> {
    let line = |placement::Assignment { partition, host, epoch }| Assign { partition, host, epoch };
    plan.into_iter().map(line).collect()
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
