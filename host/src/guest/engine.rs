//! wasmtime, set up once for each process; components, compiled once for each machine.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use chorus_core::{
    effect::CallContext,
    ids::{Digest, Seed, Time},
    room::ComponentSpec,
};
use chorus_private::PrivateError;

use super::{
    budget, cache,
    cell::{Cells, Seat},
    compiler::{Compiler, Prepared, Unit},
    contract,
    epochs::EpochThread,
    fault::GuestError,
    manifest::{BadManifest, Manifest},
    metering::{Allowance, Metering, meters_itself},
    parts::Uncharged,
    shortened::shortened,
    source_map::SourceMap,
    start::{Bounds, StartError, call_error, run, start},
    store_data::StoreData,
};

/// An [`Engine`]'s configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where compiled components are kept. Created if it is missing, for its owner alone.
    pub cache_dir: PathBuf,
    /// Instances at a time, and as many again of components of another make, once there is one. Each reserves
    /// [`Options::ADDRESS_SPACE_GIB`] of address space, one of another make twice as much; and no memory.
    pub max_instances: u32,
    /// Whether clients receive the reason why a script failed.
    pub show_failures: bool,
    /// Whether scripts log a warning when a call leaves module state changed, for their author: see `check` in `wit/room.wit`.
    pub check_scripts: bool,
}

impl Options {
    pub const MAX_INSTANCES: u32 = 4096;

    /// The address space that wasmtime reserves for one instance, so that no access of a guest needs a check of bounds:
    /// 4 GiB, all that a guest can address, for each of its memories. Guard pages, tables and the stack are less than 1 % more.
    pub const ADDRESS_SPACE_GIB: u32 = 4 * budget::MAX_MEMORIES_OF_ENGINE;

    pub fn new(cache_dir: impl Into<PathBuf>) -> Options {
        Options {
            cache_dir: cache_dir.into(),
            max_instances: Options::MAX_INSTANCES,
            show_failures: false,
            check_scripts: false,
        }
    }
}

/// Why an engine cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the cache of compiled components (--cache) cannot be used: {0}")]
    CacheDir(#[from] PrivateError),
    #[error(
        "cannot set up wasmtime for {max_instances} instances (each reserves {} GiB of address space; is there a limit, `ulimit -v`?): {cause}",
        Options::ADDRESS_SPACE_GIB
    )]
    Wasmtime { max_instances: u32, cause: String },
}

/// Why a component cannot be a room. For its publisher.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the component's bytes have another digest: {0}")]
    Digest(Digest),
    #[error("it does not compile: {0}")]
    Compile(String),
    #[error("it imports `{0}`, which no room gets; what a room may import is listed in docs/scripting.md")]
    Import(String),
    #[error("{0}; see docs/adr/0003-closed-wasi.md")]
    Uncharged(#[from] Uncharged),
    #[error("it does not fit the contract (wit/room.wit): {0}")]
    Contract(Misfit),
    #[error("it does not start: {0}")]
    Start(GuestError),
    #[error("its `describe` failed: {0}")]
    Describe(GuestError),
    #[error("its manifest makes no sense: {0}")]
    Manifest(#[from] BadManifest),
    #[error("this host is full: all {0} instances are in use")]
    Full(u32),
    #[error("this host cannot set up wasmtime for components of another make: {0}")]
    SetUp(String),
}

/// How a component differs from the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("it is made for version {found} of it, and this host has version {wanted}: build it anew")]
    Version { found: String, wanted: &'static str },
    #[error("{0}")]
    Function(String),
}

/// wasmtime, for this process. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    options: Options,
    /// For components of our engine, and the thread of their slices.
    polls: Compiler,
    epochs: EpochThread,
    /// For any other component. Set up for the first one, since most processes never have one.
    fuel: Mutex<Option<Arc<Compiler>>>,
    compiling: Arc<Mutex<()>>,
    /// Instances of rooms.
    instances: Arc<AtomicU64>,
    /// A lock for each digest, so that concurrent loads share one compile.
    loaded: Mutex<HashMap<Digest, Arc<Slot>>>,
}

type Slot = tokio::sync::Mutex<Weak<LoadedComponent>>;

