//! Every setting of the client that is not its default, with its reason.

use rdkafka::{
    ClientConfig,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
};

use super::{OpenError, Options};
use crate::MAX_RECORD;

/// The overhead of a record beyond its value: key, headers, framing.
pub(super) const OVERHEAD: usize = 64 << 10;

/// The settings of every client.
fn common(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", &options.prefix)
        // A connection that is lost without a packet is noticed after ten seconds rather than a minute.
        .set("socket.timeout.ms", "10000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        // Reconnects soon after a restart, without flooding the broker.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500")
        .set("topic.metadata.refresh.fast.interval.ms", "50")
        // Every topic is created by this back end, with its settings: sending to a dead edge creates none.
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.propagation.max.ms", "10000")
        .set("message.max.bytes", (MAX_RECORD + OVERHEAD).to_string())
        .set("log.connection.close", "false")
        .set("enable.metrics.push", "false")
        .set_log_level(RDKafkaLogLevel::Info);
    for (key, value) in &options.client {
        config.set(key, value.expose());
    }
    config
}

pub(super) fn producer(options: &Options) -> ClientConfig {
    let mut config = common(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        // A message that gives up would let later ones overtake it. A caller that waits has a limit of its own.
        .set("message.timeout.ms", "0")
        .set("request.timeout.ms", "10000")
        // The bound is in bytes; this many messages take about 300 bytes each besides their payload.
        .set("queue.buffering.max.kbytes", options.queue_bytes.div_ceil(1024).to_string())
        .set("queue.buffering.max.messages", "500000");
    config
}

pub(super) fn rooms_producer(options: &Options) -> ClientConfig {
    let mut config = producer(options);
    // A record that fails for good holds back all later ones: the producer stops.
    config.set("enable.gapless.guarantee", "true");
    config
}

pub(super) fn consumer(options: &Options) -> ClientConfig {
    let mut config = common(options);
    config
        // Required for assigning partitions; no offset is ever committed under it.
        .set("group.id", format!("{}.readers", options.prefix))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_uncommitted")
        .set("check.crcs", "true")
        // A fetch returns with the first byte. Without data, a fetch in flight delays the fetch of a newly assigned partition
        // by at most this long.
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "50")
        // The limit of records fetched ahead, per partition; when it is reached, the client checks again soon.
        .set("queued.max.messages.kbytes", "4096")
        .set("queued.min.messages", "10000")
        .set("fetch.queue.backoff.ms", "10");
    config
}

/// For queries and administration. Its log lines are not read.
pub(super) fn admin(options: &Options) -> ClientConfig {
    let mut config = common(options);
    config.set_log_level(RDKafkaLogLevel::Emerg);
    config
}

/// Settings that an operator may not change: promises depend on them, or they have options of their own.
const OURS: [&str; 16] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "acks",
    "request.required.acks",
    "linger.ms",
    "queue.buffering.max.ms",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "queue.buffering.max.kbytes",
    "message.max.bytes",
    "transactional.id",
    "enable.auto.commit",
    "auto.offset.reset",
    "allow.auto.create.topics",
];

/// Refuses settings that would break a promise.
pub(super) fn check(options: &Options) -> Result<(), OpenError> {
    match options.client.iter().find(|(key, _)| OURS.contains(&key.as_str())) {
        Some((key, _)) => Err(OpenError::Setting { key: key.clone() }),
        None => Ok(()),
    }
}

/// A client of these settings. Creating one does not connect yet.
pub(super) fn create<C, T: FromClientConfigAndContext<C>>(config: &ClientConfig, context: C) -> Result<T, OpenError>
where
    C: rdkafka::ClientContext,
{
    config.create_with_context(context).map_err(|error| OpenError::Config { reason: reason(&error) })
}

/// Without the value of a setting, which may be a password.
fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, key, value) if value.is_empty() => format!("{key}: {reason}"),
        KafkaError::ClientConfig(_, reason, key, value) => format!("{key}: {}", reason.replace(value, "…")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{consumer::BaseConsumer, consumer::DefaultConsumerContext};

    use super::*;

    #[test]
    fn no_value_of_a_setting_is_in_an_error_or_in_the_options() {
        for key in ["sasl.pasword", "sasl.mechanisms", "socket.timeout.ms"] {
            let client = vec![(key.to_owned(), "hunter2".into())];
            let options = Options { client, ..Options::new("127.0.0.1:1") };
            let made = create::<_, BaseConsumer>(&consumer(&options), DefaultConsumerContext);
            let error = made.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("hunter2") && !format!("{options:?}").contains("hunter2"), "{key}: {error}");
        }
    }
}
