//! What every session of an edge uses: the record log, the store, the clock, the players and the metrics.

use chorus_bus::Bus;
use chorus_core::ids::{MachineId, Time};
use chorus_store::Store;

use crate::{
    append_tracker::AppendTracker, drain::DrainTracker, metrics::Metrics, options::Options, players::SharedPlayers,
    tokens::Identities,
};

#[derive(Debug)]
pub(crate) struct Links {
    pub options: Options,
    pub bus: Bus,
    pub store: Store,
    pub identities: Identities,
    pub metrics: Metrics,
    pub players: SharedPlayers,
    pub appends: AppendTracker,
    pub drain: DrainTracker,
}

impl Links {
    pub fn new(options: Options, bus: Bus, store: Store, identities: Identities) -> Links {
        let drain = DrainTracker::default();
        let appends = AppendTracker::start(bus.clone(), drain.clone());
        let (metrics, players) = (Metrics::default(), SharedPlayers::new(options.player));
        Links { options, bus, store, identities, metrics, players, appends, drain }
    }

    /// The edge's id.
    pub fn edge(&self) -> &MachineId {
        &self.options.id
    }

    /// The edge's clock. The machines have none.
    pub fn now(&self) -> Time {
        self.store.clock().now()
    }
}
