//! The list of machines' channels and their deletion, for the monitor.

use std::sync::Arc;

use chorus_core::ids::MachineId;

use super::{super::topics::Topics, Options, prefix, topic};
use crate::MachineError;

/// The machines that have a channel.
pub(in crate::kafka) async fn list(options: &Options, topics: &Arc<Topics>) -> Result<Vec<MachineId>, MachineError> {
    let names = topics.names().await.map_err(|reason| MachineError::List { reason })?;
    let prefix = prefix(options);
    Ok(names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(|id| MachineId(id.into())).collect())
}

/// Deletes a machine's channel, if there is one.
pub(in crate::kafka) async fn delete(
    machine: &MachineId,
    options: &Options,
    topics: &Arc<Topics>,
) -> Result<(), MachineError> {
    let topic = topic(options, machine).ok_or_else(|| MachineError::Name { machine: machine.clone() })?;
    topics.delete(&topic).await.map_err(|error| {
        let reason = topics.explain(&error);
        MachineError::Broker { action: "delete", machine: machine.clone(), reason }
    })
}
