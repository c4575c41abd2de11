//! Appends records, and awaits their confirmation. Nearly all appends succeed; the owner of one that fails is notified.
//!
//! One task awaits the oldest append; when the bus has written a batch, the other appends of that batch are ready at once. So a
//! message costs no task of its own.

use std::{fmt, sync::Arc, time::Duration};

use chorus_bus::{Append, AppendError, Bus};
use chorus_core::{
    command::{Record, RoomCommand},
    ids::RoomId,
};
use tokio::sync::mpsc;

use crate::drain::DrainTracker;

/// How long a `Drop` waits before it is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Is notified of appends that have failed.
pub(crate) trait AppendOwner: fmt::Debug + Send + Sync + 'static {
    /// `room` and `id` are those of the append.
    fn not_appended(self: Arc<Self>, room: RoomId, id: Option<u64>);
}

#[derive(Debug)]
pub(crate) struct AppendTracker {
    bus: Bus,
    /// As long as the bus's own queue, which is bounded.
    unconfirmed: mpsc::UnboundedSender<Unconfirmed>,
}

struct Unconfirmed {
    append: Append,
    on_failure: OnFailure,
}

enum OnFailure {
    Notify {
        owner: Arc<dyn AppendOwner>,
        room: RoomId,
        id: Option<u64>,
    },
    /// The record is a `Drop`: the session's connection is lost, so there is no owner left to notify, but the room must be.
    Retry(Box<Record>),
}

impl AppendTracker {
    /// The task ends when this is dropped and all appends are confirmed or have failed.
    pub fn start(bus: Bus, drain: DrainTracker) -> AppendTracker {
        let (unconfirmed, receiver) = mpsc::unbounded_channel();
        tokio::spawn(run(bus.clone(), drain, receiver));
        AppendTracker { bus, unconfirmed }
    }

    /// Appends, and returns whether the record was accepted. A `Drop` always is.
    pub fn append(&self, owner: &Arc<impl AppendOwner>, record: Record, id: Option<u64>) -> bool {
        let is_drop = matches!(record.command, RoomCommand::Drop { .. });
        let append = self.bus.append(&record);
        // No client waits for a `Drop`: one that is not confirmed yet is in flight, and need not be written again.
        let append = if is_drop { append.without_deadline() } else { append };
        if append.refused().is_some() && !is_drop {
            return false;
        }
        let on_failure = match is_drop {
            true => OnFailure::Retry(Box::new(record)),
            false => OnFailure::Notify { owner: owner.clone(), room: record.room, id },
        };
        // The receiver lives as long as this sender.
        let _ = self.unconfirmed.send(Unconfirmed { append, on_failure });
        true
    }
}

async fn run(bus: Bus, drain: DrainTracker, mut unconfirmed: mpsc::UnboundedReceiver<Unconfirmed>) {
    while let Some(Unconfirmed { append, on_failure }) = unconfirmed.recv().await {
        let Err(error) = append.await else { continue };
        match on_failure {
            OnFailure::Notify { owner, room, id } => {
                tracing::debug!(%room, %error, "a record was not appended");
                owner.not_appended(room, id);
            }
            OnFailure::Retry(record) => {
                let (bus, guard) = (bus.clone(), drain.guard());
                tokio::spawn(async move {
                    retry(&bus, *record, error).await;
                    drop(guard);
                });
            }
        }
    }
}

async fn retry(bus: &Bus, record: Record, mut error: AppendError) {
    while matches!(error, AppendError::Full { .. } | AppendError::NoSpace { .. }) {
        tokio::time::sleep(RETRY_DELAY).await;
        match bus.append(&record).await {
            Ok(_) => return,
            Err(again) => error = again,
        }
    }
    // The log has stopped, and this process with it: the next process of this edge finds the session in the store, and
    // drops it.
    tracing::warn!(room = %record.room, %error, "a room was not notified of a lost connection");
}
