//! Stories of connections that an edge accepts or refuses: HTTP requests, origins, addresses, proxies.

mod support;

use std::time::{Duration, Instant};

use support::{World, status, until};

#[tokio::test]
async fn the_health_check_is_served_and_other_routes_are_not_found() {
    let world = World::start().await;
    for (path, status) in [("/healthz", 200), ("/elsewhere", 404), ("/ws", 426)] {
        assert_eq!(world.get(path).await, status, "{path}");
    }
}

#[tokio::test]
async fn the_subprotocol_is_ours_or_none() {
    let world = World::start().await;
    assert_eq!(world.connect_with(&[]).await.err(), None);
    let ours = [("Sec-WebSocket-Protocol", "other, v1.json.chorus")];
    assert_eq!(world.connect_with(&ours).await.err(), None);
    assert_eq!(world.connect_with(&[("Sec-WebSocket-Protocol", "v2.json.chorus")]).await.err(), Some(400));
}

#[tokio::test]
async fn an_unfinished_head_times_out() {
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
async fn pages_of_other_origins_are_refused() {
    let world = World::start_with(|options| options.origins = vec!["https://friend.org".into()]).await;
    let own = format!("http://{}", world.address());
    for (origin, refused) in
        [("https://evil.org", Some(403)), ("null", Some(403)), ("https://friend.org", None), (&own, None)]
    {
        assert_eq!(world.connect_with(&[("Origin", origin)]).await.err(), refused, "{origin}");
    }
}

#[tokio::test]
async fn a_request_without_a_path_or_with_another_host_reaches_no_route() {
    let world = World::start().await;
    for (request, expected) in [
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
        let head = world.request(request.as_bytes()).await;
        assert_eq!(status(&head), expected, "{request:?}: {head}");
    }
}

#[tokio::test]
async fn an_upgrade_with_invalid_headers_is_refused() {
    let world = World::start().await;
    let good = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (headers, expected) in [
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
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
        let request = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}{headers}\r\n");
        let head = world.request(request.as_bytes()).await;
        assert_eq!(status(&head), expected, "{headers:?}: {head}");
    }
}

#[tokio::test]
async fn connections_are_bounded() {
    let world = World::start_with(|options| options.max_connections = 1).await;
    let _first = world.join().await;
    let mut second = world.connect().await;
    assert_eq!(second.close_code().await, 4030);
    assert_eq!(world.get("/healthz").await, 503);
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    let world = World::start_with(|options| options.max_per_address = 2).await;
    let (first, _second) = (world.join().await, world.join().await);
    assert_eq!(world.connect().await.close_code().await, 4030);
    drop(first);
    until("its slot", async || world.edge.connections() == 1).await;
    world.join().await;
}

#[tokio::test]
async fn an_address_opens_a_bounded_number_of_sessions_and_resumes_without_a_bound() {
    let world = World::start_with(|options| options.new_sessions = 2).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(world.join().await);
    }
    let mut one_more = world.connect().await;
    one_more.send(r#"{"t":"hello","name":"Ana"}"#).await;
    assert_eq!(one_more.close_code().await, 4030);
    let mut token = clients[0].resume.clone();
    for _ in 0..6 {
        token = world.resume(&token, None).await.resume;
    }
    let mut unknown = world.send_resume("of no session", None).await;
    assert_eq!(unknown.close_code().await, 4030, "an unknown token opens a new session");
}

/// As behind a load balancer: all clients connect from its address.
#[tokio::test]
async fn the_limits_are_those_of_the_client_that_a_trusted_proxy_names() {
    let loopback = || vec!["127.0.0.0/8".parse().expect("a network")];
    for trusted in [true, false] {
        let world = World::start_with(|options| {
            options.max_per_address = 1;
            options.trusted_proxies = if trusted { loopback() } else { Vec::new() };
        })
        .await;
        let by = async |header| world.connect_with(&[header]).await.expect("upgraded");
        let mut first = by(("X-Forwarded-For", "1.1.1.1, 192.0.2.1")).await;
        first.send(r#"{"t":"hello"}"#).await;
        first.welcome().await;
        let mut other = by(("Forwarded", "for=192.0.2.2")).await;
        let mut same = by(("X-Forwarded-For", "9.9.9.9, 192.0.2.1")).await;
        assert_eq!(same.close_code().await, 4030, "that client has one already");
        match trusted {
            true => {
                other.send(r#"{"t":"hello"}"#).await;
                other.welcome().await;
            }
            false => assert_eq!(other.close_code().await, 4030, "an untrusted proxy names no client"),
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_use_the_proxy_protocol() {
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
    assert_eq!(second.close_code().await, Some(4506), "it was accepted");
    assert_eq!(by("192.0.2.1").await.close_code().await, Some(4030));

    let world = World::start().await;
    let proxied = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(status(&world.request(proxied).await), 400, "an untrusted proxy may not");
}
