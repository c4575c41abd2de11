//! Queries and administration of the cluster: the topics, their starts and ends, and creating and deleting them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chorus_core::ids::Offset;
use rdkafka::{
    TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::{KafkaError, KafkaResult},
    metadata::Metadata,
    types::RDKafkaErrorCode,
};
use tokio::time::Instant;

use super::{
    OpenError, Options,
    codes::{is_final_for_query, is_missing_topic, is_no_answer, timed_out},
    config,
    context::{Context, DropOnThread},
    health::Health,
};
use crate::{MAX_RECORD, TruncateError};

/// The limit of one query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// The limit of [`Topics::check_ready`] and [`Topics::check_connectivity`].
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// One broker's share of [`CHECK_TIMEOUT`]. The client repeats a query to the same broker if that one disconnects meanwhile, so
/// another broker is only found by a new query.
const BROKER_TIMEOUT: Duration = Duration::from_secs(1);

/// The limit for a topic's creation or deletion on all brokers.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one segment of a topic is written. A broker deletes the bytes of deleted records with their segment, and not the
/// segment that it writes to. Each segment costs it a few files, and by default it writes one for a week.
pub(super) const SEGMENT: Duration = Duration::from_secs(3600);

/// The delay between two queries for a state that is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

type Client = rdkafka::client::Client<Context>;

pub(super) struct Topics {
    admin: DropOnThread<AdminClient<Context>>,
    options: Arc<Options>,
    health: Arc<Health>,
}

/// A topic's state in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicState {
    pub brokers: usize,
    /// `None` when there is no such topic; for each partition, the number of its replicas.
    pub replicas: Option<Vec<usize>>,
    /// Every partition has a leader.
    pub is_led: bool,
}

impl Topics {
    pub fn new(options: &Arc<Options>, health: &Arc<Health>) -> Result<Topics, OpenError> {
        let context = Context { health: health.clone(), deliveries: () };
        let admin = DropOnThread::new(config::create(&config::admin(options), context)?);
        Ok(Topics { admin, options: options.clone(), health: health.clone() })
    }

    /// A partition's start and end. Repeats the query for a topic that is new or has just lost a leader.
    pub async fn bounds(self: &Arc<Topics>, topic: &str, partition: u32) -> Result<(Offset, Offset), String> {
        let topic = topic.to_owned();
        let query = move |admin: &Client| admin.fetch_watermarks(&topic, partition as i32, QUERY_TIMEOUT);
        let (start, end) = self.query(query).await.map_err(|error| self.explain(&error))?;
        Ok((start as Offset, end as Offset))
    }

    pub async fn find(self: &Arc<Topics>, topic: &str) -> Result<TopicState, String> {
        self.find_within(QUERY_TIMEOUT, topic).await
    }

