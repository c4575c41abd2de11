//! Reads a room from the store, to restore it.
//!
//! A room that cannot be read now is tried again, after [`RESOURCE_RETRY`] first, and less and less often until [`LONGEST_RETRY`].

use std::time::Duration;

use chorus_core::{
    hosting::Found,
    ids::RoomId,
    room::State,
    wire::{self, DecodeError},
};
use chorus_store::{Store, StoredRoom};

use crate::{HostError, Shared, resources::RESOURCE_RETRY};

/// The longest wait until a room is tried again.
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// An error if this binary reads no snapshots of the store's format: every room would wait for a binary that does. The lobby's
/// stands for all, since all hosts of a store write the same format.
pub async fn check_format(store: &Store) -> Result<(), HostError> {
    let Some(snapshot) = store.snapshot(RoomId::LOBBY).await? else { return Ok(()) };
    match wire::body::<State>(&snapshot.state) {
        Err(error @ DecodeError::Version { .. }) => Err(HostError::Format(error)),
        // Damage of one room is not a reason to keep all others from their players.
        _ => Ok(()),
    }
}

pub fn found(stored: &StoredRoom) -> Found<'_> {
    match stored {
        StoredRoom::Snapshot(snapshot) => Found::Snapshot(&snapshot.state),
        StoredRoom::Ended => Found::Ended,
        StoredRoom::Nothing => Found::Nothing,
    }
}

/// Retries until the store answers.
pub async fn read(host: &Shared, id: RoomId, retries: &mut Retries) -> StoredRoom {
    loop {
        match host.store.stored_room(id).await {
            Ok(stored) => return stored,
            Err(error) => retries.wait(id, &error.into()).await,
        }
    }
}

/// The attempts to open one room.
#[derive(Debug)]
pub struct Retries(Duration);

impl Retries {
    pub fn new() -> Retries {
        Retries(RESOURCE_RETRY)
    }

    /// Logs the failure, and waits before the next attempt.
    pub async fn wait(&mut self, room: RoomId, error: &anyhow::Error) {
        tracing::warn!(%room, %error, "a room cannot be restored; trying again");
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_RETRY);
    }
}
