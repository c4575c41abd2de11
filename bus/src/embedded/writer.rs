//! The writer of one partition: takes all queued records, writes them in one call, shows them to readers, and answers.
//!
//! It is a task, and writes in the task: the bytes go to the page cache, which takes a microsecond or two, less than a
//! hand-over to another thread. Operations that may wait for a disk (syncing, creating a segment) run on a blocking thread.

use std::{io, os::unix::fs::FileExt, sync::Arc, time::Duration};

use chorus_core::{command::RoomCommand, ids::Offset};
use tokio::task::JoinHandle;

use super::{
    partition::Partition,
    queue::{Batch, Entry},
    segment::{self, Segment},
};
use crate::{AppendError, Durability, Stopped};

/// The delay between a write and its sync in background mode. The promise is 100 ms; the rest is for the sync itself.
const SYNC_DELAY: Duration = Duration::from_millis(50);

/// A buffer that has grown beyond this is shrunk to it.
const MAX_IDLE_BUFFER: usize = 1 << 20;

/// Starts the partition's writer and, in background mode, the task that syncs behind it. Both end after `Partition::close`, and
/// have dropped the partition when the handle resolves.
pub(super) fn spawn(partition: Arc<Partition>) -> JoinHandle<()> {
    let syncer = match partition.durability {
        Durability::Always => None,
        Durability::Background => Some(tokio::spawn(sync_behind(partition.clone()))),
    };
    tokio::spawn(async move {
        let segment = partition.current();
        let end = partition.end();
        let mut writer = Writer { partition, segment, end, marked: 0 };
        writer.run().await;
        if let Some(syncer) = syncer {
            syncer.abort();
            let _ = syncer.await; // It is aborted, or has reported its failure.
        }
        writer.partition.status.send_modify(|status| status.finished = true);
    })
}

struct Writer {
    partition: Arc<Partition>,
    segment: Arc<Segment>,
    /// One past the last record in the file.
    end: Offset,
    /// The offset in the last sync marker.
    marked: Offset,
}

impl Writer {
    async fn run(&mut self) {
        let mut batch = Batch::default();
        while !self.partition.is_closed() {
            match self.partition.take_batch(&mut batch) {
                true => self.process(&mut batch).await,
                false => self.partition.filled.notified().await,
            }
        }
        self.finish().await;
    }

    async fn process(&mut self, batch: &mut Batch) {
        let ends_segment = batch.entries.iter().any(erases);
        let mut written = self.write(batch).await;
        // Before the answers: a caller that has one may rely on it, even if the process is killed next.
        if written.is_ok() && ends_segment {
            written = self.end_segment().await;
        }
        // Before the answers: an appender that is answered and appends again must not have its own bytes counted against it.
        self.partition.finish_batch();
        match written {
            Ok(()) => self.publish(batch),
            Err(Failure::NoSpace(error)) => {
                tracing::error!(partition = self.partition.number, "{error}");
                batch.fail(&error);
                self.partition.fail_queued(self.end, &error);
            }
            Err(Failure::Stopped(stopped)) => {
                batch.fail(&stopped.clone().into());
                self.partition.stop(stopped);
            }
        }
    }

    /// Without space for a new segment the records stay in this one.
    async fn end_segment(&mut self) -> Result<(), Failure> {
        match self.roll(self.end).await {
            Err(Failure::NoSpace(error)) => {
                tracing::warn!(partition = self.partition.number, %error, "what was erased stays in the log for longer");
                Ok(())
            }
            done => done,
        }
    }

    async fn write(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        if let Some(at) = batch.skip.take() {
            self.roll(at).await?;
            self.partition.tail.lock().expect("nothing panics under this lock").skip_to(at);
            self.end = at;
        } else if self.segment.len() >= self.partition.segment_bytes && !batch.entries.is_empty() {
            self.roll(self.end).await?;
        }
        if !batch.entries.is_empty() {
            self.write_frames(batch)?;
        }
        if self.partition.durability == Durability::Always || !batch.flushes.is_empty() {
            sync(&self.partition, self.segment.clone(), self.end).await?;
        } else {
            self.partition.dirty.notify_one();
        }
        Ok(())
    }

    fn write_frames(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let synced = self.partition.status.borrow().synced;
        if synced > self.marked {
            segment::put_sync_marker(&mut batch.frames, synced);
        }
        let at = self.segment.len();
        self.write_at(&batch.frames, at)?;
        self.marked = synced;
        let mut position = at;
        for (entry, offset) in batch.entries.iter().zip(self.end..) {
            self.segment.index(offset, position);
            position += entry.bytes as u64;
        }
        self.segment.set_len(at + batch.frames.len() as u64);
        self.end += batch.entries.len() as u64;
        Ok(())
    }

