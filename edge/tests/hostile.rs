//! Stories of clients that do not behave. Each gets an error or a close code from the table, and costs little.

mod support;

use std::time::{Duration, Instant};

use chorus_core::session::Limits;
use support::{Client, World, frame, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn what_is_no_frame_gets_an_error_and_the_connection_goes_on() {
    let world = World::start().await;
    let mut client = world.join().await;
    for (text, code, id) in [
        ("", "bad_frame", None),
        ("hello", "bad_frame", None),
        ("[]", "bad_frame", None),
        (r#"{"t":"dance","id":3}"#, "bad_frame", Some(3)),
        (r#"{"t":"msg","id":"7","type":"echo"}"#, "bad_frame", None),
        (r#"{"t":"msg","id":1}"#, "bad_frame", Some(1)),
        (r#"{"t":"msg","id":1,"type":"echo","room":"lobby"}"#, "bad_frame", Some(1)),
        (r#"{"t":"hello"}"#, "bad_order", None),
        (r#"{"t":"msg","id":1,"type":"echo","room":"00000000000000000000000000000bad"}"#, "not_in_room", Some(1)),
    ] {
        client.send(text).await;
        client.error(code, id).await;
    }
    client.say(5, "echo", "null").await;
    client.frame("reply").await;
    client.say(5, "echo", "null").await;
    client.error("stale_id", Some(5)).await;
}

#[tokio::test]
async fn ten_bad_frames_in_a_row_close_the_connection() {
    let world = World::start().await;
    let mut client = world.join().await;
    for _ in 0..10 {
        client.send("{").await;
    }
    assert_eq!(client.closed().await, 4506);
}

#[tokio::test]
async fn a_message_before_hello_is_out_of_order() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.say(1, "echo", "null").await;
    client.error("bad_order", Some(1)).await;
}

#[tokio::test]
async fn who_is_not_accepted_is_told_so() {
    let world = World::start().await;
    for hello in [r#"{"t":"hello","token":"x"}"#, r#"{"t":"hello","name":" "}"#, r#"{"t":"hello","name":"a\u0007"}"#] {
        let mut client = world.connect().await;
        client.send(hello).await;
        assert_eq!(client.closed().await, 4501, "{hello}");
    }
}

#[tokio::test]
async fn who_says_no_hello_is_closed() {
    let limits = Limits { hello_ms: 50, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    assert_eq!(world.connect().await.closed().await, 4009);
}

#[tokio::test]
async fn a_binary_frame_closes_the_connection() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.send_message(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(client.closed().await, 4506);
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_the_connection() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.say(1, "echo", &format!("\"{}\"", "x".repeat(65_000))).await;
    client.frame("reply").await;
    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x81, &vec![b' '; 65_537]).await;
    assert_eq!(raw.close_code().await, Some(4506));
}

#[tokio::test]
async fn fragments_that_are_too_large_together_close_the_connection() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x01, &vec![b' '; 40_000]).await;
    raw.send_frame(0x80, &vec![b' '; 40_000]).await;
    assert_eq!(raw.close_code().await, Some(4506));
}

#[tokio::test]
async fn a_client_that_listens_only_after_a_huge_message_is_told_all_the_same() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x81, &vec![b' '; 32 << 20]).await;
    assert_eq!(raw.close_code().await, Some(4506));

    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x01, &vec![b' '; 65_536]).await;
    let piece = frame(0x00, &vec![b' '; 65_536]);
    for _ in 1..512 {
        raw.send(&piece).await;
    }
    assert_eq!(raw.close_code().await, Some(4506), "in fragments");

    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x82, b"binary").await;
    raw.send_frame(0x81, &vec![b' '; 32 << 20]).await;
    assert_eq!(raw.close_code().await, Some(4506), "after something else that closes it");
}

#[tokio::test]
async fn what_is_not_the_web_socket_protocol_closes_the_connection() {
    let world = World::start().await;
    for (what, bytes) in [
        ("no mask", vec![0x81, 0x02, b'{', b'}']),
        ("reserved bits", frame(0xf1, b"{}")),
        ("a reserved kind", frame(0x83, b"{}")),
        ("a continuation of nothing", frame(0x80, b"{}")),
        ("not UTF-8", frame(0x81, &[0xff, 0xfe])),
        ("a ping in pieces", frame(0x09, b"")),
        ("a length beyond all", vec![0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    ] {
        let mut raw = world.raw_web_socket().await;
        raw.send(&bytes).await;
        assert_eq!(raw.close_code().await, Some(4506), "{what}");
    }
}

#[tokio::test]
async fn empty_continuations_without_end_are_stopped() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x01, b"").await;
    let empty = frame(0x00, b"").repeat(1000);
    let (mut read, mut write) = raw.0.split();
    let flood = async {
        let mut sent = 0;
        while sent < 14_000_000 && write.write_all(&empty).await.is_ok() {
            sent += 1000;
        }
        sent
    };
    let mut answer = Vec::new();
    let (sent, _) = within("the end", async { tokio::join!(flood, read.read_to_end(&mut answer)) }).await;
    assert!(sent < 14_000_000, "all of it was taken");
    assert!(answer.windows(2).any(|two| two == 4506_u16.to_be_bytes()), "it says why");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let timeout = Duration::from_millis(200);
    let world = World::start_with(|options| options.header_timeout = timeout).await;
    let mut raw = world.raw().await;
    let began = Instant::now();
    raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    raw.close_code().await;
    assert!(began.elapsed() >= timeout);
    let mut silent = world.raw().await;
    silent.close_code().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start().await;
    let mut raw = world.raw().await;
    raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Large: ").await;
    raw.send(&vec![b'x'; 20_000]).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn pages_from_elsewhere_are_refused() {
    let world = World::start_with(|options| options.origins = vec!["https://friend.org".into()]).await;
    let edge = world.edge.local_addr();
    for (origin, refused) in [
        ("https://evil.org", Some(403)),
        ("null", Some(403)),
        ("https://friend.org", None),
        (&format!("http://{edge}"), None),
    ] {
        assert_eq!(Client::connect(edge, &[("Origin", origin)]).await.err(), refused, "{origin}");
    }
}

#[tokio::test]
async fn who_does_not_say_goodbye_is_cut_off() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x82, b"binary").await;
    // It goes on as if nothing had happened, and never answers the close.
    let flood = frame(0x81, b"{}").repeat(100);
    within("the end", async { while raw.0.write_all(&flood).await.is_ok() {} }).await;
    within("the connection's end", async {
        while world.edge.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
