//! Sending to edges' channels, and the markers of gaps in them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, RwLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use chorus_core::{command::EdgeCommand, ids::MachineId, wire};
use rdkafka::{
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
    types::RDKafkaErrorCode,
};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    super::{
        OpenError,
        codes::is_missing_topic,
        config,
        context::{Context, Deliveries, PurgedProducer},
        health::{Health, State},
    },
    DROPPED, Options, RETRY_DELAY, topic,
};
use crate::{MAX_RECORD, SendError, Sent, SentState};

/// The producer of all commands for edges.
pub(in crate::kafka) struct EdgeSender {
    producer: PurgedProducer<InFlight>,
    options: Arc<Options>,
    health: Arc<Health>,
    /// Every machine to which a command was sent.
    channels: RwLock<HashMap<MachineId, Arc<Channel>>>,
    in_flight: InFlight,
}

struct Channel {
    /// `None`: no topic can have that name.
    topic: Option<String>,
    /// Locked while a command is given to the client, so that the client's queue is in the order of calls.
    gap: Mutex<Option<Gap>>,
}

/// Commands whose loss has to be reported to the machine.
struct Gap {
    dropped: u64,
    /// The marker waits until at most this many commands are in flight: otherwise the next gap would follow at once.
    max_in_flight: usize,
    /// Resolves the dropped commands. More than one when a marker was itself refused.
    resolvers: Vec<watch::Sender<Option<Result<(), SendError>>>>,
    /// Resolves the commands that were refused in flight.
    refused: Vec<oneshot::Sender<Result<(), SendError>>>,
}

/// A record in flight to a machine's channel.
pub(in crate::kafka) struct Envelope {
    channel: Arc<Channel>,
    content: Content,
}

enum Content {
    Command(oneshot::Sender<Result<(), SendError>>),
    GapMarker(Gap),
}

/// Tries the settings at open: a mistake in them could not be reported later.
pub(in crate::kafka) fn try_settings(options: &Options, health: &Arc<Health>) -> Result<(), OpenError> {
    let context = Context { health: health.clone(), deliveries: () };
    config::create::<_, rdkafka::consumer::BaseConsumer<_>>(&config::consumer(options), context).map(drop)
}

impl EdgeSender {
    pub fn new(options: &Arc<Options>, health: &Arc<Health>, runtime: &tokio::runtime::Handle) -> Arc<EdgeSender> {
        let in_flight = InFlight::default();
        let context = Context { health: health.clone(), deliveries: in_flight.clone() };
        let producer = config::create(&config::producer(options), context);
        let sender = Arc::new(EdgeSender {
            producer: PurgedProducer::new(producer.expect("the same settings were tried when the bus was opened")),
            options: options.clone(),
            health: health.clone(),
            channels: RwLock::default(),
            in_flight,
        });
        runtime.spawn(mark_gaps(Arc::downgrade(&sender), sender.in_flight.clone(), health.watch()));
        sender
    }

    pub fn send(&self, machine: &MachineId, command: &EdgeCommand) -> Sent {
        match self.health.state() {
            State::Open => {}
            State::Closing | State::Closed => return Sent(SentState::Failed(SendError::Closed)),
            State::Stopped(stopped) => return Sent(SentState::Failed(stopped.into())),
        }
        let channel = self.channel(machine);
        let Some(topic) = &channel.topic else { return Sent(SentState::Done) };
        let payload = wire::encode(command);
        let mut gap = channel.gap();
        if let Some(gap) = &mut *gap {
            return gap.drop_one();
        }
        let (arrived, waiting) = oneshot::channel();
        let envelope = Envelope { channel: channel.clone(), content: Content::Command(arrived) };
        let error = if payload.len() > MAX_RECORD {
            RDKafkaErrorCode::MessageSizeTooLarge
        } else {
            match self.produce(BaseRecord::with_opaque_to(topic, Box::new(envelope)).payload(&payload)) {
                Ok(()) => return Sent(SentState::Waiting(waiting)),
                Err((error, _)) => error,
            }
        };
        if is_missing_topic(error) {
            return Sent(SentState::Done); // It is dead, and its channel deleted.
        }
        tracing::warn!(%machine, %error, "commands for an edge are dropped; its sessions will have to resume");
        let sent = gap.insert(Gap::new(self.in_flight.count() / 2)).drop_one();
        self.in_flight.gap_opened.notify_one();
        sent
    }

    fn channel(&self, machine: &MachineId) -> Arc<Channel> {
        if let Some(channel) = self.channels.read().expect("nothing panics under this lock").get(machine) {
            return channel.clone();
        }
        let topic = topic(&self.options, machine);
        if topic.is_none() {
            tracing::error!(%machine, "not a machine's id; commands for it are dropped");
        }
        let mut channels = self.channels.write().expect("nothing panics under this lock");
        let new = || Arc::new(Channel { topic, gap: Mutex::new(None) });
        channels.entry(machine.clone()).or_insert_with(new).clone()
    }