struct LoadedComponent {
    digest: Digest,
    manifest: Manifest,
    spec: Arc<ComponentSpec>,
    pre: contract::RoomPre<StoreData>,
    metering: Metering,
    imports_nothing: bool,
    cells: Cells,
    instances: Arc<AtomicU64>,
    max_instances: u32,
    check_scripts: bool,
    source_map: SourceMap,
}

/// A component that can be a room. Cheap to clone.
#[derive(Clone)]
pub struct Component(Arc<LoadedComponent>);

/// An instance that is counted.
pub(super) struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("options", &self.0.options).finish()
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({:?})", self.0.digest)
    }
}

impl Component {
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Whether it has a holder other than the caller.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What its rooms need of its manifest.
    pub fn spec(&self) -> Arc<ComponentSpec> {
        self.0.spec.clone()
    }

    /// Its source map.
    pub fn source_map(&self) -> &SourceMap {
        &self.0.source_map
    }

    pub(super) fn pre(&self) -> &contract::RoomPre<StoreData> {
        &self.0.pre
    }

    pub(super) fn metering(&self) -> &Metering {
        &self.0.metering
    }

    /// Whether a call may have several entries: their events are all that its instances get for them, and it meters each. An
    /// imported clock would have the time of one record only, and randomness its seed; fuel could not be told apart.
    pub(super) fn takes_several(&self) -> bool {
        self.0.imports_nothing && matches!(self.0.metering, Metering::Polls(_))
    }

    /// A slot of an instance that rooms of its kind share.
    pub(super) fn seat(&self) -> Seat {
        self.0.cells.seat(self)
    }

    pub(super) fn cells(&self) -> &Cells {
        &self.0.cells
    }

    /// Counts an instance for as long as it lives.
    pub(super) fn count_instance(&self) -> Counted {
        self.0.instances.fetch_add(1, Relaxed);
        Counted(self.0.instances.clone())
    }

    pub(super) fn max_instances(&self) -> u32 {
        self.0.max_instances
    }

    pub(super) fn check_scripts(&self) -> bool {
        self.0.check_scripts
    }
}

impl Engine {
    pub fn new(options: Options) -> Result<Engine, EngineError> {
        let cache_dir = cache::make_dir(&options.cache_dir).map_err(EngineError::CacheDir)?;
        let options = Options { cache_dir, ..options };
        let pruned = cache::prune(&options.cache_dir, SystemTime::now());
        if pruned > 0 {
            tracing::info!(files = pruned, path = %options.cache_dir.display(), "old compiled components are removed");
        }
        let max_instances = options.max_instances;
        let failed = |cause: String| EngineError::Wasmtime { max_instances, cause };
        let compiling = Arc::default();
        let polls = Compiler::new(Unit::Polls, &options, Arc::clone(&compiling));
        let polls = polls.map_err(|cause| failed(format!("{cause:#}")))?;
        let epochs = EpochThread::start(polls.weak()).map_err(|cause| failed(cause.to_string()))?;
        let (fuel, loaded, instances) = (Mutex::default(), Mutex::default(), Arc::default());
        Ok(Engine(Arc::new(Inner { options, polls, epochs, fuel, compiling, instances, loaded })))
    }

    /// The instances that rooms have now.
    pub fn instances(&self) -> u64 {
        self.0.instances.load(Relaxed)
    }

    pub fn max_instances(&self) -> u32 {
        self.0.options.max_instances
    }

