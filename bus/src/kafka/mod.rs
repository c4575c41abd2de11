//! The Kafka back end: many processes, one broker cluster. Apache Kafka or Redpanda.
//!
//! | what | topic | key | written by | read by | retention |
//! |---|---|---|---|---|---|
//! | rooms' channels | `PREFIX.rooms`, P partitions; the partition is [`RoomId::partition`] | the room's id, 32 hexadecimal digits | every machine | the host of the partition | until [`Bus::truncate`] |
//! | a machine's channel | `PREFIX.machine.ID`, one partition | none | hosts | that edge | [`Options::machine_retention`]; the topic until [`Bus::delete_machine`] |
//!
//! Values are `chorus_core::wire`'s bytes. In a machine's channel a record without a value marks missing commands; its header
//! `dropped` is their number (see `edge_channel/mod.rs`).
//!
//! The promises, and their means:
//! * *Order, once each.* One idempotent producer for rooms and one for machines, `acks=all`, and no time limit on delivery: an
//!   accepted record is delivered before all later ones, or no record is delivered any more ([`Stopped`]). A caller that owes a
//!   client an answer has a limit, [`Options::append_timeout`]: then it receives [`crate::AppendError::Unconfirmed`], and the
//!   record stays in flight.
//! * *Low latency.* No linger, and fetches that return with the first byte; the settings are on one screen, in `config.rs`.
//! * *Bounds.* The producers' queues ([`Options::queue_bytes`] each), 4 MiB fetched ahead for each partition that is read.
//! * *No groups, no transactions.* Readers name partition and offset; the client has a group id only because it requires one.
//!
//! The broker may disconnect and return at any time: all operations wait, and no confirmed record is lost.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chorus_core::{
    command::{EdgeCommand, Record},
    ids::{MachineId, Offset, RoomId},
    secret::Secret,
};

use crate::{
    Append, AppendError, Backend, BoundsError, Bus, FlushError, MachineError, Sent, SkipError, Stopped, TruncateError,
};

mod codes;
mod config;
mod context;
mod edge_channel;
mod feed;
mod health;
mod open;
mod reader;
mod rooms;
mod topics;

pub use edge_channel::receiver::EdgeReceiver;
use edge_channel::{
    admin,
    receiver::{self, Receivers},
    sender::EdgeSender,
};
use health::Health;
pub use open::OpenError;
pub use reader::Reader;
use reader::SharedConsumer;
use rooms::Rooms;
use topics::Topics;

/// The broker's address, and the settings of the topics that are created there.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`, one or several, separated by commas.
    pub brokers: String,
    /// The number of partitions over which rooms are spread. Fixed when the topic is created.
    pub partitions: u32,
    /// The number of brokers that keep a copy of each record. With more than one, two of them must have a record before it
    /// counts.
    pub replication: u32,
    /// The beginning of every topic's name.
    pub prefix: String,
    /// More settings of the client, by librdkafka's names: TLS, SASL, rack. Settings on which promises depend are refused.
    pub client: Vec<(String, Secret)>,
    /// After this long without a confirmation, an append resolves as unconfirmed.
    pub append_timeout: Duration,
    /// How many bytes may wait for the broker before appends are refused; as many for commands to machines.
    pub queue_bytes: usize,
    /// How long the broker keeps the commands in a machine's channel.
    pub machine_retention: Duration,
    /// How long opening waits for the broker.
    pub open_timeout: Duration,
    /// Whether the rooms' topic is created when it is missing. Not in a deployment that had one: then the topic is lost.
    pub make_topic: bool,
}

impl Options {
    /// The defaults, for these brokers.
    pub fn new(brokers: impl Into<String>) -> Options {
        Options {
            brokers: brokers.into(),
            partitions: 64,
            replication: 1,
            prefix: "chorus".to_owned(),
            client: Vec::new(),
            append_timeout: Duration::from_secs(30),
            queue_bytes: 64 << 20,
            machine_retention: Duration::from_secs(4 * 3600),
            open_timeout: Duration::from_secs(15),
            make_topic: true,
        }
    }

    fn rooms_topic(&self) -> String {
        format!("{}.rooms", self.prefix)
    }
}

/// Connects, queries the broker's capabilities, creates the rooms' topic if it is missing, and checks it. A missing capability
/// is an error; a merely unfavourable setting is a warning in the log. Needs a tokio runtime.
pub async fn open(options: Options) -> Result<Bus, OpenError> {
    Ok(Bus(Backend::Kafka(Arc::new(open::open(options).await?))))
}

/// The number of filler records between two checks of the topic's end: about a megabyte of the queue.
const FILLERS_AT_ONCE: u64 = 10_000;

