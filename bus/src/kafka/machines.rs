//! Machines' channels: the commands of rooms for edges.
//!
//! Commands of one host for one edge arrive in the order of calls, or the edge is notified that some are missing. Nearly always
//! all of them arrive, since no delivery fails merely because a time limit has passed. The failures:
//! * *The queue to the broker is full* ([`Options::queue_bytes`]), or the broker refuses a command for good: that is a *hole*.
//!   Every command for that edge is dropped until a mark with the number of dropped commands could be sent in their place. The
//!   edge reads [`EdgeReadError::Overflow`] there and closes its sessions with 4008; they resume, and rooms send again what
//!   these sessions missed. Of the commands in flight when one was refused, some may arrive before the mark.
//! * *There is no such topic*: the edge is dead and its channel deleted. Commands for it are dropped without a mark.
//! * *The client cannot continue*: the bus has stopped ([`crate::Stopped`]).
//!
//! A [`Sent`] resolves when the edge has the command or the mark that replaces it. So a snapshot that waits for it never covers
//! a command whose loss goes unnoticed.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chorus_core::{
    command::EdgeCommand,
    ids::{MachineId, Offset},
    wire,
};
use rdkafka::{
    error::KafkaError,
    message::{Header, Headers, Message, OwnedHeaders},
    producer::BaseRecord,
    types::RDKafkaErrorCode,
};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    OpenError, Options, config,
    context::{Context, Deliveries, Sender},
    feed::Feed,
    health::{Health, State},
    reader::{self, is_about_topic},
    topics::Topics,
};
use crate::{EdgeReadError, MAX_RECORD, MachineError, SendError, Sent, SentState};

/// The header of a mark.
const DROPPED: &str = "dropped";

/// The delay before another attempt to send a mark.
const MEND_AGAIN: Duration = Duration::from_millis(20);

/// The most commands that are received in one go.
const MOST: usize = 4096;

/// Whether a topic's name may contain this text.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn prefix(options: &Options) -> String {
    format!("{}.machine.", options.prefix)
}

/// The topic of a machine, if its id can be in a topic's name.
fn topic(options: &Options, machine: &MachineId) -> Option<String> {
    let topic = format!("{}{machine}", prefix(options));
    (is_name(&machine.0) && topic.len() <= 249).then_some(topic)
}

// Sending.

pub(super) struct Machines {
    producer: Sender<Arrivals>,
    options: Arc<Options>,
    health: Arc<Health>,
    /// Every machine to which a command was sent.
    channels: RwLock<HashMap<MachineId, Arc<Channel>>>,
    arrivals: Arrivals,
}

struct Channel {
    /// `None`: no topic can have that name.
    topic: Option<String>,
    /// Locked while a command is given to the client, so that the client's queue is in the order of calls.
    hole: Mutex<Option<Hole>>,
}

/// Commands whose loss has to be reported to the machine.
struct Hole {
    dropped: u64,
    /// The mark waits until at most this many commands are in flight: otherwise the next hole would follow at once.
    below: usize,
    /// Resolves the dropped commands. More than one when a mark was itself refused.
    told: Vec<watch::Sender<Option<Result<(), SendError>>>>,
    /// Resolves the commands that were refused in flight.
    refused: Vec<oneshot::Sender<Result<(), SendError>>>,
}

pub(super) struct Envelope {
    channel: Arc<Channel>,
    what: What,
}

enum What {
    Command(oneshot::Sender<Result<(), SendError>>),
    Mark(Hole),
}

/// Tries the settings at open: a mistake in them could not be reported later.
pub(super) fn try_settings(options: &Options, health: &Arc<Health>) -> Result<(), OpenError> {
    let context = Context { health: health.clone(), deliveries: () };
    config::create::<_, rdkafka::consumer::BaseConsumer<_>>(&config::consumer(options), context).map(drop)
}

