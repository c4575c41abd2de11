//! Reads a room from the store, to restore it.

use chorus_core::{hosting::Found, ids::RoomId};
use chorus_store::{RoomStatus, SnapshotRow};

use crate::{Shared, resources::RESOURCE_RETRY};

/// A room as it stands in the store.
pub enum Stored {
    Snapshot(SnapshotRow),
    Ended,
    Nothing,
}

impl Stored {
    pub fn found(&self) -> Found<'_> {
        match self {
            Stored::Snapshot(snapshot) => Found::Snapshot(&snapshot.state),
            Stored::Ended => Found::Ended,
            Stored::Nothing => Found::Nothing,
        }
    }
}

/// Retries until the store answers.
pub async fn read(host: &Shared, id: RoomId) -> Stored {
    loop {
        match try_to_read(host, id).await {
            Ok(stored) => return stored,
            Err(error) => cannot_open(id, &error).await,
        }
    }
}

async fn try_to_read(host: &Shared, id: RoomId) -> anyhow::Result<Stored> {
    if let Some(snapshot) = host.store.snapshot(id).await? {
        return Ok(Stored::Snapshot(snapshot));
    }
    let ended = host.store.room(id).await?.is_some_and(|row| row.status != RoomStatus::Live);
    Ok(if ended { Stored::Ended } else { Stored::Nothing })
}

pub async fn cannot_open(room: RoomId, error: &anyhow::Error) {
    tracing::warn!(%room, %error, "a room cannot be restored; trying again");
    tokio::time::sleep(RESOURCE_RETRY).await;
}