pub(crate) struct Kafka {
    options: Arc<Options>,
    health: Arc<Health>,
    topics: Arc<Topics>,
    rooms: Rooms,
    // An edge reads no rooms, and rarely sends to another edge: it need not have the clients for these.
    edge_sender: OnceLock<Arc<EdgeSender>>,
    shared_consumer: OnceLock<Arc<SharedConsumer>>,
    receivers: Receivers,
    runtime: tokio::runtime::Handle,
}

impl Kafka {
    pub(crate) async fn identity(&self) -> (Option<String>, String) {
        (self.topics.cluster_id().await, self.options.rooms_topic())
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.options.partitions
    }

    pub(crate) fn append(&self, record: &Record) -> Append {
        self.rooms.append(record)
    }

    pub(crate) fn read(&self, partition: u32, from: Offset) -> Reader {
        assert!(partition < self.partitions(), "there are {} partitions", self.partitions());
        let shared =
            self.shared_consumer.get_or_init(|| SharedConsumer::new(&self.options, &self.health, &self.topics));
        shared.read(partition, from)
    }

    pub(crate) async fn end(&self, partition: u32) -> Result<Offset, BoundsError> {
        Ok(self.bounds(partition, "ends").await?.1)
    }

    pub(crate) async fn start(&self, partition: u32) -> Result<Offset, BoundsError> {
        Ok(self.bounds(partition, "begins").await?.0)
    }

    async fn bounds(&self, partition: u32, what: &'static str) -> Result<(Offset, Offset), BoundsError> {
        let bounds = self.topics.bounds(&self.options.rooms_topic(), partition).await;
        bounds.map_err(|reason| BoundsError { partition, what, reason })
    }

    /// Deletes exactly the records below: a broker does not depend on the ends of segments.
    pub(crate) async fn truncate(&self, partition: u32, before: Offset) -> Result<(), TruncateError> {
        let error = |reason| TruncateError::Broker { partition, reason };
        let (start, end) = self.topics.bounds(&self.options.rooms_topic(), partition).await.map_err(error)?;
        match before.min(end) {
            before if before <= start => Ok(()),
            before => self.topics.delete_records(&self.options.rooms_topic(), partition, before).await,
        }
    }

    /// A broker assigns every offset, so those below are filled with records. Other machines may append meanwhile: then more
    /// offsets than requested are used. If interrupted, it continues from the topic's end.
    pub(crate) async fn skip_to(&self, partition: u32, at_least: Offset, filler: &Record) -> Result<(), SkipError> {
        loop {
            let missing = at_least.saturating_sub(self.end(partition).await?);
            if missing == 0 {
                return Ok(());
            }
            let mut fills = Vec::new();
            for _ in 0..missing.min(FILLERS_AT_ONCE) {
                let fill = self.rooms.append(filler);
                match fill.refused() {
                    None => fills.push(fill),
                    // The records in flight have to leave the queue first.
                    Some(AppendError::Full { .. }) => break,
                    Some(error) => return Err(error.clone().into()),
                }
            }
            for fill in fills {
                fill.await?;
            }
        }
    }

    pub(crate) fn send_edge(&self, edge: &MachineId, command: &EdgeCommand) -> Sent {
        let new = || EdgeSender::new(&self.options, &self.health, &self.runtime);
        self.edge_sender.get_or_init(new).send(edge, command)
    }

    pub(crate) async fn edge_channel(&self, edge: &MachineId) -> Result<EdgeReceiver, MachineError> {
        receiver::open(edge, &self.options, &self.health, &self.topics, &self.receivers).await
    }

    pub(crate) async fn machines(&self) -> Result<Vec<MachineId>, MachineError> {
        admin::list(&self.options, &self.topics).await
    }

    pub(crate) async fn delete_machine(&self, machine: &MachineId) -> Result<(), MachineError> {
        admin::delete(machine, &self.options, &self.topics).await
    }

    pub(crate) async fn flush(&self) -> Result<(), FlushError> {
        self.rooms.flush().await
    }

    pub(crate) fn stopped(&self) -> impl Future<Output = Stopped> + Send + use<> {
        self.health.stopped()
    }

    pub(crate) async fn check_ready(&self) -> Result<(), String> {
        self.is_running()?;
        self.topics.check_ready(&self.options.rooms_topic()).await
    }

    pub(crate) async fn check_connectivity(&self) -> Result<(), String> {
        self.is_running()?;
        self.topics.check_connectivity(&self.options.rooms_topic()).await
    }

    fn is_running(&self) -> Result<(), String> {
        self.health.is_stopped().map_or(Ok(()), |stopped| Err(stopped.to_string()))
    }

    pub(crate) async fn close(&self) -> Result<(), FlushError> {
        self.health.refuse_appends();
        let flushed = self.rooms.flush().await;
        if let Some(sender) = self.edge_sender.get() {
            sender.flush().await;
        }
        self.health.close();
        flushed
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.health.refuse_appends();
        self.health.close();
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The key of a room's records.
fn key(room: RoomId) -> String {
    room.to_string()
}
