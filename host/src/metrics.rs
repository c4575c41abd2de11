//! A host's metrics. Names and meanings are in `docs/operating.md`.

use std::{collections::BTreeMap, fmt};

use chorus_bus::LATENCY_BUCKETS;
use chorus_core::{command::Fault, effect::RestoreReason, ids::Time};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

use crate::Shared;

#[derive(Debug)]
pub struct Metrics {
    pub records: Counter,
    pub deliveries: Counter,
    pub throws: Counter,
    pub reports: Counter,
    pub faults: Family<How, Counter>,
    pub snapshots: Counter,
    pub recoveries: Family<Why, Counter>,
    pub swaps: Family<Ended, Counter>,
    pub divergences: Counter,
    /// From a record's time to the moment at which its outputs were handed to the bus.
    pub latency: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct How {
    pub charged: &'static str,
    pub how: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Why {
    pub why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    pub ended: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            records: Counter::default(),
            deliveries: Counter::default(),
            throws: Counter::default(),
            reports: Counter::default(),
            faults: Family::default(),
            snapshots: Counter::default(),
            recoveries: Family::default(),
            swaps: Family::default(),
            divergences: Counter::default(),
            latency: Histogram::new(LATENCY_BUCKETS),
        }
    }
}

impl Metrics {
    /// `to_client`: a client's record has exhausted a budget. All other faults are the room's.
    pub fn fault(&self, fault: &Fault, to_client: bool) {
        let charged = if to_client { "client" } else { "room" };
        self.faults.get_or_create(&How { charged, how: fault.as_str() }).inc();
    }

    pub fn restored(&self, why: RestoreReason) {
        self.recoveries.get_or_create(&Why { why: why.as_str() }).inc();
    }

    pub fn swap(&self, ended: &'static str) {
        self.swaps.get_or_create(&Ended { ended }).inc();
    }

    /// The outputs of a record of this time have been handed to the bus.
    pub fn caused(&self, time: Time, now: Time) {
        self.latency.observe(now.since(time) as f64 / 1000.0);
    }

    /// Registers all of a host's metrics. `gauges` is called at each scrape.
    pub fn register(&self, gauges: impl Fn() -> Gauges + Send + Sync + 'static, registry: &mut Registry) {
        registry.register("records", "Records handed to rooms", self.records.clone());
        registry.register("deliveries", "Frames for members, each counted once for each", self.deliveries.clone());
        registry.register("throws", "Hooks that threw, and had no effect", self.throws.clone());
        registry.register("reports", "Reports of players by scripts", self.reports.clone());
        registry.register("faults", "Records that a guest failed on, and that are skipped", self.faults.clone());
        registry.register("snapshots", "Snapshots handed to the store", self.snapshots.clone());
        registry.register("recoveries", "New instances for rooms that have lived before", self.recoveries.clone());
        registry.register("swaps", "Rooms that were to change component", self.swaps.clone());
        let divergences = "Rooms that came out in two ways, and ended";
        registry.register("divergences", divergences, self.divergences.clone());
        let latency = "From a record's time to its outputs on the bus, by two machines' clocks";
        registry.register("record_to_output_seconds", latency, self.latency.clone());
        registry.register_collector(Box::new(GaugeCollector(gauges)));
    }
}

/// Metrics that are read at the time of a scrape.
#[derive(Debug, Default)]
pub struct Gauges {
    /// The records that wait in the log, for each partition of this host.
    pub lags: BTreeMap<u32, u64>,
    /// Rooms with a task, by kind.
    pub rooms: BTreeMap<String, i64>,
    /// Their instances: fewer than rooms where some share one.
    pub instances: u64,
    /// Rooms that wait to be restored after a takeover.
    pub waiting: usize,
}

impl Gauges {
    pub fn of(host: &Shared) -> Gauges {
        let lags = host.partitions.owned().into_iter().map(|partition| (partition, host.partitions.lag(partition)));
        let mut rooms: BTreeMap<String, i64> = BTreeMap::new();
        let table = host.rooms();
        for room in table.live.values() {
            *rooms.entry(room.kind().map_or_else(|| "unknown".into(), |kind| kind.to_string())).or_default() += 1;
        }
        Gauges { lags: lags.collect(), rooms, instances: host.catalogue.instances(), waiting: table.waiting() }
    }
}

struct GaugeCollector<F>(F);

impl<F> fmt::Debug for GaugeCollector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GaugeCollector")
    }
}

impl<F: Fn() -> Gauges + Send + Sync + 'static> Collector for GaugeCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Gauges { lags, rooms, instances, waiting } = (self.0)();
        let count = ConstGauge::new(i64::try_from(lags.len()).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor("partitions", "Partitions of this host", None, count.metric_type())?;
        count.encode(metric)?;
        let none = ConstGauge::new(0i64).metric_type();
        let mut family = encoder.encode_descriptor("rooms_live", "Rooms with a task, by kind", None, none)?;
        for (kind, count) in rooms {
            ConstGauge::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        let instances = ConstGauge::new(i64::try_from(instances).unwrap_or(i64::MAX));
        let help = "Instances of rooms; those of a cell have one";
        instances.encode(encoder.encode_descriptor("instances", help, None, instances.metric_type())?)?;
        let waiting = ConstGauge::new(i64::try_from(waiting).unwrap_or(i64::MAX));
        let help = "Rooms that wait to be restored after a takeover";
        waiting.encode(encoder.encode_descriptor("rooms_to_restore", help, None, waiting.metric_type())?)?;
        let mut family = encoder.encode_descriptor("lag_records", "Records that wait in the log", None, none)?;
        for (partition, lag) in lags {
            let lag = i64::try_from(lag).unwrap_or(i64::MAX);
            ConstGauge::new(lag).encode(family.encode_family(&[("partition", partition.to_string())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chorus_testing::metrics::{documented, on_page};

    use super::*;

    #[test]
    fn the_documentation_lists_exactly_the_metrics_that_a_host_has() {
        let metrics = Metrics::default();
        // A family without a series is not on the page.
        metrics.fault(&Fault::OutOfFuel(1), true);
        metrics.restored(RestoreReason::Recovered);
        metrics.swap("done");
        let mut registry = Registry::default();
        metrics.register(Gauges::default, &mut registry);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a string takes everything");
        assert_eq!(on_page(&page), documented("Hosts"));
    }
}
