//! What a guest may import: the closed list, and how each import is served.
//!
//! The contract itself needs no imports but one of a guest that meters itself (see `slices`); these are what the runtimes of languages need to start. All of them are
//! deterministic, and none reaches outside. An import that is not in [`IMPORTS`] is refused by name when a component is
//! loaded.
//!
//! Every call is counted, and so are the bytes that it moves, since fuel meters the guest's instructions and not the
//! host's. See `host_meter`.
//!
//! Nothing here waits: a stream is always ready, so a poll of streams returns at once, and the two functions that make
//! something to wait for (`subscribe-instant`, `subscribe-duration`) trap.

use chorus_core::{effect::LogLevel, ids::Time};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    filesystem::{WasiFilesystem, WasiFilesystemCtxView},
    p2::{
        DynInputStream, DynOutputStream, DynPollable,
        bindings::{cli, clocks, filesystem, random},
        pipe::ClosedInputStream,
    },
};
use wasmtime_wasi_io::bindings::wasi::io;

use super::{fault::Forbidden, slices::METER, store_data::StoreData};

/// One interface that a guest may import.
pub struct Import {
    /// Without its version: any 0.2 will do, since the functions are checked one by one when it is linked.
    pub name: &'static str,
    pub why: &'static str,
    link: fn(&mut Linker<StoreData>) -> wasmtime::Result<()>,
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

type Own = HasSelf<StoreData>;
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

/// The contract's own interfaces: its types, which hold no functions, and the meter. Their version is that of the package, and so
/// that of the contract.
const OWN: [&str; 2] = ["chorus:room/types", METER];
pub(crate) const CONTRACT: &str = "3.0.0";

/// Links all imports of the list.
pub(crate) fn link(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    IMPORTS.iter().try_for_each(|import| (import.link)(linker))
}

/// The version of the contract that these imports belong to, if it is another one than ours.
pub(crate) fn other_contract(imports: impl Iterator<Item = String>) -> Option<String> {
    let version = |name: String| {
        let (interface, version) = name.split_once('@')?;
        (OWN.contains(&interface) && version != CONTRACT).then(|| version.to_owned())
    };
    let mut imports = imports;
    imports.find_map(version)
}

/// Whether a component's code gets nothing but the input of its calls: no time, no randomness, no output. A meter returns nothing.
pub(crate) fn imports_nothing(mut imports: impl Iterator<Item = String>) -> bool {
    imports.all(|name| name.split_once('@').is_some_and(|(interface, _)| OWN.contains(&interface)))
}

/// The first import that is not on the list.
pub(crate) fn refused(imports: impl Iterator<Item = String>) -> Option<String> {
    let known = |name: &str| {
        let Some((interface, version)) = name.split_once('@') else { return false };
        OWN.contains(&interface)
            || (version.starts_with("0.2.") && IMPORTS.iter().any(|import| import.name == interface))
    };
    imports.into_iter().find(|name| !known(name))
}

fn own(data: &mut StoreData) -> &mut StoreData {
    data
}

/// The resources of functions that are not implemented here. Each function takes a handle, so once the calls are used up,
/// no handle is valid: that traps, and `HostMeter::overspent` gives the reason.
fn table(data: &mut StoreData) -> &mut ResourceTable {
    match data.meter.call() {
        Ok(()) => &mut data.table,
        Err(_) => &mut data.no_resources,
    }
}

fn files(data: &mut StoreData) -> WasiFilesystemCtxView<'_> {
    let table = match data.meter.call() {
        Ok(()) => &mut data.table,
        Err(_) => &mut data.no_resources,
    };
    WasiFilesystemCtxView { ctx: &mut data.files, table }
}

impl cli::environment::Host for StoreData {
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

impl cli::exit::Host for StoreData {
    fn exit(&mut self, _: Result<(), ()>) -> wasmtime::Result<()> {
        Err(Forbidden("called exit").into())
    }

    fn exit_with_code(&mut self, _: u8) -> wasmtime::Result<()> {
        Err(Forbidden("called exit").into())
    }
}

impl cli::stdin::Host for StoreData {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        self.meter.call()?;
        let stream: DynInputStream = Box::new(ClosedInputStream);
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for StoreData {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.meter.call()?;
        self.printer(LogLevel::Info)
    }
}

impl cli::stderr::Host for StoreData {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.meter.call()?;
        self.printer(LogLevel::Warn)
    }
}

impl cli::terminal_input::Host for StoreData {}
impl cli::terminal_input::HostTerminalInput for StoreData {
    fn drop(&mut self, it: Resource<cli::terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.table.delete(it)?;
        Ok(())
    }
}

impl cli::terminal_output::Host for StoreData {}
impl cli::terminal_output::HostTerminalOutput for StoreData {
    fn drop(&mut self, it: Resource<cli::terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.table.delete(it)?;
        Ok(())
    }
}

impl cli::terminal_stdin::Host for StoreData {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<cli::terminal_stdin::TerminalInput>>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl cli::terminal_stdout::Host for StoreData {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<cli::terminal_stdout::TerminalOutput>>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl cli::terminal_stderr::Host for StoreData {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<cli::terminal_stderr::TerminalOutput>>> {
        self.meter.call()?;
        Ok(None)
    }
}

impl clocks::wall_clock::Host for StoreData {
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

impl clocks::monotonic_clock::Host for StoreData {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(self.now.0.saturating_mul(1_000_000))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(Forbidden("tried to wait: a room sets a timer instead").into())
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(Forbidden("tried to wait: a room sets a timer instead").into())
    }
}

impl random::random::Host for StoreData {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.meter.call()?;
        self.random(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(self.rng.word())
    }
}

impl random::insecure::Host for StoreData {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.meter.call()?;
        self.random(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.meter.call()?;
        Ok(self.rng.word())
    }
}

impl random::insecure_seed::Host for StoreData {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.meter.call()?;
        Ok((self.rng.word(), self.rng.word()))
    }
}

impl io::poll::Host for StoreData {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.meter.call()?;
        // As many bytes as hold one handle, which is about what its look-up costs.
        self.meter.moves(pollables.len() as u64 * size_of::<Resource<DynPollable>>() as u64)?;
        io::poll::Host::poll(&mut self.table, pollables).await
    }
}

impl io::poll::HostPollable for StoreData {
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

impl filesystem::preopens::Host for StoreData {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<filesystem::types::Descriptor>, String)>> {
        self.meter.call()?;
        Ok(Vec::new())
    }
}
