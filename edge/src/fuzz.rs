//! What fuzzers do with the decoders of this crate. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all
//! targets. A target takes any bytes, and panics when they break a promise of the decoder.

use std::{
    io,
    net::IpAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use chorus_core::{
    frame::{ClientFrame, MAX_FRAME},
    ids::MachineId,
    secret::Secret,
};
use chorus_store::StoreSecret;
use futures_util::{FutureExt as _, StreamExt as _};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
};
use tokio_rustls::rustls::crypto::ring;
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};
use warp::{
    Filter as _, Reply as _,
    http::{HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    address::{Proxies, Start, proxy_header},
    connection,
    http::{self, Access, HttpConnection},
    metered_stream::MeteredStream,
    name,
    options::Options,
    tls::{self, Contents, TlsFiles},
    tokens::{Issuer, Keys, MAX_KEYS, guests::GuestKey},
};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("forwarded", forwarded),
    ("guest-token", guest_token),
    ("http", http_connection),
    ("issuer", issuer),
    ("keys", keys),
    ("name", player_name),
    ("proxy-header", of_proxy),
    ("tls-files", tls_files),
    ("token", token),
    ("websocket", websocket),
];

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The header of the PROXY protocol: it is part of the input, and what follows it does not matter.
fn of_proxy(bytes: &[u8]) {
    let Start::Whole { length, source } = proxy_header(bytes) else { return };
    let alone = proxy_header(&bytes[..length]);
    assert!(matches!(alone, Start::Whole { length: same, source: of } if (same, of) == (length, source)));
    let cut = proxy_header(&bytes[..length - 1]);
    assert!(matches!(cut, Start::Part | Start::Bad), "a header without its last byte is not whole");
}

