//! A development server behind this one, such as Vite's: it is passed the requests of the page, so that page and game have one
//! address, also for phones (`--lan`).
//!
//! HTTP is passed, and its WebSockets, by which such servers reload a page. The headers are passed but for those of the connection,
//! `Host`, which becomes the development server's own, and `Origin` where it was this server's.
//!
//! Bounds: a request's body of [`MAX_BODY`], [`SOCKETS`] sockets at once, [`CONNECT`] for a connection. A response is streamed, and
//! read no faster than the browser reads it.

use std::{str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use warp::{
    Filter as _, Reply as _,
    filters::BoxedFilter,
    http::{
        HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
        header::{self, HeaderName},
    },
    reply::Response,
};

use super::plain;

/// The limit of a request's body.
const MAX_BODY: usize = 1 << 20;

/// The limit of WebSockets at once.
const SOCKETS: usize = 64;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Headers of one connection.
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A development server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `localhost:5173`.
    authority: String,
    sockets: Arc<Semaphore>,
}

impl FromStr for Upstream {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Upstream> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url}: a development server is reached by http://, and without TLS");
        ensure!(uri.path() == "/" && uri.query().is_none(), "{url}: name the server alone, without a path");
        let authority = uri.authority().context("it names no server")?;
        ensure!(!authority.as_str().contains('@'), "{url}: a name and password are not sent");
        let authority = match authority.port() {
            Some(_) => authority.to_string(),
            None => format!("{authority}:80"),
        };
        Ok(Upstream(Arc::new(Inner { authority, sockets: Arc::new(Semaphore::new(SOCKETS)) })))
    }
}

pub fn routes(path: BoxedFilter<(String,)>, upstream: Upstream) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().map(Some).or(warp::any().map(|| None)).unify();
    path.and(query)
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .then(
            move |path: String, query: Option<String>, method, headers: HeaderMap, upgrade: Option<OnUpgrade>, body| {
                let upstream = upstream.clone();
                async move {
                    let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
                    let answer = match upgrade.filter(|_| is_web_socket(&headers)) {
                        Some(upgrade) => upstream.socket(&target, &headers, upgrade).await,
                        None => upstream.pass(method, &target, &headers, body).await,
                    };
                    answer.unwrap_or_else(|error| upstream.unreachable(&error))
                }
            },
        )
        .boxed()
}

impl Upstream {
    async fn pass<B: Buf>(
        &self,
        method: Method,
        target: &str,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>> + Send,
    ) -> anyhow::Result<Response> {
        let Some(body) = whole(body).await? else {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "a request to the development server has at most 1 MiB"));
        };
        let mut request = Request::builder().method(method).uri(target).body(Full::new(body))?;
        *request.headers_mut() = self.headers(headers);
        request.headers_mut().remove(header::CONTENT_LENGTH);
        let answer = self.send(request).await?;
        let (mut parts, body) = answer.into_parts();
        without_connection(&mut parts.headers);
        let mut response = warp::reply::stream(body.into_data_stream()).into_response();
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        Ok(response)
    }

    async fn socket(&self, target: &str, headers: &HeaderMap, upgrade: OnUpgrade) -> anyhow::Result<Response> {
        // The development server is to trust this server's pages, and only these.
        let is_own = |origin: &HeaderValue| {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let origin =
                origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
            origin.is_some() && origin == host
        };
        if !headers.get(header::ORIGIN).is_none_or(is_own) {
            return Ok(plain(StatusCode::FORBIDDEN, "pages of this origin may not connect to the development server"));
        }
        let Ok(permit) = self.0.sockets.clone().try_acquire_owned() else {
            return Ok(plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many sockets to the development server: close some pages",
            ));
        };
        let mut request = Request::builder().uri(target).body(Full::new(Bytes::new()))?;
        *request.headers_mut() = self.headers(headers);
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let mut answer = self.send(request).await?;
        let mut response = Response::default();
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            without_connection(response.headers_mut());
            response.headers_mut().remove(header::CONTENT_LENGTH);
            return Ok(response);
        }
        let theirs = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            let _permit = permit;
            let (Ok(browser), Ok(server)) = tokio::join!(upgrade, theirs) else { return };
            // Ends when either end does.
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(browser), &mut TokioIo::new(server)).await;
        });
        Ok(response)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<hyper::Response<Incoming>> {
        let connecting = timeout(CONNECT, TcpStream::connect(&self.0.authority));
        let stream = connecting.await.context("it does not answer")??;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(request).await?)
    }

    /// The request's headers, as the development server is to receive them.
    fn headers(&self, given: &HeaderMap) -> HeaderMap {
        let mut headers = given.clone();
        without_connection(&mut headers);
        let host = HeaderValue::from_str(&self.0.authority).expect("an authority is ASCII");
        if given.get(header::ORIGIN).is_some() {
            let origin = HeaderValue::from_str(&format!("http://{}", self.0.authority)).expect("an authority is ASCII");
            // Another origin than this server's stays, for the development server to refuse.
            let own = given.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
            let is_own = |scheme: &str| given[header::ORIGIN].to_str().ok() == Some(&format!("{scheme}://{own}"));
            if is_own("http") || is_own("https") {
                headers.insert(header::ORIGIN, origin);
            }
        }
        headers.insert(header::HOST, host);
        headers
    }

    fn unreachable(&self, error: &anyhow::Error) -> Response {
        tracing::warn!(server = self.0.authority, "the development server: {}", crate::error_chain::of(error));
        let text = format!(
            "The development server at {} does not answer. Start it, and reload. The game's own server runs.",
            self.0.authority
        );
        plain(StatusCode::BAD_GATEWAY, &text)
    }
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn without_connection(headers: &mut HeaderMap) {
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

/// A request's body; `None` if it is too large.
async fn whole<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send) -> anyhow::Result<Option<Bytes>> {
    let mut body = std::pin::pin!(body);
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        let mut piece = match piece {
            Ok(piece) => piece,
            Err(error) => bail!("the request ended early: {error}"),
        };
        if all.len() + piece.remaining() > MAX_BODY {
            return Ok(None);
        }
        while piece.has_remaining() {
            let chunk = piece.chunk();
            all.extend_from_slice(chunk);
            let read = chunk.len();
            piece.advance(read);
        }
    }
    Ok(Some(all.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str) -> Result<String, String> {
        url.parse::<Upstream>().map(|upstream| upstream.0.authority.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_development_server_is_named_by_its_address_alone() {
        assert_eq!(upstream("http://localhost:5173").as_deref(), Ok("localhost:5173"));
        assert_eq!(upstream("http://[::1]:5173/").as_deref(), Ok("[::1]:5173"));
        assert_eq!(upstream("http://vite").as_deref(), Ok("vite:80"));
        for bad in ["https://localhost:5173", "ws://localhost", "http://localhost/app", "http://a@b/", "http://"] {
            assert!(upstream(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_of_this_server_becomes_the_development_server_s_and_another_stays() {
        let upstream: Upstream = "http://localhost:5173".parse().unwrap();
        let headers = |origin: &str| {
            let pairs = [("host", "10.0.0.2:4000"), ("origin", origin), ("connection", "close"), ("keep-alive", "1")];
            let given = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            upstream.headers(&given)
        };
        let own = headers("http://10.0.0.2:4000");
        assert_eq!(
            (&own["host"], &own["origin"]),
            (&"localhost:5173".parse().unwrap(), &"http://localhost:5173".parse().unwrap())
        );
        assert!(own.get("connection").is_none() && own.get("keep-alive").is_none());
        assert_eq!(headers("https://evil.org")["origin"], "https://evil.org");
    }
}
