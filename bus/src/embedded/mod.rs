//! The embedded back end: one process, one data directory.
//!
//! | what | where | owner | retention |
//! |---|---|---|---|
//! | the lock | `DIR/lock`: the holder's pid, under an exclusive file lock | the process | its life |
//! | a partition's head | `DIR/log/<partition>.head`, see `head.rs` | the partition's writer | the log's life |
//! | rooms' channels | `DIR/log/<partition>/<first offset, 20 digits>.log`, see `segment.rs` | the partition's writer | until [`Bus::truncate`] |
//! | edges' channels | memory only, see `edges.rs` | the edge | until received |
//!
//! A partition has one writer (`writer.rs`): it takes all queued records, writes them in one call, syncs them first if the mode
//! requires it, and only then shows them to readers. Readers (`reader.rs`) take the newest records from memory and the others
//! from the files, so that a slow reader costs no memory.

use std::{
    fmt,
    future::poll_fn,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::Poll,
};

use chorus_core::{
    command::{EdgeCommand, Record},
    ids::{MachineId, Offset},
    pairing::{DataId, Mark},
};
use tokio::task::JoinHandle;

use crate::{Append, Backend, Bus, Durability, FlushError, OpenError, SkipError, Stopped, TruncateError};

mod copy;
mod edges;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod head;
mod layout;
mod lock;
mod partition;
#[cfg(feature = "planted-bugs")]
mod planted;
mod queue;
mod reader;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use copy::{CopiedLog, TruncationHold, check_copy};
pub use edges::{EDGE_LIMIT, EdgeReceiver};
use partition::Partition;
pub use reader::Reader;
pub use segment::FORMAT;

/// How to open an embedded log.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory. Made when missing, for its owner alone; the log is in its `log/`, the lock is its `lock`.
    pub dir: PathBuf,
    /// How many partitions. 1 is right for one process.
    pub partitions: u32,
    pub durability: Durability,
    /// A segment that has grown to this many bytes is followed by a new one. Truncation works in whole segments of this size.
    pub segment_bytes: u64,
    /// How many bytes may wait to be written, per partition, before appends are refused.
    pub queue_bytes: usize,
    /// How many bytes of the newest records are kept in memory for readers, per partition.
    pub tail_bytes: usize,
}

impl Options {
    /// The defaults, for this data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            partitions: 1,
            durability: Durability::default(),
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            tail_bytes: 4 << 20,
        }
    }
}

/// A data directory that this process has locked, and whose log is not open yet: the log's mark is compared with the store's first.
#[derive(Debug)]
pub struct LockedDir {
    options: Options,
    lock: lock::Lock,
    found: Option<Mark>,
}

/// Locks a data directory; creates it first, or makes its modes private. Of the log it reads only the heads.
pub async fn lock_dir(options: Options) -> Result<LockedDir, OpenError> {
    blocking(move || {
        let dir = chorus_private::dir(&options.dir, chorus_private::Root::Named)?;
        let options = Options { dir, ..options };
        let lock = lock::take(&options.dir)?;
        let found = layout::read_mark(&options)?;
        Ok(LockedDir { options, lock, found })
    })
    .await
}

impl LockedDir {
    /// The directory's real path.
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// The log's mark; `None` when there is no log.
    pub fn mark(&self) -> Option<Mark> {
        self.found
    }

    /// Opens the log for the process life of `mark`, or creates it, and repairs the effects of a crash: a torn end is
    /// truncated, with a warning that names the file and offset. Reads every segment once (about a second per GiB). Needs a
    /// tokio runtime, in which its writers run.
    pub async fn open(self, mark: Mark) -> Result<Bus, OpenError> {
        let bus = blocking(move || Embedded::open(self, mark)).await?;
        let writers = bus.partitions.iter().map(|partition| writer::spawn(partition.clone())).collect();
        *bus.writers.lock().expect("nothing panics under this lock") = writers;
        Ok(Bus(Backend::Embedded(Arc::new(bus))))
    }
}

