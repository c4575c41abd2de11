//! Who may call the API, and what does not exist in it.

use bytes::Bytes;
use hyper::StatusCode;

use crate::support::*;

#[tokio::test]
async fn without_the_token_nothing_is_answered() {
    let world = World::start().await;
    let game = GAME.to_string();
    let asked = [
        ("GET", "/metrics".to_owned()),
        ("GET", "/v1/status".to_owned()),
        ("GET", "/v1/machines".to_owned()),
        ("POST", "/v1/machines/host-1/drain".to_owned()),
        ("GET", "/v1/rooms".to_owned()),
        ("GET", format!("/v1/rooms/{game}")),
        ("GET", format!("/v1/rooms/{game}/state")),
        ("GET", format!("/v1/rooms/{game}/events")),
        ("GET", "/v1/kinds".to_owned()),
        ("POST", "/v1/kinds/chess/components".to_owned()),
        ("POST", "/v1/kinds/chess/swap".to_owned()),
        ("GET", "/v1/nothing".to_owned()),
    ];
    for (method, path) in &asked {
        for token in [None, Some(""), Some("wrong-but-long-enough"), Some(&TOKEN[1..])] {
            let (status, body) = call(world.address(), method, path, token, Bytes::new()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} with {token:?}");
            assert!(body["do"].as_str().is_some_and(|what| what.contains("Bearer")), "{body}");
        }
    }
}

#[tokio::test]
async fn probes_need_no_token() {
    let world = World::start().await;
    let (status, body) = call(world.address(), "GET", "/healthz", None, Bytes::new()).await;
    assert_eq!((status, body["status"].as_str()), (StatusCode::OK, Some("ok")));
    until("it is ready", async || {
        call(world.address(), "GET", "/readyz", None, Bytes::new()).await.0 == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn without_its_store_a_monitor_is_alive_and_not_ready() {
    let world = World::start().await;
    world.store.clone().close().await.expect("closed");
    let (status, body) = call(world.address(), "GET", "/readyz", None, Bytes::new()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(call(world.address(), "GET", "/healthz", None, Bytes::new()).await.0, StatusCode::OK);
    assert_eq!(world.get("/v1/status").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, page) = world.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.as_str().is_some_and(|page| page.contains("chorus_store_up 0")), "{page}");
}

#[tokio::test]
async fn an_unknown_route_is_named_and_a_wrong_method_names_the_right_one() {
    let world = World::start().await;
    for path in ["/", "/v1/", "/v1/status/", "/v2/status", "/v1/rooms/1/2/3"] {
        let (status, body) = world.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert!(body["error"].is_string() && body["do"].is_string(), "{path}: {body}");
    }
    for (path, use_this) in [("/v1/status", "use GET"), ("/v1/rooms", "use GET"), ("/healthz", "use GET")] {
        let (status, body) = world.post(path, "{}").await;
        assert_eq!((status, body["do"].as_str()), (StatusCode::METHOD_NOT_ALLOWED, Some(use_this)), "{path}");
    }
    assert_eq!(world.get("/v1/kinds/chess/swap").await.0, StatusCode::METHOD_NOT_ALLOWED);
}
