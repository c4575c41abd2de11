//! The start: checks that the broker is reachable and capable, and that the rooms' topic has the required settings.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics,
    error::KafkaError,
    producer::{BaseProducer, DeliveryResult, ProducerContext},
    types::RDKafkaErrorCode,
};
use tokio::time::Instant;

use super::{
    Kafka, Options,
    codes::timed_out,
    config, edge_channel,
    health::Health,
    rooms::Rooms,
    topics::{SEGMENT, TopicState, Topics},
};
use crate::MAX_RECORD;

/// Why there is no bus on this broker. Nothing was changed, except that the rooms' topic may have been created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the client's setting {key} cannot be changed: chorus sets it, and its guarantees depend on it")]
    Setting { key: String },
    #[error("the broker's client cannot be configured: {reason}")]
    Config { reason: String },
    #[error("{prefix:?} cannot begin a topic's name: use letters, digits, dots, hyphens and underscores, at most 64")]
    Prefix { prefix: String },
    #[error("no broker at {brokers} answers within {within:?}: {reason}")]
    Unreachable { brokers: String, within: Duration, reason: String },
    #[error(
        "topic {topic} should have {configured} copies of each partition, and the cluster has {brokers} brokers: start more \
         brokers, or configure fewer copies"
    )]
    Replication { topic: String, configured: u32, brokers: usize },
    #[error(
        "topic {topic} is missing and could not be created: {reason}; create it with {partitions} partitions, or allow this client to"
    )]
    CannotCreate { topic: String, partitions: u32, reason: String },
    #[error(
        "topic {topic} is missing, and the database belongs to it: what was played since each room's last snapshot is lost. \
         Restore the topic, or start one machine with --accept-loss to continue from the snapshots with a new topic; or create a new \
         cluster: another database, another --topic-prefix"
    )]
    Gone { topic: String },
    #[error(
        "topic {topic} has {found} partitions, and {configured} are configured: the number is fixed when a log is created"
    )]
    Partitions { topic: String, found: usize, configured: u32 },
    #[error(
        "topic {topic} is compacted (cleanup.policy={policy}): compaction deletes records that rooms need; set it to delete"
    )]
    Compacted { topic: String, policy: String },
    #[error("the broker supports no idempotent producer, without which records could be lost or duplicated: {reason}")]
    Idempotence { reason: String },
}

pub(super) async fn open(options: Options) -> Result<Kafka, OpenError> {
    config::check(&options)?;
    check_prefix(&options.prefix)?;
    assert!(options.partitions > 0 && options.replication > 0, "at least one partition, and one copy of it");
    let options = Arc::new(options);
    let health = Arc::new(Health::new());
    let mut rooms = Rooms::new(&options, &health)?;
    let topics = Arc::new(Topics::new(&options, &health)?);
    // Also tries these settings: a mistake in them could not be reported later.
    edge_channel::sender::try_settings(&options, &health)?;

    let found = wait_for_broker(&options, &topics).await?;
    check_rooms(&options, &topics, found).await?;
    rooms.limit = check_settings(&options, &topics).await?;
    check_deleting(&options, &topics).await;
    check_idempotence(&options).await?;
    let runtime = tokio::runtime::Handle::current();
    let (edge_sender, shared_consumer, receivers) = (OnceLock::new(), OnceLock::new(), Default::default());
    Ok(Kafka { options, health, topics, rooms, edge_sender, shared_consumer, receivers, runtime })
}

fn check_prefix(prefix: &str) -> Result<(), OpenError> {
    let good = (1..=64).contains(&prefix.len()) && edge_channel::is_name(prefix);
    if good { Ok(()) } else { Err(OpenError::Prefix { prefix: prefix.chars().take(64).collect() }) }
}