    /// The component of these bytes, ready to be instantiated. It is compiled or taken from the cache, its imports are
    /// checked against the list, and its manifest is read and checked. Loads of one digest share one compile, and one
    /// copy while it is in use.
    pub async fn load(&self, digest: Digest, wasm: &[u8]) -> Result<Component, LoadError> {
        let slot = self.slot(digest);
        let mut loaded = slot.lock().await;
        if let Some(loaded) = loaded.upgrade() {
            return Ok(Component(loaded));
        }
        let source_map = SourceMap::of(wasm);
        let (engine, wasm) = (self.clone(), wasm.to_vec());
        let prepared = tokio::task::spawn_blocking(move || engine.prepare(digest, &wasm));
        let (Prepared { pre, imports_nothing }, metering) = match prepared.await {
            Ok(prepared) => prepared?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let manifest = self.describe(&pre, &metering).await?;
        let spec = Arc::new(ComponentSpec { shows_failures: self.0.options.show_failures, ..manifest.spec() });
        let component = Component(Arc::new(LoadedComponent {
            digest,
            manifest,
            spec,
            pre,
            metering,
            imports_nothing,
            cells: Cells::default(),
            instances: self.0.instances.clone(),
            max_instances: self.max_instances(),
            check_scripts: self.0.options.check_scripts,
            source_map,
        }));
        let share = component.manifest().config.share;
        if share > 1 && !component.takes_several() {
            return Err(BadManifest::CannotShare(share).into());
        }
        *loaded = Arc::downgrade(&component.0);
        Ok(component)
    }

    fn slot(&self, digest: Digest) -> Arc<Slot> {
        let mut slots = self.0.loaded.lock().expect("no panic while holding the slots");
        // Removes each slot that has no waiting load and whose component is not in use.
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|loaded| loaded.strong_count() > 0)
        });
        slots.entry(digest).or_default().clone()
    }

    fn prepare(&self, digest: Digest, wasm: &[u8]) -> Result<(Prepared, Metering), LoadError> {
        let is = Digest::of(wasm);
        if is != digest {
            return Err(LoadError::Digest(is));
        }
        if meters_itself(wasm) {
            return Ok((self.0.polls.prepare(digest, wasm)?, Metering::Polls(self.0.epochs.epochs())));
        }
        Ok((self.of_another_make()?.prepare(digest, wasm)?, Metering::Fuel))
    }

    /// The compiler for components that do not meter themselves.
    fn of_another_make(&self) -> Result<Arc<Compiler>, LoadError> {
        let mut fuel = self.0.fuel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiler) = &*fuel {
            return Ok(compiler.clone());
        }
        let compiler = Compiler::new(Unit::Fuel, &self.0.options, self.0.compiling.clone());
        let compiler = Arc::new(compiler.map_err(|cause| LoadError::SetUp(format!("{cause:#}")))?);
        Ok(fuel.insert(compiler).clone())
    }

    /// Reads the component's manifest, in an instance that is then dropped.
    async fn describe(&self, pre: &contract::RoomPre<StoreData>, metering: &Metering) -> Result<Manifest, LoadError> {
        let budget = budget::Budget::default();
        let fuel = budget::DESCRIBE_FUEL;
        let allowance = Allowance::new(fuel);
        let bounds = Bounds { memory: budget.memory, allowance, max_hostcall_bytes: budget.max_hostcall_bytes() };
        let never = CallContext { now: Time(0), seed: Seed { random: [0; 4], rooms: [0; 4] } };
        let (mut store, guest) = start(pre, metering, bounds, &never).await.map_err(|error| match error {
            StartError::Full => LoadError::Full(self.max_instances()),
            StartError::Guest(error) => LoadError::Start(error),
        })?;
        let result = run(guest.call_describe(&mut store)).await;
        let printed = store.data().take_printed();
        let result = result.map_err(|error| LoadError::Describe(call_error(&store, &error, fuel, &printed)))?;
        let refused = |message: String| LoadError::Describe(GuestError::Refused(shortened(&message)));
        Ok(Manifest::check(result.map_err(refused)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address space of this process, in bytes.
    fn address_space() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("its size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// No other unit test of this crate sets wasmtime up.
    #[test]
    fn an_instance_reserves_the_documented_address_space() {
        const INSTANCES: u32 = 100;
        let dir = tempfile::tempdir().expect("a directory");
        let before = address_space();
        let engine = Engine::new(Options { max_instances: INSTANCES, ..Options::new(dir.path()) });
        let _engine = engine.expect("an engine");
        let each = (address_space() - before) as f64 / f64::from(INSTANCES) / f64::from(1 << 30);
        let documented = f64::from(Options::ADDRESS_SPACE_GIB);
        assert!((documented..1.05 * documented).contains(&each), "{each} GiB each");
    }
}
