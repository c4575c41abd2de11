//! The errors, one enum per operation. Every text names the file and the remedy.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use chorus_core::{
    ids::{MachineId, Offset},
    pairing::DataId,
    wire::DecodeError,
};

/// The bus has stopped for good: after such an error it cannot keep its promises. Restart the process once the cause is
/// removed; it recovers the intact part of the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stopped {
    #[error(
        "the log has stopped: cannot {action} {}: {source}; check the disk, then restart",
        file.display()
    )]
    Disk { action: &'static str, file: PathBuf, source: Arc<io::Error> },
    #[error(
        "the bus has stopped: {what}: {reason}; every confirmed record is in the log. Remove the cause, then restart"
    )]
    Broker { what: &'static str, reason: Arc<str> },
}

/// The embedded log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{} is in use by another chorus process (pid {}): stop it, or give this one another directory",
        dir.display(), pid.as_deref().unwrap_or("unknown")
    )]
    Locked { dir: PathBuf, pid: Option<String> },
    #[error(
        "{} is damaged at byte {position}: {what}. It was intact on the disk before, so this is no effect of a crash; \
         nothing was changed. Restore the directory from a copy",
        file.display()
    )]
    Damaged { file: PathBuf, position: u64, what: String },
    #[error(
        "{}: the log has a gap: records from {missing} up to {found} are gone; nothing was changed. Restore the \
         missing segment from a copy",
        file.display()
    )]
    Gap { file: PathBuf, missing: Offset, found: Offset },
    #[error(
        "{} is in log format {found}, this binary reads format {reads}: run the version of chorus that wrote it, or a \
         newer one",
        file.display()
    )]
    Format { file: PathBuf, found: u32, reads: u32 },
    #[error(
        "{} is missing, and the rest of the log is there; nothing was changed. Restore it from a copy",
        file.display()
    )]
    Missing { file: PathBuf },
    #[error(
        "{} belongs to another log (its id is {found}, and this log's is {id}); nothing was changed. Restore the \
         directory from one copy",
        file.display()
    )]
    Foreign { file: PathBuf, id: DataId, found: DataId },
    #[error(transparent)]
    Private(#[from] chorus_private::PrivateError),
    #[error("the operating system returned no random bytes: {0}")]
    NoRandomness(String),
    #[error(
        "{} has {found} partitions, and {configured} are configured: the number is fixed when a log is created",
        dir.display()
    )]
    Partitions { dir: PathBuf, found: u32, configured: u32 },
    #[error("cannot {action} {}: {source}", file.display())]
    Io { action: &'static str, file: PathBuf, source: io::Error },
}

/// The log could not be copied, or a copy is not whole. The log itself is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("cannot {action} {}: {source}", file.display())]
    Io { action: &'static str, file: PathBuf, source: io::Error },
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error("{} is torn at byte {position}: {what}. It is no whole copy: make another one, or use an older one", file.display())]
    Torn { file: PathBuf, position: u64, what: &'static str },
    #[error("the copy was ended before it was complete")]
    Ended,
}

/// A record is not in the log, or not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Try again later.
    #[error("{waiting} bytes already wait to be written to the log: try again later")]
    Full { waiting: usize },
    #[error("a record of {bytes} bytes is too large: the log takes {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// The log is unchanged, and appends are accepted again: they succeed once there is space.
    #[error("the disk is full: cannot write {}: {source}; make room", file.display())]
    NoSpace { file: PathBuf, source: Arc<io::Error> },
    /// The record is still in flight, ahead of every later append, and no less certain to arrive than before: only the wait has
    /// ended.
    #[error("the broker has not confirmed the record within {after:?}: it may or may not be in the log")]
    Unconfirmed { after: Duration },
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("the log is closed")]
    Closed,
}

/// The result of a command for an edge is unknown; the sender sends it again after its restart.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("the bus is closed")]
    Closed,
}

/// A partition's start or end is unknown. Try again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read where partition {partition} {what}: {reason}")]
pub struct BoundsError {
    pub partition: u32,
    pub what: &'static str,
    pub reason: String,
}

/// An operation on machines' channels failed. Try again.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[error("{machine:?} cannot be a machine's id: use letters, digits, dots, hyphens and underscores, at most 180")]
    Name { machine: MachineId },
    #[error("cannot {action} the channel of machine {machine}: {reason}")]
    Broker { action: &'static str, machine: MachineId, reason: String },
    #[error("cannot list the machines' channels: {reason}")]
    List { reason: String },
}

/// A reader cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {from} of partition {partition} is no longer kept: the log begins at {start}")]
    Gone { partition: u32, from: Offset, start: Offset },
    #[error("{} is damaged at byte {position}: {what}; restore it from a copy", file.display())]
    Damaged { file: PathBuf, position: u64, what: String },
    #[error("the record at offset {offset} of partition {partition} cannot be read: {source}")]
    Decode { partition: u32, offset: Offset, source: DecodeError },
    #[error("cannot read {}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("the broker does not serve partition {partition}: {reason}")]
    Broker { partition: u32, reason: String },
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The bus was closed, and every record has been read.
    #[error("the log is closed")]
    Closed,
}

/// Old records were not deleted. The log is intact; try again.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    #[error("cannot delete {}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("cannot delete old records of partition {partition}: {reason}")]
    Broker { partition: u32, reason: String },
    /// Only another broker changes that; the start has logged a warning about it.
    #[error("this broker cannot delete records (it lacks DeleteRecords, which Redpanda has since 23.2)")]
    Unsupported,
}

/// Appended records may not be on the disk.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FlushError {
    #[error("some appended records were not written: {0}")]
    NotWritten(AppendError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("the log is closed")]
    Closed,
}

/// The next offset is not known to be high enough.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SkipError {
    /// It is a call for the start, before anything is appended.
    #[error("records are being appended: skip before the first append")]
    Busy,
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// A broker's offsets are skipped by records that fill them, and it refused one.
    #[error("cannot append a record that fills the skipped offsets: {0}")]
    Append(#[from] AppendError),
    #[error(transparent)]
    Bounds(#[from] BoundsError),
}

/// An edge's channel cannot continue without a gap, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeReadError {
    /// Commands are missing here; later ones will come.
    #[error("{dropped} commands for this edge were dropped: it did not take them fast enough")]
    Overflow { dropped: u64 },
    /// The bus was closed, or the channel was opened again.
    #[error("the edge's channel is closed")]
    Closed,
}
