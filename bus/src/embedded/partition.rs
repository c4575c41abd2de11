//! One partition: what its writer, its readers and its appenders share.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use chorus_core::{command::Record, ids::Offset, wire};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    Options,
    lock::Lock,
    segment::{self, FRAME, Segment},
    tail::Tail,
};
use crate::{
    Append, AppendError, AppendState, FlushError, Fsync, MAX_RECORD, OpenError, SkipError, Stopped, TruncateError,
};

pub(super) struct Partition {
    pub number: u32,
    pub dir: PathBuf,
    pub fsync: Fsync,
    pub segment_bytes: u64,
    queue_bytes: usize,
    queue: Mutex<Queue>,
    /// The queue has something to take, or was closed.
    pub filled: Notify,
    /// Something was written that is not synced yet.
    pub dirty: Notify,
    /// Oldest first, never empty.
    segments: Mutex<Vec<Arc<Segment>>>,
    pub tail: Mutex<Tail>,
    pub status: watch::Sender<Status>,
    /// The data directory is this process's for as long as any of it is in use.
    _lock: Arc<Lock>,
    #[cfg(test)]
    pub faults: Faults,
}

/// What readers wait on.
#[derive(Clone, Debug)]
pub(super) struct Status {
    /// One past the last readable offset.
    pub end: Offset,
    /// Everything below is on the disk.
    pub synced: Offset,
    pub stopped: Option<Stopped>,
    /// The writer is done.
    pub finished: bool,
}

/// What waits for the writer.
#[derive(Debug)]
struct Queue {
    /// The offset of the next append.
    next: Offset,
    batch: Batch,
    /// Bytes that the writer has taken and not yet shown.
    writing: usize,
    closed: bool,
    stopped: Option<Stopped>,
}

/// What the writer does in one go, in this order: skip, write the frames, answer.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub skip: Option<Offset>,
    /// The records' frames as they will be in the file.
    pub frames: Vec<u8>,
    pub entries: Vec<Entry>,
    pub flushes: Vec<oneshot::Sender<Result<(), FlushError>>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub record: Record,
    pub answer: oneshot::Sender<Result<Option<Offset>, AppendError>>,
    /// The size of its frame.
    pub bytes: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.skip.is_none() && self.entries.is_empty() && self.flushes.is_empty()
    }

    /// Answers everything with this error. Leaves the batch empty.
    pub fn fail(&mut self, error: &AppendError) {
        self.frames.clear();
        self.entries.drain(..).for_each(|entry| drop(entry.answer.send(Err(error.clone()))));
        let flush_error = || match error {
            AppendError::Stopped(stopped) => FlushError::Stopped(stopped.clone()),
            AppendError::Closed => FlushError::Closed,
            other => FlushError::NotWritten(other.clone()),
        };
        self.flushes.drain(..).for_each(|flush| drop(flush.send(Err(flush_error()))));
    }
}

/// Refuses a number of partitions that is smaller than what is there.
pub(super) fn check_count(options: &Options) -> Result<(), OpenError> {
    assert!(options.partitions > 0, "a log has at least one partition");
    let dir = options.dir.join("log");
    let numbers = match std::fs::read_dir(&dir) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OpenError::Io { action: "list", file: dir, source }),
    };
    match numbers.count() as u32 {
        found if found == 0 || found == options.partitions => Ok(()),
        found => Err(OpenError::Partitions { dir, found, asked: options.partitions }),
    }
}

