//! Periodic work of the active monitor: it expires sessions, deletes rooms that ended long ago and bans that
//! have ended, and deletes the channels of
//! machines that left.

use std::time::Duration;

use chorus_bus::Bus;
use chorus_store::Store;

use crate::{
    Options,
    cleanup::{CleanupError, delete_channels, expire},
};

/// The time between two runs.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);

/// The number of rooms that the store deletes in one call: a full batch means that there are more.
const MAX_DELETED_ROOMS: u64 = 1_000;

/// Returns the number of expired sessions.
pub(crate) async fn run(options: &Options, bus: &Bus, store: &Store) -> Result<usize, CleanupError> {
    let expired = expire(options.expire_after, bus, store).await?;
    let deleted = delete_channels(bus, store).await?;
    if deleted > 0 {
        tracing::info!(deleted, "channels of machines that have left are deleted");
    }
    store.delete_ended_bans().await?;
    while store.delete_ended_rooms(options.forget_after).await? >= MAX_DELETED_ROOMS {}
    Ok(expired)
}