    async fn find_within(self: &Arc<Topics>, timeout: Duration, topic: &str) -> Result<TopicState, String> {
        let metadata = self.metadata(timeout, Some(topic.to_owned())).await.map_err(|error| self.explain(&error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let there = found.filter(|found| found.error().is_none());
        Ok(TopicState {
            brokers: metadata.brokers().len(),
            replicas: there.map(|found| found.partitions().iter().map(|one| one.replicas().len()).collect()),
            is_led: there.is_some_and(|found| found.partitions().iter().all(|one| one.leader() >= 0)),
        })
    }

    /// Whether the cluster reports that there is no such topic. `false` when it does not answer.
    pub async fn is_missing(self: &Arc<Topics>, topic: &str) -> bool {
        let Ok(metadata) = self.metadata(QUERY_TIMEOUT, Some(topic.to_owned())).await else { return false };
        metadata.topics().iter().any(|found| {
            found.name() == topic && found.error().is_some_and(|error| is_missing_topic(RDKafkaErrorCode::from(error)))
        })
    }

    /// The cluster's own id, as its brokers report it; `None` when they do not.
    pub async fn cluster_id(self: &Arc<Topics>) -> Option<String> {
        let id = self.query(|admin: &Client| Ok(admin.fetch_cluster_id(QUERY_TIMEOUT))).await;
        id.ok().flatten().filter(|id| !id.is_empty())
    }

    /// Names of all topics.
    pub async fn names(self: &Arc<Topics>) -> Result<Vec<String>, String> {
        let metadata = self.metadata(QUERY_TIMEOUT, None).await.map_err(|error| self.explain(&error))?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// Whether every partition of the topic has a leader.
    pub async fn check_ready(self: &Arc<Topics>, topic: &str) -> Result<(), String> {
        match self.find_quickly(topic).await? {
            TopicState { is_led: true, .. } => Ok(()),
            TopicState { replicas: None, .. } => Err(format!("topic {topic} is missing")),
            TopicState { .. } => Err(format!("a partition of topic {topic} has no leader")),
        }
    }

    /// Whether any broker answers, even with an error.
    pub async fn check_connectivity(self: &Arc<Topics>, topic: &str) -> Result<(), String> {
        self.find_quickly(topic).await.map(drop)
    }

    async fn find_quickly(self: &Arc<Topics>, topic: &str) -> Result<TopicState, String> {
        let found = tokio::time::timeout(CHECK_TIMEOUT, self.find_within(BROKER_TIMEOUT, topic)).await;
        found.unwrap_or_else(|_| Err(self.explain(&timed_out())))
    }

    async fn metadata(self: &Arc<Topics>, timeout: Duration, topic: Option<String>) -> KafkaResult<Metadata> {
        self.query(move |admin: &Client| admin.fetch_metadata(topic.as_deref(), timeout)).await
    }

    /// Queries on a blocking thread, and repeats the query while the answer may change: brokers come and go, and a new topic or
    /// leader takes some time to reach all of them.
    async fn query<T: Send + 'static>(
        self: &Arc<Topics>,
        query: impl Fn(&Client) -> KafkaResult<T> + Send + Sync + 'static,
    ) -> KafkaResult<T> {
        let (deadline, query) = (Instant::now() + ADMIN_TIMEOUT, Arc::new(query));
        loop {
            let (topics, query) = (self.clone(), query.clone());
            let answer = tokio::task::spawn_blocking(move || query(topics.admin.inner())).await;
            // A runtime that is shutting down runs no query.
            match answer.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(answer) => {
                    self.health.reachable();
                    return Ok(answer);
                }
                Err(error) if Instant::now() >= deadline || is_final_for_query(&error) => return Err(error),
                Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Creates a topic, unless it exists, and waits until it is usable.
    pub async fn create(
        self: &Arc<Topics>,
        name: &str,
        partitions: u32,
        retention: Option<Duration>,
    ) -> KafkaResult<()> {
        let retention = retention.map_or("-1".to_owned(), |keep| keep.as_millis().to_string());
        let segment = SEGMENT.as_millis().to_string();
        let largest = (MAX_RECORD + config::OVERHEAD).to_string();
        let replication = TopicReplication::Fixed(self.options.replication as i32);
        let mut topic = NewTopic::new(name, partitions as i32, replication)
            .set("cleanup.policy", "delete")
            .set("retention.ms", &retention)
            .set("retention.bytes", "-1")
            .set("segment.ms", &segment)
            .set("max.message.bytes", &largest);
        if self.options.replication > 1 {
            topic = topic.set("min.insync.replicas", "2");
        }
        let created = self.admin.create_topics([&topic], &admin_options()).await?;
        match created.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => Err(KafkaError::AdminOp(code)),
            _ => self.wait_until(name, |found| found.is_led).await,
        }
    }

    pub async fn delete(self: &Arc<Topics>, name: &str) -> KafkaResult<()> {
        let deleted = self.admin.delete_topics(&[name], &admin_options()).await?;
        match deleted.into_iter().next() {
            Some(Err((_, code))) if !is_missing_topic(code) => Err(KafkaError::AdminOp(code)),
            _ => self.wait_until(name, |found| found.replicas.is_none()).await,
        }
    }

    async fn wait_until(self: &Arc<Topics>, name: &str, is_so: impl Fn(&TopicState) -> bool) -> KafkaResult<()> {
        let wait = async {
            while !self.find(name).await.is_ok_and(|found| is_so(&found)) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let waited = tokio::time::timeout(ADMIN_TIMEOUT, wait).await;
        waited.map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))
    }

    /// Deletes the records below `before`.
    pub async fn delete_records(&self, topic: &str, partition: u32, before: Offset) -> Result<(), TruncateError> {
        let error = |error: KafkaError| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnsupportedFeature) => TruncateError::Unsupported,
            _ => TruncateError::Broker { partition, reason: self.explain(&error) },
        };
        let mut list = TopicPartitionList::new();
        let place = rdkafka::Offset::Offset(i64::try_from(before).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, partition as i32, place).map_err(error)?;
        let deleted = self.admin.delete_records(&list, &admin_options()).await.map_err(error)?;
        deleted.elements().iter().try_for_each(|one| one.error()).map_err(error)
    }

    /// A topic's settings.
    pub async fn settings(&self, topic: &str) -> Result<HashMap<String, String>, String> {
        let described = self.admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &admin_options()).await;
        let described = described.map_err(|error| self.explain(&error))?;
        let resource = described.into_iter().next().ok_or("no answer")?.map_err(|code| code.to_string())?;
        Ok(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    /// The text of an error, with the client's last error if that explains more.
    pub fn explain(&self, error: &KafkaError) -> String {
        match self.health.last_error() {
            Some(last) if is_no_answer(error) => format!("{error}; the client's last error: {last}"),
            _ => error.to_string(),
        }
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT))
}
