//! Who is served what is for the author alone: the pages under `/dev` and their requests.
//!
//! The author is at this machine: the peer is loopback, and is no proxy. A web page that lets its own name resolve to loopback
//! would be of this server's origin, so `Host` has to be a name or an address of loopback (DNS rebinding). A request that a page
//! of another origin makes has an `Origin` that is not this server's, and is refused: such a page cannot read an answer, but its
//! request would have its effect.

use std::net::IpAddr;

use chorus_edge::Peer;
use warp::http::{HeaderMap, header, uri::Authority};

/// The headers by which a proxy names its client.
const PROXIED: [&str; 3] = ["forwarded", "x-forwarded-for", "via"];

/// Whether a request is the author's. Others are answered as if there was nothing here.
pub fn is_author(peer: Option<Peer>, headers: &HeaderMap) -> bool {
    let is_here = peer.is_some_and(|Peer(address)| address.to_canonical().is_loopback());
    is_here
        && !PROXIED.iter().any(|name| headers.contains_key(*name))
        && authority(headers).is_some_and(|host| is_loopback(&host))
}

/// The page that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A page of this server.
    Own,
    /// A program, or the address bar.
    Program,
    Other,
}

pub fn sender(headers: &HeaderMap) -> Sender {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return if headers.contains_key(header::ORIGIN) { Sender::Other } else { Sender::Program };
    };
    let page =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, page)| page.to_ascii_lowercase());
    let host = authority(headers).map(|host| host.as_str().to_ascii_lowercase());
    if page.is_some() && page == host { Sender::Own } else { Sender::Other }
}

fn authority(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_name = name.eq_ignore_ascii_case("localhost");
    is_name || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer(address.parse().unwrap()))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_author_is_on_this_machine_and_behind_no_proxy() {
        let host = headers(&[("host", "localhost:4000")]);
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_author(peer(here), &host), "{here}");
        }
        assert!(!is_author(peer("192.168.0.7"), &host));
        assert!(!is_author(None, &host));
        for proxied in ["x-forwarded-for", "via", "forwarded"] {
            assert!(
                !is_author(peer("127.0.0.1"), &headers(&[("host", "localhost:4000"), (proxied, "a")])),
                "{proxied}"
            );
        }
    }

    #[test]
    fn the_author_calls_this_machine_by_a_name_that_cannot_be_rebound() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:4000", "127.9.9.9", "[::1]:4000"] {
            assert!(is_author(peer("127.0.0.1"), &headers(&[("host", host)])), "{host}");
        }
        for host in ["rebound.example:4000", "localhost.example", "192.168.0.2:4000", "user@", ""] {
            assert!(!is_author(peer("127.0.0.1"), &headers(&[("host", host)])), "{host}");
        }
        assert!(!is_author(peer("127.0.0.1"), &HeaderMap::new()));
    }

    #[test]
    fn a_page_of_another_origin_is_told_from_the_servers_own() {
        let of = |origin: &str| sender(&headers(&[("host", "localhost:4000"), ("origin", origin)]));
        assert_eq!(of("http://localhost:4000"), Sender::Own);
        for other in ["http://localhost:4001", "http://127.0.0.1:4000", "https://evil.example", "null", ""] {
            assert_eq!(of(other), Sender::Other, "{other}");
        }
        assert_eq!(sender(&headers(&[("host", "localhost:4000")])), Sender::Program);
        let mut two = headers(&[("host", "localhost:4000"), ("origin", "http://localhost:4000")]);
        two.append("origin", "https://evil.example".parse().unwrap());
        assert_eq!(sender(&two), Sender::Other);
    }
}
