//! HTTP until a connection is a WebSocket: which requests may open one, and the other routes.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use chorus_core::frame::PROTOCOL;
use chorus_gate::{Hosts, MAX_HEAD};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{address::Proxies, options::Options};

/// The other end of a connection. Each request that is not the edge's own has it among its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Which requests are served.
#[derive(Debug)]
pub(crate) struct Access {
    hosts: Hosts,
    origins: Vec<String>,
    pub proxies: Proxies,
    pub header_timeout: Duration,
}

impl Access {
    pub fn new(options: &Options) -> Access {
        Access {
            hosts: Hosts::new(options.listen.ip(), options.host_names.clone()),
            origins: options.origins.clone(),
            proxies: Proxies::new(options.trusted_proxies.clone()),
            header_timeout: options.header_timeout,
        }
    }
}

/// The state that an HTTP connection and its requests share.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    /// The address at the other end: the client's, or a trusted proxy's.
    from: IpAddr,
    /// Whether there was no slot left for the connection.
    over_limit: bool,
    upgrade: Mutex<Option<(OnUpgrade, IpAddr)>>,
}

impl HttpConnection {
    pub fn new(from: IpAddr, over_limit: bool) -> HttpConnection {
        HttpConnection { from, over_limit, upgrade: Mutex::new(None) }
    }

    /// The upgrade of the connection, if a request has made it a WebSocket, and the client's address.
    pub fn take_upgrade(&self) -> Option<(OnUpgrade, IpAddr)> {
        self.upgrade.lock().expect("nobody panics while holding it").take()
    }

    fn set_upgrade(&self, upgrade: OnUpgrade, client: IpAddr) {
        *self.upgrade.lock().expect("nobody panics while holding it") = Some((upgrade, client));
    }
}

pub(crate) async fn serve(
    access: &Access,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<HttpConnection>,
    routes: BoxedFilter<(Response,)>,
) -> hyper::Result<()> {
    use hyper::service::Service;
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        request.extensions_mut().insert(Peer(connection.from));
        let passed = chorus_gate::check(&request, &access.hosts).map(|()| routes.call(request));
        async move {
            let mut response = match passed {
                Ok(answer) => answer.await?,
                Err(refusal) => refusal.response(),
            };
            restrict(&mut response);
            Ok::<Response, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(access.header_timeout).max_buf_size(MAX_HEAD);
    let serving = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    // Boxed, so that the task is small while it waits for the first request.
    Box::pin(serving).await
}

/// What a browser is not to do with any response: interpret it as another type, or name its address, which may have the code of
/// a room, to other sites.
fn restrict(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// All routes.
pub(crate) fn routes(access: Arc<Access>, others: BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)> {
    let health = warp::path!("healthz").and(warp::get()).map(|| "ok\n".into_response());
    let rest = warp::ext::get::<Arc<HttpConnection>>()
        .and_then(async |connection: Arc<HttpConnection>| match connection.over_limit {
            true => Err(warp::reject::custom(OverLimit)),
            false => Ok(()),
        })
        .untuple_one()
        .and(health.or(others).unify())
        .recover(refuse_over_limit)
        .unify();
    web_socket(access).or(rest).unify().boxed()
}

#[derive(Debug)]
struct OverLimit;

impl warp::reject::Reject for OverLimit {}

async fn refuse_over_limit(rejection: warp::Rejection) -> Result<Response, warp::Rejection> {
    match rejection.find::<OverLimit>() {
        Some(_) => Ok(refuse(StatusCode::SERVICE_UNAVAILABLE, "too many connections")),
        None => Err(rejection),
    }
}

fn web_socket(access: Arc<Access>) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    warp::path!("ws")
        .and(warp::get())
        .and(warp::ext::get::<Arc<HttpConnection>>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::header::headers_cloned())
        .map(move |connection: Arc<HttpConnection>, upgrade: Option<OnUpgrade>, headers: HeaderMap| {
            match (answer(&headers, &access.origins), upgrade) {
                (Ok(response), Some(upgrade)) => {
                    connection.set_upgrade(upgrade, access.proxies.client(connection.from, &headers));
                    response
                }
                (Ok(_), None) => refuse(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket"),
                (Err(refused), _) => refused,
            }
        })
}

/// The answer to a request for a WebSocket.
// Both variants are responses; the result is made once for each connection.
#[allow(clippy::result_large_err)]
fn answer(headers: &HeaderMap, origins: &[String]) -> Result<Response, Response> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let has = |name, word: &str| has_word(headers, name, |other| other.eq_ignore_ascii_case(word));
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(refuse(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket"));
    }
    if text(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(refuse(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is spoken here"));
    }
    let Some(key) = only(headers, header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key)) else {
        return Err(refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64"));
    };
    let is_from_page = headers.contains_key(header::ORIGIN);
    let origin = only(headers, header::ORIGIN);
    if is_from_page && !origin.is_some_and(|origin| may_connect(origin, text(header::HOST), origins)) {
        return Err(refuse(StatusCode::FORBIDDEN, "pages of this origin may not connect; see the option for origins"));
    }
    let protocol = match headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        true if !has_word(headers, header::SEC_WEBSOCKET_PROTOCOL, |other| other == PROTOCOL) => {
            return Err(refuse(StatusCode::BAD_REQUEST, "the subprotocol spoken here is v1.json.chorus"));
        }
        is_requested => is_requested.then_some((header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL.to_owned())),
    };
    let switch = [
        (header::UPGRADE, "websocket".to_owned()),
        (header::CONNECTION, "upgrade".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes())),
    ];
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in switch.into_iter().chain(protocol) {
        let value = value.parse().expect("these are all ASCII");
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The text of a header that occurs exactly once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// 16 bytes in base64: 22 digits, where the last one has its lower four bits clear, and two characters of padding.
fn is_key(key: &str) -> bool {
    let Some(digits) = key.strip_suffix("==").filter(|digits| digits.len() == 22) else { return false };
    digits.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/')
        && digits.ends_with(['A', 'Q', 'g', 'w'])
}

/// Whether a header's comma-separated list contains such a word.
fn has_word(headers: &HeaderMap, name: header::HeaderName, is: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| is(word.trim()))
}

fn refuse(status: StatusCode, reason: &'static str) -> Response {
    let mut response = format!("{reason}\n").into_response();
    *response.status_mut() = status;
    if status == StatusCode::UPGRADE_REQUIRED {
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// Whether pages of this origin may connect: those of the requested host, those of this machine, and those on the list.
fn may_connect(origin: &str, host: Option<&str>, allowed: &[String]) -> bool {
    if allowed.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let same = host.is_some_and(|host| host.eq_ignore_ascii_case(authority));
    same || is_loopback(authority)
}

fn is_loopback(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_from_elsewhere_may_not_connect_unless_listed() {
        let list = ["https://friend.org".to_owned()];
        let host = Some("chorus.org:8080");
        for good in [
            "https://friend.org",
            "HTTPS://Friend.org",
            "http://chorus.org:8080",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:9",
        ] {
            assert!(may_connect(good, host, &list), "{good}");
        }
        for bad in [
            "https://evil.org",
            "null",
            "",
            "http://chorus.org",
            "http://localhost.evil.org",
            "http://127.0.0.1.evil.org",
            "http://friend.org",
        ] {
            assert!(!may_connect(bad, host, &list), "{bad}");
        }
        assert!(may_connect("null", None, &["*".to_owned()]));
    }
}
