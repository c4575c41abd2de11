//! The queue of a partition's writer: what appenders and flushes have put there since the last batch.
//!
//! Bounded by [`super::Options::queue_bytes`]; beyond it, appends are refused with [`AppendError::Full`].

use chorus_core::{command::Record, ids::Offset};
use tokio::sync::oneshot;

use crate::{AppendError, FlushError, Stopped};

/// The writer's queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// The offset of the next append.
    pub next: Offset,
    pub batch: Batch,
    /// Bytes that the writer has taken but not yet shown.
    pub writing: usize,
    pub closed: bool,
    pub stopped: Option<Stopped>,
}

impl Queue {
    pub fn new(next: Offset) -> Queue {
        Queue { next, batch: Batch::default(), writing: 0, closed: false, stopped: None }
    }

    /// Why a record of this many bytes is not accepted now, if it is not.
    pub fn refusal(&self, bytes: usize, limit: usize) -> Option<AppendError> {
        let waiting = self.batch.frames.len() + self.writing;
        if let Some(stopped) = &self.stopped {
            return Some(stopped.clone().into());
        }
        match () {
            () if self.closed => Some(AppendError::Closed),
            // A record larger than the whole queue is accepted when the queue is empty.
            () if waiting > 0 && waiting + bytes > limit => Some(AppendError::Full { waiting }),
            () => None,
        }
    }
}

/// One step of the writer, in this order: skip, write the frames, answer.
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
    pub fn is_empty(&self) -> bool {
        self.skip.is_none() && self.entries.is_empty() && self.flushes.is_empty()
    }

    /// Answers every entry with this error. Leaves the batch empty.
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