/// Waits until a broker answers.
async fn wait_for_broker(options: &Options, topics: &Arc<Topics>) -> Result<TopicState, OpenError> {
    let deadline = Instant::now() + options.open_timeout;
    loop {
        let queried = tokio::time::timeout_at(deadline, topics.find(&options.rooms_topic())).await;
        let reason = match queried {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(reason)) => reason,
            Err(_) => topics.explain(&timed_out()),
        };
        if Instant::now() >= deadline {
            let (brokers, within) = (options.brokers.clone(), options.open_timeout);
            return Err(OpenError::Unreachable { brokers, within, reason });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the topic that was just created is found: a broker that does not have its creation yet reports it as missing.
async fn wait_for_topic(options: &Options, topics: &Arc<Topics>) -> Result<TopicState, OpenError> {
    let deadline = Instant::now() + options.open_timeout;
    loop {
        let found = wait_for_broker(options, topics).await?;
        if found.replicas.is_some() || Instant::now() >= deadline {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes sure that the rooms' topic exists, with the configured number of partitions.
async fn check_rooms(options: &Options, topics: &Arc<Topics>, mut found: TopicState) -> Result<(), OpenError> {
    let topic = options.rooms_topic();
    if found.replicas.is_none() {
        if !options.make_topic {
            return Err(OpenError::Gone { topic });
        }
        create_rooms(options, topics, found.brokers).await?;
        found = wait_for_topic(options, topics).await?;
    }
    let replicas = found.replicas.unwrap_or_default();
    if replicas.len() != options.partitions as usize {
        return Err(OpenError::Partitions { topic, found: replicas.len(), configured: options.partitions });
    }
    let fewest = replicas.into_iter().min().unwrap_or(0);
    if fewest < options.replication as usize {
        tracing::warn!(
            topic,
            copies = fewest,
            configured = options.replication,
            "the topic has fewer copies than configured"
        );
    }
    Ok(())
}

async fn create_rooms(options: &Options, topics: &Arc<Topics>, brokers: usize) -> Result<(), OpenError> {
    let (topic, partitions, configured) = (options.rooms_topic(), options.partitions, options.replication);
    if brokers < configured as usize {
        return Err(OpenError::Replication { topic, configured, brokers });
    }
    match topics.create(&topic, partitions, None).await {
        Ok(()) => {
            tracing::info!(topic, partitions, copies = configured, "created the rooms' topic");
            Ok(())
        }
        Err(KafkaError::AdminOp(RDKafkaErrorCode::InvalidReplicationFactor)) => {
            Err(OpenError::Replication { topic, configured, brokers })
        }
        Err(error) => Err(OpenError::CannotCreate { topic, partitions, reason: topics.explain(&error) }),
    }
}

/// Checks the topic's settings, and returns the largest record that it accepts.
async fn check_settings(options: &Options, topics: &Arc<Topics>) -> Result<usize, OpenError> {
    let topic = options.rooms_topic();
    let settings = match topics.settings(&topic).await {
        Ok(settings) => settings,
        Err(reason) => {
            tracing::warn!(topic, reason, "the topic's settings cannot be checked");
            return Ok(MAX_RECORD);
        }
    };
    let get = |key: &str| settings.get(key).map_or("", String::as_str);
    let policy = get("cleanup.policy");
    if policy.contains("compact") {
        return Err(OpenError::Compacted { topic, policy: policy.to_owned() });
    }
    for key in ["retention.ms", "retention.bytes"] {
        if !matches!(get(key), "-1" | "" | "9223372036854775807") {
            let (value, why) = (get(key), "records may be deleted before the snapshots that replace them are stored");
            tracing::warn!(topic, "{key} is {value}: {why}; set it to -1");
        }
    }
    let segment = get("segment.ms").parse().map_or(SEGMENT, Duration::from_millis);
    if segment > SEGMENT {
        let longest = SEGMENT.as_millis();
        tracing::warn!(
            topic,
            "segment.ms is {}: the broker keeps the bytes of deleted records for that long, those of erased players too; set it to \
             {longest}",
            segment.as_millis()
        );
    }
    if options.replication > 1 && get("min.insync.replicas").parse().is_ok_and(|min: u32| min < 2) {
        tracing::warn!(topic, "min.insync.replicas is less than 2: one broker's death may lose confirmed records");
    }
    let largest = get("max.message.bytes").parse().unwrap_or(usize::MAX);
    let limit = largest.saturating_sub(config::OVERHEAD).min(MAX_RECORD);
    if limit < MAX_RECORD {
        tracing::warn!(topic, bytes = limit, "max.message.bytes is low: larger records are refused");
    }
    Ok(limit)
}

/// Deletes no record, but finds out whether deletion is possible.
async fn check_deleting(options: &Options, topics: &Arc<Topics>) {
    let topic = options.rooms_topic();
    let tried = async {
        let (start, _) = topics.bounds(&topic, 0).await?;
        topics.delete_records(&topic, 0, start).await.map_err(|error| error.to_string())
    };
    if let Err(reason) = tried.await {
        tracing::warn!(
            topic,
            reason,
            "old records cannot be deleted (DeleteRecords): the topic grows until its own retention deletes them"
        );
    }
}

/// Requests a producer id, which is the only part of idempotence that a broker can refuse.
async fn check_idempotence(options: &Options) -> Result<(), OpenError> {
    let mut config = config::producer(options);
    config.set("statistics.interval.ms", "20");
    let probe: BaseProducer<Probe> = config::create(&config, Probe::default())?;
    let within = options.open_timeout;
    let probing = tokio::task::spawn_blocking(move || {
        let deadline = std::time::Instant::now() + within;
        loop {
            probe.poll(Duration::from_millis(20));
            let probe = rdkafka::producer::Producer::client(&probe).context();
            if let Some(answer) = probe.answer.lock().expect("nothing panics under this lock").take() {
                return answer;
            }
            if std::time::Instant::now() >= deadline {
                return Err(format!("no answer within {within:?}"));
            }
        }
    });
    let answer = probing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    answer.map_err(|reason| OpenError::Idempotence { reason })
}

#[derive(Debug, Default)]
struct Probe {
    answer: Mutex<Option<Result<(), String>>>,
}

impl Probe {
    fn answer(&self, answer: Result<(), String>) {
        self.answer.lock().expect("nothing panics under this lock").get_or_insert(answer);
    }
}

impl ClientContext for Probe {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.answer(Err(reason.to_owned()));
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.eos.is_some_and(|eos| eos.idemp_state == "Assigned") {
            self.answer(Ok(()));
        }
    }
}

impl ProducerContext for Probe {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
