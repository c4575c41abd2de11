//! The numbers of edge and host, which the operators' API serves with its own at `/metrics`.

use std::sync::{Arc, Mutex};

use chorus_monitor::Exposition;
use prometheus_client::{encoding::text, registry::Registry};

/// Registries that are served together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Vec<Registry>>>);

impl Metrics {
    /// One more, whose names begin with `prefix`.
    pub fn add(&self, prefix: &str, register: impl FnOnce(&mut Registry)) {
        let mut registry = Registry::with_prefix(prefix);
        register(&mut registry);
        self.0.lock().expect("nobody panics while holding it").push(registry);
    }

    /// All of them, as of each call.
    pub fn exposition(&self) -> Exposition {
        let registries = self.0.clone();
        Arc::new(move |page| {
            for registry in registries.lock().expect("nobody panics while holding it").iter() {
                text::encode_registry(page, registry).expect("a string takes everything");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn all_registries_are_on_one_page() {
        let metrics = Metrics::default();
        let page = metrics.exposition();
        let (faults, rooms) = (Counter::<u64>::default(), Gauge::<i64>::default());
        metrics.add("host", |registry| registry.register("faults", "What failed", faults.clone()));
        metrics.add("edge", |registry| registry.register("rooms", "What there is", rooms.clone()));
        faults.inc();
        rooms.set(3);
        let wanted = "# HELP host_faults What failed.\n# TYPE host_faults counter\nhost_faults_total 1\n\
                      # HELP edge_rooms What there is.\n# TYPE edge_rooms gauge\nedge_rooms 3\n";
        let mut shown = String::new();
        page(&mut shown);
        assert_eq!(shown, wanted);
    }
}
