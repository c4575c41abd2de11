//! Machines.

use std::{collections::BTreeMap, sync::Arc};

use chorus_core::ids::MachineId;
use chorus_store::{MachineRow, MachineState};
use serde::Serialize;
use serde_json::json;
use warp::http::StatusCode;

use super::{
    Shared,
    answer::{Answer, ApiError, json, json_of},
    query::short,
};
use crate::tables::ms;

#[derive(Serialize)]
struct Machine<'a> {
    id: String,
    role: &'static str,
    name: &'a Option<String>,
    address: &'a Option<String>,
    state: &'static str,
    silent_ms: u64,
    registered_ms: u64,
    partitions: Vec<u32>,
}

pub(super) async fn list(state: &Arc<Shared>) -> Answer {
    let machines = state.store.machines().await?;
    let mut partitions: BTreeMap<MachineId, Vec<u32>> = BTreeMap::new();
    for row in state.store.assignments().await? {
        if let Some(host) = row.host {
            partitions.entry(host).or_default().push(row.partition);
        }
    }
    let show = |row| show(row, partitions.remove(&row.id).unwrap_or_default());
    let machines: Vec<Machine> = machines.iter().map(show).collect();
    json(&json!({ "machines": machines }))
}

fn show(row: &MachineRow, partitions: Vec<u32>) -> Machine<'_> {
    Machine {
        id: row.id.to_string(),
        role: row.role.as_str(),
        name: &row.name,
        address: &row.address,
        state: row.state.as_str(),
        silent_ms: ms(row.silent_for),
        registered_ms: ms(row.registered_for),
        partitions,
    }
}

/// Sets the machine's state in its row: its next heartbeat returns that state, and the active monitor moves its partitions to
/// other hosts.
pub(super) async fn drain(state: &Arc<Shared>, id: &str) -> Answer {
    let machine = MachineId(id.into());
    if state.store.drain_machine(&machine).await? {
        tracing::info!(%machine, "an operator drains a machine");
        return Ok(json_of(StatusCode::ACCEPTED, &json!({ "id": id, "state": "draining" })));
    }
    let machines = state.store.machines().await?;
    match machines.iter().find(|row| row.id == machine) {
        Some(MachineRow { state: MachineState::Dead, .. }) => {
            Err(ApiError::conflict(format!("{id} is dead"), "there is nothing left to do: what it had is taken over"))
        }
        _ => Err(ApiError::not_found(format!("there is no machine {:?}", short(id)), "see /v1/machines for their ids")),
    }
}
