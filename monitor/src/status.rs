//! A monitor's status, for its API.

use std::{sync::Arc, time::Instant};

use chorus_core::{ids::MachineId, placement::Dependency};

use crate::metrics::Metrics;

#[derive(Clone, Debug)]
pub struct Status {
    pub id: MachineId,
    /// Whether it is the active monitor.
    pub active: bool,
    /// The holder of the lease, as of the latest tick.
    pub holder: Option<MachineId>,
    /// When its loop last ticked with the store and the broker reachable; otherwise, why it cannot work.
    pub state: Result<Instant, &'static str>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Status {
    pub(crate) fn starting(id: MachineId, metrics: Arc<Metrics>) -> Status {
        Status { id, active: false, holder: None, state: Err("it has not reached the store yet"), metrics }
    }

    /// After a tick.
    pub(crate) fn update(&mut self, active: bool, holder: Option<MachineId>, unreachable: Option<Dependency>) {
        (self.active, self.holder) = (active, holder);
        self.state = match unreachable {
            None => Ok(Instant::now()),
            Some(Dependency::Store) => Err("the store cannot be reached"),
            Some(Dependency::Broker) => Err("the broker does not answer"),
        };
    }
}
