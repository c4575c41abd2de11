//! Awaits appends that are not durable yet. Nearly all of them succeed; a line is notified of the others.
//!
//! One task awaits the oldest append; when the bus has written a batch, the other appends of it are ready at once. So a
//! message costs no task of its own.

use std::{sync::Arc, sync::Weak, time::Duration};

use chorus_bus::{Append, AppendError, Bus};
use chorus_core::{
    command::{Record, RoomCommand},
    ids::RoomId,
};
use tokio::sync::mpsc;

use crate::{hub::Hub, line::Line};

/// How long a `Drop` waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// The queue is as long as the bus's own, which is bounded.
#[derive(Debug)]
pub(crate) struct AppendTracker(mpsc::UnboundedSender<Watched>);

struct Watched {
    append: Append,
    what: What,
}

enum What {
    /// Of a line, whose machine handles a failure.
    Line { line: Arc<Line>, room: RoomId, id: Option<u64> },
    /// A session's connection is lost. No line is left to notify, but the room must be: the append is tried again.
    Drop(Box<Record>),
}

impl AppendTracker {
    pub fn start(hub: Weak<Hub>) -> AppendTracker {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(run(hub, receiver));
        AppendTracker(sender)
    }

    /// Appends, and returns whether the record was taken. A `Drop` always is.
    pub fn append(&self, bus: &Bus, line: &Arc<Line>, record: Record, id: Option<u64>) -> bool {
        let is_drop = matches!(record.command, RoomCommand::Drop { .. });
        let append = bus.append(&record);
        // No client waits for a `Drop`: one that is not confirmed yet is in flight, and need not be written again.
        let append = if is_drop { append.without_deadline() } else { append };
        if append.refused().is_some() && !is_drop {
            return false;
        }
        let what = match is_drop {
            true => What::Drop(Box::new(record)),
            false => What::Line { line: line.clone(), room: record.room, id },
        };
        // The receiver is gone only when the hub is.
        let _ = self.0.send(Watched { append, what });
        true
    }
}

async fn run(hub: Weak<Hub>, mut watched: mpsc::UnboundedReceiver<Watched>) {
    while let Some(Watched { append, what }) = watched.recv().await {
        let Err(error) = append.await else { continue };
        let Some(hub) = hub.upgrade() else { return };
        match what {
            What::Line { line, room, id } => {
                tracing::debug!(%room, %error, "a record was not appended");
                line.not_appended(&hub, room, id);
            }
            What::Drop(record) => {
                let work = hub.work();
                tokio::spawn(async move {
                    append_in_the_end(&hub.bus, *record, error).await;
                    drop(work);
                });
            }
        }
    }
}

async fn append_in_the_end(bus: &Bus, record: Record, mut error: AppendError) {
    while matches!(error, AppendError::Full { .. } | AppendError::NoSpace { .. }) {
        tokio::time::sleep(RETRY).await;
        match bus.append(&record).await {
            Ok(_) => return,
            Err(again) => error = again,
        }
    }
    // The log has stopped, and this process with it: the next process of this edge finds the session in the store, and
    // drops it.
    tracing::warn!(room = %record.room, %error, "a room was not notified of a lost connection");
}
