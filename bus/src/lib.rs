//! Channels: ordered logs of the records of rooms and of the commands that rooms send to edges.
//!
//! One handle, [`Bus`], over two back ends: [`embedded`] keeps the log in files of one data directory, [`kafka`] in the topics
//! of a broker. Rooms are spread over partitions, an append is confirmed asynchronously, a reader names its partition and
//! offset itself, and there are no consumer groups.
//!
//! A record's bytes are `chorus_core::wire`'s. Their layout in files is documented in `embedded/segment.rs`, their topics in
//! `kafka/mod.rs`.

use std::{future::Future, pin::Pin, sync::Arc};

use chorus_core::{
    command::{EdgeCommand, Record},
    ids::{MachineId, Offset},
};

mod append;
mod edge_channel;
pub mod embedded;
mod error;
pub mod kafka;
mod probe;
mod reader;

pub use append::Append;
pub use chorus_core::durability::Durability;
use edge_channel::{EdgeBackend, SentState};
pub use edge_channel::{EdgeReceiver, Sent};
pub use error::{
    AppendError, BoundsError, CopyError, EdgeReadError, FlushError, MachineError, OpenError, ReadError, SendError,
    SkipError, Stopped, TruncateError,
};
pub use reader::Reader;
use reader::ReaderBackend;

/// The largest record, in bytes.
pub const MAX_RECORD: usize = 8 << 20;

/// The bounds of histograms of latencies through a channel, on every machine, in seconds: 0.25 ms to 16 s.
pub const LATENCY_BUCKETS: [f64; 17] = {
    let mut bounds = [0.000_25; 17];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2.0;
        at += 1;
    }
    bounds
};

/// A handle to all channels. Cheap to clone; [`Bus::close`] ends it.
#[derive(Clone, Debug)]
pub struct Bus(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Embedded(Arc<embedded::Embedded>),
    Kafka(Arc<kafka::Kafka>),
}

impl Bus {
    /// The number of partitions over which rooms are spread. Fixed for the life of the data.
    pub fn partitions(&self) -> u32 {
        match &self.0 {
            Backend::Embedded(bus) => bus.partitions(),
            Backend::Kafka(bus) => bus.partitions(),
        }
    }

    /// The broker cluster's id, if its brokers report one, and the topic of the rooms' channels. `None`: the log is in files.
    pub async fn identity(&self) -> Option<(Option<String>, String)> {
        match &self.0 {
            Backend::Embedded(_) => None,
            Backend::Kafka(bus) => Some(bus.identity().await),
        }
    }

    /// Appends to the channel of the room's partition. The record is in its place when this call returns, so the order of calls
    /// is the order in the log, even if the returned futures are dropped. Each future resolves with its record's offset when
    /// the record is as durable as the mode promises: in the file with [`Durability::Background`], on the disk with
    /// [`Durability::Always`], with all replicas in sync with Kafka.
    ///
    /// When the bounded queue is full, the record is too large, or the bus has stopped, the record is *not* in the log, and
    /// [`Append::refused`] reports so at once.
    pub fn append(&self, record: &Record) -> Append {
        match &self.0 {
            Backend::Embedded(bus) => bus.append(record),
            Backend::Kafka(bus) => bus.append(record),
        }
    }

    /// The records of a partition from `from` on, in offset order, without an end: first the records on disk, then new ones. A
    /// position beyond the end waits until the log has grown that far.
    pub fn read(&self, partition: u32, from: Offset) -> Reader {
        match &self.0 {
            Backend::Embedded(bus) => Reader(ReaderBackend::Embedded(bus.read(partition, from))),
            Backend::Kafka(bus) => Reader(ReaderBackend::Kafka(bus.read(partition, from))),
        }
    }

    /// One past the last offset that is readable now. At least one past every offset confirmed so far.
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

