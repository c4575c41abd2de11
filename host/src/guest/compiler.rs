//! wasmtime with the settings of one metering. Compiles components, once for each machine.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use chorus_core::ids::Digest;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig, component::Linker,
};

use super::{
    budget, cache,
    cache::Compatibility,
    contract,
    engine::{LoadError, Misfit, Options},
    functions::FunctionCache,
    slices,
    store_data::StoreData,
    wasi,
};

/// Which of the two meterings a compiler is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Polls,
    Fuel,
}

pub(super) struct Compiler {
    wasmtime: wasmtime::Engine,
    linker: Linker<StoreData>,
    options: Options,
    compatibility: Compatibility,
    functions: Arc<FunctionCache>,
    /// A compile takes all cores: two at a time would only slow each other down.
    compiling: Arc<Mutex<()>>,
}

/// How every guest is compiled and run.
fn config(unit: Unit, options: &Options, functions: &Arc<FunctionCache>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    // The same records must give the same bytes on every machine.
    config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    match unit {
        // The guest counts; its compiled code only looks whether its slice of time is over.
        Unit::Polls => config.epoch_interruption(true),
        // Metered, so that a loop ends at the same instruction everywhere.
        Unit::Fuel => config.consume_fuel(true).operator_cost(instruction_costs()),
    };
    config.max_wasm_stack(budget::WASM_STACK).async_stack_size(budget::ASYNC_STACK);
    config.cranelift_opt_level(OptLevel::Speed);
    config.enable_incremental_compilation(functions.clone())?;
    // One call at a time in one instance: the bookkeeping of concurrent calls costs time and memory.
    config.concurrency_support(false);
    // A fault's text has no backtrace (it would differ between builds), so nothing that only backtraces need is kept.
    config.wasm_backtrace_max_frames(None).generate_address_map(false).native_unwind_info(false);
    // A room that hibernates gives the pages of its stack back; a live room keeps its stack from call to call.
    config.async_stack_zeroing(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(unit, options)));
    Ok(config)
}

fn instruction_costs() -> OperatorCost {
    OperatorCost {
        MemoryGrow: budget::GROWTH_FUEL,
        TableGrow: budget::GROWTH_FUEL,
        TableInit: budget::GROWTH_FUEL,
        ElemDrop: budget::REFERENCE_FUEL,
        RefFunc: budget::REFERENCE_FUEL,
        ..OperatorCost::new()
    }
}

/// Slots for instances. A slot is address space until it is used; a used one starts as a copy-on-write image of the
/// component's memory, and holds only the pages that the room has changed.
fn pool(unit: Unit, options: &Options) -> PoolingAllocationConfig {
    let (max, memories) = (options.max_instances, max_memories(unit));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max)
        .total_core_instances(max.saturating_mul(budget::MAX_CORE_INSTANCES))
        .total_memories(max.saturating_mul(memories))
        .total_tables(max.saturating_mul(budget::MAX_TABLES))
        .total_stacks(max)
        .max_core_instances_per_component(budget::MAX_CORE_INSTANCES)
        .max_memories_per_component(memories)
        .max_tables_per_component(budget::MAX_TABLES)
        .table_elements(budget::MAX_TABLE_ELEMENTS)
        .max_memory_size(budget::MEMORY.cap as usize * budget::MEMORY.unit as usize)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn max_memories(unit: Unit) -> u32 {
    match unit {
        Unit::Polls => budget::MAX_MEMORIES_OF_ENGINE,
        Unit::Fuel => budget::MAX_MEMORIES,
    }
}

/// A component that is compiled, and whose imports are checked.
pub(super) struct Prepared {
    pub pre: contract::RoomPre<StoreData>,
    /// See [`wasi::imports_nothing`].
    pub imports_nothing: bool,
}

