//! HTTP for operators: few connections, none of which may sit around half open.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use warp::{filters::BoxedFilter, reply::Response};

/// Connections at once: a scraper, some operators, and as many followers as there may be. More wait to be accepted.
const MAX_CONNECTIONS: usize = 128;

/// How long the head of a request may take, and a connection may lie idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The head of a request, at most.
const MAX_HEAD: usize = 16 * 1024;

/// Out of file descriptors, for instance: others have to go first.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    if !bound.ip().is_loopback() {
        tracing::warn!(address = %bound, "operators' tokens pass here unencrypted: see that nobody else can listen");
    }
    Ok((listener, bound))
}

/// For ever. Its connections end with it.
pub(crate) async fn run(listener: TcpListener, routes: BoxedFilter<(Response,)>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("it is never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, routes.clone(), place))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, routes: BoxedFilter<(Response,)>, _place: OwnedSemaphorePermit) {
    let service = TowerToHyperService::new(warp::service(routes));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an operator's connection failed");
    }
}
