//! Leases: at most one holder of a name at a time, by the database's clock.

use std::time::Duration;

use chorus_core::ids::MachineId;

use crate::{Store, StoreError};

/// Its holder is the active monitor.
pub const MONITOR_LEASE: &str = "monitor";

/// The holder of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The caller. Its lease lasts at least this long *from before the call was made*, by the caller's own monotonic clock: the
    /// database began to count later.
    Held { lasts: Duration },
    /// Another machine, for this long unless it renews the lease.
    HeldBy { holder: MachineId, lasts: Duration },
}

impl Store {
    /// Takes the lease if it is free or has run out, or renews it if `holder` has it.
    pub async fn acquire_lease(&self, name: &str, holder: &MachineId, ttl: Duration) -> Result<Lease, StoreError> {
        self.write(Acquire { name: name.to_owned(), holder: holder.clone(), ttl }).await
    }

    /// Releases the lease, if `holder` has it, so that the next holder need not wait for its end.
    pub async fn release_lease(&self, name: &str, holder: &MachineId) -> Result<(), StoreError> {
        self.write(Release { name: name.to_owned(), holder: holder.clone() }).await
    }
}

pub(crate) struct Acquire {
    pub name: String,
    pub holder: MachineId,
    pub ttl: Duration,
}

pub(crate) struct Release {
    pub name: String,
    pub holder: MachineId,
}
