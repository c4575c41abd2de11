//! What a monitor has done since it was started, for its metrics.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Shared by the loop, which counts, and the metrics, which read.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Machines declared dead.
    pub deaths: Counter,
    /// Partitions given to a host.
    pub moves: Counter,
    /// Sessions of dead edges whose rooms were notified.
    pub dropped: Counter,
    /// Machines of which nothing is left.
    pub cleaned: Counter,
    /// Sessions that did not come back.
    pub expired: Counter,
    /// Times that the store could not be reached.
    pub store_lost: Counter,
    /// Turns of the loop in which the broker could not be reached.
    pub broker_lost: Counter,
}

impl Counters {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("chorus_monitor");
        let mut register = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        register("deaths", "Machines declared dead", &self.deaths);
        register("moves", "Partitions given to a host", &self.moves);
        register("dropped_sessions", "Sessions of dead edges whose rooms were notified", &self.dropped);
        register("expired_sessions", "Sessions that expired", &self.expired);
        register("cleaned_machines", "Dead machines cleaned up", &self.cleaned);
        register("store_lost", "Failures to reach the store", &self.store_lost);
        register("broker_lost", "Turns of the loop in which the broker was out of reach", &self.broker_lost);
    }
}
