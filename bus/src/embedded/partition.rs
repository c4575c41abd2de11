//! One partition: the state that its writer, its readers and its appenders share.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use chorus_core::{command::Record, ids::Offset, pairing::Mark, wire};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    Options,
    head::{self, Head},
    layout,
    lock::Lock,
    queue::{Batch, Entry, Queue},
    segment::{self, FRAME, Segment},
    tail::Tail,
};
use crate::{
    Append, AppendError, Durability, FlushError, MAX_RECORD, OpenError, SkipError, Stopped, TruncateError,
    append::AppendState,
};

pub(super) struct Partition {
    pub number: u32,
    pub mark: Mark,
    pub dir: PathBuf,
    pub durability: Durability,
    pub segment_bytes: u64,
    queue_bytes: usize,
    queue: Mutex<Queue>,
    /// The queue has an entry, or was closed.
    pub filled: Notify,
    /// Some written bytes are not synced yet.
    pub dirty: Notify,
    /// Oldest first, never empty.
    segments: Mutex<Vec<Arc<Segment>>>,
    /// How many copies hold truncation. Locked while a file is deleted, so that a hold begins between two deletions.
    holds: Mutex<u32>,
    pub tail: Mutex<Tail>,
    pub status: watch::Sender<Status>,
    /// Keeps the data directory locked as long as any partition is in use.
    _lock: Arc<Lock>,
    #[cfg(test)]
    pub faults: Faults,
}

/// The progress for which readers wait.
#[derive(Clone, Debug)]
pub(super) struct Status {
    /// One past the last readable offset.
    pub end: Offset,
    /// Everything below is on the disk.
    pub synced: Offset,
    pub stopped: Option<Stopped>,
    /// The writer has ended.
    pub finished: bool,
}

impl Partition {
    /// Opens an existing partition for the process life of `mark`.
    pub fn open(options: &Options, number: u32, mark: Mark, lock: Arc<Lock>) -> Result<Partition, OpenError> {
        let log = options.dir.join("log");
        let dir = log.join(number.to_string());
        let io = |action| move |(file, source)| OpenError::Io { action, file, source };
        let head = Head::read(&log, number)?.ok_or_else(|| OpenError::Missing { file: head::path(&log, number) })?;
        if !dir.is_dir() {
            return Err(OpenError::Missing { file: dir });
        }
        layout::create_dirs(&options.dir, &dir)?;
        let mut segments = Vec::new();
        let mut end = None;
        let names = layout::segment_files(&dir).map_err(io("list"))?;
        for (at, path) in names.iter().enumerate() {
            let found = segment::recover(path, (number, mark.id), end, at + 1 == names.len())?;
            end = Some(found.end);
            segments.push(Arc::new(found.segment));
        }
        // The newest segment was on the disk before the head named it, so a crash does not remove it.
        let last = segments.last().filter(|last| last.base >= head.newest);
        let last = last.ok_or_else(|| OpenError::Missing { file: dir.join(segment::file_name(head.newest)) })?;
        // Records that are read from here on must survive, even those of an earlier process that was killed.
        last.file.sync_all().map_err(|e| (last.path.clone(), e)).map_err(io("sync"))?;
        Head { mark, newest: last.base, ..head }.write(&log).map_err(io("write"))?;
        let end = end.unwrap_or(0);
        let queue = Queue::new(end);
        let status = Status { end, synced: end, stopped: None, finished: false };
        Ok(Partition {
            number,
            mark,
            dir,
            durability: options.durability,
            segment_bytes: options.segment_bytes,
            queue_bytes: options.queue_bytes,
            queue: Mutex::new(queue),
            filled: Notify::new(),
            dirty: Notify::new(),
            segments: Mutex::new(segments),
            holds: Mutex::new(0),
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
        // All work that needs no lock is done before taking it.
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

    /// Resolves when the log has stopped for good; does not keep the partition alive.
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

    /// Creates the next segment, and returns when it is on the disk and the head names it.
    pub fn create_segment(&self, base: Offset, previous_end: Offset) -> io::Result<Segment> {
        let created = Segment::create(&self.dir, self.number, self.mark.id, base, previous_end)?;
        let log = self.dir.parent().expect("it is the log's");
        let head = Head { partition: self.number, mark: self.mark, newest: base };
        head.write(log).map_err(|(_, error)| error)?;
        Ok(created)
    }

    /// The segment that is written to.
    pub fn current(&self) -> Arc<Segment> {
        self.segments().last().expect("there is always one").clone()
    }

    fn holds(&self) -> MutexGuard<'_, u32> {
        self.holds.lock().expect("nothing panics under this lock")
    }

    /// From here on `truncate` deletes nothing, until `release`. Waits for the deletion of one file.
    pub fn hold(&self) {
        *self.holds() += 1;
    }

    pub fn release(&self) {
        *self.holds() -= 1;
    }

    /// While a copy holds it, nothing is deleted; a later call deletes what this one has left.
    pub fn truncate(&self, before: Offset) -> Result<(), TruncateError> {
        let mut deleted = false;
        // Oldest first, one by one, so that no interruption leaves a gap.
        loop {
            let holds = self.holds();
            let Some(oldest) = self.oldest_below(before).filter(|_| *holds == 0) else { break };
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

    /// Takes the writer's next batch in exchange for an empty one. Returns whether there was any work.
    pub fn take_batch(&self, spare: &mut Batch) -> bool {
        let mut queue = self.queue();
        if queue.batch.is_empty() {
            return false;
        }
        std::mem::swap(&mut queue.batch, spare);
        queue.writing = spare.frames.len();
        true
    }

    /// The writer has finished the batch that it took.
    pub fn finish_batch(&self) {
        self.queue().writing = 0;
    }

    pub fn is_closed(&self) -> bool {
        let queue = self.queue();
        (queue.closed && queue.batch.is_empty()) || queue.stopped.is_some()
    }

    /// A batch was not written and the log is as before it: the records queued behind it lose their offsets, too.
    pub fn fail_queued(&self, end: Offset, error: &AppendError) {
        let mut queue = self.queue();
        let mut batch = std::mem::take(&mut queue.batch);
        queue.next = end;
        drop(queue);
        batch.fail(error);
    }

    /// After a failure that breaks every promise: refuses all appends from here on.
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

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition").field("dir", &self.dir).field("status", &*self.status.borrow()).finish()
    }
}

/// Disks that fail, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The next write puts this many bytes into the file and then fails.
    pub full_after: Mutex<Option<usize>>,
    pub sync: std::sync::atomic::AtomicBool,
}