    /// Allows the deletion of all records below `before`. The embedded log deletes whole segments, and never the last one, so
    /// that no offset is assigned twice; a segment ends behind an erasure. A broker deletes exactly up to `before`. Call it only when the snapshots that make
    /// those records unnecessary are themselves on the disk.
    pub async fn truncate(&self, partition: u32, before: Offset) -> Result<(), TruncateError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.truncate(partition, before).await,
            Backend::Kafka(bus) => bus.truncate(partition, before).await,
        }
    }

    /// Guarantees that no record appended from now on gets an offset below `at_least`. This does nothing unless the log has
    /// lost its last records (a power cut, with [`Durability::Background`]) and the store has not: then a snapshot is ahead of the
    /// log, and a record under an offset that the snapshot covers would be taken for applied. Call it at start, before the
    /// first append, with the store's highest offset of that partition plus one. A broker's offsets cannot be skipped: there it
    /// appends `filler`, a record of that partition without any effect, as often as necessary.
    pub async fn skip_to(&self, partition: u32, at_least: Offset, filler: &Record) -> Result<(), SkipError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.skip_to(partition, at_least).await,
            Backend::Kafka(bus) => bus.skip_to(partition, at_least, filler).await,
        }
    }

    /// Whether the log may end before a record that it has confirmed: after a power cut, with [`Durability::Background`]. A broker's
    /// topic does so only if it has been replaced by another one.
    pub fn may_lose_its_end(&self) -> bool {
        matches!(&self.0, Backend::Embedded(_))
    }

    /// Sends to an edge's channel, in the order of calls. Commands for an edge without a channel are dropped: an edge opens its
    /// channel before it appends anything, so such commands are for an earlier life of it. Commands that do not fit into an
    /// edge's channel are dropped, too, and the edge is notified: see [`EdgeReceiver::recv_many`].
    pub fn send_edge(&self, edge: &MachineId, command: EdgeCommand) -> Sent {
        match &self.0 {
            Backend::Embedded(bus) => {
                bus.send_edge(edge, command);
                Sent(SentState::Done)
            }
            Backend::Kafka(bus) => bus.send_edge(edge, &command),
        }
    }

    /// The receiving end of an edge's channel, from its present end on. An edge opens it before it appends its first record.
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

    /// Resolves when the bus has stopped for good, and never when it is closed. The caller then ends the process.
    pub fn stopped(&self) -> impl Future<Output = Stopped> + Send + 'static {
        let stopped: Pin<Box<dyn Future<Output = Stopped> + Send>> = match &self.0 {
            Backend::Embedded(bus) => Box::pin(bus.stopped()),
            Backend::Kafka(bus) => Box::pin(bus.stopped()),
        };
        stopped
    }

    /// Whether the log is usable now; the error is the reason if it is not. For readiness.
    pub async fn check_ready(&self) -> Result<(), String> {
        match &self.0 {
            Backend::Embedded(bus) => bus.check_ready(),
            Backend::Kafka(bus) => bus.check_ready().await,
        }
    }

    /// Whether any broker answers; the error is the reason if none does. This is weaker than [`Bus::check_ready`]: a partition between
    /// two leaders is unavailable to every machine, which is no sign of a defect in this one.
    pub async fn check_connectivity(&self) -> Result<(), String> {
        match &self.0 {
            Backend::Embedded(bus) => bus.check_ready(),
            Backend::Kafka(bus) => bus.check_connectivity().await,
        }
    }

    /// Returns when every record appended before this call is on the disk, in either mode.
    pub async fn flush(&self) -> Result<(), FlushError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.flush().await,
            Backend::Kafka(bus) => bus.flush().await,
        }
    }

    /// Returns when every record that is readable now survives a power cut. With a broker that is at once: it shows only
    /// records that its replicas have.
    pub async fn settle(&self) -> Result<(), FlushError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.flush().await,
            Backend::Kafka(_) => Ok(()),
        }
    }

    /// Refuses further appends, writes and syncs earlier ones, ends the readers once they have read them, and releases the data
    /// directory when the last clone and reader is dropped. Dropping every clone of an embedded bus does the same without
    /// reporting its completion; with a broker, it abandons unconfirmed records.
    ///
    /// With a broker: waits for earlier appends and sends, at most as long as an append may wait. Readers end at their present
    /// position, since other machines go on writing.
    pub async fn close(self) -> Result<(), FlushError> {
        match &self.0 {
            Backend::Embedded(bus) => bus.close().await,
            Backend::Kafka(bus) => bus.close().await,
        }
    }
}
