//! What a guest may import: the closed list, and how each import is served.
//!
//! The contract itself needs no imports; these are what the runtimes of languages need to start. All of them are
//! deterministic, and none reaches outside. An import that is not in [`IMPORTS`] is refused by name when a component is
//! loaded.
//!
//! Every call is counted, and so are the bytes that it moves, since fuel meters the guest's instructions and not the
//! host's. See [`Meter`].
//!
//! Nothing here waits: a stream is always ready, so a poll of streams returns at once, and the two functions that make
//! something to wait for (`subscribe-instant`, `subscribe-duration`) trap.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    async_trait,
    filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView},
    p2::{
        DynInputStream, DynOutputStream, DynPollable, OutputStream, Pollable, StreamError, StreamResult,
        bindings::{cli, clocks, filesystem, random},
        pipe::ClosedInputStream,
    },
};
use wasmtime_wasi_io::bindings::wasi::io;

use chorus_core::{
    effect::{Effect, LogLevel, Moment},
    ids::{Seed, Time},
};

use super::{
    budget,
    fault::{Closed, OutOfMemory},
};

/// One interface that a guest may import.
pub struct Import {
    /// Without its version: any 0.2 will do, since the functions are checked one by one when it is linked.
    pub name: &'static str,
    pub why: &'static str,
    link: fn(&mut Linker<Ground>) -> wasmtime::Result<()>,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! imports {
    ($($name:literal, $why:literal, $link:expr;)*) => {
        &[$(Import { name: $name, why: $why, link: $link }),*]
    };
}

type Own = HasSelf<Ground>;
type Table = HasSelf<ResourceTable>;

/// The list.
#[rustfmt::skip]
pub const IMPORTS: &[Import] = imports! {
    "wasi:cli/environment",        "asked for by libc: no variables, no arguments",         |l| cli::environment::add_to_linker::<_, Own>(l, own);
    "wasi:cli/exit",               "how a runtime gives up: a trap",                        |l| cli::exit::add_to_linker::<_, Own>(l, own);
    "wasi:cli/stdin",              "at its end from the start",                             |l| cli::stdin::add_to_linker::<_, Own>(l, own);
    "wasi:cli/stdout",             "the room's log, at INFO, up to a bound",                |l| cli::stdout::add_to_linker::<_, Own>(l, own);
    "wasi:cli/stderr",             "the room's log, at WARN, up to a bound",                |l| cli::stderr::add_to_linker::<_, Own>(l, own);
    "wasi:cli/terminal-input",     "a type that comes with the next three",                 |l| cli::terminal_input::add_to_linker::<_, Own>(l, own);
    "wasi:cli/terminal-output",    "a type that comes with the next three",                 |l| cli::terminal_output::add_to_linker::<_, Own>(l, own);
    "wasi:cli/terminal-stdin",     "libc asks if it is a terminal: it is not",              |l| cli::terminal_stdin::add_to_linker::<_, Own>(l, own);
    "wasi:cli/terminal-stdout",    "libc asks if it is a terminal: it is not",              |l| cli::terminal_stdout::add_to_linker::<_, Own>(l, own);
    "wasi:cli/terminal-stderr",    "libc asks if it is a terminal: it is not",              |l| cli::terminal_stderr::add_to_linker::<_, Own>(l, own);
    "wasi:clocks/wall-clock",      "`Date`: the record's time",                             |l| clocks::wall_clock::add_to_linker::<_, Own>(l, own);
    "wasi:clocks/monotonic-clock", "the record's time; to wait for it traps",               |l| clocks::monotonic_clock::add_to_linker::<_, Own>(l, own);
    "wasi:random/random",          "the room's generator, seeded for this record",          |l| random::random::add_to_linker::<_, Own>(l, own);
    "wasi:random/insecure",        "the same generator",                                    |l| random::insecure::add_to_linker::<_, Own>(l, own);
    "wasi:random/insecure-seed",   "the same generator; hash tables are seeded by it",      |l| random::insecure_seed::add_to_linker::<_, Own>(l, own);
    "wasi:io/error",               "what a stream fails with",                              |l| io::error::add_to_linker::<_, Table>(l, table);
    "wasi:io/poll",                "only streams can be polled, and they are always ready", |l| io::poll::add_to_linker::<_, Own>(l, own);
    "wasi:io/streams",             "the three standard streams; no call of theirs waits",   |l| io::streams::add_to_linker::<_, Table>(l, table);
    "wasi:filesystem/types",       "comes with libc; there is nothing to open",             |l| filesystem::types::add_to_linker::<_, WasiFilesystem>(l, files);
    "wasi:filesystem/preopens",    "libc asks for directories: there are none",             |l| filesystem::preopens::add_to_linker::<_, Own>(l, own);
};

/// The contract's own types. They hold no functions.
const TYPES: &str = "chorus:room/types@1.0.0";

/// Links all imports of the list.
pub(crate) fn link(linker: &mut Linker<Ground>) -> wasmtime::Result<()> {
    IMPORTS.iter().try_for_each(|import| (import.link)(linker))
}

/// The first import that is not on the list.
pub(crate) fn refused(imports: impl Iterator<Item = String>) -> Option<String> {
    let known = |name: &str| {
        let Some((interface, version)) = name.split_once('@') else { return false };
        name == TYPES || (version.starts_with("0.2.") && IMPORTS.iter().any(|import| import.name == interface))
    };
    imports.into_iter().find(|name| !known(name))
}

fn own(ground: &mut Ground) -> &mut Ground {
    ground
}

/// The resources of functions that are not implemented here. Each function takes a handle, so once the calls are used up,
/// no handle is valid: that traps, and [`Meter::overspent`] gives the reason.
fn table(ground: &mut Ground) -> &mut ResourceTable {
    match ground.meter.call() {
        Ok(()) => &mut ground.table,
        Err(_) => &mut ground.nothing,
    }
}

fn files(ground: &mut Ground) -> WasiFilesystemCtxView<'_> {
    let table = match ground.meter.call() {
        Ok(()) => &mut ground.table,
        Err(_) => &mut ground.nothing,
    };
    WasiFilesystemCtxView { ctx: &mut ground.files, table }
}

