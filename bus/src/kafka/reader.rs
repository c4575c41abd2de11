//! Reading rooms' channels.
//!
//! One consumer, [`SharedConsumer`], reads all partitions of this machine, each into a queue of its own: one fetch per broker for all of
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
    Options,
    codes::{is_final_for_fetch, is_missing_topic, is_out_of_range},
    config,
    context::{self, Context, DropOnThread},
    feed::PartitionFeed,
    health::{Health, State},
    topics::Topics,
};
use crate::ReadError;

/// The most records in one batch.
const MAX_BATCH: usize = 512;

/// The delay before another query or fetch, when the log ends before the position or the broker has refused a fetch.
const RETRY_DELAY: Duration = Duration::from_millis(100);

pub(super) struct SharedConsumer {
    consumer: DropOnThread<Arc<BaseConsumer<Context>>>,
    /// Partitions that have a reader here.
    assigned: Mutex<HashSet<u32>>,
    options: Arc<Options>,
    health: Arc<Health>,
    topics: Arc<Topics>,
}

impl SharedConsumer {
    pub fn new(options: &Arc<Options>, health: &Arc<Health>, topics: &Arc<Topics>) -> Arc<SharedConsumer> {
        Arc::new(SharedConsumer {
            consumer: DropOnThread::new(consumer(options, health)),
            assigned: Mutex::default(),
            options: options.clone(),
            health: health.clone(),
            topics: topics.clone(),
        })
    }

    pub fn read(self: &Arc<SharedConsumer>, partition: u32, from: Offset) -> Reader {
        let is_first = self.assigned.lock().expect("nothing panics under it").insert(partition);
        let topic = self.options.rooms_topic();
        let feed = match is_first {
            true => PartitionFeed::of_shared(&self.consumer, &topic, partition as i32, from),
            false => PartitionFeed::of_own(consumer(&self.options, &self.health), &topic, partition as i32, from),
        };
        let shared = is_first.then(|| SharedPartition { consumer: self.clone(), partition });
        let (state, topics) = (self.health.watch(), self.topics.clone());
        Reader {
            feed,
            position: from,
            fetch_error: None,
            topic,
            partition,
            state,
            topics,
            health: self.health.clone(),
            _shared: shared,
        }
    }
}

/// A partition's entry in [`SharedConsumer`], released when the reader is dropped.
struct SharedPartition {
    consumer: Arc<SharedConsumer>,
    partition: u32,
}

impl Drop for SharedPartition {
    fn drop(&mut self) {
        self.consumer.assigned.lock().expect("nothing panics under it").remove(&self.partition);
    }
}

pub(super) fn consumer(options: &Options, health: &Arc<Health>) -> Arc<BaseConsumer<Context>> {
    let context = Context { health: health.clone(), deliveries: () };
    let created = config::create(&config::consumer(options), context);
    context::poll_on_thread(created.expect("the same settings were tried when the bus was opened"))
}

/// The Kafka half of [`crate::Reader`].
pub struct Reader {
    // In this order: the feed is dropped before another reader may take the partition.
    feed: PartitionFeed,
    _shared: Option<SharedPartition>,
    /// The next record.
    position: Offset,
    /// It has to be handled before records can come.
    fetch_error: Option<FetchError>,
    topic: String,
    partition: u32,
    state: watch::Receiver<State>,
    topics: Arc<Topics>,
    health: Arc<Health>,
}

#[derive(Clone, Debug)]
enum FetchError {
    /// There is no record at the position.
    OutOfRange,
    /// The broker returned an error that may pass.
    Refused(RDKafkaErrorCode),
}

impl Reader {
    /// Cancel safe: records taken from the queue are handed over without waiting, and an error of a fetch is kept.
    pub(crate) async fn next(&mut self, into: &mut Vec<(Offset, Record)>) -> Result<(), ReadError> {
        loop {
            if self.fetch_error.is_some() {
                self.handle_fetch_error().await?;
            }
            if self.take(into)? {
                return Ok(());
            }
            if self.fetch_error.is_some() {
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
        while into.len() - before < MAX_BATCH {
            let message = match self.feed.poll() {
                None => break,
                Some(Err(error)) => {
                    self.fetch_error = fetch_error(&error);
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
                    self.feed.seek(self.position);
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
            self.health.reachable();
        }
        Ok(any)
    }

    async fn handle_fetch_error(&mut self) -> Result<(), ReadError> {
        match self.fetch_error {
            Some(FetchError::OutOfRange) => self.wait_for_the_log().await?,
            Some(FetchError::Refused(code)) => {
                if is_final_for_fetch(code) || self.topics.is_missing(&self.topic).await {
                    return Err(ReadError::Broker { partition: self.partition, reason: code.to_string() });
                }
                tokio::time::sleep(RETRY_DELAY).await;
            }
            None => return Ok(()),
        }
        self.feed.seek(self.position);
        self.fetch_error = None;
        Ok(())
    }

    /// Waits until records can be read from the position.
    async fn wait_for_the_log(&mut self) -> Result<(), ReadError> {
        let mut is_logged = false;
        loop {
            self.check_state()?;
            match self.topics.bounds(&self.topic, self.partition).await {
                Ok((start, _)) if self.position < start => {
                    return Err(ReadError::Gone { partition: self.partition, from: self.position, start });
                }
                Ok((_, end)) if self.position <= end => return Ok(()),
                Ok((_, end)) if !is_logged => {
                    let (partition, position) = (self.partition, self.position);
                    tracing::warn!(partition, position, end, "the log ends before the offset to read from; waiting");
                    is_logged = true;
                }
                Ok(_) => {}
                Err(reason) => {
                    tracing::debug!(partition = self.partition, reason, "the bounds of a partition are unknown")
                }
            }
            tokio::time::sleep(RETRY_DELAY).await;
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

fn fetch_error(error: &KafkaError) -> Option<FetchError> {
    let code = error.rdkafka_error_code()?;
    match code {
        code if is_out_of_range(code) => Some(FetchError::OutOfRange),
        code if is_final_for_fetch(code) || is_missing_topic(code) => Some(FetchError::Refused(code)),
        code => {
            tracing::debug!(%code, "a fetch failed; the client tries again");
            None
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reader");
        debug.field("partition", &self.partition).field("position", &self.position).finish_non_exhaustive()
    }
}
