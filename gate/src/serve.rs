//! HTTP for operators and their tools: few connections, none of which may stay half open.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
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

use crate::{Hosts, check};

/// Connections at once: a scraper, some operators, and as many followers as there may be. Further connections wait to be
/// accepted.
const MAX_CONNECTIONS: usize = 128;

/// How long the head of a request may take, and how long a connection may be idle.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request.
pub const MAX_HEAD: usize = 16 * 1024;

/// How long to wait after a failure to accept, such as a lack of file descriptors: other connections have to close first.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Serves for ever. When this future is dropped, its connections end.
pub async fn serve(listener: TcpListener, routes: BoxedFilter<(Response,)>, hosts: Hosts) {
    let (permits, hosts) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), Arc::new(hosts));
    let mut connections = JoinSet::new();
    loop {
        let permit = permits.clone().acquire_owned().await.expect("it is never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve_one(stream, routes.clone(), hosts.clone(), permit))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn serve_one(
    stream: TcpStream,
    routes: BoxedFilter<(Response,)>,
    hosts: Arc<Hosts>,
    _permit: OwnedSemaphorePermit,
) {
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        use hyper::service::Service;
        let passed = check(&request, &hosts).map(|()| routes.call(request));
        async move {
            match passed {
                Ok(answer) => answer.await,
                Err(refusal) => Ok::<Response, Infallible>(refusal.response()),
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an operator's connection failed");
    }
}
