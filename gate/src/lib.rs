//! The checks that every HTTP request passes before a route receives it, and a small server for routes with few users.
//!
//! - **The target** is a path, or an absolute `http` URL. `CONNECT host:1` and the like have none, and warp panics on them.
//! - **`Host`** occurs exactly once (HTTP/1.0 may leave it out).
//! - **The host that it names is served here** ([`Hosts`]). A web page can let its own name resolve to an address of this
//!   machine or its network, and would then be of the same origin as this server: the browser lets the page read
//!   everything, and only `Host` shows it (DNS rebinding). Addresses cannot be rebound.
//!
//! [`check`] is the gate; the edge has a server of its own, and the other processes use [`serve()`].

mod serve;

use std::net::IpAddr;

pub use serve::{HEADER_TIMEOUT, MAX_HEAD, serve};
use warp::{
    http::{Method, Request, StatusCode, Uri, Version, header, uri::Authority},
    reply::{Reply, Response},
};

/// The hosts that are served, by the name or address in `Host`.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The listener cannot be reached from another machine, so an address of another machine is refused.
    loopback: bool,
    names: Vec<String>,
}

impl Hosts {
    /// Loopback's names and addresses, these names, and on a listener that is not loopback all addresses. `*` is all
    /// names.
    pub fn new(listen: IpAddr, names: Vec<String>) -> Hosts {
        Hosts { loopback: listen.to_canonical().is_loopback(), names }
    }

    /// On a listener that is not loopback, any name; on loopback as [`Hosts::new`]. For servers that have nothing to hide
    /// from a page.
    pub fn open(listen: IpAddr) -> Hosts {
        let names = if listen.to_canonical().is_loopback() { Vec::new() } else { vec!["*".to_owned()] };
        Hosts::new(listen, names)
    }

    fn has(&self, host: &str) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host);
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        match bare.parse::<IpAddr>() {
            Ok(address) => !self.loopback || address.to_canonical().is_loopback(),
            Err(_) => is_localhost(name) || self.names.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name)),
        }
    }
}

/// Browsers resolve these names to loopback themselves.
fn is_localhost(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "localhost" || lower.ends_with(".localhost")
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Target,
    NoHost,
    SeveralHosts,
    BadHost,
    OtherHost,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Refusal::OtherHost => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Refusal::Target => "the target of a request is a path here",
            Refusal::NoHost => "a request has a Host",
            Refusal::SeveralHosts => "a request has one Host",
            Refusal::BadHost => "Host is a name or an address, with or without a port",
            Refusal::OtherHost => "this host name is not served here; see the option --host-name",
        }
    }

    pub fn response(self) -> Response {
        let mut response = format!("{}\n", self.reason()).into_response();
        *response.status_mut() = self.status();
        // The rest of the connection's input cannot be trusted.
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        response
    }
}

/// Whether a request may go to the routes.
pub fn check<B>(request: &Request<B>, hosts: &Hosts) -> Result<(), Refusal> {
    let uri = request.uri();
    if request.method() == Method::CONNECT || !uri.path().starts_with('/') || !is_http(uri) {
        return Err(Refusal::Target);
    }
    let mut named = request.headers().get_all(header::HOST).iter();
    let host = match (named.next(), named.next()) {
        (Some(_), Some(_)) => return Err(Refusal::SeveralHosts),
        (None, _) if request.version() >= Version::HTTP_11 => return Err(Refusal::NoHost),
        (host, _) => host.map(|host| host.to_str().ok().and_then(authority).ok_or(Refusal::BadHost)).transpose()?,
    };
    // The target in a proxy's form names the host too, and takes precedence.
    let both = [host.as_ref(), uri.authority()];
    match both.into_iter().flatten().all(|authority| hosts.has(authority.host())) {
        true => Ok(()),
        false => Err(Refusal::OtherHost),
    }
}

fn is_http(uri: &Uri) -> bool {
    uri.scheme_str().is_none_or(|scheme| scheme == "http")
}

