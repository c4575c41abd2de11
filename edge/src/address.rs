//! The address that a connection counts for: the client's own, also behind proxies.
//!
//! A trusted proxy names the client by the PROXY protocol (version 1 or 2), before anything else on the connection, or by
//! `Forwarded` or `X-Forwarded-For` in the request. These headers name a chain, to which each proxy adds the address that
//! it was reached from; everything to the left of the first address that is not a trusted proxy's was written by the
//! client. So the address that counts is the rightmost one that is not trusted. Where a proxy is not trusted, or names no
//! client, its own address counts.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use warp::http::{HeaderMap, HeaderName, header};

/// The unit of the limits by address: an IPv4 address, or the /64 of an IPv6 address, which is the least that a customer
/// gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        Address(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

impl Address {
    /// Of an IPv6 address, the first of its /64.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

/// The networks of trusted proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

/// The largest header of the PROXY protocol: version 2 with the additions of the large load balancers.
const MAX_PROXY_HEADER: usize = 4 * 1024;

/// How soon to look for the rest of a header that has begun to arrive.
const PEEK_INTERVAL: Duration = Duration::from_millis(5);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Proxies {
    pub fn new(networks: Vec<IpNet>) -> Proxies {
        Proxies(networks)
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address that has connected to a proxy, if `from` is trusted and begins with the PROXY protocol; that header is
    /// then taken from the stream.
    pub async fn source(&self, stream: &mut TcpStream, from: SocketAddr) -> io::Result<IpAddr> {
        if !self.trusts(from.ip()) {
            return Ok(from.ip());
        }
        let mut bytes = vec![0; MAX_PROXY_HEADER];
        loop {
            let received = stream.peek(&mut bytes).await?;
            match proxy_header(&bytes[..received]) {
                Start::None => return Ok(from.ip()),
                Start::Whole { length, source } => {
                    stream.read_exact(&mut bytes[..length]).await?;
                    return Ok(source.unwrap_or(from.ip()));
                }
                Start::Bad => return Err(io::ErrorKind::InvalidData.into()),
                Start::Part if received == 0 || received == MAX_PROXY_HEADER => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Start::Part => tokio::time::sleep(PEEK_INTERVAL).await,
            }
        }
    }

    /// The client's address for a request from `from`. Where both headers are present and name different clients, the
    /// client has invented one of them, and neither counts.
    pub fn client(&self, from: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(from) {
            return from;
        }
        let all = |name: &HeaderName| {
            let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("")).collect::<Vec<_>>();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        let standard = all(&header::FORWARDED).map(|list| self.rightmost(from, &forwarded(&list)));
        let custom = all(&X_FORWARDED_FOR)
            .map(|list| self.rightmost(from, &list.split(',').map(parse_node).collect::<Vec<_>>()));
        match (standard, custom) {
            (Some(one), Some(other)) if one != other => from,
            (one, other) => one.or(other).unwrap_or(from),
        }
    }

    /// The last address of a chain that is not a trusted proxy's. `None`: an address that cannot be read; no address
    /// to the left of it can be trusted.
    fn rightmost(&self, from: IpAddr, chain: &[Option<IpAddr>]) -> IpAddr {
        let mut last = from;
        for address in chain.iter().rev() {
            match address {
                Some(address) if self.trusts(*address) => last = *address,
                Some(address) => return *address,
                None => break,
            }
        }
        last
    }
}

/// What a connection begins with.
pub(crate) enum Start {
    None,
    Part,
    Bad,
    /// `source`: `None` where the proxy connects for itself.
    Whole {
        length: usize,
        source: Option<IpAddr>,
    },
}

pub(crate) fn proxy_header(bytes: &[u8]) -> Start {
    const V1: &[u8] = b"PROXY ";
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    if !begins(V1) && !begins(V2) {
        return Start::None;
    }
    match ProxyHeader::parse(bytes, ParseConfig { include_tlvs: false, ..ParseConfig::default() }) {
        Ok((header, length)) => {
            Start::Whole { length, source: header.proxied_address().map(|address| address.source.ip()) }
        }
        Err(Error::BufferTooShort) => Start::Part,
        Err(_) => Start::Bad,
    }
}

/// The `for` of each element of a `Forwarded` header (RFC 7239).
fn forwarded(list: &str) -> Vec<Option<IpAddr>> {
    let elements = split(list, ',');
    let address = |element: &&str| {
        let pairs = split(element, ';');
        let named = pairs.iter().filter_map(|pair| pair.split_once('='));
        let mut named = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        match (named.next(), named.next()) {
            (Some((_, value)), None) => parse_node(value.trim().trim_matches('"')),
            _ => None,
        }
    };
    elements.iter().map(address).collect()
}

/// Splits at separators outside quotation marks.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |c| {
        let separates = c == separator && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        separates
    });
    parts.collect()
}