/// Opens the log of a data directory without a store to compare it with: in its present life, or a new one. Otherwise as
/// [`LockedDir::open`].
pub async fn open(options: Options) -> Result<Bus, OpenError> {
    let dir = lock_dir(options).await?;
    let mark = match dir.mark() {
        Some(mark) => mark,
        None => Mark { id: random_id()?, life: 1 },
    };
    dir.open(mark).await
}

/// An id that no other log has.
pub fn random_id() -> Result<DataId, OpenError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| OpenError::NoRandomness(error.to_string()))?;
    Ok(DataId(u128::from_be_bytes(bytes)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

pub(crate) struct Embedded {
    partitions: Vec<Arc<Partition>>,
    edges: edges::Edges,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl Embedded {
    fn open(dir: LockedDir, mark: Mark) -> Result<Embedded, OpenError> {
        let LockedDir { options, lock, found } = dir;
        let lock = Arc::new(lock);
        if found.is_none() {
            layout::create(&options, mark)?;
        }
        let open = |number| Partition::open(&options, number, mark, lock.clone()).map(Arc::new);
        Ok(Embedded {
            partitions: (0..options.partitions).map(open).collect::<Result<_, _>>()?,
            edges: Default::default(),
            writers: Default::default(),
        })
    }

    fn partition(&self, number: u32) -> &Arc<Partition> {
        &self.partitions[number as usize]
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    pub(crate) fn append(&self, record: &Record) -> Append {
        self.partition(record.room.partition(self.partitions())).append(record)
    }

    pub(crate) fn read(&self, partition: u32, from: Offset) -> Reader {
        Reader::new(self.partition(partition).clone(), from)
    }

    pub(crate) fn end(&self, partition: u32) -> Offset {
        self.partition(partition).end()
    }

    pub(crate) fn start(&self, partition: u32) -> Offset {
        self.partition(partition).start()
    }

    pub(crate) async fn truncate(&self, partition: u32, before: Offset) -> Result<(), TruncateError> {
        let partition = self.partition(partition).clone();
        let done = tokio::task::spawn_blocking(move || partition.truncate(before)).await;
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    pub(crate) async fn skip_to(&self, partition: u32, at_least: Offset) -> Result<(), SkipError> {
        self.partition(partition).skip_to(at_least).await
    }

    pub(crate) fn send_edge(&self, edge: &MachineId, command: EdgeCommand) {
        self.edges.send(edge, command);
    }

    pub(crate) fn edge_channel(&self, edge: &MachineId) -> EdgeReceiver {
        self.edges.open(edge)
    }

    pub(crate) fn machines(&self) -> Vec<MachineId> {
        self.edges.list()
    }

    pub(crate) fn delete_machine(&self, machine: &MachineId) {
        self.edges.delete(machine);
    }

    pub(crate) fn stopped(&self) -> impl Future<Output = Stopped> + Send + use<> {
        let mut all: Vec<_> = self.partitions.iter().map(|partition| Box::pin(partition.stopped())).collect();
        poll_fn(move |context| {
            let mut ready = all.iter_mut().map(|one| one.as_mut().poll(context)).filter(Poll::is_ready);
            ready.next().unwrap_or(Poll::Pending)
        })
    }

    pub(crate) fn check_ready(&self) -> Result<(), String> {
        let stopped = self.partitions.iter().find_map(|partition| partition.status.borrow().stopped.clone());
        stopped.map_or(Ok(()), |stopped| Err(stopped.to_string()))
    }

    pub(crate) async fn flush(&self) -> Result<(), FlushError> {
        for flushed in self.partitions.iter().map(|partition| partition.flush()).collect::<Vec<_>>() {
            flushed.await?;
        }
        Ok(())
    }

    pub(crate) async fn close(&self) -> Result<(), FlushError> {
        self.edges.close();
        self.partitions.iter().for_each(|partition| partition.close());
        for partition in &self.partitions {
            partition.finished().await?;
        }
        // The writers hold the directory's lock until they have ended.
        let writers = std::mem::take(&mut *self.writers.lock().expect("nothing panics under this lock"));
        for writer in writers {
            let _ = writer.await;
        }
        Ok(())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.edges.close();
        self.partitions.iter().for_each(|partition| partition.close());
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}
