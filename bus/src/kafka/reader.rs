//! Reading rooms' channels.
//!
//! One consumer, [`Tails`], reads all partitions of this machine, each into a queue of its own: one fetch per broker for all of
//! them, so that idle partitions cost nothing and adding or removing one is only another assignment. A second reader of a
//! partition (a room that catches up) has a consumer of its own for its lifetime.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use chorus_core::{command::Record, ids::Offset, wire};
use rdkafka::{consumer::BaseConsumer, error::KafkaError, message::Message, types::RDKafkaErrorCode};
use tokio::sync::watch;

use super::{
    Options, config,
    context::{self, Aside, Context},
    feed::Feed,
    health::{Health, State},
    topics::Topics,
};
use crate::ReadError;

/// The most records in one batch.
const MOST: usize = 512;

/// The delay before another query of a partition's end, when that is behind the position.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Tails {
    consumer: Aside<Arc<BaseConsumer<Context>>>,
    /// Partitions that have a reader here.
    assigned: Mutex<HashSet<u32>>,
    options: Arc<Options>,
    health: Arc<Health>,
    topics: Arc<Topics>,
}

impl Tails {
    pub fn new(options: &Arc<Options>, health: &Arc<Health>, topics: &Arc<Topics>) -> Arc<Tails> {
        Arc::new(Tails {
            consumer: Aside::new(consumer(options, health)),
            assigned: Mutex::default(),
            options: options.clone(),
            health: health.clone(),
            topics: topics.clone(),
        })
    }

    pub fn read(self: &Arc<Tails>, partition: u32, from: Offset) -> Reader {
        let is_first = self.assigned.lock().expect("nothing panics under it").insert(partition);
        let topic = self.options.rooms_topic();
        let feed = match is_first {
            true => Feed::shared(&self.consumer, &topic, partition as i32, from),
            false => Feed::own(consumer(&self.options, &self.health), &topic, partition as i32, from),
        };
        let shared = is_first.then(|| Shared { tails: self.clone(), partition });
        let (state, topics) = (self.health.watch(), self.topics.clone());
        Reader {
            feed,
            position: from,
            trouble: None,
            topic,
            partition,
            state,
            topics,
            health: self.health.clone(),
            _shared: shared,
        }
    }
}

/// A partition's entry in [`Tails`], released when the reader is dropped.
struct Shared {
    tails: Arc<Tails>,
    partition: u32,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tails.assigned.lock().expect("nothing panics under it").remove(&self.partition);
    }
}

pub(super) fn consumer(options: &Options, health: &Arc<Health>) -> Arc<BaseConsumer<Context>> {
    let context = Context { health: health.clone(), deliveries: () };
    let created = config::create(&config::consumer(options), context);
    context::serve(created.expect("the same settings were tried when the bus was opened"))
}

/// The Kafka half of [`crate::Reader`].
pub struct Reader {
    // In this order: the feed is dropped before another reader may take the partition.
    feed: Feed,
    _shared: Option<Shared>,
    /// The next record.
    position: Offset,
    /// A problem to settle before records can come.
    trouble: Option<Trouble>,
    topic: String,
    partition: u32,
    state: watch::Receiver<State>,
    topics: Arc<Topics>,
    health: Arc<Health>,
}

#[derive(Clone, Debug)]
enum Trouble {
    /// There is no record at the position.
    OutOfRange,
    /// The broker returned an error that may pass.
    Refused(RDKafkaErrorCode),
}

impl Reader {
    /// Cancel safe: records taken from the queue are handed over without waiting, and trouble is kept.
    pub(crate) async fn next(&mut self, into: &mut Vec<(Offset, Record)>) -> Result<(), ReadError> {
        loop {
            if self.trouble.is_some() {
                self.settle().await?;
            }
            if self.take(into)? {
                return Ok(());
            }
            if self.trouble.is_some() {
                continue;
            }
            self.check_state()?;
            tokio::select! {
                () = self.feed.filled.notified() => {}
                _ = self.state.changed() => {}
            }
        }
    }

    /// Takes the available records. Returns whether there were any.
    fn take(&mut self, into: &mut Vec<(Offset, Record)>) -> Result<bool, ReadError> {
        let before = into.len();
        while into.len() - before < MOST {
            let message = match self.feed.poll() {
                None => break,
                Some(Err(error)) => {
                    self.trouble = trouble(&error);
                    break;
                }
                Some(Ok(message)) => message,
            };
            let offset = message.offset() as Offset;
            if offset < self.position {
                continue;
            }
            match wire::decode(message.payload().unwrap_or_default()) {
                Ok(record) => into.push((offset, record)),
                Err(source) => {
                    // The records before it are handed over first; the next poll returns the error again.
                    self.feed.go_to(self.position);
                    if into.len() > before {
                        break;
                    }
                    return Err(ReadError::Decode { partition: self.partition, offset, source });
                }
            }
            self.position = offset + 1;
        }
        let any = into.len() > before;
        if any {
            self.health.answered();
        }
        Ok(any)
    }

    async fn settle(&mut self) -> Result<(), ReadError> {
        match self.trouble {
            Some(Trouble::OutOfRange) => self.wait_for_the_log().await?,
            Some(Trouble::Refused(code)) => {
                if is_final(code) || self.topics.is_missing(&self.topic).await {
                    return Err(ReadError::Broker { partition: self.partition, reason: code.to_string() });
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
            None => return Ok(()),
        }
        self.feed.go_to(self.position);
        self.trouble = None;
        Ok(())
    }

    /// Waits until records can be read from the position.
    async fn wait_for_the_log(&mut self) -> Result<(), ReadError> {
        let mut told = false;
        loop {
            self.check_state()?;
            match self.topics.bounds(&self.topic, self.partition).await {
                Ok((start, _)) if self.position < start => {
                    return Err(ReadError::Gone { partition: self.partition, from: self.position, start });
                }
                Ok((_, end)) if self.position <= end => return Ok(()),
                Ok((_, end)) if !told => {
                    let (partition, position) = (self.partition, self.position);
                    tracing::warn!(partition, position, end, "the log ends before the place to read from; waiting");
                    told = true;
                }
                Ok(_) => {}
                Err(reason) => tracing::debug!(partition = self.partition, reason, "the broker does not say"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn check_state(&mut self) -> Result<(), ReadError> {
        match &*self.state.borrow_and_update() {
            State::Open | State::Closing => Ok(()),
            State::Closed => Err(ReadError::Closed),
            State::Stopped(stopped) => Err(stopped.clone().into()),
        }
    }
}

fn trouble(error: &KafkaError) -> Option<Trouble> {
    let code = error.rdkafka_error_code()?;
    match code {
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => Some(Trouble::OutOfRange),
        code if is_final(code) || is_about_topic(code) => Some(Trouble::Refused(code)),
        code => {
            tracing::debug!(%code, "a fetch failed; the client tries again");
            None
        }
    }
}

fn is_final(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::Fatal)
}

pub(super) fn is_about_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, UnknownTopic | UnknownTopicOrPartition | UnknownPartition)
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reader");
        debug.field("partition", &self.partition).field("position", &self.position).finish_non_exhaustive()
    }
}