/// An authority without a user or anything else that `Host` cannot contain.
fn authority(text: &str) -> Option<Authority> {
    let authority = text.parse::<Authority>().ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let good = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (good && !authority.host().is_empty()).then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str, names: &[&str]) -> Hosts {
        Hosts::new(listen.parse().expect("an address"), names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_listener_on_loopback_is_loopback_to_its_clients_too() {
        let hosts = hosts("127.0.0.1", &["play.example.org"]);
        for good in ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "Play.Example.org"] {
            assert!(hosts.has(good), "{good}");
        }
        for bad in [
            "evil.org",
            "localhost.evil.org",
            "evil-localhost",
            "192.168.1.5",
            "[2001:db8::1]",
            "",
            "0x7f.1",
            "example.org",
        ] {
            assert!(!hosts.has(bad), "{bad}");
        }
    }

    #[test]
    fn a_listener_of_other_addresses_has_addresses_and_the_names_that_it_was_given() {
        for listen in ["0.0.0.0", "::", "192.168.1.5"] {
            let hosts = hosts(listen, &["play.example.org"]);
            for good in ["localhost", "127.0.0.1", "192.168.1.5", "10.0.0.1", "[2001:db8::1]", "play.example.org"] {
                assert!(hosts.has(good), "{good}");
            }
            assert!(!hosts.has("evil.org"));
        }
        assert!(hosts("0.0.0.0", &["*"]).has("anything.org"));
        assert!(Hosts::open("10.0.0.1".parse().expect("an address")).has("edge-1"));
        assert!(!Hosts::open("127.0.0.1".parse().expect("an address")).has("edge-1"));
    }

    #[test]
    fn a_request_has_a_path_and_one_host() {
        let hosts = hosts("127.0.0.1", &[]);
        let request = |method: &str, uri: &str, version, named: &[&str]| {
            let mut request = Request::builder().method(method).uri(uri).version(version);
            for host in named {
                request = request.header("host", *host);
            }
            check(&request.body(()).expect("a request"), &hosts)
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        for (method, uri, version, named, wanted) in [
            ("GET", "/ws", new, &["localhost:4000"][..], Ok(())),
            ("GET", "http://127.0.0.1/ws", new, &["localhost"], Ok(())),
            ("GET", "/healthz", old, &[], Ok(())),
            ("CONNECT", "x:1", new, &["localhost"], Err(Refusal::Target)),
            ("GET", "x:1", new, &["localhost"], Err(Refusal::Target)),
            ("OPTIONS", "*", new, &["localhost"], Err(Refusal::Target)),
            ("GET", "ftp://localhost/ws", new, &["localhost"], Err(Refusal::Target)),
            ("GET", "/", new, &[], Err(Refusal::NoHost)),
            ("GET", "/", new, &["localhost", "localhost"], Err(Refusal::SeveralHosts)),
            ("GET", "/", old, &["localhost", "localhost"], Err(Refusal::SeveralHosts)),
            ("GET", "/", new, &[""], Err(Refusal::BadHost)),
            ("GET", "/", new, &["a b"], Err(Refusal::BadHost)),
            ("GET", "/", new, &["localhost@localhost"], Err(Refusal::BadHost)),
            ("GET", "/", new, &["localhost:99999"], Err(Refusal::BadHost)),
            ("GET", "/", new, &["löcalhost"], Err(Refusal::BadHost)),
            ("GET", "/", new, &["evil.org:4000"], Err(Refusal::OtherHost)),
            ("GET", "/", old, &["evil.org"], Err(Refusal::OtherHost)),
            ("GET", "http://evil.org/", new, &["localhost"], Err(Refusal::OtherHost)),
            ("GET", "http://localhost/", new, &["evil.org"], Err(Refusal::OtherHost)),
        ] {
            assert_eq!(request(method, uri, version, named), wanted, "{method} {uri} {named:?}");
        }
    }
}