impl Partition {
    pub fn open(options: &Options, number: u32, lock: Arc<Lock>) -> Result<Partition, OpenError> {
        let dir = options.dir.join("log").join(number.to_string());
        let io = |action| move |(file, source)| OpenError::Io { action, file, source };
        make_dirs(&options.dir, &dir).map_err(io("create"))?;
        let mut segments = Vec::new();
        let mut end = None;
        let names = segment_files(&dir).map_err(io("list"))?;
        for (at, path) in names.iter().enumerate() {
            let found = segment::recover(path, number, end, at + 1 == names.len())?;
            end = Some(found.end);
            segments.push(Arc::new(found.segment));
        }
        match segments.last() {
            // What is read from here on must survive, whoever wrote it and however that ended.
            Some(last) => last.file.sync_all().map_err(|e| (last.path.clone(), e)).map_err(io("sync"))?,
            None => {
                let first = Segment::create(&dir, number, 0, 0);
                segments.push(Arc::new(first.map_err(|e| (dir.clone(), e)).map_err(io("create a segment in"))?));
            }
        }
        let end = end.unwrap_or(0);
        let queue = Queue { next: end, batch: Batch::default(), writing: 0, closed: false, stopped: None };
        let status = Status { end, synced: end, stopped: None, finished: false };
        Ok(Partition {
            number,
            dir,
            fsync: options.fsync,
            segment_bytes: options.segment_bytes,
            queue_bytes: options.queue_bytes,
            queue: Mutex::new(queue),
            filled: Notify::new(),
            dirty: Notify::new(),
            segments: Mutex::new(segments),
            tail: Mutex::new(Tail::new(end, options.tail_bytes)),
            status: watch::Sender::new(status),
            _lock: lock,
            #[cfg(test)]
            faults: Faults::default(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }

    pub fn append(&self, record: &Record) -> Append {
        let refused = |error| Append(AppendState::Refused(error));
        // All that can be done outside the lock is.
        let payload = wire::encode(record);
        if payload.len() > MAX_RECORD {
            return refused(AppendError::TooLarge { bytes: payload.len(), limit: MAX_RECORD });
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&payload);
        let bytes = FRAME + payload.len();
        let (answer, waiting) = oneshot::channel();
        let entry = Entry { record: record.clone(), answer, bytes };

        let mut queue = self.queue();
        if let Some(error) = queue.refusal(bytes, self.queue_bytes) {
            drop(queue);
            return refused(error);
        }
        let was_empty = queue.batch.is_empty();
        let offset = queue.next;
        queue.next += 1;
        segment::put_record(&mut queue.batch.frames, offset, &payload, hasher);
        queue.batch.entries.push(entry);
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        Append(AppendState::Waiting(waiting))
    }

    /// Enqueues at the call; the future only waits.
    pub fn flush(&self) -> impl Future<Output = Result<(), FlushError>> + use<> {
        let (answer, waiting) = oneshot::channel();
        let mut queue = self.queue();
        let error = queue.stopped.clone().map(FlushError::Stopped).or(queue.closed.then_some(FlushError::Closed));
        match error {
            Some(error) => drop(answer.send(Err(error))),
            None => queue.batch.flushes.push(answer),
        }
        drop(queue);
        self.filled.notify_one();
        async move { waiting.await.unwrap_or(Err(FlushError::Closed)) }
    }

    pub async fn skip_to(&self, at_least: Offset) -> Result<(), SkipError> {
        if self.request_skip(at_least)? {
            self.filled.notify_one();
            self.flush().await?;
        }
        Ok(())
    }

    fn request_skip(&self, at_least: Offset) -> Result<bool, SkipError> {
        let mut queue = self.queue();
        if queue.next >= at_least {
            return Ok(false);
        }
        if !queue.batch.entries.is_empty() || queue.writing > 0 {
            return Err(SkipError::Busy);
        }
        queue.next = at_least;
        queue.batch.skip = Some(at_least);
        Ok(true)
    }

    pub fn close(&self) {
        self.queue().closed = true;
        self.filled.notify_one();
    }

    /// Waits until the writer has written and synced everything after `close`.
    pub async fn finished(&self) -> Result<(), FlushError> {
        let mut status = self.status.subscribe();
        let status = status.wait_for(|status| status.finished).await.expect("the sender is in self");
        status.stopped.clone().map_or(Ok(()), |stopped| Err(stopped.into()))
    }

    /// Resolves when the log has stopped for good; does not keep the partition.
    pub fn stopped(&self) -> impl Future<Output = Stopped> + Send + use<> {
        let mut status = self.status.subscribe();
        async move {
            match status.wait_for(|status| status.stopped.is_some()).await.map(|status| status.stopped.clone()) {
                Ok(Some(stopped)) => stopped,
                _ => std::future::pending().await,
            }
        }
    }

    pub fn end(&self) -> Offset {
        self.status.borrow().end
    }

    pub fn start(&self) -> Offset {
        self.segments()[0].base
    }

    pub fn segments(&self) -> MutexGuard<'_, Vec<Arc<Segment>>> {
        self.segments.lock().expect("nothing panics under this lock")
    }

    /// The segment that is written to.
    pub fn current(&self) -> Arc<Segment> {
        self.segments().last().expect("there is always one").clone()
    }

    pub fn truncate(&self, before: Offset) -> Result<(), TruncateError> {
        let mut deleted = false;
        // Oldest first, one by one, so that whatever interrupts this leaves no gap.
        while let Some(oldest) = self.oldest_below(before) {
            let io = |source| TruncateError::Io { file: oldest.path.clone(), source };
            match std::fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                _ => deleted = true,
            }
            self.segments().retain(|segment| segment.base != oldest.base);
        }
        let synced = if deleted { segment::sync_dir(&self.dir) } else { Ok(()) };
        synced.map_err(|source| TruncateError::Io { file: self.dir.clone(), source })
    }

    fn oldest_below(&self, before: Offset) -> Option<Arc<Segment>> {
        match self.segments().as_slice() {
            [oldest, next, ..] if next.previous_end <= before => Some(oldest.clone()),
            _ => None,
        }
    }

    /// What the writer does next, in exchange for an empty batch; `None` when there is nothing to do now.
    pub fn take(&self, spare: &mut Batch) -> bool {
        let mut queue = self.queue();
        if queue.batch.is_empty() {
            return false;
        }
        std::mem::swap(&mut queue.batch, spare);
        queue.writing = spare.frames.len();
        true
    }

    /// The writer is done with what it took.
    pub fn taken_is_done(&self) {
        self.queue().writing = 0;
    }

    pub fn is_closed(&self) -> bool {
        let queue = self.queue();
        (queue.closed && queue.batch.is_empty()) || queue.stopped.is_some()
    }

    /// A batch was not written, and the log is as before it: what was queued behind it has lost its place, too.
    pub fn fail_queued(&self, end: Offset, error: &AppendError) {
        let mut queue = self.queue();
        let mut batch = std::mem::take(&mut queue.batch);
        queue.next = end;
        drop(queue);
        batch.fail(error);
    }

    /// Something happened after which nothing can be promised: refuse everything from here on.
    pub fn stop(&self, stopped: Stopped) {
        tracing::error!(partition = self.number, "{stopped}");
        let mut queue = self.queue();
        queue.stopped.get_or_insert_with(|| stopped.clone());
        let mut batch = std::mem::take(&mut queue.batch);
        drop(queue);
        batch.fail(&AppendError::Stopped(stopped.clone()));
        self.status.send_modify(|status| {
            status.stopped.get_or_insert(stopped);
        });
        self.filled.notify_one();
    }
}

impl Queue {
    fn refusal(&self, bytes: usize, limit: usize) -> Option<AppendError> {
        let waiting = self.batch.frames.len() + self.writing;
        if let Some(stopped) = &self.stopped {
            return Some(stopped.clone().into());
        }
        match () {
            () if self.closed => Some(AppendError::Closed),
            // A record larger than the whole queue is let in alone.
            () if waiting > 0 && waiting + bytes > limit => Some(AppendError::Full { waiting }),
            () => None,
        }
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition").field("dir", &self.dir).field("status", &*self.status.borrow()).finish()
    }
}

type AtFile = (PathBuf, io::Error);

/// Makes the partition's directory, and its name durable.
fn make_dirs(root: &Path, dir: &Path) -> Result<(), AtFile> {
    std::fs::create_dir_all(dir).map_err(|e| (dir.to_owned(), e))?;
    let log = root.join("log");
    for parent in [root, &log] {
        segment::sync_dir(parent).map_err(|e| (parent.to_owned(), e))?;
    }
    Ok(())
}

/// The segments of a partition in the order of their offsets. Deletes what a crash left of one that was being made.
fn segment_files(dir: &Path) -> Result<Vec<PathBuf>, AtFile> {
    let at = |e| (dir.to_owned(), e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("log") => files.push(path),
            Some("new") => std::fs::remove_file(&path).map_err(|e| (path, e))?,
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

/// Disks that fail, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The next write puts this many bytes into the file and then fails.
    pub full_after: Mutex<Option<usize>>,
    pub sync: std::sync::atomic::AtomicBool,
}
