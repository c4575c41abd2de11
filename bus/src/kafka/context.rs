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
            Some(RDKafkaErrorCode::Fatal) => drop(self.health.stop("the client cannot go on", reason)),
            Some(RDKafkaErrorCode::AllBrokersDown) => self.health.lost(reason),
            _ => {
                tracing::debug!(%error, reason, "the client has trouble with a broker");
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
                self.health.answered();
                Ok(u64::try_from(message.offset()).ok())
            }
            Err((error, _)) => Err(error),
        };
        self.deliveries.delivered(&self.health, result, opaque);
    }
}

/// A producer. The messages still queued in it when it is dropped are answered.
pub(super) struct Sender<D: Deliveries + 'static>(Aside<ToldAtTheEnd<D>>);

struct ToldAtTheEnd<D: Deliveries + 'static>(ThreadedProducer<Context<D>>);

impl<D: Deliveries> Sender<D> {
    pub fn new(producer: ThreadedProducer<Context<D>>) -> Sender<D> {
        Sender(Aside::new(ToldAtTheEnd(producer)))
    }
}

impl<D: Deliveries> Deref for Sender<D> {
    type Target = ThreadedProducer<Context<D>>;
    fn deref(&self) -> &Self::Target {
        let told: &ToldAtTheEnd<D> = &self.0;
        &told.0
    }
}

impl<D: Deliveries> Drop for ToldAtTheEnd<D> {
    fn drop(&mut self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
        // Sending has ended: this call only delivers the reports.
        let _ = self.0.flush(Duration::from_secs(1));
    }
}

/// A value that is destroyed on a thread of its own, since that can take a while.
pub(super) struct Aside<T: Send + 'static>(Option<T>);

impl<T: Send> Aside<T> {
    pub fn new(value: T) -> Aside<T> {
        Aside(Some(value))
    }
}

impl<T: Send> Deref for Aside<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send> Drop for Aside<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        on_a_thread(move || drop(value));
    }
}

/// A consumer with a thread of its own, which serves its events and finally destroys it.
pub(super) fn serve(consumer: BaseConsumer<Context>) -> Arc<BaseConsumer<Context>> {
    let consumer = Arc::new(consumer);
    let served = Arc::downgrade(&consumer);
    on_a_thread(move || {
        while let Some(consumer) = served.upgrade() {
            // Records come through the partitions' own queues. Here are log lines and errors, which the context handles.
            drop(consumer.poll(Duration::from_millis(200)));
        }
    });
    consumer
}

/// For work that may block for a while when the broker is unreachable, and whose result is not needed.
pub(super) fn on_a_thread(work: impl FnOnce() + Send + 'static) {
    let started = thread::Builder::new().name("chorus-kafka".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::error!(%error, "no thread for the broker's client");
    }
}
