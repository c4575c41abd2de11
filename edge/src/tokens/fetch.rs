//! Fetches an issuer's keys: one GET, without redirects. By TLS, or in the clear from this machine.
//!
//! Bounds: [`FETCH_TIMEOUT`] for all of it, [`MAX_BODY`] for the answer.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1,
    header::{ACCEPT, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{RootCertStore, pki_types::ServerName},
};

use crate::tls::connector;

/// The time for an issuer's answer. A `hello` may wait for it, which a client does for 10 s.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Three keys of RSA with their certificates have 10 KiB.
const MAX_BODY: usize = 256 * 1024;

/// Why an address of keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("it is no address")]
    Malformed,
    #[error("it has a user name or a password, which would be in logs")]
    Credentials,
    #[error("keys are fetched by https; by http from this machine only")]
    Scheme,
    #[error("this machine has no root certificates, which https needs (Debian: the package ca-certificates)")]
    NoRoots,
}

/// Why keys were not fetched. The texts are for operators.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no answer within {} s", FETCH_TIMEOUT.as_secs())]
    Timeout,
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is {0}; redirects are not followed")]
    Status(StatusCode),
    #[error("the answer has more than {MAX_BODY} bytes, or broke off, or is no text")]
    Body,
}

/// An issuer's address.
#[derive(Clone)]
pub(crate) struct Issuer {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Without its query, which may have a secret.
impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "Issuer({scheme}://{}:{}{})", self.host, self.port, self.uri.path())
    }
}

impl Issuer {
    pub fn new(url: &str) -> Result<Issuer, BadUrl> {
        let uri: Uri = url.parse().map_err(|_| BadUrl::Malformed)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadUrl::Malformed);
        };
        if authority.as_str().contains('@') {
            return Err(BadUrl::Credentials);
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (port, tls) = match scheme {
            "https" => (443, Some(tls(&host)?)),
            "http" if is_loopback(&host) => (80, None),
            _ => return Err(BadUrl::Scheme),
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Issuer { uri, host, port, tls })
    }

    /// The text at this address.
    pub async fn fetch(&self) -> Result<String, FetchError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.get()).await.map_err(|_| FetchError::Timeout)?
    }

    async fn get(&self) -> Result<String, FetchError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            Some((connector, name)) => self.get_over(connector.connect(name.clone(), stream).await?).await,
            None => self.get_over(stream).await,
        }
    }

    async fn get_over<S>(&self, stream: S) -> Result<String, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let request = Request::get(path).header(HOST, host).header(ACCEPT, "application/json");
        let request = request.body(Empty::<Bytes>::new()).expect("the parts of an address are valid headers");
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(|_| FetchError::Body)?;
        connection.abort();
        String::from_utf8(body.to_bytes().into()).map_err(|_| FetchError::Body)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(host: &str) -> Result<(TlsConnector, ServerName<'static>), BadUrl> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| BadUrl::Malformed)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(BadUrl::NoRoots);
    }
    Ok((connector(roots), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_query() {
        let issuer = Issuer::new("http://127.0.0.1:9/keys?key=hunter2").expect("an address");
        assert_eq!(format!("{issuer:?}"), "Issuer(http://127.0.0.1:9/keys)");
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in ["http://127.0.0.1:9/keys", "http://localhost/keys?x=1", "http://[::1]:9/"] {
            assert!(Issuer::new(good).is_ok(), "{good}");
        }
        let bad = |url| Issuer::new(url).err();
        assert_eq!(bad("http://id.example/keys"), Some(BadUrl::Scheme));
        assert_eq!(bad("ftp://127.0.0.1/keys"), Some(BadUrl::Scheme));
        assert_eq!(bad("http://me:secret@127.0.0.1/keys"), Some(BadUrl::Credentials));
        for malformed in ["", "keys", "/keys", "127.0.0.1"] {
            assert_eq!(bad(malformed), Some(BadUrl::Malformed), "{malformed}");
        }
    }
}
