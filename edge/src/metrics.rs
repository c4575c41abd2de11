//! An edge's metrics. Names and meanings are in `docs/operating.md`.

use std::{fmt, sync::Arc};

use chorus_bus::LATENCY_BUCKETS;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

use crate::hub::Hub;

#[derive(Debug)]
pub(crate) struct Metrics {
    pub accepted: Counter,
    pub messages: Counter,
    pub deliveries: Counter,
    pub closes: Family<Code, Counter>,
    /// From a message's append to the room's answer in the outbox.
    pub answers: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Code {
    pub code: u16,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            accepted: Counter::default(),
            messages: Counter::default(),
            deliveries: Counter::default(),
            closes: Family::default(),
            answers: Histogram::new(LATENCY_BUCKETS),
        }
    }
}

/// Registers all of an edge's metrics.
pub(crate) fn register(hub: &Arc<Hub>, registry: &mut Registry) {
    let metrics = &hub.metrics;
    registry.register("accepted", "WebSockets that were opened", metrics.accepted.clone());
    registry.register("messages", "Messages of players that were taken", metrics.messages.clone());
    registry.register("deliveries", "Frames of rooms that were put out for players", metrics.deliveries.clone());
    registry.register("closes", "Connections that this edge has closed, by code", metrics.closes.clone());
    registry.register("answer_seconds", "From a message to its room's answer", metrics.answers.clone());
    registry.register_collector(Box::new(Now(hub.clone())));
}

/// Metrics that are read at the time of a scrape.
struct Now(Arc<Hub>);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauges = [
            ("connections", "WebSockets that are open", self.0.connections()),
            ("sessions", "Sessions that are connected", self.0.sessions()),
        ];
        for (name, help, count) in gauges {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
