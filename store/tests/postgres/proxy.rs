//! A network between a store and its Postgres, which can silently drop all packets.

use chorus_testing::within;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Works,
    Swallows,
    HasSwallowed,
}

pub struct Proxy {
    /// A URL of the same database, through this proxy.
    pub url: String,
    network: watch::Sender<Network>,
}

impl Proxy {
    pub async fn before(url: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (network, _) = watch::channel(Network::Works);
        let (begin, server, rest) = parts(url);
        let (server, rest) = (server.to_owned(), rest.to_owned());
        tokio::spawn(serve(listener, server, network.clone()));
        Proxy { url: format!("{begin}{address}{rest}"), network }
    }

    pub fn swallow(&self) {
        self.network.send_replace(Network::Swallows);
    }

    pub async fn has_swallowed(&self) {
        let mut network = self.network.subscribe();
        let swallowed = network.wait_for(|network| *network == Network::HasSwallowed);
        within("a packet to be lost", swallowed).await.expect("the sender is in self");
    }

    pub fn heal(&self) {
        self.network.send_replace(Network::Works);
    }
}

/// The texts before and after `host:port`.
fn parts(url: &str) -> (&str, &str, &str) {
    let scheme = url.find("://").expect("a URL") + 3;
    let end = url[scheme..].find(['/', '?']).map_or(url.len(), |at| scheme + at);
    let begin = url[scheme..end].rfind('@').map_or(scheme, |at| scheme + at + 1);
    (&url[..begin], &url[begin..end], &url[end..])
}

async fn serve(listener: TcpListener, server: String, network: watch::Sender<Network>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(carry(from_client, to_server, network.clone()));
        tokio::spawn(carry(from_server, to_client, network.clone()));
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    network: watch::Sender<Network>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if *network.borrow() != Network::Works {
            network.send_replace(Network::HasSwallowed);
            // Never ends, so that neither side sees the connection close.
            return std::future::pending().await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