    fn produce<'a>(
        &self,
        record: BaseRecord<'a, [u8], Vec<u8>, Box<Envelope>>,
    ) -> Result<(), (RDKafkaErrorCode, Box<Envelope>)> {
        self.in_flight.count.fetch_add(1, Ordering::SeqCst);
        self.producer.send(record.partition(0)).map_err(|(error, record)| {
            self.in_flight.count.fetch_sub(1, Ordering::SeqCst);
            (error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), record.delivery_opaque)
        })
    }

    /// Returns whether the markers of all gaps could be sent.
    fn send_gap_markers(&self) -> bool {
        let channels: Vec<_> =
            self.channels.read().expect("nothing panics under this lock").values().cloned().collect();
        // Each is tried, even if an earlier one has to wait.
        channels.iter().filter(|channel| !self.send_gap_marker(channel)).count() == 0
    }

    fn send_gap_marker(&self, channel: &Arc<Channel>) -> bool {
        let mut open = channel.gap();
        let in_flight = self.in_flight.count();
        if open.as_ref().is_some_and(|gap| in_flight > gap.max_in_flight) {
            return false;
        }
        let (Some(gap), Some(topic)) = (open.take(), &channel.topic) else { return true };
        let dropped = gap.dropped;
        let headers = OwnedHeaders::new().insert(Header { key: DROPPED, value: Some(&dropped.to_string()) });
        let envelope = Box::new(Envelope { channel: channel.clone(), content: Content::GapMarker(gap) });
        match self.produce(BaseRecord::with_opaque_to(topic, envelope).headers(headers)) {
            Ok(()) => true,
            Err((error, envelope)) => {
                let Content::GapMarker(gap) = envelope.content else { unreachable!("it was made so above") };
                if is_missing_topic(error) {
                    gap.resolve(Ok(()));
                    return true;
                }
                *open = Some(gap);
                false
            }
        }
    }

    /// Returns when every sent command has arrived, or after [`Options::append_timeout`].
    pub async fn flush(&self) {
        if tokio::time::timeout(self.options.append_timeout, self.in_flight.none()).await.is_err() {
            let waiting = self.in_flight.count();
            tracing::warn!(waiting, "commands for edges have not reached the broker in time");
        }
    }
}

/// Sends the markers of gaps as long as the [`EdgeSender`] exists.
async fn mark_gaps(sender: Weak<EdgeSender>, in_flight: InFlight, mut state: watch::Receiver<State>) {
    loop {
        tokio::select! {
            () = in_flight.gap_opened.notified() => {}
            _ = state.wait_for(|state| matches!(state, State::Closed | State::Stopped(_))) => return,
        }
        let Some(sender) = sender.upgrade() else { return };
        while !sender.send_gap_markers() {
            tokio::time::sleep(RETRY_DELAY).await;
            if !sender.health.is_open() {
                return;
            }
        }
    }
}

/// Counts the commands and gap markers in flight, and handles their results.
#[derive(Clone, Debug, Default)]
pub(in crate::kafka) struct InFlight {
    count: Arc<AtomicUsize>,
    /// Notified when the count has fallen to 0.
    emptied: Arc<Notify>,
    gap_opened: Arc<Notify>,
}

impl InFlight {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns when nothing is in flight.
    async fn none(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Deliveries for InFlight {
    type Opaque = Box<Envelope>;

    fn delivered(&self, health: &Health, result: Result<Option<u64>, &KafkaError>, envelope: Box<Envelope>) {
        let Envelope { channel, content } = *envelope;
        match (result, health.is_stopped()) {
            (Ok(_), _) => content.resolve(Ok(())),
            (Err(_), Some(stopped)) => content.resolve(Err(stopped.into())),
            (Err(error), None) => match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail) {
                RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => {
                    content.resolve(Err(SendError::Closed))
                }
                code if is_missing_topic(code) => content.resolve(Ok(())),
                code => {
                    let topic = channel.topic.as_deref();
                    tracing::error!(topic, %code, "a command for an edge was refused; its sessions will have to resume");
                    channel.open_gap(content);
                    self.gap_opened.notify_one();
                }
            },
        }
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.emptied.notify_waiters();
        }
    }
}

impl Content {
    fn resolve(self, result: Result<(), SendError>) {
        match self {
            Content::Command(arrived) => drop(arrived.send(result)),
            Content::GapMarker(gap) => gap.resolve(result),
        }
    }
}

impl Channel {
    fn gap(&self) -> MutexGuard<'_, Option<Gap>> {
        self.gap.lock().expect("nothing panics under this lock")
    }

    /// Opens a gap, or enlarges the open one, with a refused command or with the commands of a refused marker.
    fn open_gap(&self, refused: Content) {
        let mut open = self.gap();
        let gap = open.get_or_insert_with(|| Gap::new(usize::MAX));
        match refused {
            Content::Command(arrived) => {
                gap.dropped += 1;
                gap.refused.push(arrived);
            }
            Content::GapMarker(mut earlier) => {
                gap.dropped += earlier.dropped;
                gap.refused.append(&mut earlier.refused);
                gap.resolvers.append(&mut earlier.resolvers);
            }
        }
    }
}

impl Gap {
    fn new(max_in_flight: usize) -> Gap {
        Gap { dropped: 0, max_in_flight, resolvers: vec![watch::Sender::new(None)], refused: Vec::new() }
    }

    fn drop_one(&mut self) -> Sent {
        self.dropped += 1;
        let mut resolved = self.resolvers[0].subscribe();
        Sent(SentState::Dropped(Box::pin(async move {
            match resolved.wait_for(Option::is_some).await {
                Ok(result) => result.clone().expect("it waited for that"),
                Err(_) => Err(SendError::Closed),
            }
        })))
    }

    fn resolve(self, result: Result<(), SendError>) {
        self.refused.into_iter().for_each(|refused| drop(refused.send(result.clone())));
        self.resolvers.into_iter().for_each(|resolver| drop(resolver.send_replace(Some(result.clone()))));
    }
}
