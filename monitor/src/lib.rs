//! The monitor: it detects dead machines, assigns partitions to hosts, and serves the operators' API.
//!
//! ```text
//! store ─▶ control_loop ─▶ core::placement ─▶ control_loop ─▶ store, background ─▶ store, bus
//! operator ─▶ gate ─▶ admin (one table of routes) ─▶ store, bus
//! ```
//! Where to start: `control_loop` is the shell of the machine that decides; `background` runs `cleanup` (after dead machines)
//! and `housekeeping`; `ending` ends sessions for operators; [`admin`] is the HTTP API, which `chorus dev` serves as well, on its own bus and store;
//! [`api`] has its JSON, for it and for its clients.
//!
//! The data path never needs a monitor: games continue without one. Several may run; the one that holds the store's lease acts,
//! and all of them serve operators.
//!
//! Rollouts (swaps of a growing share of a kind's rooms, with an automatic rollback) will be a machine in `core::rollout`, with
//! its shell beside `control_loop`: a second loop under the same lease. [`admin`] swaps all of a kind's rooms, or one.

pub mod admin;
pub mod api;
mod background;
mod cleanup;
mod clock;
mod control_loop;
mod ending;
mod erasure;
mod housekeeping;
mod metrics;
mod notices;
mod status;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chorus_bus::Bus;
use chorus_core::{ids::MachineId, placement};
use chorus_gate::Hosts;
use chorus_store::{Store, StoreError};
use control_loop::ControlLoop;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing::Instrument as _;

pub use admin::{
    Activated, AdminState, Backup, BadToken, Check, Checked, Exposition, Hooks, Locate, Locator, OPEN_METRICS, Token,
    described,
};
pub use cleanup::{CleanupError, clean_up, delete_channels, drop_sessions, expire};
pub use ending::{EndingError, end_sessions};
pub use erasure::{Erasure, ErasureError, erase_player};
pub use housekeeping::{KEEP_REPORTS, trim_reports};
pub use status::Status;

/// How long a session may be without a connection before it expires, unless configured otherwise: a player who closes the
/// browser in the evening can resume the game in the morning.
pub const EXPIRE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The same for a session that was new, stayed in the lobby and sent nothing: it loses only its player's id. Long enough for a
/// page that was just opened and whose network changes to keep that id; an address that opens sessions all the time at the
/// default `--new-sessions` has rows of minutes, not of a day.
pub const SILENT_EXPIRE_AFTER: Duration = Duration::from_secs(120);

/// How long the rows of ended rooms are kept, for lists.
pub const FORGET_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A monitor's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// This life of the monitor, as registered in the store.
    pub id: MachineId,
    /// The operators' address. Loopback, unless they have a private network to it: there is no TLS here.
    pub listen: SocketAddr,
    /// Host names under which it is reached, besides addresses and those of loopback; `*` allows all.
    pub host_names: Vec<String>,
    /// The operators' token.
    pub token: Token,
    /// The period of its loop, and the limits of machines' silence.
    pub limits: placement::Limits,
    /// Sessions that have been disconnected for this long expire.
    pub expire_after: Duration,
    /// Rooms that ended this long ago are deleted.
    pub forget_after: Duration,
}

impl Options {
    /// The operators' address on this machine.
    pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7400);

    /// The defaults.
    pub fn new(id: MachineId, token: Token) -> Options {
        Options {
            id,
            listen: Options::LISTEN,
            host_names: Vec::new(),
            token,
            limits: placement::Limits::default(),
            expire_after: EXPIRE_AFTER,
            forget_after: FORGET_AFTER,
        }
    }
}

/// Why a monitor cannot start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    #[error("cannot listen on {address}: {source}; is another program using it?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(
        "{id} was declared dead: another monitor received no heartbeat from it for too long. Restart it; it then has a \
         new id. If that happens often, look at the store's latency"
    )]
    DeclaredDead { id: MachineId },
    #[error(
        "the store has {stored} partitions and the log {logged}: they do not belong together; check both addresses"
    )]
    Partitions { stored: u32, logged: u32 },
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// A running monitor. Cheap to clone; it stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Monitor(Arc<Running>);

#[derive(Debug)]
struct Running {
    bound: SocketAddr,
    status: watch::Receiver<Status>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
        self.stop.send_replace(true);
    }
}

/// Starts a monitor. The returned future is its loop: it must be awaited, and resolves when the monitor has been drained (by
/// [`Monitor::drain`], or by an operator), or cannot continue.
pub async fn start(
    options: Options,
    bus: Bus,
    store: Store,
    hooks: Hooks,
) -> Result<(Monitor, impl Future<Output = Result<(), MonitorError>> + Send), MonitorError> {
    let address = options.listen;
    let (listener, bound) = listen(address).await.map_err(|source| MonitorError::Listen { address, source })?;
    let logged = bus.partitions();
    let stored = store.partitions(logged).await?;
    if stored != logged {
        return Err(MonitorError::Partitions { stored, logged });
    }
    let hosts = Hosts::new(bound.ip(), options.host_names.clone());
    let (stop, stopped) = watch::channel(false);
    let (control_loop, status) = ControlLoop::new(&options, bus.clone(), store.clone());
    let state = AdminState::new(bus, store, options.token.clone(), hooks).with_monitor(status.clone());
    let serving = tokio::spawn(chorus_gate::serve(listener, admin::routes_only(state), hosts));
    let span = tracing::info_span!("monitor", id = %options.id);
    tracing::info!(parent: &span, address = %bound, "serving");
    Ok((Monitor(Arc::new(Running { bound, status, stop, serving })), control_loop.run(stopped).instrument(span)))
}

async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    if !bound.ip().is_loopback() {
        tracing::warn!(address = %bound, "operators' tokens pass here unencrypted: see that nobody else can listen");
    }
    Ok((listener, bound))
}

impl Monitor {
    /// Its address, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.bound
    }

    /// Its status, from now on.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.0.status.clone()
    }

    /// Orders it to release its lease and leave. Its loop then ends; another monitor completes its work.
    pub fn drain(&self) {
        self.0.stop.send_replace(true);
    }
}
