//! What has to be done now and then, by whoever is in charge: sessions expire, rooms that ended are
//! forgotten, and so are the channels of machines that left.

use std::time::Duration;

use chorus_bus::Bus;
use chorus_store::Store;

use crate::{
    Options,
    bury::{BuryError, delete_channels, expire},
};

/// How often.
pub(crate) const EVERY: Duration = Duration::from_secs(30);

/// Rooms that the store forgets in one call: as long as it is so many, there are more.
const FORGOTTEN_AT_ONCE: u64 = 1_000;

/// How many sessions are over.
pub(crate) async fn keep_house(options: &Options, bus: &Bus, store: &Store) -> Result<usize, BuryError> {
    let expired = expire(options.expire_after, bus, store).await?;
    let deleted = delete_channels(bus, store).await?;
    if deleted > 0 {
        tracing::info!(deleted, "channels of machines that have left are deleted");
    }
    while store.forget_rooms(options.forget_after).await? >= FORGOTTEN_AT_ONCE {}
    Ok(expired)
}
