//! The parts of [`Bug::SwapOutsideTheLog`] and [`Bug::OlderSnapshot`] that take more than one line.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chorus_core::{
    command::{Record, RoomCommand},
    ids::RoomId,
    planted::{Bug, planted},
};
use chorus_store::RoomUpdate;

use crate::Shared;

/// Hands the room a record as if it were the next of its channel, which does not contain it.
pub async fn outside_the_log(host: &Arc<Shared>, room: RoomId, command: RoomCommand) {
    let Ok(offset) = host.bus.end(host.partition_of(room)).await else { return };
    let record = Record { room, time: host.now(), command };
    host.rooms().deliver(host, offset, record);
}

/// The first snapshots of these rooms that this process has stored. They are stored once more, as by a host that has been
/// paused since without detecting it.
pub fn older(updates: &[RoomUpdate]) -> Vec<RoomUpdate> {
    static FIRST: Mutex<BTreeMap<RoomId, RoomUpdate>> = Mutex::new(BTreeMap::new());
    if !planted(Bug::OlderSnapshot) {
        return Vec::new();
    }
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    updates.iter().map(|update| first.entry(update.row.id).or_insert_with(|| update.clone()).clone()).collect()
}
