//! End-user server: WebSocket ⇄ [`chorus_core::session`] ⇄ bus.
//!
//! ```text
//! accept ─▶ http (warp) ─▶ connection ─▶ session_handle ─▶ append_tracker ─▶ bus ─▶ rooms
//!                          one task      │ lock
//!                          a socket      │                one task for all
//!          client ◀─ connection ◀─ session_handle ◀─ sessions ◀─ dispatch ◀─ the edge's channel ◀─ rooms
//! ```
//! Where to start: `session_handle` is a connection's session machine with its outbox, shared by its two sides; `connection`
//! is the socket's side, `dispatch` the rooms' side. `http` serves a connection until it is a WebSocket. `connections` and
//! `sessions` find handles, by connection and by session; the rules of the latter are [`chorus_core::edge`]. `outbox` bounds
//! the frames that wait for a client. `tokens` checks who a client is, `standing` whether it is banned, and `name_filter` its name.
//! `links` is what a session uses: the bus, the store, the clock, the players, the metrics.
//!
//! One message takes two hops between tasks, one each way: its connection's task appends it to the bus itself, and the
//! dispatcher puts the rooms' answers into outboxes and wakes the connection's task, which writes all waiting frames in
//! one system call. Nothing waits on a timer.

mod accept;
mod address;
mod answer_times;
mod append_tracker;
mod compute_debts;
mod connection;
mod connections;
mod dispatch;
mod drain;
#[cfg(feature = "conformance")]
pub mod echo;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
mod links;
mod metered_stream;
mod metrics;
mod name;
mod name_filter;
mod new_sessions;
mod open_session;
mod options;
mod outbox;
mod players;
mod session_handle;
mod sessions;
mod slots;
mod standing;
mod store_writer;
mod tls;
mod tokens;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use chorus_bus::{Bus, MachineError};
use chorus_core::ids::MachineId;
use chorus_store::Store;
use tokio::{net::TcpListener, task::JoinHandle};
use warp::{filters::BoxedFilter, reply::Response};

use accept::Acceptor;
use connections::Connections;
pub use http::Peer;
pub use ipnet::IpNet;
use links::Links;
use metrics::Gauges;
pub use name_filter::{BlockedNamesFile, NameFilter, NamesError};
pub use options::Options;
pub use outbox::{OUTBOX_BYTES, OUTBOX_FRAMES};
use sessions::Sessions;
use tls::Tls;
pub use tls::{TlsError, TlsFiles, connector};
use tokens::Identities;
pub use tokens::{BadKeys, BadUrl, KeySource, TokenError, TokenOptions, mint};

/// Why an edge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {source}; is another program using it?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("this edge cannot have a channel: {0}")]
    Channel(#[from] MachineError),
    #[error(transparent)]
    Tokens(#[from] TokenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Serves `/ws` and `/healthz`, and `routes` for everything else. The edge's channel on the bus is open when this
/// returns.
pub async fn serve(
    options: Options,
    bus: Bus,
    store: Store,
    routes: BoxedFilter<(Response,)>,
) -> Result<Edge, ServeError> {
    let address = options.listen;
    let tls = options.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
    let listen = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    let (listener, bound) = listen.await.map_err(|source| ServeError::Listen { address, source })?;
    let identities = Identities::open(options.tokens.as_ref(), options.anonymous, &store).await?;
    identities.start(store.clock().now());
    let channel = bus.edge_channel(&options.id).await?;
    tracing::info!(address = %bound, edge = %options.id, "serving");
    let links = Arc::new(Links::new(options, bus, store, identities));
    let sessions = Arc::new(Sessions::new(links.clone()));
    let connections = Arc::new(Connections::new(links.clone(), sessions.clone()));
    let acceptor = Acceptor::new(&links.options, tls.clone(), connections.clone(), routes);
    let dispatching = tokio::spawn(dispatch::run(connections.clone(), sessions.clone(), channel));
    let accepting = tokio::spawn(acceptor.run(listener));
    let reload = links.options.certificate_reload;
    let following = tls.map(|tls| tokio::spawn(tls.follow_files(reload)));
    let running = Arc::new(Running { connections: connections.clone(), accepting, dispatching, following });
    Ok(Edge { links, connections, sessions, bound, running })
}

/// The routes to pass to [`serve`] when there are none.
pub fn no_routes() -> BoxedFilter<(Response,)> {
    use warp::Filter;
    warp::any().and_then(async || Err::<Response, _>(warp::reject::not_found())).boxed()
}

/// A running edge. Cheap to clone; it stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Edge {
    links: Arc<Links>,
    connections: Arc<Connections>,
    sessions: Arc<Sessions>,
    bound: SocketAddr,
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    connections: Arc<Connections>,
    accepting: JoinHandle<()>,
    dispatching: JoinHandle<()>,
    /// The certificate's files.
    following: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
        self.dispatching.abort();
        self.following.iter().for_each(JoinHandle::abort);
        self.connections.drain();
    }
}

impl Edge {
    /// The address that it listens on, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.bound
    }

    /// Where players and their browsers find it.
    pub fn url(&self) -> String {
        let scheme = if self.links.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.bound)
    }

    /// The id of this process of the edge.
    pub fn id(&self) -> &MachineId {
        self.links.edge()
    }

    /// WebSockets that are open.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Sessions that are connected.
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }

    /// Whether the edge can take players in; if not, the reason.
    pub fn readiness(&self) -> Result<(), String> {
        match self.connections.is_draining() {
            true => Err("draining".to_owned()),
            false if self.running.dispatching.is_finished() => Err("its channel is closed".to_owned()),
            false => Ok(()),
        }
    }

    /// Registers this edge's metrics.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        let (connections, sessions) = (self.connections.clone(), self.sessions.clone());
        let gauges = move || Gauges { connections: connections.count(), sessions: sessions.count() };
        self.links.metrics.register(gauges, registry);
    }

    /// Stops accepting, closes every connection with 4001, spread over the time `spread`, and returns when all of them are
    /// closed and their remaining writes are with the bus and the store, or `timeout` after the last close.
    pub async fn drain(&self, spread: Duration, timeout: Duration) {
        self.running.accepting.abort();
        self.connections.drain_over(spread).await;
        self.connections.drain();
        if tokio::time::timeout(timeout, self.links.drain.idle()).await.is_err() {
            let left = self.connections();
            tracing::warn!(left, "connections did not close in time; they are cut off");
        }
    }
}
