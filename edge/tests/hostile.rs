//! Stories of clients that do not behave. Each gets an error or a close code from the table, and costs little.

mod support;

use std::time::{Duration, Instant};

use chorus_core::{command::RoomCommand, session::Limits};
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
    raw.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    raw.close_code().await;
    assert!(began.elapsed() >= timeout);
    let mut silent = world.raw().await;
    silent.close_code().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start().await;
    let mut raw = world.raw().await;
    raw.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Large: ").await;
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
    // The client goes on as if nothing had happened, and never answers the close.
    let flood = frame(0x81, b"{}").repeat(100);
    within("the end", async { while raw.0.write_all(&flood).await.is_ok() {} }).await;
    within("the connection's end", async {
        while world.edge.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn pongs_that_nobody_asked_for_are_not_free() {
    let world = World::start().await;
    let mut raw = world.raw_web_socket().await;
    raw.send(&frame(0x8a, b"").repeat(1_000)).await;
    assert_eq!(raw.close_code().await, Some(4029));
}

#[tokio::test]
async fn empty_fragments_that_end_in_a_message_are_not_free() {
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
    assert!(answer.windows(2).any(|two| two == 4029_u16.to_be_bytes()), "it says why");
}

#[tokio::test]
async fn a_hello_that_cannot_be_read_ends_the_connection() {
    let world = World::start().await;
    for hello in [r#"{"t":"hello","name":"a\ud83d"}"#, r#"{"t":"hello","name":7}"#, r#"{"t":"hello","colour":1}"#, "{"]
    {
        let mut client = world.connect().await;
        client.send(hello).await;
        assert_eq!(client.closed().await, 4506, "{hello}");
    }
}

#[tokio::test]
async fn data_beyond_a_bound_is_answered_to_its_sender_and_reaches_no_room() {
    let world = World::start().await;
    let mut client = world.join().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for id in 1..=20 {
        client.say(id, "echo", &deep).await;
        client.error("bad_data", Some(id)).await;
    }
    client.say(1, "echo", r#""\u0000""#).await;
    client.frame("reply").await;
    let messages = world.rooms.count(|command| matches!(command, RoomCommand::Message { .. }));
    assert_eq!(messages, 1);
}

#[tokio::test]
async fn a_request_without_a_path_or_with_another_host_reaches_no_route() {
    let world = World::start().await;
    for (request, status) in [
        ("CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nHost: evil.org\r\n\r\n", 403),
        ("GET /ws HTTP/1.1\r\nHost: evil.org\r\n\r\n", 403),
        ("GET http://evil.org/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n\r\n", 200),
    ] {
        let mut raw = world.raw().await;
        raw.send(request.as_bytes()).await;
        let head = raw.head().await;
        assert_eq!(head.split(' ').nth(1), Some(&*status.to_string()), "{request:?}: {head}");
    }
}

#[tokio::test]
async fn an_upgrade_with_strange_headers_is_refused() {
    let world = World::start().await;
    let good = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (headers, status) in [
        (good.to_owned(), 101),
        (format!("{good}Origin: http://localhost\r\n"), 101),
        (format!("{good}Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 403),
        (format!("{good}Origin: http://evil.org\r\nOrigin: http://localhost\r\n"), 403),
        (format!("{good}Origin: http://lécalhost\r\n"), 403),
        (format!("{good}Origin: \r\n"), 403),
        ("Sec-WebSocket-Key: ????????????????????????\r\n".to_owned(), 400),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh\r\n".to_owned(), 400),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n".to_owned(), 400),
        ("Sec-WebSocket-Key: \r\n".to_owned(), 400),
        (format!("{good}{good}"), 400),
        (String::new(), 400),
    ] {
        let mut raw = world.raw().await;
        raw.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").await;
        raw.send(format!("Sec-WebSocket-Version: 13\r\n{headers}\r\n").as_bytes()).await;
        let head = raw.head().await;
        assert_eq!(head.split(' ').nth(1), Some(&*status.to_string()), "{headers:?}: {head}");
    }
}

#[tokio::test]
async fn an_address_opens_only_so_many_sessions_and_resumes_as_often_as_it_likes() {
    let world = World::start_with(|options| options.new_sessions = 2).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(world.join().await);
    }
    let mut one_more = world.connect().await;
    one_more.send(r#"{"t":"hello","name":"Ana"}"#).await;
    assert_eq!(one_more.closed().await, 4030);
    let mut token = clients[0].resume.clone();
    for _ in 0..6 {
        let mut again = world.connect().await;
        again.send(&format!(r#"{{"t":"hello","resume":"{token}"}}"#)).await;
        assert_eq!(again.welcome().await["recovered"], true);
        token = again.resume.clone();
    }
    let mut stranger = world.connect().await;
    stranger.send(r#"{"t":"hello","resume":"of nobody"}"#).await;
    assert_eq!(stranger.closed().await, 4030, "a token that is none opens a session too");
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    let world = World::start_with(|options| options.max_per_address = 2).await;
    let (first, _second) = (world.join().await, world.join().await);
    assert_eq!(world.connect().await.closed().await, 4030);
    drop(first);
    within("its place", async {
        while world.edge.connections() > 1 {
            tokio::task::yield_now().await
        }
    })
    .await;
    world.join().await;
}

/// As behind a load balancer: all clients come from its address.
#[tokio::test]
async fn a_trusted_proxy_names_the_client_whose_limits_these_are() {
    let loopback = || vec!["127.0.0.0/8".parse().expect("a network")];
    for trusted in [true, false] {
        let world = World::start_with(|options| {
            options.max_per_address = 1;
            options.trusted_proxies = if trusted { loopback() } else { Vec::new() };
        })
        .await;
        let edge = world.edge.local_addr();
        let mut first = Client::connect(edge, &[("X-Forwarded-For", "1.1.1.1, 192.0.2.1")]).await.expect("upgraded");
        first.send(r#"{"t":"hello"}"#).await;
        first.welcome().await;
        let mut other = Client::connect(edge, &[("Forwarded", "for=192.0.2.2")]).await.expect("upgraded");
        let mut same = Client::connect(edge, &[("X-Forwarded-For", "9.9.9.9, 192.0.2.1")]).await.expect("upgraded");
        assert_eq!(same.closed().await, 4030, "it has one already");
        match trusted {
            true => {
                other.send(r#"{"t":"hello"}"#).await;
                other.welcome().await;
            }
            false => assert_eq!(other.closed().await, 4030, "who is not trusted names nobody"),
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_speak_the_proxy_protocol() {
    let world = World::start_with(|options| {
        options.max_per_address = 1;
        options.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await;
    let by = async |client: &str| {
        let mut raw = world.raw().await;
        // In two parts, as a network may deliver it.
        raw.send(b"PROXY TC").await;
        raw.send(format!("P4 {client} 10.0.0.1 4711 80\r\n").as_bytes()).await;
        raw.upgrade().await;
        raw
    };
    let _first = by("192.0.2.1").await;
    let mut second = by("192.0.2.2").await;
    second.send_frame(0x82, b"binary").await;
    assert_eq!(second.close_code().await, Some(4506), "it was let in");
    assert_eq!(by("192.0.2.1").await.close_code().await, Some(4030));

    let world = World::start().await;
    let mut raw = world.raw().await;
    raw.send(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 400"), "who is not trusted does not");
}
