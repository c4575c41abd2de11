//! End-user server: WebSocket ⇄ [`chorus_core::session`] ⇄ bus.
//!
//! ```text
//! accept ─▶ http (warp) ─▶ connection ─▶ line ─▶ bus ─▶ rooms
//!                          one task      │ lock
//!                          a socket      │            one task for all
//!          client ◀─ connection ◀─ line ◀┴─ dispatch ◀─ the edge's channel ◀─ rooms
//! ```
//! Where to start: `line` is a connection's session machine with its outbox, shared by its two sides; `connection` is the
//! socket's side, `dispatch` the rooms' side; `http` serves a connection until it is a WebSocket; `hub` holds them
//! together; `outbox` bounds the frames that wait for a client.
//!
//! One message takes two hops between tasks, one each way: its connection's task appends it to the bus itself, and the
//! dispatcher puts the rooms' answers into outboxes and wakes the connection's task, which writes all waiting frames in
//! one system call. Nothing waits on a timer.

mod accept;
mod address;
mod append_tracker;
mod connection;
mod debts;
mod dispatch;
#[cfg(feature = "conformance")]
pub mod echo;
mod http;
mod hub;
mod line;
mod metrics;
mod name;
mod newcomers;
mod open_session;
mod outbox;
mod store_writer;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use chorus_bus::{Bus, MachineError};
use chorus_core::{ids::MachineId, session};
use chorus_store::Store;
use tokio::{net::TcpListener, task::JoinHandle};
use warp::{filters::BoxedFilter, reply::Response};

use hub::Hub;
pub use ipnet::IpNet;
pub use outbox::{OUTBOX_BYTES, OUTBOX_FRAMES};

/// An edge's configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The id of this process of the edge, as the store has registered it.
    pub id: MachineId,
    pub listen: SocketAddr,
    /// Web pages of these origins (`https://example.org`) may connect, besides those of the requested host and of
    /// loopback. `*` allows all of them.
    pub origins: Vec<String>,
    /// The limits of one client.
    pub limits: session::Limits,
    /// Names that this edge is reached by, besides addresses and those of loopback; `*` is all names.
    pub host_names: Vec<String>,
    /// Networks of trusted proxies, which name the client whose connection they pass on.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at once. One more is refused with that reason (503, or 4030).
    pub max_connections: usize,
    /// Connections at once from one address, or from one /64 of IPv6.
    pub max_per_address: usize,
    /// Sessions that one address may open per minute in the long run; twice as many at once.
    pub new_sessions: u32,
    /// How long a client may take for the head of an HTTP request.
    pub header_timeout: Duration,
    /// Every message is sent back, and there are no sessions.
    #[cfg(feature = "conformance")]
    pub echo: bool,
}

impl Options {
    /// Each costs memory: see `docs/performance.md`.
    pub const MAX_CONNECTIONS: usize = 100_000;

    /// A school, or a carrier's customers, behind one address.
    pub const MAX_PER_ADDRESS: usize = 512;

    /// A class that opens the page at once, and a few hundred players who follow. At most so many are in flight out of a
    /// lobby at any time.
    pub const NEW_SESSIONS: u32 = 120;

    /// The defaults.
    pub fn new(id: MachineId, listen: SocketAddr) -> Options {
        Options {
            id,
            listen,
            origins: Vec::new(),
            limits: session::Limits::default(),
            host_names: Vec::new(),
            trusted_proxies: Vec::new(),
            max_connections: Options::MAX_CONNECTIONS,
            max_per_address: Options::MAX_PER_ADDRESS,
            new_sessions: Options::NEW_SESSIONS,
            header_timeout: Duration::from_secs(10),
            #[cfg(feature = "conformance")]
            echo: false,
        }
    }
}

/// Why an edge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {source}; is another program using it?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("this edge cannot have a channel: {0}")]
    Channel(#[from] MachineError),
}

/// The other end of a connection. Each request that is not the edge's own has it among its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub std::net::IpAddr);

/// Serves `/ws` and `/healthz`, and `routes` for everything else. The edge's channel on the bus is open when this
/// returns.
pub async fn serve(
    options: Options,
    bus: Bus,
    store: Store,
    routes: BoxedFilter<(Response,)>,
) -> Result<Edge, ServeError> {
    let address = options.listen;
    let listen = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    let (listener, bound) = listen.await.map_err(|source| ServeError::Listen { address, source })?;
    let channel = bus.edge_channel(&options.id).await?;
    let hub = Hub::new(options, bus, store);
    let dispatching = tokio::spawn(dispatch::run(hub.clone(), channel));
    let accepting = tokio::spawn(accept::run(hub.clone(), listener, routes));
    let running = Running { hub: hub.clone(), accepting, dispatching };
    tracing::info!(address = %bound, edge = %hub.options.id, "serving");
    Ok(Edge { hub, bound, running: Arc::new(running) })
}

/// The routes to pass to [`serve`] when there are none.
pub fn no_routes() -> BoxedFilter<(Response,)> {
    use warp::Filter;
    warp::any().and_then(async || Err::<Response, _>(warp::reject::not_found())).boxed()
}

/// A running edge. Cheap to clone; it stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Edge {
    hub: Arc<Hub>,
    bound: SocketAddr,
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    hub: Arc<Hub>,
    accepting: JoinHandle<()>,
    dispatching: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
        self.dispatching.abort();
        self.hub.drain();
    }
}

impl Edge {
    /// The address that it listens on, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.bound
    }

    /// The id of this process of the edge.
    pub fn id(&self) -> &MachineId {
        &self.hub.options.id
    }

    /// WebSockets that are open.
    pub fn connections(&self) -> usize {
        self.hub.connections()
    }

    /// Sessions that are connected.
    pub fn sessions(&self) -> usize {
        self.hub.sessions()
    }

    /// Whether the edge can take players in; if not, the reason.
    pub fn readiness(&self) -> Result<(), String> {
        match self.hub.is_draining() {
            true => Err("draining".to_owned()),
            false if self.running.dispatching.is_finished() => Err("its channel is closed".to_owned()),
            false => Ok(()),
        }
    }

    /// Registers this edge's metrics.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        metrics::register(&self.hub, registry);
    }

    /// Stops accepting, closes every connection with 4001, spread over the time `over`, and returns when all of them are
    /// closed and their remaining writes are with the bus and the store, or `within` that time after the last.
    pub async fn drain(&self, over: Duration, within: Duration) {
        self.running.accepting.abort();
        self.hub.drain_over(over).await;
        self.hub.drain();
        if tokio::time::timeout(within, self.hub.all_gone()).await.is_err() {
            let left = self.connections();
            tracing::warn!(left, "connections did not close in time; they are cut off");
        }
    }
}
