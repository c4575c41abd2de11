//! Stories of TLS at the edge: certificates from files, their renewal, and clients without TLS.

mod support;

use std::{fs, path::Path, time::Duration};

use chorus_edge::TlsFiles;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use support::{World, within};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    client::TlsStream,
    rustls::{
        RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tokio_tungstenite::{client_async, tungstenite::Message};

const PROXY: &str = "PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n";

/// A certificate of `name` in the files of `dir`.
fn issue(dir: &Path, name: &str) -> TlsFiles {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect("signed");
    let files = TlsFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
    fs::write(&files.key, signing_key.serialize_pem()).expect("written");
    fs::write(&files.certificate, cert.pem()).expect("written");
    files
}

async fn world(dir: &TempDir) -> World {
    let files = issue(dir.path(), "first.example");
    World::start_with(|options| {
        options.tls = Some(files);
        options.host_names = vec!["*".into()];
        options.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        options.header_timeout = Duration::from_millis(500);
        options.certificate_reload = Duration::from_millis(50);
    })
    .await
}

/// A connection whose certificate is the one in the files, and has this name.
async fn connect(world: &World, dir: &TempDir, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    connect_after(world, dir, name, "").await
}

/// The same, where something precedes the handshake.
async fn connect_after(
    world: &World,
    dir: &TempDir,
    name: &str,
    before: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(dir.path().join("certificate.pem")).expect("readable");
    let _ = CertificateDer::from_pem_slice(&pem).map(|certificate| roots.add(certificate));
    let mut stream = TcpStream::connect(world.address()).await?;
    stream.write_all(before.as_bytes()).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    within("the handshake", chorus_edge::connector(roots).connect(name, stream)).await
}

async fn play(world: &World, stream: TlsStream<TcpStream>) -> Value {
    use futures_util::{SinkExt as _, StreamExt as _};
    let (mut socket, _) = client_async(format!("wss://{}/ws", world.address()), stream).await.expect("upgraded");
    socket.send(Message::text(r#"{"t":"hello","name":"Ana"}"#)).await.expect("sent");
    let message = within("the welcome", socket.next()).await.expect("not the end").expect("a frame");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

#[tokio::test]
async fn a_player_connects_by_tls_also_through_a_proxy() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = world(&dir).await;
    for before in ["", PROXY] {
        let stream = connect_after(&world, &dir, "first.example", before).await.expect("the handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), None);
        assert_eq!(play(&world, stream).await["t"], "welcome");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = world(&dir).await;
    let old = connect(&world, &dir, "first.example").await.expect("the handshake");
    issue(dir.path(), "second.example");
    let renewed = async {
        while connect(&world, &dir, "second.example").await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("the new certificate", renewed).await;
    assert!(connect(&world, &dir, "first.example").await.is_err(), "the old one is gone");
    assert_eq!(play(&world, old).await["t"], "welcome", "what was open stays open");
}

#[tokio::test]
async fn a_client_of_this_machine_needs_no_tls_and_others_are_refused_with_a_text() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = world(&dir).await;
    assert_eq!(world.get("/healthz").await, 200);
    let mut stream = TcpStream::connect(world.address()).await.expect("connected");
    let request = format!("{PROXY}GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    within("the end", stream.read_to_string(&mut response)).await.expect("read");
    assert!(response.starts_with("HTTP/1.1 400 ") && response.ends_with("https:// and wss:\n"), "{response}");
}

#[tokio::test]
async fn a_handshake_that_does_not_continue_is_cut_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = world(&dir).await;
    for start in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let mut stream = TcpStream::connect(world.address()).await.expect("connected");
        stream.write_all(start).await.expect("sent");
        let mut rest = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::start().await;
    let good = issue(dir.path(), "first.example");
    let other = tempfile::tempdir().expect("a directory");
    let other = issue(other.path(), "first.example").key;
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let empty = write("empty.pem", "");
    for (certificate, key, error) in [
        (dir.path().join("missing.pem"), good.key.clone(), "cannot read "),
        (empty.clone(), good.key.clone(), "empty.pem has no certificate in PEM"),
        (good.certificate.clone(), empty, "empty.pem has no private key in PEM"),
        (good.certificate.clone(), good.certificate.clone(), "certificate.pem has no private key in PEM"),
        (
            good.certificate.clone(),
            write("other.pem", &fs::read_to_string(&other).expect("readable")),
            "cannot be used with",
        ),
    ] {
        let refused = world.refuses(|options| options.tls = Some(TlsFiles { certificate, key })).await;
        assert!(refused.contains(error), "{refused}");
    }
}
