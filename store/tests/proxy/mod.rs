//! A network between a store and its Postgres, which can silently drop all packets.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    Swallows,
    HasSwallowed,
}

pub struct Proxy {
    /// A URL of the same database, through this proxy.
    pub url: String,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    pub async fn before(url: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (weather, _) = watch::channel(Weather::Fair);
        let (begin, server, rest) = parts(url);
        let (server, rest) = (server.to_owned(), rest.to_owned());
        tokio::spawn(serve(listener, server, weather.clone()));
        Proxy { url: format!("{begin}{address}{rest}"), weather }
    }

    pub fn swallow(&self) {
        self.weather.send_replace(Weather::Swallows);
    }

    pub async fn has_swallowed(&self) {
        let mut weather = self.weather.subscribe();
        let swallowed = weather.wait_for(|weather| *weather == Weather::HasSwallowed);
        tokio::time::timeout(Duration::from_secs(60), swallowed).await.expect("in time").expect("it is ours");
    }

    pub fn heal(&self) {
        self.weather.send_replace(Weather::Fair);
    }
}

/// The texts before and after `host:port`.
fn parts(url: &str) -> (&str, &str, &str) {
    let scheme = url.find("://").expect("a URL") + 3;
    let end = url[scheme..].find(['/', '?']).map_or(url.len(), |at| scheme + at);
    let begin = url[scheme..end].rfind('@').map_or(scheme, |at| scheme + at + 1);
    (&url[..begin], &url[begin..end], &url[end..])
}

async fn serve(listener: TcpListener, server: String, weather: watch::Sender<Weather>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(carry(from_client, to_server, weather.clone()));
        tokio::spawn(carry(from_server, to_client, weather.clone()));
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    weather: watch::Sender<Weather>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if *weather.borrow() != Weather::Fair {
            weather.send_replace(Weather::HasSwallowed);
            // Never ends, so that neither side sees the connection close.
            return std::future::pending().await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
