//! The handlers of librdkafka's log lines, errors and deliveries, and clients whose destruction does not block the thread that
//! drops them.

use std::{ops::Deref, sync::Arc, thread, time::Duration};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::KafkaError,
    message::Message,
    producer::{DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer},
    types::RDKafkaErrorCode,
    util::IntoOpaque,
};

use super::health::Health;

/// The context of one client. `D` handles its deliveries.
#[derive(Debug)]
pub(super) struct Context<D = ()> {
    pub health: Arc<Health>,
    pub deliveries: D,
}

pub(super) trait Deliveries: Send + Sync {
    type Opaque: IntoOpaque;
    /// `result`: the record's offset, if the broker has returned one.
    fn delivered(&self, health: &Health, result: Result<Option<u64>, &KafkaError>, opaque: Self::Opaque);
}

impl<D: Send + Sync> ClientContext for Context<D> {
    /// The client retries after every complaint here; final errors are returned by an operation.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(facility, "librdkafka: {text}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(facility, "librdkafka: {text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::trace!(facility, "librdkafka: {text}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => drop(self.health.stop("the client cannot continue", reason)),
            Some(RDKafkaErrorCode::AllBrokersDown) => self.health.unreachable(reason),
            _ => {
                tracing::debug!(%error, reason, "the client reports an error");
                self.health.note_error(reason);
            }
        }
    }

    fn stats(&self, _: rdkafka::Statistics) {}
}

impl<D: Send + Sync> ConsumerContext for Context<D> {}

impl<D: Deliveries> ProducerContext for Context<D> {
    type DeliveryOpaque = D::Opaque;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: D::Opaque) {
        let result = match result {
            Ok(message) => {
                self.health.reachable();
                Ok(u64::try_from(message.offset()).ok())
            }
            Err((error, _)) => Err(error),
        };
        self.deliveries.delivered(&self.health, result, opaque);
    }
}

/// A producer. When it is dropped, the messages still queued in it are purged, and their deliveries reported as failed.
pub(super) struct PurgedProducer<D: Deliveries + 'static>(DropOnThread<PurgeOnDrop<D>>);

struct PurgeOnDrop<D: Deliveries + 'static>(ThreadedProducer<Context<D>>);

impl<D: Deliveries> PurgedProducer<D> {
    pub fn new(producer: ThreadedProducer<Context<D>>) -> PurgedProducer<D> {
        PurgedProducer(DropOnThread::new(PurgeOnDrop(producer)))
    }
}

impl<D: Deliveries> Deref for PurgedProducer<D> {
    type Target = ThreadedProducer<Context<D>>;
    fn deref(&self) -> &Self::Target {
        let purged: &PurgeOnDrop<D> = &self.0;
        &purged.0
    }
}

impl<D: Deliveries> Drop for PurgeOnDrop<D> {
    fn drop(&mut self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
        // Sending has ended: this call only delivers the reports.
        let _ = self.0.flush(Duration::from_secs(1));
    }
}

/// A value that is destroyed on a thread of its own, since that can take a while.
pub(super) struct DropOnThread<T: Send + 'static>(Option<T>);

impl<T: Send> DropOnThread<T> {
    pub fn new(value: T) -> DropOnThread<T> {
        DropOnThread(Some(value))
    }
}

impl<T: Send> Deref for DropOnThread<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send> Drop for DropOnThread<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        on_thread(move || drop(value));
    }
}

/// A consumer with a thread of its own, which serves its events and finally destroys it.
pub(super) fn poll_on_thread(consumer: BaseConsumer<Context>) -> Arc<BaseConsumer<Context>> {
    let consumer = Arc::new(consumer);
    let polled = Arc::downgrade(&consumer);
    on_thread(move || {
        while let Some(consumer) = polled.upgrade() {
            // Records come through the partitions' own queues. Here are log lines and errors, which the context handles.
            drop(consumer.poll(Duration::from_millis(200)));
        }
    });
    consumer
}

/// For work that may block for a while when the broker is unreachable, and whose result is not needed.
pub(super) fn on_thread(work: impl FnOnce() + Send + 'static) {
    let started = thread::Builder::new().name("chorus-kafka".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::error!(%error, "no thread for the broker's client");
    }
}
