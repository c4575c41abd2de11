//! The metrics of edge and host, which the operators' API serves with its own at `/metrics`.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use chorus_monitor::Exposition;
use prometheus_client::{encoding::text, registry::Registry};

/// Registries that are served together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Vec<Registry>>>);

impl Metrics {
    /// Adds a registry whose names begin with `prefix`.
    pub fn add(&self, prefix: &str, register: impl FnOnce(&mut Registry)) {
        let mut registry = Registry::with_prefix(prefix);
        register(&mut registry);
        self.0.lock().expect("nobody panics while holding it").push(registry);
    }

    /// The present values of all of them, at each call.
    pub fn exposition(&self) -> Exposition {
        let registries = self.0.clone();
        Arc::new(move || {
            let registries = registries.lock().expect("nobody panics while holding it");
            registries.iter().map(exposition).collect()
        })
    }
}

/// In Prometheus's text format, in which a counter has the name of its sample.
fn exposition(registry: &Registry) -> String {
    let mut open_metrics = String::new();
    text::encode(&mut open_metrics, registry).expect("a string takes everything");
    let mut page = String::new();
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(said) = line.strip_prefix("# HELP ") {
            help = said;
        } else if let Some(said) = line.strip_prefix("# TYPE ") {
            let (metric, kind) = said.split_once(' ').unwrap_or((said, "untyped"));
            let total = if kind == "counter" { "_total" } else { "" };
            let what = help.strip_prefix(metric).unwrap_or_default();
            let _ = writeln!(page, "# HELP {metric}{total}{what}\n# TYPE {metric}{total} {kind}");
        } else if !line.starts_with('#') {
            let _ = writeln!(page, "{line}");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn all_registries_are_one_page_of_prometheus() {
        let metrics = Metrics::default();
        let page = metrics.exposition();
        let (faults, rooms) = (Counter::<u64>::default(), Gauge::<i64>::default());
        metrics.add("host", |registry| registry.register("faults", "What failed", faults.clone()));
        metrics.add("edge", |registry| registry.register("rooms", "What there is", rooms.clone()));
        faults.inc();
        rooms.set(3);
        let wanted = "# HELP host_faults_total What failed.\n# TYPE host_faults_total counter\nhost_faults_total 1\n\
                      # HELP edge_rooms What there is.\n# TYPE edge_rooms gauge\nedge_rooms 3\n";
        assert_eq!(page(), wanted);
    }
}