    /// Writes all bytes or leaves the file as it was.
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        let Err(error) = self.try_write_at(bytes, at) else { return Ok(()) };
        let is_space = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if !is_space {
            return Err(Failure::Stopped(stopped("write", &self.segment, error)));
        }
        self.segment.file.set_len(at).map_err(|e| Failure::Stopped(stopped("truncate", &self.segment, e)))?;
        Err(Failure::NoSpace(AppendError::NoSpace { file: self.segment.path.clone(), source: Arc::new(error) }))
    }

    fn try_write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(bytes_written) = self.partition.faults.full_after.lock().unwrap().take() {
            self.segment.file.write_all_at(&bytes[..bytes_written.min(bytes.len())], at)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        #[cfg(feature = "planted-bugs")]
        if super::planted::postpone(&self.segment, bytes, at) {
            return Ok(());
        }
        self.segment.file.write_all_at(bytes, at)
    }

    /// Continues in a new segment whose first offset is `base`. The old one is on the disk before the new one exists, so that
    /// only a last segment can ever be torn.
    async fn roll(&mut self, base: Offset) -> Result<(), Failure> {
        if base == self.segment.base {
            return Ok(()); // It has no record yet, at any size, and no other segment may have its name.
        }
        sync(&self.partition, self.segment.clone(), self.end).await?;
        let (partition, end) = (self.partition.clone(), self.end);
        let create = move || partition.create_segment(base, end);
        let created = blocking(create).await.map_err(|error| self.cannot_roll(error))?;
        self.segment = Arc::new(created);
        self.partition.segments().push(self.segment.clone());
        Ok(())
    }

    fn cannot_roll(&self, error: io::Error) -> Failure {
        let file = self.partition.dir.clone();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Failure::NoSpace(AppendError::NoSpace { file, source: Arc::new(error) })
            }
            _ => Failure::Stopped(Stopped::Disk { action: "create a segment in", file, source: Arc::new(error) }),
        }
    }

    fn publish(&mut self, batch: &mut Batch) {
        let first = self.end - batch.entries.len() as u64;
        let mut answers = Vec::with_capacity(batch.entries.len());
        let mut tail = self.partition.tail.lock().expect("nothing panics under this lock");
        for entry in batch.entries.drain(..) {
            tail.push(entry.record, entry.bytes);
            answers.push(entry.answer);
        }
        drop(tail);
        self.partition.status.send_modify(|status| status.end = self.end);
        for (answer, offset) in answers.into_iter().zip(first..) {
            let _ = answer.send(Ok(Some(offset))); // The appender may have dropped its future.
        }
        batch.flushes.drain(..).for_each(|flush| drop(flush.send(Ok(()))));
        batch.frames.clear();
        batch.frames.shrink_to(MAX_IDLE_BUFFER);
    }

    /// Ends the segment with a sync marker that covers all of its records.
    async fn finish(&mut self) {
        if self.partition.status.borrow().stopped.is_some() {
            return;
        }
        if let Err(Failure::Stopped(stopped)) = self.seal().await {
            self.partition.stop(stopped);
        }
    }

    async fn seal(&mut self) -> Result<(), Failure> {
        sync(&self.partition, self.segment.clone(), self.end).await?;
        if self.marked < self.end {
            let mut marker = Vec::new();
            segment::put_sync_marker(&mut marker, self.end);
            self.write_at(&marker, self.segment.len())?;
            sync(&self.partition, self.segment.clone(), self.end).await?;
        }
        Ok(())
    }
}

/// A segment ends behind an erasure: truncation deletes whole segments but the last one, and what was written of the player is to go
/// as soon as no room needs it.
fn erases(entry: &Entry) -> bool {
    matches!(entry.record.command, RoomCommand::Erase { .. })
}

enum Failure {
    /// The log is as it was before the batch.
    NoSpace(AppendError),
    Stopped(Stopped),
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        Failure::Stopped(stopped)
    }
}

fn stopped(action: &'static str, segment: &Segment, error: io::Error) -> Stopped {
    Stopped::Disk { action, file: segment.path.clone(), source: Arc::new(error) }
}

/// Syncs behind the writer until it is aborted. An error of a sync is final: the kernel may have dropped the pages that it could
/// not write, and a second sync would then succeed without them.
async fn sync_behind(partition: Arc<Partition>) {
    loop {
        partition.dirty.notified().await;
        tokio::time::sleep(SYNC_DELAY).await;
        // In this order: every readable record is in the segment, or in an earlier one that was synced at the roll.
        let (end, segment) = (partition.end(), partition.current());
        if let Err(stopped) = sync(&partition, segment, end).await {
            partition.stop(stopped);
            return;
        }
    }
}

/// Syncs a segment, which then holds every record below `end` durably.
async fn sync(partition: &Arc<Partition>, segment: Arc<Segment>, end: Offset) -> Result<(), Stopped> {
    let file = segment.clone();
    #[cfg(test)]
    let fault = partition.faults.sync.load(std::sync::atomic::Ordering::Relaxed);
    let synced = blocking(move || {
        #[cfg(test)]
        if fault {
            return Err(io::Error::other("an injected fault"));
        }
        #[cfg(feature = "planted-bugs")]
        super::planted::write_postponed()?;
        file.file.sync_data()
    });
    synced.await.map_err(|error| stopped("sync", &segment, error))?;
    partition.status.send_if_modified(|status| {
        status.synced = status.synced.max(end);
        false // Readers do not wait for it.
    });
    Ok(())
}

/// Runs on a blocking thread. A runtime that is shutting down does not run it: that is an error, too.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
