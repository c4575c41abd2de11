//! A reader of one partition: a position, and two sources of records. Records at the tail come from memory, older ones from the
//! files. The source is chosen anew for each batch, so there is no switch between modes.

use std::{os::unix::fs::FileExt, sync::Arc};

use chorus_core::{command::Record, ids::Offset, wire};
use tokio::sync::watch;

use super::{
    partition::{Partition, Status},
    segment::{HEADER, Parsed, Segment, parse},
};
use crate::ReadError;

/// The most records in one batch from memory.
const MAX_BATCH: usize = 512;

/// How much of a file is read in one call.
const CHUNK: usize = 256 << 10;

/// The embedded half of [`crate::Reader`].
#[derive(Debug)]
pub struct Reader {
    partition: Arc<Partition>,
    status: watch::Receiver<Status>,
    /// The next record.
    position: Offset,
    /// Where its frame is, or a little before, when the last batch came from a file.
    file_position: Option<FilePosition>,
}

#[derive(Clone, Debug)]
struct FilePosition {
    segment: Arc<Segment>,
    byte: u64,
}

impl Reader {
    pub(super) fn new(partition: Arc<Partition>, from: Offset) -> Reader {
        let status = partition.status.subscribe();
        Reader { partition, status, position: from, file_position: None }
    }

    /// Cancel safe: the position moves after the last await.
    pub(crate) async fn next(&mut self, into: &mut Vec<(Offset, Record)>) -> Result<(), ReadError> {
        loop {
            let end = self.wait().await?;
            let copied = self.take_from_memory(into);
            if copied > 0 || self.take_from_disk(end, into).await? {
                return Ok(());
            }
        }
    }

    /// Waits until the end is after the position, and returns it.
    async fn wait(&mut self) -> Result<Offset, ReadError> {
        loop {
            {
                let status = self.status.borrow_and_update();
                match &*status {
                    Status { end, .. } if *end > self.position => return Ok(*end),
                    Status { stopped: Some(stopped), .. } => return Err(stopped.clone().into()),
                    Status { finished: true, .. } => return Err(ReadError::Closed),
                    Status { .. } => {}
                }
            }
            self.status.changed().await.expect("the sender is in self.partition");
        }
    }

    fn take_from_memory(&mut self, into: &mut Vec<(Offset, Record)>) -> usize {
        let tail = self.partition.tail.lock().expect("nothing panics under this lock");
        let copied = tail.copy(self.position, MAX_BATCH, into);
        if copied > 0 {
            self.position += copied as u64;
            self.file_position = None;
        }
        copied
    }

    /// Returns whether there were any records; if not, the position may still have moved over skipped offsets.
    async fn take_from_disk(&mut self, end: Offset, into: &mut Vec<(Offset, Record)>) -> Result<bool, ReadError> {
        let start = self.find()?;
        let (from, number) = (self.position.max(start.segment.base), self.partition.number);
        let read = tokio::task::spawn_blocking(move || read_chunk(number, start, from, end)).await;
        let chunk = read.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ReadError::Closed), // The runtime is shutting down.
        })?;
        self.position = chunk.records.last().map_or(from, |(offset, _)| offset + 1);
        self.file_position = Some(chunk.end);
        let any = !chunk.records.is_empty();
        into.extend(chunk.records);
        Ok(any)
    }

    fn find(&self) -> Result<FilePosition, ReadError> {
        let segments = self.partition.segments();
        if let Some(last) = &self.file_position {
            if last.byte < last.segment.len() {
                return Ok(last.clone());
            }
            // The whole segment has been read. The next one may have been deleted by now.
            let next = segments.iter().find(|segment| segment.base > last.segment.base);
            if let Some(segment) = next.filter(|segment| segment.previous_end <= self.position) {
                return Ok(FilePosition { segment: segment.clone(), byte: HEADER as u64 });
            }
        }
        // A segment also covers the offsets that were skipped before it.
        let at = segments.partition_point(|segment| segment.previous_end <= self.position);
        match at.checked_sub(1).map(|at| &segments[at]) {
            Some(segment) => {
                Ok(FilePosition { segment: segment.clone(), byte: segment.position_before(self.position) })
            }
            None => {
                let start = segments[0].base;
                Err(ReadError::Gone { partition: self.partition.number, from: self.position, start })
            }
        }
    }
}

struct Chunk {
    records: Vec<(Offset, Record)>,
    /// The position after the last of them.
    end: FilePosition,
}

fn read_chunk(partition: u32, start: FilePosition, from: Offset, end: Offset) -> Result<Chunk, ReadError> {
    let FilePosition { segment, byte } = start;
    let damaged = |at: usize, what: &str| ReadError::Damaged {
        file: segment.path.clone(),
        position: byte + at as u64,
        what: what.to_owned(),
    };
    let mut bytes = read(&segment, byte, CHUNK)?;
    if let Parsed::Short { needed } = parse(&bytes, 0) {
        bytes = read(&segment, byte, needed)?;
    }
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        at = match parse(&bytes, at) {
            Parsed::Record { offset, .. } if offset >= end => break,
            Parsed::Record { offset, next, .. } if offset < from => next,
            Parsed::Record { offset, payload, next } => {
                let record = wire::decode(payload);
                records.push((offset, record.map_err(|source| ReadError::Decode { partition, offset, source })?));
                next
            }
            Parsed::SyncMarker { next, .. } => next,
            Parsed::Short { .. } if at > 0 => break,
            Parsed::Short { .. } => return Err(damaged(at, "a frame is cut off")),
            Parsed::Bad(what) => return Err(damaged(at, what)),
        };
    }
    Ok(Chunk { records, end: FilePosition { byte: byte + at as u64, segment } })
}

fn read(segment: &Segment, at: u64, most: usize) -> Result<Vec<u8>, ReadError> {
    #[cfg(feature = "planted-bugs")]
    let _ = super::planted::write_postponed(); // Bytes that it fails to write are missing below, which is reported there.
    let left = segment.len().saturating_sub(at);
    let mut bytes = vec![0; left.min(most as u64) as usize];
    let read = segment.file.read_exact_at(&mut bytes, at);
    read.map_err(|source| ReadError::Io { file: segment.path.clone(), source })?;
    Ok(bytes)
}