/// A guest's surroundings: all that it can reach outside its own memory.
pub(crate) struct Ground {
    now: Time,
    chance: Chance,
    printed: Arc<Mutex<Printed>>,
    meter: Arc<Meter>,
    table: ResourceTable,
    /// Always empty.
    nothing: ResourceTable,
    files: WasiFilesystemCtx,
    pub(crate) memory: Memory,
}

impl Ground {
    pub(crate) fn new(memory: u64, at: &Moment) -> Ground {
        let mut table = ResourceTable::new();
        table.set_max_capacity(budget::RESOURCES);
        Ground {
            now: at.now,
            chance: Chance::of(&at.seed),
            printed: Arc::default(),
            meter: Arc::default(),
            table,
            nothing: ResourceTable::new(),
            files: WasiFilesystemCtx::default(),
            memory: Memory { limit: memory, used: 0 },
        }
    }

    /// Sets the guest's instant, from here on.
    pub(crate) fn enter(&mut self, at: &Moment) {
        self.now = at.now;
        self.chance = Chance::of(&at.seed);
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What the guest has printed since the last call of this, as one log effect for each line.
    pub(crate) fn take_printed(&self) -> Vec<Effect> {
        let mut printed = self.printed.lock().expect("no panic while printing");
        if printed.lines.is_empty() {
            return Vec::new();
        }
        let Printed { lines, cut, .. } = std::mem::take(&mut *printed);
        let mut log: Vec<Effect> = lines
            .into_iter()
            .filter(|line| !line.text.is_empty())
            .map(|line| Effect::Log { level: line.level, text: String::from_utf8_lossy(&line.text).into() })
            .collect();
        if cut > 0 {
            log.push(Effect::Log {
                level: LogLevel::Warn,
                text: format!("({cut} more bytes of output were cut)").into(),
            });
        }
        log
    }
}

/// A guest's use of its host in the current call. A count and no time, so it is the same on every machine.
#[derive(Default)]
pub(crate) struct Meter {
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// The guest used its host more than one call may.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Overspent {
    #[error("more than {} calls of host functions in one record", budget::HOST_CALLS)]
    Calls,
    #[error("more than {} bytes to and from host functions in one record", budget::HOST_BYTES)]
    Bytes,
}

impl Meter {
    /// A new call of the guest begins.
    pub(crate) fn reset(&self) {
        self.calls.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }

