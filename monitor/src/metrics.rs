//! A monitor's metrics.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Shared by the control loop, which counts, and the API, which reads.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Machines declared dead.
    pub deaths: Counter,
    /// Partitions assigned to a host.
    pub moves: Counter,
    /// Sessions of dead edges whose rooms were notified.
    pub dropped: Counter,
    /// Dead machines whose row and channel were deleted.
    pub cleaned: Counter,
    /// Sessions that were not resumed in time.
    pub expired: Counter,
    /// Times that the store could not be reached.
    pub store_lost: Counter,
    /// Ticks of the loop in which the broker could not be reached.
    pub broker_lost: Counter,
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("chorus_monitor");
        let mut register = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        register("deaths", "Machines declared dead", &self.deaths);
        register("moves", "Partitions assigned to a host", &self.moves);
        register("dropped_sessions", "Sessions of dead edges whose rooms were notified", &self.dropped);
        register("expired_sessions", "Sessions that expired", &self.expired);
        register("cleaned_machines", "Dead machines cleaned up", &self.cleaned);
        register("store_lost", "Failures to reach the store", &self.store_lost);
        register("broker_lost", "Ticks of the loop at which the broker was unreachable", &self.broker_lost);
    }
}