impl Machines {
    pub fn new(options: &Arc<Options>, health: &Arc<Health>, runtime: &tokio::runtime::Handle) -> Arc<Machines> {
        let arrivals = Arrivals::default();
        let context = Context { health: health.clone(), deliveries: arrivals.clone() };
        let producer = config::create(&config::producer(options), context);
        let machines = Arc::new(Machines {
            producer: Sender::new(producer.expect("the same settings were tried when the bus was opened")),
            options: options.clone(),
            health: health.clone(),
            channels: RwLock::default(),
            arrivals,
        });
        runtime.spawn(mend(Arc::downgrade(&machines), machines.arrivals.clone(), health.watch()));
        machines
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
        let mut hole = channel.hole();
        if let Some(hole) = &mut *hole {
            return hole.drop_one();
        }
        let (arrived, waiting) = oneshot::channel();
        let envelope = Envelope { channel: channel.clone(), what: What::Command(arrived) };
        let error = if payload.len() > MAX_RECORD {
            RDKafkaErrorCode::MessageSizeTooLarge
        } else {
            match self.produce(BaseRecord::with_opaque_to(topic, Box::new(envelope)).payload(&payload)) {
                Ok(()) => return Sent(SentState::Waiting(waiting)),
                Err((error, _)) => error,
            }
        };
        if is_about_topic(error) {
            return Sent(SentState::Done); // It is dead, and its channel deleted.
        }
        tracing::warn!(%machine, %error, "commands for an edge are dropped; its sessions will have to resume");
        let below = self.arrivals.waiting.load(Ordering::SeqCst) / 2;
        let sent = hole.insert(Hole::new(below)).drop_one();
        self.arrivals.holes.notify_one();
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
        let new = || Arc::new(Channel { topic, hole: Mutex::new(None) });
        channels.entry(machine.clone()).or_insert_with(new).clone()
    }

    fn produce<'a>(
        &self,
        record: BaseRecord<'a, [u8], Vec<u8>, Box<Envelope>>,
    ) -> Result<(), (RDKafkaErrorCode, Box<Envelope>)> {
        self.arrivals.waiting.fetch_add(1, Ordering::SeqCst);
        self.producer.send(record.partition(0)).map_err(|(error, record)| {
            self.arrivals.waiting.fetch_sub(1, Ordering::SeqCst);
            (error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), record.delivery_opaque)
        })
    }

    /// Sends marks in the place of missing commands. Returns whether all could be sent.
    fn mend(&self) -> bool {
        let channels: Vec<_> =
            self.channels.read().expect("nothing panics under this lock").values().cloned().collect();
        // Each is tried, even if an earlier one has to wait.
        channels.iter().filter(|channel| !self.mend_one(channel)).count() == 0
    }

    fn mend_one(&self, channel: &Arc<Channel>) -> bool {
        let mut place = channel.hole();
        let waiting = self.arrivals.waiting.load(Ordering::SeqCst);
        if place.as_ref().is_some_and(|hole| waiting > hole.below) {
            return false;
        }
        let (Some(hole), Some(topic)) = (place.take(), &channel.topic) else { return true };
        let dropped = hole.dropped;
        let headers = OwnedHeaders::new().insert(Header { key: DROPPED, value: Some(&dropped.to_string()) });
        let envelope = Box::new(Envelope { channel: channel.clone(), what: What::Mark(hole) });
        match self.produce(BaseRecord::with_opaque_to(topic, envelope).headers(headers)) {
            Ok(()) => true,
            Err((error, envelope)) => {
                let What::Mark(hole) = envelope.what else { unreachable!("it was made so above") };
                if is_about_topic(error) {
                    hole.resolve(Ok(()));
                    return true;
                }
                *place = Some(hole);
                false
            }
        }
    }

    /// Returns when every sent command has arrived, or after [`Options::append_timeout`].
    pub async fn flush(&self) {
        let arrived = async {
            loop {
                let mut moved = std::pin::pin!(self.arrivals.moved.notified());
                moved.as_mut().enable();
                if self.arrivals.waiting.load(Ordering::SeqCst) == 0 {
                    return;
                }
                moved.await;
            }
        };
        if tokio::time::timeout(self.options.append_timeout, arrived).await.is_err() {
            let waiting = self.arrivals.waiting.load(Ordering::SeqCst);
            tracing::warn!(waiting, "commands for edges have not reached the broker in time");
        }
    }
}

/// Fills holes with marks as long as the [`Machines`] exist.
async fn mend(machines: std::sync::Weak<Machines>, arrivals: Arrivals, mut state: watch::Receiver<State>) {
    loop {
        tokio::select! {
            () = arrivals.holes.notified() => {}
            _ = state.wait_for(|state| matches!(state, State::Closed | State::Stopped(_))) => return,
        }
        let Some(machines) = machines.upgrade() else { return };
        while !machines.mend() {
            tokio::time::sleep(MEND_AGAIN).await;
            if !machines.health.is_open() {
                return;
            }
        }
    }
}

