//! Reads a room from the store, to restore it.

use chorus_core::{hosting::Found, ids::RoomId};
use chorus_store::StoredRoom;

use crate::{Shared, resources::RESOURCE_RETRY};

pub fn found(stored: &StoredRoom) -> Found<'_> {
    match stored {
        StoredRoom::Snapshot(snapshot) => Found::Snapshot(&snapshot.state),
        StoredRoom::Ended => Found::Ended,
        StoredRoom::Nothing => Found::Nothing,
    }
}

/// Retries until the store answers.
pub async fn read(host: &Shared, id: RoomId) -> StoredRoom {
    loop {
        match host.store.stored_room(id).await {
            Ok(stored) => return stored,
            Err(error) => cannot_open(id, &error.into()).await,
        }
    }
}

pub async fn cannot_open(room: RoomId, error: &anyhow::Error) {
    tracing::warn!(%room, %error, "a room cannot be restored; trying again");
    tokio::time::sleep(RESOURCE_RETRY).await;
}
