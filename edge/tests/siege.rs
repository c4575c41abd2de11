//! Stories of attacks on connections, each of which ends or waits by a stated limit: handshakes that are never finished, sessions
//! dropped and opened again, clients that read nothing, pings without end.

mod support;

use std::time::Duration;

use chorus_edge::TlsFiles;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use support::{Raw, World, frame, status, until, within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

/// The head of a record with a ClientHello of 508 bytes.
const TLS_HEAD: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[tokio::test]
async fn a_handshake_that_is_never_finished_ends_although_its_bytes_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).expect("signed");
    let files = TlsFiles { certificate: dir.path().join("certificate.pem"), key: dir.path().join("key.pem") };
    std::fs::write(&files.key, signing_key.serialize_pem()).expect("written");
    std::fs::write(&files.certificate, cert.pem()).expect("written");
    let world = World::start_with(|options| {
        options.tls = Some(files);
        options.header_timeout = Duration::from_millis(300);
    })
    .await;
    for head in [b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".as_slice(), TLS_HEAD, b""] {
        let (mut read, mut write) = world.raw().await.0.into_split();
        write.write_all(head).await.expect("sent");
        let drip = async {
            // Until the edge has closed the connection.
            while write.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let mut answer = Vec::new();
        let end = async {
            tokio::select! {
                _ = read.read_to_end(&mut answer) => {}
                () = drip, if !head.is_empty() => {}
            }
        };
        within("the end of the handshake", end).await;
    }
    assert_eq!(world.edge.connections(), 0);
}

#[tokio::test]
async fn an_address_that_connects_without_end_waits_and_is_refused_and_another_gets_in() {
    let world = World::start_with(|options| options.new_connections = 1).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut storm = Vec::new();
    // Two at once, and as many as the longest wait has seconds.
    for _ in 0..2 + 5 + 3 {
        let mut raw = world.raw().await;
        raw.send(request).await;
        storm.push(raw);
    }
    until("the refusals", async || world.metric(r#"refused_connections_total{limit="new_connections"}"#) == 3).await;
    assert_eq!(world.metric(r#"slowed_total{by="address"}"#), 5);
    for refused in storm.split_off(7) {
        assert_eq!(within("the end", refused.0.readable()).await.ok(), Some(()));
        let mut bytes = Vec::new();
        let mut refused = refused;
        let _ = within("the end", refused.0.read_to_end(&mut bytes)).await;
        assert!(bytes.is_empty(), "without an answer");
    }

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
    let mut other = Raw(socket.connect(world.address()).await.expect("connected"));
    other.send(request).await;
    assert_eq!(status(&other.head().await), 200);
    for raw in storm.iter_mut().take(3) {
        assert_eq!(status(&raw.head().await), 200, "those that wait have their turn");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_with_what_it_has_not_read() {
    let world = World::start().await;
    let mut slow = world.join().await;
    // 40 MB: more than the system's buffers and the outbox hold.
    slow.message(1, "flood", "40000").await;
    until("its end", async || world.metric(r#"closes_total{code="4008"}"#) == 1).await;
    let mut honest = world.join().await;
    honest.message(1, "echo", "1").await;
    honest.frame("reply").await;
}

#[tokio::test]
async fn pings_without_end_are_closed() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send(&frame(0x89, b"").repeat(1_000)).await;
    assert_eq!(raw.close_code().await, Some(4029));
    assert_eq!(world.metric(r#"closes_total{code="4029"}"#), 1);
}

/// What the edge reads of such a client, and what the system's buffers of both sides hold.
const AFTER_CLOSE: usize = 16 << 20;

#[tokio::test]
async fn a_client_that_goes_on_after_its_close_is_cut_off_soon() {
    let world = World::start().await;
    let ping = frame(0x89, b"");
    let text = frame(0x81, &[b'x'; 60_000]);
    for (what, bytes) in [("pings", ping.repeat(10_000)), ("messages", text.repeat(2))] {
        let mut raw = world.raw_web_socket().await;
        let mut sent = 0;
        let flood = async {
            // It reads nothing, so its own close frame never follows.
            while raw.0.write_all(&bytes).await.is_ok() {
                sent += bytes.len();
            }
        };
        within("the end of the connection", flood).await;
        assert!(sent < AFTER_CLOSE, "{what}: {sent} bytes");
    }
    let mut honest = world.join().await;
    honest.message(1, "echo", "1").await;
    honest.frame("reply").await;
}