impl Channel {
    fn hole(&self) -> MutexGuard<'_, Option<Hole>> {
        self.hole.lock().expect("nothing panics under this lock")
    }
}

impl Hole {
    fn new(below: usize) -> Hole {
        Hole { dropped: 0, below, told: vec![watch::Sender::new(None)], refused: Vec::new() }
    }

    fn drop_one(&mut self) -> Sent {
        self.dropped += 1;
        let mut told = self.told[0].subscribe();
        Sent(SentState::Told(Box::pin(async move {
            match told.wait_for(Option::is_some).await {
                Ok(told) => told.clone().expect("it waited for that"),
                Err(_) => Err(SendError::Closed),
            }
        })))
    }

    fn resolve(self, result: Result<(), SendError>) {
        self.refused.into_iter().for_each(|refused| drop(refused.send(result.clone())));
        self.told.into_iter().for_each(|told| drop(told.send_replace(Some(result.clone()))));
    }
}

/// Counts the commands and marks in flight, and handles their results.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    /// How many are in flight.
    waiting: Arc<AtomicUsize>,
    moved: Arc<Notify>,
    /// Notified when there is a new hole.
    holes: Arc<Notify>,
}

impl Deliveries for Arrivals {
    type Opaque = Box<Envelope>;

    fn delivered(&self, health: &Health, result: Result<Option<u64>, &KafkaError>, envelope: Box<Envelope>) {
        let Envelope { channel, what } = *envelope;
        match (result, health.is_stopped()) {
            (Ok(_), _) => what.resolve(Ok(())),
            (Err(_), Some(stopped)) => what.resolve(Err(stopped.into())),
            (Err(error), None) => match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail) {
                RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => what.resolve(Err(SendError::Closed)),
                code if is_about_topic(code) => what.resolve(Ok(())),
                code => {
                    let topic = channel.topic.as_deref();
                    tracing::error!(topic, %code, "a command for an edge was refused; its sessions will have to resume");
                    channel.refused(what);
                    self.holes.notify_one();
                }
            },
        }
        if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.moved.notify_waiters();
        }
    }
}

impl What {
    fn resolve(self, result: Result<(), SendError>) {
        match self {
            What::Command(arrived) => drop(arrived.send(result)),
            What::Mark(hole) => hole.resolve(result),
        }
    }
}

impl Channel {
    /// Opens a hole, or enlarges the open one, with a refused command or with a refused mark's commands.
    fn refused(&self, what: What) {
        let mut place = self.hole();
        let hole = place.get_or_insert_with(|| Hole::new(usize::MAX));
        match what {
            What::Command(arrived) => {
                hole.dropped += 1;
                hole.refused.push(arrived);
            }
            What::Mark(mut earlier) => {
                hole.dropped += earlier.dropped;
                hole.refused.append(&mut earlier.refused);
                hole.told.append(&mut earlier.told);
            }
        }
    }
}

// Receiving.

/// The open receivers. One that is opened again replaces the earlier one, which then closes.
pub(super) type Receivers = Mutex<HashMap<MachineId, watch::Sender<()>>>;

/// The Kafka half of [`crate::EdgeReceiver`].
pub struct EdgeReceiver {
    feed: Feed,
    topic: String,
    /// The next record.
    position: Offset,
    /// Missing commands that are not yet reported.
    lost: Option<u64>,
    /// The broker refuses to deliver from the position.
    is_stuck: bool,
    /// Closed by the drop of its sender when this receiver has been replaced.
    place: watch::Receiver<()>,
    state: watch::Receiver<State>,
    topics: Arc<Topics>,
}

pub(super) async fn receive(
    machine: &MachineId,
    options: &Options,
    health: &Arc<Health>,
    topics: &Arc<Topics>,
    receivers: &Receivers,
) -> Result<EdgeReceiver, MachineError> {
    let topic = topic(options, machine).ok_or_else(|| MachineError::Name { machine: machine.clone() })?;
    let error = |reason| MachineError::Broker { action: "open", machine: machine.clone(), reason };
    if topics.find(&topic).await.map_err(error)?.replicas.is_none() {
        let made = topics.make(&topic, 1, Some(options.machine_retention)).await;
        made.map_err(|failed| error(topics.explain(&failed)))?;
    }
    let (_, end) = topics.bounds(&topic, 0).await.map_err(error)?;
    let (sender, place) = watch::channel(());
    receivers.lock().expect("nothing panics under this lock").insert(machine.clone(), sender);
    let feed = Feed::own(reader::consumer(options, health), &topic, 0, end);
    let (state, topics) = (health.watch(), topics.clone());
    Ok(EdgeReceiver { feed, topic, position: end, lost: None, is_stuck: false, place, state, topics })
}

