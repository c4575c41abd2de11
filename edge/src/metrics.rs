//! An edge's metrics. Names and meanings are in `docs/operating.md`.

use std::fmt;

use chorus_bus::LATENCY_BUCKETS;
use chorus_core::{frame::CloseCode, session::Slowed};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub accepted: Counter,
    pub messages: Counter,
    pub deliveries: Counter,
    closes: Family<Code, Counter>,
    pub refused_frames: Counter,
    refused_connections: Family<Refusal, Counter>,
    slowed: Family<By, Counter>,
    /// From a message's append to the room's answer in the outbox.
    pub answers: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    limit: &'static str,
}

/// The limit by which a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Connections in all, or of its address.
    Connections,
    /// New connections of its address.
    NewConnections,
    /// New sessions of its address.
    NewSessions,
    /// Connections of its player.
    Player,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    by: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            accepted: Counter::default(),
            messages: Counter::default(),
            deliveries: Counter::default(),
            closes: Family::default(),
            refused_frames: Counter::default(),
            refused_connections: Family::default(),
            slowed: Family::default(),
            answers: Histogram::new(LATENCY_BUCKETS),
        }
    }
}

impl Metrics {
    pub fn count_close(&self, code: CloseCode) {
        self.closes.get_or_create(&Code { code: code.code() }).inc();
    }

    pub fn count_refused(&self, limit: Limit) {
        let limit = match limit {
            Limit::Connections => "connections",
            Limit::NewConnections => "new_connections",
            Limit::NewSessions => "new_sessions",
            Limit::Player => "player",
        };
        self.refused_connections.get_or_create(&Refusal { limit }).inc();
    }

    pub fn count_slowed(&self, by: Slowed) {
        let by = match by {
            Slowed::Session => "session",
            Slowed::Player => "player",
        };
        self.slowed.get_or_create(&By { by }).inc();
    }

    /// A connection waits for its address's turn.
    pub fn count_waiting(&self) {
        self.slowed.get_or_create(&By { by: "address" }).inc();
    }

    /// Registers all of an edge's metrics. `gauges` is called at each scrape.
    pub fn register(&self, gauges: impl Fn() -> Gauges + Send + Sync + 'static, registry: &mut Registry) {
        registry.register("accepted", "WebSockets that were opened", self.accepted.clone());
        registry.register("messages", "Messages of players that were taken", self.messages.clone());
        registry.register("deliveries", "Frames of rooms that were put out for players", self.deliveries.clone());
        registry.register("closes", "Connections that this edge has closed, by code", self.closes.clone());
        registry.register("refused_frames", "Frames that were answered with rate_limited", self.refused_frames.clone());
        let refused = self.refused_connections.clone();
        registry.register("refused_connections", "Connections that were refused, by the limit", refused);
        registry.register("slowed", "Times that a client had to wait, by whose limit", self.slowed.clone());
        registry.register("answer_seconds", "From a message to its room's answer", self.answers.clone());
        registry.register_collector(Box::new(GaugeCollector(gauges)));
    }
}

/// Metrics that are read at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauges {
    pub connections: usize,
    pub sessions: usize,
}

struct GaugeCollector<F>(F);

impl<F> fmt::Debug for GaugeCollector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GaugeCollector")
    }
}

impl<F: Fn() -> Gauges + Send + Sync + 'static> Collector for GaugeCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Gauges { connections, sessions } = (self.0)();
        let gauges = [
            ("connections", "WebSockets that are open", connections),
            ("sessions", "Sessions that are connected", sessions),
        ];
        for (name, help, count) in gauges {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chorus_testing::metrics::{documented, on_page};

    use super::*;

    #[test]
    fn the_documentation_lists_exactly_the_metrics_that_an_edge_has() {
        let metrics = Metrics::default();
        // A family without a series is not on the page.
        metrics.count_close(CloseCode::Draining);
        metrics.count_refused(Limit::Player);
        metrics.count_slowed(Slowed::Player);
        let mut registry = Registry::default();
        metrics.register(|| Gauges { connections: 0, sessions: 0 }, &mut registry);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a string takes everything");
        assert_eq!(on_page(&page), documented("Edges"));
    }
}
