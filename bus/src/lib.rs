//! Channels: ordered logs of what happens to rooms, and of what rooms have for edges.
//!
//! One handle, [`Bus`], over two back ends: [`embedded`] keeps the log in files of one data directory, [`kafka`] in
//! the topics of a broker. Rooms live in partitions, an append is confirmed later, a reader names its partition and
//! offset itself, and there are no consumer groups.
//!
//! A record's bytes are `chorus_core::wire`'s; how they lie in files is said in `embedded/segment.rs`, in which topics
//! they are in `kafka/mod.rs`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chorus_core::{
    command::{EdgeCommand, Record},
    ids::{MachineId, Offset},
};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep},
};

pub mod embedded;
mod error;
pub mod kafka;

pub use error::{
    AppendError, BoundsError, EdgeReadError, FlushError, MachineError, OpenError, ReadError, SendError, SkipError,
    Stopped, TruncateError,
};

/// The largest record, in bytes.
pub const MAX_RECORD: usize = 8 << 20;

/// A handle to all channels. Cheap to clone; see [`Bus::close`] for how it ends.
#[derive(Clone, Debug)]
pub struct Bus(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Embedded(Arc<embedded::Embedded>),
    Kafka(Arc<kafka::Kafka>),
}

impl Bus {
    /// How many partitions rooms are spread over. Fixed for the life of the data.
    pub fn partitions(&self) -> u32 {
        match &self.0 {
            Backend::Embedded(bus) => bus.partitions(),
            Backend::Kafka(bus) => bus.partitions(),
        }
    }

    /// The broker cluster's own id, if its brokers say it, and the topic of the rooms' channels. `None`: the log is in files.
    pub async fn identity(&self) -> Option<(Option<String>, String)> {
        match &self.0 {
            Backend::Embedded(_) => None,
            Backend::Kafka(bus) => Some(bus.identity().await),
        }
    }

    /// Appends to the channel of the room's partition. The record is in its place when this returns, so the order of
    /// calls is the order in the log, whatever becomes of the returned futures; each resolves with its record's offset
    /// when the record is as durable as the mode promises: in the file with [`Fsync::Background`], on the disk with
    /// [`Fsync::Always`], with all replicas in sync with Kafka.
    ///
    /// When the bounded queue is full, the record is too large, or the bus has stopped, the record is *not* in the
    /// log, and [`Append::refused`] says so at once.
    pub fn append(&self, record: &Record) -> Append {
        match &self.0 {
            Backend::Embedded(bus) => bus.append(record),
            Backend::Kafka(bus) => bus.append(record),
        }
    }

    /// The records of a partition from `from` on, in offset order, for ever: first what is on disk, then what comes.
    /// From beyond the end, it waits until the log has grown that far.
    pub fn read(&self, partition: u32, from: Offset) -> Reader {
        match &self.0 {
            Backend::Embedded(bus) => Reader(ReaderBackend::Embedded(bus.read(partition, from))),
            Backend::Kafka(bus) => Reader(ReaderBackend::Kafka(bus.read(partition, from))),
        }
    }

    /// One past the last offset that is readable now. At least one past every offset that was confirmed before.
    pub async fn end(&self, partition: u32) -> Result<Offset, BoundsError> {
        match &self.0 {
            Backend::Embedded(bus) => Ok(bus.end(partition)),
            Backend::Kafka(bus) => bus.end(partition).await,
        }
    }

    /// The oldest offset that is kept.
    pub async fn start(&self, partition: u32) -> Result<Offset, BoundsError> {
        match &self.0 {
            Backend::Embedded(bus) => Ok(bus.start(partition)),
            Backend::Kafka(bus) => bus.start(partition).await,
        }
    }

