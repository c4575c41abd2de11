//! The bound on a guest's memory.

use super::{
    budget,
    fault::{Forbidden, OutOfMemory},
};

/// Limits and measures linear memory. A request for more than the kind may have is a trap: a script that caught it would
/// continue in a broken state.
pub(crate) struct Memory {
    limit: u64,
    used: u64,
}

impl Memory {
    /// At most this many bytes.
    pub(crate) fn new(limit: u64) -> Memory {
        Memory { limit, used: 0 }
    }

    /// Bytes. Linear memory grows, and never shrinks.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }
}

impl wasmtime::ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add((desired - current) as u64);
        if used > self.limit {
            return Err(OutOfMemory(self.limit).into());
        }
        self.used = used;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OutOfMemory(self.limit).into())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > budget::MAX_TABLE_ELEMENTS {
            return Err(Forbidden("a table grew past its bound").into());
        }
        Ok(true)
    }
}
