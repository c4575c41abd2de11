//! Where the replay of a room starts.

use std::sync::Arc;

use chorus_core::{
    command::{Record, RoomCommand},
    effect::RestoreReason,
    ids::{Offset, RoomId},
    room::Room,
};
use chorus_store::SnapshotRow;

use super::{Unplayable, channels::Channel};

/// The start of a replay.
#[derive(Clone, Debug)]
pub enum Start {
    /// An empty room: the channel has all its records.
    Nothing,
    /// This snapshot, which includes the records that were truncated.
    Snapshot { offset: Offset, bytes: Arc<[u8]> },
    /// The room had ended before the first record.
    Ended,
}

impl Start {
    /// `None`: there is no start. `whole`: the partition was never truncated. `has_ended`: in the store.
    pub fn of(channel: &Channel, whole: bool, has_ended: bool, snapshot: Option<&SnapshotRow>) -> Option<Start> {
        let creates = |(_, record): &(Offset, Record)| matches!(record.command, RoomCommand::Create { .. });
        if whole || channel.records.first().is_some_and(creates) {
            return Some(Start::Nothing);
        }
        if has_ended {
            return Some(Start::Ended);
        }
        let snapshot = snapshot?;
        Some(Start::Snapshot { offset: snapshot.offset, bytes: Arc::from(&*snapshot.state) })
    }

    pub fn room(&self, id: RoomId) -> Result<Room, Unplayable> {
        match self {
            Start::Nothing => Ok(Room::new(id)),
            Start::Ended => Ok(Room::ended(id)),
            Start::Snapshot { bytes, .. } => {
                Room::restore(id, bytes, RestoreReason::Recovered).map_err(|error| Unplayable(error.to_string()))
            }
        }
    }

    /// The last record that the start includes.
    pub fn offset(&self) -> Option<Offset> {
        match self {
            Start::Snapshot { offset, .. } => Some(*offset),
            Start::Nothing | Start::Ended => None,
        }
    }
}
