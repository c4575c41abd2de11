//! What a monitor has done since it was started, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Shared by the loop, which counts, and the metrics, which tell.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Machines declared dead.
    pub deaths: Counter,
    /// Partitions given to a host.
    pub moves: Counter,
    /// Sessions of dead edges whose rooms were told.
    pub dropped: Counter,
    /// Machines of which nothing is left.
    pub cleaned: Counter,
    /// Sessions that did not come back.
    pub expired: Counter,
    /// Times that the store could not be reached.
    pub store_lost: Counter,
    /// Turns of the loop in which the broker could not be reached.
    pub broker_lost: Counter,
}