/// An address with or without a port.
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let address = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        let networks = ["10.0.0.0/8", "127.0.0.1/32", "2001:db8:aaaa::/48"];
        Proxies::new(networks.iter().map(|network| network.parse().expect("a network")).collect())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_a_customer() {
        let same = |a: &str, b: &str| Address::from(ip(a)) == Address::from(ip(b));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("127.0.0.1", "::1"));
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_no_trusted_proxy() {
        let of = |from: &str, headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().expect("a value"));
            }
            proxies().client(ip(from), &map).to_string()
        };
        let x = "x-forwarded-for";
        let f = "forwarded";
        for (from, headers, client) in [
            ("192.0.2.9", &[(x, "1.1.1.1")][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[(x, "192.0.2.1")], "192.0.2.1"),
            ("::ffff:10.0.0.1", &[(x, "192.0.2.1")], "192.0.2.1"),
            ("10.0.0.1", &[(x, "1.1.1.1, 192.0.2.1")], "192.0.2.1"),
            ("10.0.0.1", &[(x, "1.1.1.1"), (x, "192.0.2.1, 10.2.3.4")], "192.0.2.1"),
            ("10.0.0.1", &[(x, "10.5.5.5, 10.2.3.4")], "10.5.5.5"),
            ("10.0.0.1", &[(x, "1.1.1.1, unknown, 10.2.3.4")], "10.2.3.4"),
            ("10.0.0.1", &[(x, "1.1.1.1, ")], "10.0.0.1"),
            ("10.0.0.1", &[(x, "192.0.2.1:8080")], "192.0.2.1"),
            ("10.0.0.1", &[(x, "[2001:db8::7]:8080")], "2001:db8::7"),
            ("10.0.0.1", &[(x, "::ffff:192.0.2.1")], "192.0.2.1"),
            ("2001:db8:aaaa::1", &[(x, "2001:db8:bbbb::1")], "2001:db8:bbbb::1"),
            ("10.0.0.1", &[(f, "for=192.0.2.1;proto=https;by=10.0.0.1")], "192.0.2.1"),
            ("10.0.0.1", &[(f, "for=1.1.1.1, For=\"[2001:db8::7]:4711\"")], "2001:db8::7"),
            ("10.0.0.1", &[(f, "for=\"a,for=1.1.1.1;\", for=192.0.2.1, for=10.0.0.9")], "192.0.2.1"),
            ("10.0.0.1", &[(f, "for=1.1.1.1, for=_hidden")], "10.0.0.1"),
            ("10.0.0.1", &[(f, "for=1.1.1.1, proto=http")], "10.0.0.1"),
            ("10.0.0.1", &[(f, "for=1.1.1.1;for=2.2.2.2")], "10.0.0.1"),
            ("10.0.0.1", &[(f, "for=1.1.1.1"), (x, "192.0.2.1")], "10.0.0.1"),
            ("10.0.0.1", &[(f, "for=192.0.2.1"), (x, "192.0.2.1")], "192.0.2.1"),
        ] {
            assert_eq!(of(from, headers), client, "{from} {headers:?}");
        }
    }

    #[test]
    fn the_proxy_protocol_is_recognized_by_its_first_bytes() {
        let is = |bytes: &[u8]| match proxy_header(bytes) {
            Start::None => "none".to_owned(),
            Start::Part => "part".to_owned(),
            Start::Bad => "bad".to_owned(),
            Start::Whole { length, source } => format!("{length} {source:?}"),
        };
        assert_eq!(is(b"GET / HTTP/1.1\r\n"), "none");
        assert_eq!(is(b"PUT / HTTP/1.1\r\n"), "none");
        assert_eq!(is(b"P"), "part");
        assert_eq!(is(b"PROXY TCP4 192.0.2.1"), "part");
        assert_eq!(is(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\nGET"), "39 Some(192.0.2.1)");
        assert_eq!(is(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n"), "44 Some(2001:db8::7)");
        assert_eq!(is(b"PROXY UNKNOWN\r\n"), "15 None");
        assert_eq!(is(b"PROXY TCP4 localhost 10.0.0.1 4711 80\r\n"), "bad");
        let mut two = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
        assert_eq!(is(&two), "part");
        two.extend([192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0, 80]);
        assert_eq!(is(&two), "28 Some(192.0.2.1)");
        assert_eq!(is(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"), "16 None");
        assert_eq!(is(b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c"), "bad");
    }
}
