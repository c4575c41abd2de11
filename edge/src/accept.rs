//! Accepts connections.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use warp::{filters::BoxedFilter, reply::Response};

use crate::{
    connection,
    http::{self, Entry},
    hub::{Hub, Place},
};

/// How long to wait after a failure to accept, such as a lack of file descriptors: other connections have to close first.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn run(hub: Arc<Hub>, listener: TcpListener, routes: BoxedFilter<(Response,)>) {
    let routes = http::routes(hub.clone(), routes);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => take_in(&hub, stream, from, &routes),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn take_in(hub: &Arc<Hub>, stream: TcpStream, from: SocketAddr, routes: &BoxedFilter<(Response,)>) {
    let address = (!hub.proxies.trusts(from.ip())).then(|| from.ip().into());
    let Some(place) = hub.place(address) else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was taken in");
        return;
    }
    tokio::spawn(serve(hub.clone(), stream, from, place, routes.clone()));
}

/// Serves HTTP until the connection is done or is a WebSocket, which gets a task of its own, as small as possible.
async fn serve(
    hub: Arc<Hub>,
    mut stream: TcpStream,
    from: SocketAddr,
    mut place: Place,
    routes: BoxedFilter<(Response,)>,
) {
    let named = Box::pin(hub.proxies.connected(&mut stream, from));
    let Ok(Ok(from)) = tokio::time::timeout(hub.options.header_timeout, named).await else { return };
    if !hub.proxies.trusts(from) {
        place.settle(from.into());
    }
    let entry = Arc::new(Entry::new(from, place.over));
    if let Err(error) = http::serve(&hub, stream, entry.clone(), routes).await {
        tracing::debug!(%error, "an HTTP connection failed");
    }
    let Some((upgrade, client)) = entry.take_upgrade() else { return };
    let address = place.settle(client.into());
    let Ok(upgraded) = upgrade.await else { return };
    if let Some(connection) = connection::open(hub, address, place, upgraded).await {
        tokio::spawn(connection);
    }
}