impl EdgeReceiver {
    /// Cancel safe: what is taken from the queue is handed over without waiting.
    pub(crate) async fn recv_many(&mut self, into: &mut Vec<EdgeCommand>) -> Result<(), EdgeReadError> {
        loop {
            if let Some(dropped) = self.lost.take() {
                return Err(EdgeReadError::Overflow { dropped });
            }
            if self.is_stuck {
                self.settle().await?;
                continue;
            }
            if self.take(into) {
                return Ok(());
            }
            if self.is_closed() {
                return Err(EdgeReadError::Closed);
            }
            if self.lost.is_none() && !self.is_stuck {
                tokio::select! {
                    () = self.feed.filled.notified() => {}
                    _ = self.state.changed() => {}
                    _ = self.place.changed() => {}
                }
            }
        }
    }

    fn is_closed(&mut self) -> bool {
        let is_open = matches!(*self.state.borrow_and_update(), State::Open | State::Closing);
        !is_open || self.place.has_changed().is_err()
    }

    /// Takes the available commands, up to a gap. Returns whether there were any.
    fn take(&mut self, into: &mut Vec<EdgeCommand>) -> bool {
        let before = into.len();
        while into.len() - before < MOST {
            let message = match self.feed.poll() {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.is_stuck = is_in_the_way(&error);
                    break;
                }
            };
            let offset = message.offset() as Offset;
            if offset < self.position {
                continue;
            }
            self.position = offset + 1;
            match message.payload().map(wire::decode) {
                Some(Ok(command)) => into.push(command),
                Some(Err(error)) => {
                    tracing::error!(topic = self.topic, offset, %error, "a command cannot be read; sessions have to resume");
                    self.lost = Some(1);
                    break;
                }
                None => {
                    self.lost = Some(dropped(&message).unwrap_or(1));
                    break;
                }
            }
        }
        into.len() > before
    }

    async fn settle(&mut self) -> Result<(), EdgeReadError> {
        if self.topics.is_missing(&self.topic).await {
            tracing::error!(topic = self.topic, "this edge's channel was deleted: it was taken for dead");
            return Err(EdgeReadError::Closed);
        }
        match self.topics.bounds(&self.topic, 0).await {
            Ok((start, end)) if !(start..=end).contains(&self.position) => {
                // The edge was away for longer than the broker keeps commands.
                self.lost = Some(start.saturating_sub(self.position).max(1));
                self.position = self.position.clamp(start, end);
            }
            Ok(_) => {}
            Err(_) if self.is_closed() => return Err(EdgeReadError::Closed),
            Err(_) => {
                tokio::time::sleep(MEND_AGAIN).await;
                return Ok(());
            }
        }
        self.feed.go_to(self.position);
        self.is_stuck = false;
        Ok(())
    }
}

/// The number of commands that a mark replaces.
fn dropped(mark: &impl Message) -> Option<u64> {
    let headers = mark.headers()?;
    let header = headers.iter().find(|header| header.key == DROPPED)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}

fn is_in_the_way(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange, TopicAuthorizationFailed};
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        is_about_topic(code) || matches!(code, AutoOffsetReset | OffsetOutOfRange | TopicAuthorizationFailed)
    })
}

impl fmt::Debug for EdgeReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeReceiver")
            .field("topic", &self.topic)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

// For the monitor.

/// The machines that have a channel.
pub(super) async fn list(options: &Options, topics: &Arc<Topics>) -> Result<Vec<MachineId>, MachineError> {
    let names = topics.names().await.map_err(|reason| MachineError::List { reason })?;
    let prefix = prefix(options);
    Ok(names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(|id| MachineId(id.into())).collect())
}

/// Deletes a machine's channel, if there is one.
pub(super) async fn delete(machine: &MachineId, options: &Options, topics: &Arc<Topics>) -> Result<(), MachineError> {
    let topic = topic(options, machine).ok_or_else(|| MachineError::Name { machine: machine.clone() })?;
    topics.delete(&topic).await.map_err(|error| {
        let reason = topics.explain(&error);
        MachineError::Broker { action: "delete", machine: machine.clone(), reason }
    })
}