    /// Everything below `before` may go. The embedded log deletes whole segments, and never the last one, so that
    /// offsets are never given out twice; a broker deletes what it is told. Call it only when what makes those records unnecessary is itself on the disk.
    pub async fn truncate(&self, partition: u32, before: Offset) -> Result<(), TruncateError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.truncate(partition, before).await,
            Backend::Kafka(bus) => bus.truncate(partition, before).await,
        }
    }

    /// Makes sure that no record appended from now on gets an offset below `at_least`. Nothing to do unless the log
    /// has lost its last records (a power cut, with [`Fsync::Background`]) and the store has not: then a snapshot
    /// is ahead of the log, and a record under an offset that the snapshot covers would be taken for applied. Call it
    /// at start with the store's highest offset of that partition plus one, before the first append. A broker's offsets
    /// cannot be left out: there it appends `filler`, a record of that partition which does nothing, as often as it takes.
    pub async fn skip_to(&self, partition: u32, at_least: Offset, filler: &Record) -> Result<(), SkipError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.skip_to(partition, at_least).await,
            Backend::Kafka(bus) => bus.skip_to(partition, at_least, filler).await,
        }
    }

    /// Whether the log may end before what it has confirmed: after a power cut, with [`Fsync::Background`]. A broker's topic
    /// does so only if it is another one.
    pub fn may_lose_its_end(&self) -> bool {
        matches!(&self.0, Backend::Embedded(_))
    }

    /// Sends to an edge's channel, in the order of calls. Commands for an edge that is not there are dropped: an edge
    /// opens its channel before it appends anything, so they are for an earlier life of it. Commands for an edge that
    /// cannot be taken are dropped, too, and the edge is told: see [`EdgeReceiver::recv_many`].
    pub fn send_edge(&self, edge: &MachineId, command: EdgeCommand) -> Sent {
        match &self.0 {
            Backend::Embedded(bus) => {
                bus.send_edge(edge, command);
                Sent(SentState::Done)
            }
            Backend::Kafka(bus) => bus.send_edge(edge, &command),
        }
    }

    /// The receiving end of an edge's channel, from now on. An edge opens it before it appends its first record.
    /// Opening it again closes the earlier receiver.
    pub async fn edge_channel(&self, edge: &MachineId) -> Result<EdgeReceiver, MachineError> {
        match &self.0 {
            Backend::Embedded(bus) => Ok(EdgeReceiver(EdgeBackend::Embedded(bus.edge_channel(edge)))),
            Backend::Kafka(bus) => Ok(EdgeReceiver(EdgeBackend::Kafka(bus.edge_channel(edge).await?))),
        }
    }

    /// The machines that have a channel. For the monitor.
    pub async fn machines(&self) -> Result<Vec<MachineId>, MachineError> {
        match &self.0 {
            Backend::Embedded(bus) => Ok(bus.machines()),
            Backend::Kafka(bus) => bus.machines().await,
        }
    }

    /// Deletes a machine's channel, if it has one: its receiver ends. For the monitor, when the machine is dead.
    pub async fn delete_machine(&self, machine: &MachineId) -> Result<(), MachineError> {
        match &self.0 {
            Backend::Embedded(bus) => {
                bus.delete_machine(machine);
                Ok(())
            }
            Backend::Kafka(bus) => bus.delete_machine(machine).await,
        }
    }

    /// Resolves when the bus has stopped for good, and never when it is closed. Whoever sees it ends the process.
    pub fn stopped(&self) -> impl Future<Output = Stopped> + Send + 'static {
        let stopped: Pin<Box<dyn Future<Output = Stopped> + Send>> = match &self.0 {
            Backend::Embedded(bus) => Box::pin(bus.stopped()),
            Backend::Kafka(bus) => Box::pin(bus.stopped()),
        };
        stopped
    }

    /// Whether the log can be used just now; if not, why. For readiness.
    pub async fn ping(&self) -> Result<(), String> {
        match &self.0 {
            Backend::Embedded(bus) => bus.ping(),
            Backend::Kafka(bus) => bus.ping().await,
        }
    }

    /// Whether anybody answers at all; if not, why. Less than [`Bus::ping`]: a partition that is between two leaders is
    /// so for everybody, and says nothing about whoever asks.
    pub async fn reach(&self) -> Result<(), String> {
        match &self.0 {
            Backend::Embedded(bus) => bus.ping(),
            Backend::Kafka(bus) => bus.reach().await,
        }
    }

    /// Returns when every record appended before this call is on the disk, in either mode.
    pub async fn flush(&self) -> Result<(), FlushError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.flush().await,
            Backend::Kafka(bus) => bus.flush().await,
        }
    }

    /// Returns when every record that is readable now outlives a power cut. With a broker that is at once: it shows nothing
    /// that its replicas do not have.
    pub async fn settle(&self) -> Result<(), FlushError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.flush().await,
            Backend::Kafka(_) => Ok(()),
        }
    }

    /// Refuses further appends, writes and syncs what was appended before, ends the readers once they have read it,
    /// and gives the data directory free when the last clone and reader is gone. Dropping every clone of an embedded
    /// bus does the same without telling when it is done; with a broker, it gives up what is not confirmed.
    ///
    /// With a broker: waits for what was appended and sent, at most as long as an append may wait; readers end with what they
    /// have, since others go on writing.
    pub async fn close(self) -> Result<(), FlushError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.close().await,
            Backend::Kafka(bus) => bus.close().await,
        }
    }
}

/// When an appended record counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// When it is on the disk: a power cut loses nothing.
    Always,
    /// When it is in the file: no `kill -9` loses it. It is synced at most 100 ms later, so a power cut may lose that.
    #[default]
    Background,
}

/// A text that is not a mode of syncing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mode of syncing: {0:?}; use always or background")]
pub struct BadFsync(String);

impl FromStr for Fsync {
    type Err = BadFsync;
    fn from_str(text: &str) -> Result<Fsync, BadFsync> {
        match text {
            "always" => Ok(Fsync::Always),
            "background" => Ok(Fsync::Background),
            _ => Err(BadFsync(text.chars().take(32).collect())),
        }
    }
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fsync::Always => "always",
            Fsync::Background => "background",
        })
    }
}

/// The promise of one append. May be dropped: the record stays appended.
#[derive(Debug)]
pub struct Append(AppendState);

#[derive(Debug)]
enum AppendState {
    Waiting(Answer),
    Confirming(Confirming),
    Refused(AppendError),
}

