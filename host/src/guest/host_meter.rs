//! What a guest's calls of host functions cost: fuel meters the guest's instructions and not the host's.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::budget;

/// A guest's use of its host in the current call. It is counted and not timed, so it is the same on every machine.
#[derive(Default)]
pub(crate) struct HostMeter {
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// The guest used its host more than one call may.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Overspent {
    #[error("more than {} calls of host functions in one record", budget::MAX_HOST_CALLS)]
    Calls,
    #[error("more than {} bytes to and from host functions in one record", budget::MAX_HOST_BYTES)]
    Bytes,
}

impl HostMeter {
    /// A new call of the guest begins.
    pub(crate) fn reset(&self) {
        self.calls.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }

    pub(crate) fn overspent(&self) -> Option<Overspent> {
        if self.calls() > budget::MAX_HOST_CALLS {
            return Some(Overspent::Calls);
        }
        (self.bytes() > budget::MAX_HOST_BYTES).then_some(Overspent::Bytes)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn call(&self) -> wasmtime::Result<()> {
        self.calls.fetch_add(1, Relaxed);
        self.overspent().map_or(Ok(()), |over| Err(over.into()))
    }

    pub(crate) fn moves(&self, bytes: u64) -> wasmtime::Result<()> {
        self.bytes.fetch_add(bytes, Relaxed);
        self.overspent().map_or(Ok(()), |over| Err(over.into()))
    }
}