impl Compiler {
    pub(super) fn new(unit: Unit, options: &Options, compiling: Arc<Mutex<()>>) -> wasmtime::Result<Compiler> {
        let functions = Arc::new(FunctionCache::of(unit));
        let wasmtime = wasmtime::Engine::new(&config(unit, options, &functions)?)?;
        let mut linker = Linker::new(&wasmtime);
        wasi::link(&mut linker)?;
        if unit == Unit::Polls {
            slices::link(&mut linker, wasi::CONTRACT)?;
        }
        let compatibility = Compatibility::of(&wasmtime);
        Ok(Compiler { wasmtime, linker, options: options.clone(), compatibility, functions, compiling })
    }

    pub(super) fn weak(&self) -> wasmtime::EngineWeak {
        self.wasmtime.weak()
    }

    /// The component, compiled or taken from the cache, with its imports checked and linked.
    pub(super) fn prepare(&self, digest: Digest, wasm: &[u8]) -> Result<Prepared, LoadError> {
        let component = self.compiled(digest, wasm)?;
        super::parts::check(wasm)?;
        let ty = component.component_type();
        let imports = || ty.imports(&self.wasmtime).map(|(name, _)| name.to_owned());
        if let Some(found) = wasi::other_contract(imports()) {
            return Err(LoadError::Contract(Misfit::Version { found, wanted: wasi::CONTRACT }));
        }
        if let Some(name) = wasi::refused(imports()) {
            return Err(LoadError::Import(name));
        }
        let misfit = |cause: wasmtime::Error| LoadError::Contract(Misfit::Function(format!("{cause:#}")));
        let pre = self.linker.instantiate_pre(&component).map_err(misfit)?;
        let pre = contract::RoomPre::new(pre).map_err(misfit)?;
        Ok(Prepared { pre, imports_nothing: wasi::imports_nothing(imports()) })
    }

    fn compiled(&self, digest: Digest, wasm: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
        let path = self.options.cache_dir.join(format!("{digest}.cwasm"));
        match self.cached(&path, digest) {
            Ok(Some(component)) => {
                cache::touch(&path);
                return Ok(component);
            }
            Ok(None) => {}
            Err(why) => tracing::warn!(path = %path.display(), %why, "ignoring a cached component; it will be rebuilt"),
        }
        let _one_at_a_time = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || self.wasmtime.precompile_component(wasm);
        let compiled = self.functions.with_cached(&self.options.cache_dir, self.compatibility, compile);
        let compiled = compiled.map_err(|cause| LoadError::Compile(format!("{cause:#}")))?;
        if let Err(cause) = cache::write(&path, self.compatibility, digest, &compiled) {
            tracing::warn!(path = %path.display(), %cause, "cannot cache a compiled component");
        }
        deserialize(&self.wasmtime, &Trusted(compiled)).map_err(|cause| LoadError::Compile(format!("{cause:#}")))
    }

    fn cached(&self, path: &Path, digest: Digest) -> Result<Option<wasmtime::component::Component>, String> {
        let Some(payload) = cache::read(path, self.compatibility, digest).map_err(|why| why.to_string())? else {
            return Ok(None);
        };
        deserialize(&self.wasmtime, &Trusted(payload)).map(Some).map_err(|cause| format!("{cause:#}"))
    }
}

/// Machine code that this process has made, or has read from a cache file with the right hash.
struct Trusted(Vec<u8>);

#[allow(unsafe_code)]
fn deserialize(engine: &wasmtime::Engine, code: &Trusted) -> wasmtime::Result<wasmtime::component::Component> {
    // SAFETY: the bytes must come from `precompile_component`, unchanged. A `Trusted` is made in two places: from its
    // return value, and from a cache file whose payload has the SHA-256 that this process's user wrote beside it, in a
    // directory that only that user can write to (`chorus_private` has checked that). The bytes are in memory by then, so
    // no other process can change them after the check.
    unsafe { wasmtime::component::Component::deserialize(engine, &code.0) }
}
