//! The data of a guest's store: its time, its randomness, its output, and the meters of its use of the host.

use std::sync::{Arc, Mutex};

use chorus_core::{
    effect::{CallContext, Effect, LogLevel},
    ids::Time,
};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{filesystem::WasiFilesystemCtx, p2::DynOutputStream};

use super::{
    budget,
    host_meter::HostMeter,
    memory::Memory,
    printed::{Printed, Printer},
    rng::Rng,
    slices::Slices,
};

/// All that a guest can reach outside its own memory.
pub(crate) struct StoreData {
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    printed: Arc<Mutex<Printed>>,
    pub(crate) meter: Arc<HostMeter>,
    pub(crate) table: ResourceTable,
    /// Always empty.
    pub(crate) no_resources: ResourceTable,
    pub(crate) files: WasiFilesystemCtx,
    pub(crate) memory: Memory,
    /// Of a component that meters itself.
    pub(crate) slices: Slices,
}

impl StoreData {
    pub(crate) fn new(memory: u64, context: &CallContext) -> StoreData {
        let mut table = ResourceTable::new();
        table.set_max_capacity(budget::MAX_RESOURCES);
        StoreData {
            now: context.now,
            rng: Rng::of(&context.seed),
            printed: Arc::default(),
            meter: Arc::default(),
            table,
            no_resources: ResourceTable::new(),
            files: WasiFilesystemCtx::default(),
            memory: Memory::new(memory),
            slices: Slices::default(),
        }
    }

    /// Sets the guest's time and its random seed, from here on.
    pub(crate) fn enter(&mut self, context: &CallContext) {
        self.now = context.now;
        self.rng = Rng::of(&context.seed);
    }

    /// What the guest has printed since this function was last called, as one log effect for each line.
    pub(crate) fn take_printed(&self) -> Vec<Effect> {
        self.printed.lock().expect("no panic while printing").take()
    }

    /// A stream that prints into the room's log.
    pub(crate) fn printer(&mut self, level: LogLevel) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream =
            Box::new(Printer { level, printed: self.printed.clone(), meter: self.meter.clone() });
        Ok(self.table.push(stream)?)
    }

    /// So many bytes of the room's randomness for this record.
    pub(crate) fn random(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        // Counted up to the cap only: `Rng::bytes` rejects a larger request.
        self.meter.moves(len.min(budget::MAX_RANDOM_BYTES))?;
        self.rng.bytes(len)
    }
}
