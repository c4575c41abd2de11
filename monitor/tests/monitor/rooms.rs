//! Lists of rooms, a room and its state.

use chorus_core::ids::RoomId;
use chorus_monitor::admin::MAX_PAGE;
use chorus_store::{Role, RoomStatus};
use hyper::StatusCode;

use crate::support::*;

#[tokio::test]
async fn rooms_are_listed_page_by_page_the_latest_first() {
    let world = World::start().await;
    for n in 1..=5 {
        world.live_room(RoomId(n), if n == 3 { "chess" } else { "lobby" }, 10 * n as u64).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/rooms?limit=2".to_owned();
    loop {
        let page = world.good(&path).await;
        let rooms = page["rooms"].as_array().expect("a list");
        seen.extend(rooms.iter().map(|room| room["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/rooms?limit=2&after={next}");
    }
    let all: Vec<String> = (1..=5).rev().map(|n| RoomId(n).to_string()).collect();
    assert_eq!(seen, all);
    let chess = world.good("/v1/rooms?kind=chess&status=live").await;
    assert_eq!(chess["rooms"].as_array().map(Vec::len), Some(1));
    assert_eq!(chess["rooms"][0]["metadata"]["stakes"], 3);
    assert_eq!(world.good("/v1/rooms?status=failed").await["rooms"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_query_with_a_bad_parameter_is_refused() {
    let world = World::start().await;
    let too_long = format!("limit={}", MAX_PAGE + 1);
    for query in ["limit=0", &too_long, "limit=x", "kind=No", "status=alive", "after=5", "after=x-y", "sort=up"] {
        let (status, body) = world.get(&format!("/v1/rooms?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
        assert!(body["error"].is_string() && body["do"].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_room_is_shown_with_its_host_and_its_state() {
    let world = World::start().await;
    let host = world.register(Role::Host).await;
    world.write_room(row(GAME, "chess", 5), Some(state_with_ana("chess"))).await;
    until("it has a host", async || world.good(&format!("/v1/rooms/{GAME}")).await["host"] == host.to_string()).await;
    let room = world.good(&format!("/v1/rooms/{GAME}")).await;
    assert_eq!((&room["kind"], &room["members"]), (&"chess".into(), &2.into()));
    assert_eq!(room["partition"], GAME.partition(4));
    let state = world.good(&format!("/v1/rooms/{GAME}/state")).await;
    assert_eq!(state["state"], serde_json::json!({ "board": [null, 0, 1] }));
    assert_eq!((&state["offset"], &state["state_version"]), (&9.into(), &2.into()));
    assert_eq!((&state["members"][0]["name"], &state["members"][0]["connected"]), (&"ana".into(), &true.into()));
}

#[tokio::test]
async fn a_room_without_a_state_has_a_reason() {
    let world = World::start().await;
    world.live_room(GAME, "chess", 1).await;
    let mut ended = row(RoomId(8), "chess", 2);
    ended.status = RoomStatus::Ended;
    world.write_room(ended, None).await;
    let error = async |path: String| {
        let (status, body) = world.get(&path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
        body["error"].as_str().expect("an error").to_owned()
    };
    assert!(error(format!("/v1/rooms/{GAME}/state")).await.contains("no snapshot yet"));
    assert!(error(format!("/v1/rooms/{}/state", RoomId(8))).await.contains("has ended"));
    assert!(error(format!("/v1/rooms/{}/state", RoomId(9))).await.contains("not known"));
    assert!(error(format!("/v1/rooms/{}", RoomId(9))).await.contains("not known"));
    for bad in ["x", "7", &"G".repeat(32)] {
        for path in [format!("/v1/rooms/{bad}"), format!("/v1/rooms/{bad}/state"), format!("/v1/rooms/{bad}/events")] {
            assert_eq!(world.get(&path).await.0, StatusCode::BAD_REQUEST, "{path}");
        }
    }
}
