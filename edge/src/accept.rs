//! Accepts connections.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use chorus_core::edge::{Arrivals, TooFast};
use tokio::net::{TcpListener, TcpStream};
use warp::{filters::BoxedFilter, reply::Response};

use crate::{
    address::Address,
    connection,
    connections::Connections,
    http::{self, Access, HttpConnection},
    metrics::Limit,
    options::Options,
    slots::{ConnectionSlot, ConnectionSlots},
    tls::{Begun, ClientStream, Tls},
};

/// How long to wait after a failure to accept, such as a lack of file descriptors: other connections have to close first.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Takes connections in.
pub(crate) struct Acceptor {
    access: Arc<Access>,
    tls: Option<Arc<Tls>>,
    slots: ConnectionSlots,
    arrivals: Mutex<Arrivals<Address>>,
    connections: Arc<Connections>,
    routes: BoxedFilter<(Response,)>,
}

impl Acceptor {
    /// `routes` are for requests that are not the edge's own.
    pub fn new(
        options: &Options,
        tls: Option<Arc<Tls>>,
        connections: Arc<Connections>,
        routes: BoxedFilter<(Response,)>,
    ) -> Arc<Acceptor> {
        let access = Arc::new(Access::new(options));
        let slots = ConnectionSlots::new(options.max_connections, options.max_per_address);
        let routes = http::routes(access.clone(), routes);
        let arrivals = Mutex::new(Arrivals::new(options.new_connections));
        Arc::new(Acceptor { access, tls, slots, arrivals, connections, routes })
    }

    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => self.take_in(stream, from),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    fn take_in(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let address = (!self.access.proxies.trusts(from.ip())).then(|| from.ip().into());
        let Some(slot) = self.slots.take(address) else { return };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was taken in");
            return;
        }
        tokio::spawn(self.clone().serve(stream, from, slot));
    }

    /// Serves HTTP until the connection is done or is a WebSocket, which gets a task of its own, as small as possible.
    async fn serve(self: Arc<Self>, mut stream: TcpStream, from: SocketAddr, mut slot: ConnectionSlot) {
        let source = Box::pin(self.access.proxies.source(&mut stream, from));
        let Ok(Ok(from)) = tokio::time::timeout(self.access.header_timeout, source).await else { return };
        let is_client = !self.access.proxies.trusts(from);
        if is_client && self.turn(slot.assign(from.into())).await.is_err() {
            return;
        }
        let Some(stream) = self.begin(stream, from).await else { return };
        let connection = Arc::new(HttpConnection::new(from, slot.over_limit));
        if let Err(error) = http::serve(&self.access, stream, connection.clone(), self.routes.clone()).await {
            tracing::debug!(%error, "an HTTP connection failed");
        }
        let Some((upgrade, client)) = connection.take_upgrade() else { return };
        let address = slot.assign(client.into());
        if !is_client && self.turn(address).await.is_err() {
            return;
        }
        let Ok(upgraded) = upgrade.await else { return };
        if let Some(connection) = connection::open(self.connections.clone(), address, slot, upgraded).await {
            tokio::spawn(connection);
        }
    }

    /// Waits until this address may have one more connection.
    async fn turn(&self, address: Address) -> Result<(), TooFast> {
        let links = self.connections.links();
        let turn = self.arrivals.lock().expect("nobody panics while holding it").admit(address, links.now());
        match turn {
            Ok(0) => {}
            Ok(wait_ms) => {
                links.metrics.count_waiting();
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
            Err(TooFast) => links.metrics.count_refused(Limit::NewConnections),
        }
        turn.map(|_| ())
    }

    /// The connection's bytes, after the TLS handshake if there is one. `None`: it has ended.
    async fn begin(&self, stream: TcpStream, from: IpAddr) -> Option<ClientStream> {
        let Some(tls) = &self.tls else { return Some(ClientStream::Left(stream)) };
        // Boxed: the task is small once the connection is open.
        let begun = Box::pin(tls.begin(stream, from));
        match tokio::time::timeout(self.access.header_timeout, begun).await {
            Ok(Ok(Begun::Open(stream))) => Some(stream),
            Ok(Ok(Begun::Refused)) | Err(_) => None,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    }
}
