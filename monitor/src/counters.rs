//! A monitor's counters since its start, for its metrics.

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

/// Shared by the loop, which counts, and the metrics, which report.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Machines declared dead.
    pub deaths: Counter,
    /// Partitions assigned to a host.
    pub moves: Counter,
    /// Sessions of dead edges that were dropped in their rooms.
    pub dropped: Counter,
    /// Dead machines that are cleaned up completely.
    pub cleaned: Counter,
    /// Sessions that were never resumed.
    pub expired: Counter,
    /// Times that the store could not be reached.
    pub store_lost: Counter,
    /// Turns of the loop in which the broker could not be reached.
    pub broker_lost: Counter,
}
