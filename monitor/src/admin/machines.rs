//! Machines.

use std::{collections::BTreeMap, sync::Arc};

use chorus_core::ids::{MachineId, millis};
use chorus_store::{MachineRow, MachineState};
use warp::http::StatusCode;

use super::{
    Api,
    answer::{Answer, ApiError, json, json_of},
    query::short,
};
use crate::api::{Machine, MachineDrain, Machines};

pub(super) async fn list(api: &Arc<Api>) -> Answer {
    let machines = api.store.machines().await?;
    let mut partitions: BTreeMap<MachineId, Vec<u32>> = BTreeMap::new();
    for row in api.store.assignments().await? {
        if let Some(host) = row.host {
            partitions.entry(host).or_default().push(row.partition);
        }
    }
    let show = |row| show(row, partitions.remove(&row.id).unwrap_or_default());
    json(&Machines { machines: machines.iter().map(show).collect() })
}

fn show(row: &MachineRow, partitions: Vec<u32>) -> Machine {
    Machine {
        id: row.id.to_string(),
        role: row.role.as_str().to_owned(),
        name: row.name.clone(),
        address: row.address.clone(),
        state: row.state.as_str().to_owned(),
        silent_ms: millis(row.silent_for),
        registered_ms: millis(row.registered_for),
        partitions,
    }
}

/// Sets the machine's state in its row: its next heartbeat returns that state, and the active monitor moves its partitions to
/// other hosts.
pub(super) async fn drain(api: &Arc<Api>, id: &str) -> Answer {
    let machine = MachineId(id.into());
    if api.store.drain_machine(&machine).await? {
        tracing::info!(%machine, "an operator drains a machine");
        return Ok(json_of(
            StatusCode::ACCEPTED,
            &MachineDrain { id: id.to_owned(), state: MachineState::Draining.as_str().to_owned() },
        ));
    }
    let machines = api.store.machines().await?;
    match machines.iter().find(|row| row.id == machine) {
        Some(MachineRow { state: MachineState::Dead, .. }) => {
            Err(ApiError::conflict(format!("{id} is dead"), "there is nothing left to do: what it had is taken over"))
        }
        _ => Err(ApiError::not_found(format!("there is no machine {:?}", short(id)), "see /v1/machines for their ids")),
    }
}