    pub(crate) fn overspent(&self) -> Option<Overspent> {
        if self.calls() > budget::HOST_CALLS {
            return Some(Overspent::Calls);
        }
        (self.bytes() > budget::HOST_BYTES).then_some(Overspent::Bytes)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    fn call(&self) -> wasmtime::Result<()> {
        self.calls.fetch_add(1, Relaxed);
        self.overspent().map_or(Ok(()), |over| Err(over.into()))
    }

    fn moves(&self, bytes: u64) -> wasmtime::Result<()> {
        self.bytes.fetch_add(bytes, Relaxed);
        self.overspent().map_or(Ok(()), |over| Err(over.into()))
    }
}

/// Metrics linear memory. A request for more than the kind may have is a trap: a script that caught it would go on
/// half-broken.
pub(crate) struct Memory {
    limit: u64,
    used: u64,
}

impl Memory {
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
        if desired > budget::TABLE_ELEMENTS {
            return Err(Closed("a table grew past its bound").into());
        }
        Ok(true)
    }
}

/// The room's generator for one record: SHA-256 of the record's seed and a counter.
struct Chance {
    seed: [u32; 4],
    counter: u64,
}

impl Chance {
    fn of(seed: &Seed) -> Chance {
        Chance { seed: seed.random, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // The guest's SDK has a generator of its own from the same seed; the name keeps the two apart.
        hash.update(b"chorus wasi:random");
        self.seed.iter().for_each(|word| hash.update(word.to_be_bytes()));
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        hash.finalize().into()
    }

    fn word(&mut self) -> u64 {
        let block = self.block();
        u64::from_be_bytes(block[..8].try_into().expect("8 bytes"))
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > budget::RANDOM_BYTES {
            return Err(Closed("asked for too many random bytes at once").into());
        }
        let len = len as usize;
        let mut bytes = Vec::with_capacity(len.next_multiple_of(32));
        while bytes.len() < len {
            bytes.extend_from_slice(&self.block());
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// The text that a guest has printed in one call.
#[derive(Default)]
struct Printed {
    lines: Vec<Line>,
    kept: u64,
    cut: u64,
}

struct Line {
    level: LogLevel,
    text: Vec<u8>,
    open: bool,
}

impl Printed {
    fn print(&mut self, level: LogLevel, bytes: &[u8]) {
        let room = budget::LOG.saturating_sub(self.kept).min(bytes.len() as u64);
        let (kept, cut) = bytes.split_at(room as usize);
        self.kept += kept.len() as u64;
        self.cut += cut.len() as u64;
        for piece in kept.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let open = text.len() == piece.len();
            match self.lines.last_mut() {
                Some(last) if last.open && last.level == level => {
                    last.text.extend_from_slice(text);
                    last.open = open;
                }
                _ => self.lines.push(Line { level, text: text.to_vec(), open }),
            }
        }
    }
}

/// Standard output or error.
struct Printer {
    level: LogLevel,
    printed: Arc<Mutex<Printed>>,
    meter: Arc<Meter>,
}

#[async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.meter.moves(bytes.len() as u64).map_err(StreamError::Trap)?;
        self.printed.lock().expect("no panic while printing").print(self.level, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(4096)
    }
}

impl Ground {
    fn printer(&mut self, level: LogLevel) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream =
            Box::new(Printer { level, printed: self.printed.clone(), meter: self.meter.clone() });
        Ok(self.table.push(stream)?)
    }
}

impl cli::environment::Host for Ground {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.meter.call()?;
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.meter.call()?;
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl cli::exit::Host for Ground {
    fn exit(&mut self, _: Result<(), ()>) -> wasmtime::Result<()> {
        Err(Closed("called exit").into())
    }

    fn exit_with_code(&mut self, _: u8) -> wasmtime::Result<()> {
        Err(Closed("called exit").into())
    }
}

impl cli::stdin::Host for Ground {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        self.meter.call()?;
        let stream: DynInputStream = Box::new(ClosedInputStream);
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for Ground {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.meter.call()?;
        self.printer(LogLevel::Info)
    }
}

impl cli::stderr::Host for Ground {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.meter.call()?;
        self.printer(LogLevel::Warn)
    }
}

impl cli::terminal_input::Host for Ground {}
impl cli::terminal_input::HostTerminalInput for Ground {
    fn drop(&mut self, it: Resource<cli::terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.table.delete(it)?;
        Ok(())
    }
}

impl cli::terminal_output::Host for Ground {}
impl cli::terminal_output::HostTerminalOutput for Ground {
    fn drop(&mut self, it: Resource<cli::terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.table.delete(it)?;
        Ok(())
    }
}

impl cli::terminal_stdin::Host for Ground {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<cli::terminal_stdin::TerminalInput>>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl cli::terminal_stdout::Host for Ground {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<cli::terminal_stdout::TerminalOutput>>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl cli::terminal_stderr::Host for Ground {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<cli::terminal_stderr::TerminalOutput>>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl clocks::wall_clock::Host for Ground {
    fn now(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        self.meter.call()?;
        let Time(ms) = self.now;
        Ok(clocks::wall_clock::Datetime { seconds: ms / 1000, nanoseconds: (ms % 1000) as u32 * 1_000_000 })
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        self.meter.call()?;
        Ok(clocks::wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl clocks::monotonic_clock::Host for Ground {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(self.now.0.saturating_mul(1_000_000))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(Closed("tried to wait: a room sets a timer instead").into())
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(Closed("tried to wait: a room sets a timer instead").into())
    }
}

impl random::random::Host for Ground {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.meter.call()?;
        self.random(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(self.chance.word())
    }
}

impl random::insecure::Host for Ground {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.meter.call()?;
        self.random(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(self.chance.word())
    }
}

impl random::insecure_seed::Host for Ground {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.meter.call()?;
        Ok((self.chance.word(), self.chance.word()))
    }
}

impl Ground {
    fn random(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        // Counted up to the cap only: `Chance::bytes` rejects a larger request.
        self.meter.moves(len.min(budget::RANDOM_BYTES))?;
        self.chance.bytes(len)
    }
}

impl io::poll::Host for Ground {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.meter.call()?;
        // As many bytes as hold one handle, which is about what its look-up costs.
        self.meter.moves(pollables.len() as u64 * size_of::<Resource<DynPollable>>() as u64)?;
        io::poll::Host::poll(&mut self.table, pollables).await
    }
}

impl io::poll::HostPollable for Ground {
    async fn block(&mut self, it: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.meter.call()?;
        io::poll::HostPollable::block(&mut self.table, it).await
    }

    async fn ready(&mut self, it: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.meter.call()?;
        io::poll::HostPollable::ready(&mut self.table, it).await
    }

    fn drop(&mut self, it: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.meter.call()?;
        io::poll::HostPollable::drop(&mut self.table, it)
    }
}

impl filesystem::preopens::Host for Ground {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<filesystem::types::Descriptor>, String)>> {
        self.meter.call()?;
        Ok(Vec::new())
    }
}
