//! Appending to rooms' channels.
//!
//! A record that fails for good stops the bus: it would be a gap in one machine's records, and later ones would look complete.
//! No record fails merely because a time limit has passed (see `config.rs`).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chorus_core::{command::Record, wire};
use rdkafka::{error::KafkaError, producer::BaseRecord, types::RDKafkaErrorCode};
use tokio::sync::{Notify, oneshot};

use super::{
    OpenError, Options, config,
    context::{Context, Deliveries, PurgedProducer},
    health::{Health, State},
    key,
};
use crate::{
    Append, AppendError, FlushError, MAX_RECORD,
    append::{AppendState, Confirming},
};

pub(super) struct Rooms {
    producer: PurgedProducer<Confirmations>,
    health: Arc<Health>,
    progress: Arc<Progress>,
    topic: String,
    timeout: Duration,
    /// The largest value that the topic accepts.
    pub limit: usize,
    queue_bytes: usize,
}

/// The progress of each partition. Within a partition, confirmations come in the order of appends.
#[derive(Debug)]
struct Progress {
    partitions: Vec<Partition>,
    moved: Notify,
    /// The number of waiting flushes. Without any, no notification is needed.
    flushes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Partition {
    /// The number of accepted records. Locked while one is given to the client, so that the client's queue is in the same
    /// order.
    accepted: Mutex<u64>,
    confirmed: AtomicU64,
}

pub(super) struct Entry {
    answer: oneshot::Sender<Result<Option<u64>, AppendError>>,
    partition: u32,
    /// Its number among the accepted records, from 1.
    number: u64,
}

impl Rooms {
    pub fn new(options: &Options, health: &Arc<Health>) -> Result<Rooms, OpenError> {
        let partitions = (0..options.partitions).map(|_| Partition::default()).collect();
        let progress = Arc::new(Progress { partitions, moved: Notify::new(), flushes: AtomicUsize::new(0) });
        let context = Context { health: health.clone(), deliveries: Confirmations(progress.clone()) };
        Ok(Rooms {
            producer: PurgedProducer::new(config::create(&config::rooms_producer(options), context)?),
            health: health.clone(),
            progress,
            topic: options.rooms_topic(),
            timeout: options.append_timeout,
            limit: MAX_RECORD,
            queue_bytes: options.queue_bytes,
        })
    }

    pub fn append(&self, record: &Record) -> Append {
        match self.try_append(record) {
            Ok(answer) => Append(AppendState::Confirming(Confirming::new(answer, self.timeout))),
            Err(error) => Append(AppendState::Refused(error)),
        }
    }

    fn try_append(&self, record: &Record) -> Result<oneshot::Receiver<Result<Option<u64>, AppendError>>, AppendError> {
        match self.health.state() {
            State::Open => {}
            State::Closing | State::Closed => return Err(AppendError::Closed),
            State::Stopped(stopped) => return Err(stopped.into()),
        }
        let payload = wire::encode(record);
        if payload.len() > self.limit {
            return Err(AppendError::TooLarge { bytes: payload.len(), limit: self.limit });
        }
        let (key, partition) = (key(record.room), record.room.partition(self.progress.partitions.len() as u32));
        let (answer, waiting) = oneshot::channel();

        let mut accepted =
            self.progress.partitions[partition as usize].accepted.lock().expect("nothing panics under it");
        let entry = Box::new(Entry { answer, partition, number: *accepted + 1 });
        let record = BaseRecord::with_opaque_to(&self.topic, entry);
        let record = record.partition(partition as i32).key(&key).payload(&payload);
        self.producer.send(record).map_err(|(error, _)| self.refusal(&error))?;
        *accepted += 1;
        Ok(waiting)
    }

    fn refusal(&self, error: &KafkaError) -> AppendError {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => AppendError::Full { waiting: self.queue_bytes },
            _ => self.health.stop("a record was not accepted", &error.to_string()).into(),
        }
    }

    pub async fn flush(&self) -> Result<(), FlushError> {
        let accepted =
            self.progress.partitions.iter().map(|one| *one.accepted.lock().expect("nothing panics under it"));
        let accepted: Vec<u64> = accepted.collect();
        self.progress.flushes.fetch_add(1, Ordering::SeqCst);
        let waited = tokio::select! {
            () = self.progress.wait_until(&accepted) => Ok(()),
            stopped = self.health.stopped() => Err(stopped.into()),
            () = tokio::time::sleep(self.timeout) => {
                Err(FlushError::NotWritten(AppendError::Unconfirmed { after: self.timeout }))
            }
        };
        self.progress.flushes.fetch_sub(1, Ordering::SeqCst);
        waited
    }
}

impl Progress {
    async fn wait_until(&self, numbers: &[u64]) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            let partitions = self.partitions.iter().zip(numbers);
            if partitions.into_iter().all(|(partition, number)| partition.confirmed.load(Ordering::SeqCst) >= *number) {
                return;
            }
            moved.await;
        }
    }
}

/// Handles the delivery reports of appended records.
#[derive(Debug)]
pub(super) struct Confirmations(Arc<Progress>);

impl Deliveries for Confirmations {
    type Opaque = Box<Entry>;

    fn delivered(&self, health: &Health, result: Result<Option<u64>, &KafkaError>, entry: Box<Entry>) {
        let answer = match result {
            Ok(offset) => {
                self.0.partitions[entry.partition as usize].confirmed.store(entry.number, Ordering::SeqCst);
                if self.0.flushes.load(Ordering::SeqCst) > 0 {
                    self.0.moved.notify_waiters();
                }
                Ok(offset)
            }
            Err(error) => Err(failure(health, error)),
        };
        let _ = entry.answer.send(answer); // The appender may have dropped its future.
    }
}

fn failure(health: &Health, error: &KafkaError) -> AppendError {
    match (error.rdkafka_error_code(), health.state()) {
        // The bus was dropped.
        (Some(RDKafkaErrorCode::PurgeQueue), _) => AppendError::Closed,
        (Some(RDKafkaErrorCode::PurgeInflight), _) => AppendError::Unconfirmed { after: Duration::ZERO },
        (_, State::Stopped(stopped)) => stopped.into(),
        _ => health.stop("a record was not appended", &error.to_string()).into(),
    }
}