type Answer = oneshot::Receiver<Result<Option<Offset>, AppendError>>;

/// Waiting with a limit.
#[derive(Debug)]
struct Confirming {
    answer: Answer,
    after: Duration,
    deadline: Instant,
    /// Only when somebody has to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Append {
    /// Why the record was not even taken, if it was not. Known at once.
    pub fn refused(&self) -> Option<&AppendError> {
        match &self.0 {
            AppendState::Waiting(_) | AppendState::Confirming(_) => None,
            AppendState::Refused(error) => Some(error),
        }
    }

    /// The same without a limit, for whoever answers nobody: never [`AppendError::Unconfirmed`] while the bus is there.
    pub fn however_long(self) -> Append {
        match self.0 {
            AppendState::Confirming(confirming) => Append(AppendState::Waiting(confirming.answer)),
            state => Append(state),
        }
    }
}

impl Confirming {
    fn new(answer: Answer, after: Duration) -> Confirming {
        Confirming { answer, after, deadline: Instant::now() + after, timer: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Offset>, AppendError>> {
        if let Poll::Ready(answer) = poll_answer(&mut self.answer, context) {
            return Poll::Ready(answer);
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.deadline)));
        timer.as_mut().poll(context).map(|()| Err(AppendError::Unconfirmed { after: self.after }))
    }
}

fn poll_answer(answer: &mut Answer, context: &mut Context<'_>) -> Poll<Result<Option<Offset>, AppendError>> {
    Pin::new(answer).poll(context).map(|answer| answer.unwrap_or(Err(AppendError::Closed)))
}

/// Resolves with the record's place. `None`: the record is in the log, once, and the broker did not say where, since
/// it took it for a repetition of one that it had.
impl Future for Append {
    type Output = Result<Option<Offset>, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            AppendState::Waiting(answer) => poll_answer(answer, context),
            AppendState::Confirming(confirming) => confirming.poll(context),
            AppendState::Refused(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

/// The promise of one command for an edge. May be dropped: the command stays sent. When the last one to an edge has
/// resolved, so have all before it.
///
/// Resolves when the edge has the command or will be told that it is missing, so that whoever sent it owes nobody
/// anything. In the embedded back end that is at once: the edge and the sender die together.
pub struct Sent(SentState);

enum SentState {
    Done,
    Waiting(oneshot::Receiver<Result<(), SendError>>),
    /// The command was dropped: until the edge is told.
    Told(Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + Sync>>),
    Failed(SendError),
}

impl Sent {
    /// Whether it has resolved already, and well: then there is nothing to keep.
    pub fn is_done(&self) -> bool {
        matches!(self.0, SentState::Done)
    }
}

impl Future for Sent {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            SentState::Done => Poll::Ready(Ok(())),
            SentState::Waiting(arrived) => {
                Pin::new(arrived).poll(context).map(|arrived| arrived.unwrap_or(Err(SendError::Closed)))
            }
            SentState::Told(told) => told.as_mut().poll(context),
            SentState::Failed(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            SentState::Done => "Sent(done)",
            SentState::Waiting(_) => "Sent(on its way)",
            SentState::Told(_) => "Sent(dropped)",
            SentState::Failed(_) => "Sent(failed)",
        })
    }
}

/// The records of one partition, in order.
#[derive(Debug)]
pub struct Reader(ReaderBackend);

#[derive(Debug)]
enum ReaderBackend {
    Embedded(embedded::Reader),
    Kafka(kafka::Reader),
}

impl Reader {
    /// Waits for records and appends a batch of them to `into`: at least one, at most some hundreds. Offsets rise, but
    /// may leave some out (see [`Bus::skip_to`]). Cancel safe: a call that is dropped has taken nothing.
    pub async fn next(&mut self, into: &mut Vec<(Offset, Record)>) -> Result<(), ReadError> {
        match &mut self.0 {
            ReaderBackend::Embedded(reader) => reader.next(into).await,
            ReaderBackend::Kafka(reader) => reader.next(into).await,
        }
    }
}

/// What rooms have for one edge, in order.
#[derive(Debug)]
pub struct EdgeReceiver(EdgeBackend);

#[derive(Debug)]
enum EdgeBackend {
    Embedded(embedded::EdgeReceiver),
    Kafka(kafka::EdgeReceiver),
}

impl EdgeReceiver {
    /// Waits for commands and appends all that are there to `into`: at least one. Cancel safe.
    ///
    /// [`EdgeReadError::Overflow`] is told once, in the place where commands are missing. What a room
    /// sends again when a session reconnects is then the only way to be complete: the edge closes its sessions
    /// with 4008 (slow consumer), they resume, and reading goes on.
    pub async fn recv_many(&mut self, into: &mut Vec<EdgeCommand>) -> Result<(), EdgeReadError> {
        match &mut self.0 {
            EdgeBackend::Embedded(receiver) => receiver.recv_many(into).await,
            EdgeBackend::Kafka(receiver) => receiver.recv_many(into).await,
        }
    }
}
