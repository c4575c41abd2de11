//! Periodic work of the active monitor: it expires sessions, deletes rooms that ended long ago, bans that have ended and old
//! reports, and deletes the channels of machines that left.

use std::time::Duration;

use chorus_bus::Bus;
use chorus_store::{MAX_REPORTS, Store, StoreError};

use crate::{
    Options,
    cleanup::{CleanupError, delete_channels, expire},
};

/// The time between two runs.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);

/// The number of rooms that the store deletes in one call: a full batch means that there are more.
const MAX_DELETED_ROOMS: u64 = 1_000;

/// How long reports of players are kept.
pub const KEEP_REPORTS: Duration = Duration::from_secs(90 * 24 * 3600);

/// The number of reports that the store deletes in one call.
const MAX_TRIMMED_REPORTS: u64 = 1_000;

/// Deletes reports that are older than [`KEEP_REPORTS`] or beyond [`MAX_REPORTS`].
pub async fn trim_reports(store: &Store) -> Result<(), StoreError> {
    while store.trim_reports(KEEP_REPORTS, MAX_REPORTS).await? >= MAX_TRIMMED_REPORTS {}
    Ok(())
}

/// Returns the number of expired sessions.
pub(crate) async fn run(options: &Options, bus: &Bus, store: &Store) -> Result<usize, CleanupError> {
    let expired = expire(options.expire_after, bus, store).await?;
    let deleted = delete_channels(bus, store).await?;
    if deleted > 0 {
        tracing::info!(deleted, "channels of machines that have left are deleted");
    }
    store.delete_ended_bans().await?;
    while store.delete_ended_rooms(options.forget_after).await? >= MAX_DELETED_ROOMS {}
    trim_reports(store).await?;
    Ok(expired)
}