/// Headers that name the client: a line of trusted networks, then a header a line, `f` for the standard one, else the other. The
/// address is the sender's or one that a header names.
fn forwarded(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let networks = lines.next().and_then(text).unwrap_or("");
    let networks: Vec<IpNet> = networks.split(' ').filter_map(|network| network.parse().ok()).take(8).collect();
    let proxies = Proxies::new(networks);
    let mut headers = HeaderMap::new();
    for line in lines.take(16) {
        let (name, value) = match line {
            [b'f', rest @ ..] => ("forwarded", rest),
            _ => ("x-forwarded-for", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    for from in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"] {
        let from: IpAddr = from.parse().expect("an address");
        let client = proxies.client(from, &headers);
        assert!(client == from || proxies.trusts(from), "only a trusted proxy names another");
    }
}

/// A client's bytes, which end where it closes the connection. What is written is dropped.
#[derive(Debug)]
struct Script {
    bytes: Vec<u8>,
    at: usize,
    /// The most bytes of one read.
    piece: usize,
}

impl Script {
    /// The first byte of the input is the size of a read, less one; so a message arrives in pieces or at once.
    fn of(bytes: &[u8]) -> Script {
        let (piece, bytes) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
        Script { bytes: bytes.to_vec(), at: 0, piece: piece * 16 + 1 }
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let end = self.bytes.len().min(self.at + self.piece.min(into.remaining()));
        into.put_slice(&self.bytes[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Its clock stands still unless all is idle: a time limit of the edge costs no time.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime without a driver"));

/// What a connection begins with, by the edge's own HTTP server and routes: each request has an answer, or ends the connection.
fn http_connection(bytes: &[u8]) {
    static ACCESS: LazyLock<Arc<Access>> = LazyLock::new(|| {
        let mut options = Options::new(MachineId("edge-1".into()), "127.0.0.1:0".parse().expect("an address"));
        options.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        // A script ends before it.
        options.header_timeout = Duration::from_secs(3_600);
        Arc::new(Access::new(&options))
    });
    let others = warp::any().map(|| "other\n".into_response()).boxed();
    let routes = http::routes(ACCESS.clone(), others);
    let connection = Arc::new(HttpConnection::new("127.0.0.1".parse().expect("an address"), bytes.len() % 5 == 4));
    RUNTIME.block_on(async {
        let _ = http::serve(&ACCESS, Script::of(bytes), connection.clone(), routes).await;
    });
    drop(connection.take_upgrade());
}

/// The bytes of an open WebSocket: a message is at most as long as is allowed, and is read as a frame.
fn websocket(bytes: &[u8]) {
    let script = Script::of(bytes);
    let length = script.bytes.len();
    let open = WebSocketStream::from_raw_socket(MeteredStream::new(script), Role::Server, Some(connection::config()));
    let mut socket = open.now_or_never().expect("nothing is read yet");
    let mut payloads = 0;
    while let Some(Some(Ok(message))) = socket.next().now_or_never() {
        assert!(message.len() <= MAX_FRAME);
        // The reason of a close frame that is none of the protocol's is tungstenite's own.
        payloads += if message.is_close() { 0 } else { message.len() };
        socket.get_mut().next_message(message.len());
        if message.is_text() {
            let _ = ClientFrame::parse(message.to_text().expect("checked"));
        }
    }
    assert!(payloads <= length, "no message is longer than its bytes");
}

/// A player's name: what is accepted stays as it is.
fn player_name(bytes: &[u8]) {
    let Some(given) = text(bytes) else { return };
    for name in [name::normalize(given), name::fitted(given)].into_iter().flatten() {
        assert_eq!(name::normalize(&name).as_deref(), Some(&*name));
        assert_eq!(name::fitted(&name).as_deref(), Some(&*name));
        assert!(!name.chars().any(char::is_control));
    }
}

/// The keys of an operator's file, and those that an issuer publishes.
fn keys(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for keys in [Keys::of_operator(text), Keys::of_issuer(text)].into_iter().flatten() {
        assert!((1..=MAX_KEYS).contains(&keys.len()));
        let _ = keys.verify("e30.e30.e30");
    }
}

/// A client's token, against a key of each algorithm. Its payload is JSON if its signature is valid.
fn token(bytes: &[u8]) {
    static KEYS: LazyLock<Vec<Keys>> = LazyLock::new(|| {
        [SECRET, include_str!("tokens/test-rsa.pem"), P256, ED25519]
            .into_iter()
            .map(|text| Keys::of_operator(text).expect("keys"))
            .collect()
    });
    let Some(text) = text(bytes) else { return };
    for keys in &*KEYS {
        if let Ok(payload) = keys.verify(text) {
            assert!(serde_json::from_str::<serde_json::Value>(&payload).is_ok());
        }
    }
}

/// As in the tests of tokens.
const SECRET: &str = "a secret of more than 32 bytes, for tests";
/// The example of RFC 7515, A.3.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// The example of RFC 8037, A.2.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// A guest's token: one that is accepted is the one that was given.
fn guest_token(bytes: &[u8]) {
    static KEY: LazyLock<GuestKey> = LazyLock::new(|| GuestKey::new(StoreSecret([7; 32])));
    let Some(text) = text(bytes) else { return };
    if let Some(guest) = KEY.guest(&Secret::from(text)) {
        assert!(KEY.token(guest).expose().eq_ignore_ascii_case(text));
    }
}

/// The address of an issuer's keys. Not by TLS, for which the machine's certificates are read.
fn issuer(bytes: &[u8]) {
    let Some(url) = text(bytes).filter(|url| !url.to_ascii_lowercase().starts_with("https")) else { return };
    if Issuer::new(url).is_ok() {
        assert!(!url.contains('@') || url.find('@') > url.find(['?', '/']), "no credentials");
    }
}

/// An operator's certificate and key, separated by a zero.
fn tls_files(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (certificate, key) = bytes.split_at(at);
    let files = TlsFiles { certificate: PathBuf::from("certificate.pem"), key: PathBuf::from("key.pem") };
    let contents = Contents { certificate: certificate.to_vec(), key: key.get(1..).unwrap_or_default().to_vec() };
    static PROVIDER: LazyLock<tokio_rustls::rustls::crypto::CryptoProvider> = LazyLock::new(ring::default_provider);
    if let Err(error) = tls::parse(&files, &contents, &PROVIDER) {
        assert!(error.to_string().len() < 512, "{error}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_stored_input_is_decoded_or_refused() {
        chorus_testing::corpus::replay("edge", super::TARGETS);
    }
}
