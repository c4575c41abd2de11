//! Stories of clients that violate the protocol. Each gets an error or a close code from the table, and costs little.

mod support;

use chorus_core::{command::RoomCommand, session::Limits};
use support::{World, frame, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn an_invalid_frame_gets_an_error_and_the_connection_stays_open() {
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
    client.message(5, "echo", "null").await;
    client.frame("reply").await;
    client.message(5, "echo", "null").await;
    client.error("stale_id", Some(5)).await;
}

#[tokio::test]
async fn ten_bad_frames_in_a_row_close_the_connection() {
    let world = World::start().await;
    let mut client = world.join().await;
    for _ in 0..10 {
        client.send("{").await;
    }
    assert_eq!(client.close_code().await, 4506);
}

#[tokio::test]
async fn a_message_before_hello_is_out_of_order() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.message(1, "echo", "null").await;
    client.error("bad_order", Some(1)).await;
}

#[tokio::test]
async fn a_hello_that_is_not_accepted_closes_the_connection_with_the_reason() {
    let world = World::start().await;
    for hello in [r#"{"t":"hello","token":"x"}"#, r#"{"t":"hello","name":" "}"#, r#"{"t":"hello","name":"a\u0007"}"#] {
        let mut client = world.connect().await;
        client.send(hello).await;
        assert_eq!(client.close_code().await, 4501, "{hello}");
    }
}

#[tokio::test]
async fn a_connection_without_a_hello_is_closed() {
    let limits = Limits { hello_ms: 50, ..Limits::default() };
    let world = World::start_with(|options| options.limits = limits).await;
    assert_eq!(world.connect().await.close_code().await, 4009);
}

#[tokio::test]
async fn a_binary_frame_closes_the_connection() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.send_message(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(client.close_code().await, 4506);
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_the_connection() {
    let world = World::start().await;
    let mut client = world.join().await;
    client.message(1, "echo", &format!("\"{}\"", "x".repeat(65_000))).await;
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
async fn a_client_that_reads_only_after_a_huge_message_gets_the_close_code() {
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
async fn a_violation_of_the_web_socket_protocol_closes_the_connection() {
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
async fn endless_empty_continuations_are_stopped() {
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
    assert!(sent < 14_000_000, "all of it was accepted");
    assert!(answer.windows(2).any(|two| two == 4506_u16.to_be_bytes()), "with the code");
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_close_is_cut_off() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send_frame(0x82, b"binary").await;
    // The client continues to send, and never answers the close.
    let flood = frame(0x81, b"{}").repeat(100);
    within("the end", async { while raw.0.write_all(&flood).await.is_ok() {} }).await;
    until("the connection's end", async || world.edge.connections() == 0).await;
}

#[tokio::test]
async fn unsolicited_pongs_count_against_the_rate() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send(&frame(0x8a, b"").repeat(1_000)).await;
    assert_eq!(raw.close_code().await, Some(4029));
}

#[tokio::test]
async fn empty_fragments_that_end_in_a_message_count_against_the_rate() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    let mut message = frame(0x01, b"");
    message.extend(frame(0x00, b"").repeat(5_000));
    message.extend(frame(0x80, b"{"));
    // The first few arrive before the greeting, and the rate closes the connection only after that.
    raw.send_frame(0x81, br#"{"t":"hello"}"#).await;
    let (mut read, mut write) = raw.0.split();
    let flood = async { while write.write_all(&message).await.is_ok() {} };
    let mut answer = Vec::new();
    within("the end", async { tokio::join!(flood, read.read_to_end(&mut answer)) }).await.1.ok();
    assert!(answer.windows(2).any(|two| two == 4029_u16.to_be_bytes()), "with the code");
}

#[tokio::test]
async fn a_hello_that_cannot_be_read_ends_the_connection() {
    let world = World::start().await;
    for hello in [r#"{"t":"hello","name":"a\ud83d"}"#, r#"{"t":"hello","name":7}"#, r#"{"t":"hello","colour":1}"#, "{"]
    {
        let mut client = world.connect().await;
        client.send(hello).await;
        assert_eq!(client.close_code().await, 4506, "{hello}");
    }
}

#[tokio::test]
async fn data_beyond_a_bound_gets_an_error_and_reaches_no_room() {
    let world = World::start().await;
    let mut client = world.join().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for id in 1..=20 {
        client.message(id, "echo", &deep).await;
        client.error("bad_data", Some(id)).await;
    }
    client.message(1, "echo", r#""\u0000""#).await;
    client.frame("reply").await;
    let messages = world.rooms.count(|command| matches!(command, RoomCommand::Message { .. }));
    assert_eq!(messages, 1);
}
