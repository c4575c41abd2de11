//! The operators' API, on a real bus and a real store.

mod support;

use bytes::Bytes;
use chorus_core::{
    command::RoomCommand,
    ids::{Digest, RoomId},
};
use chorus_monitor::admin::{MAX_BODY, MAX_FOLLOWERS, MAX_PAGE};
use chorus_store::{Role, RoomStatus};
use hyper::StatusCode;
use support::*;

const GAME: RoomId = RoomId(7);

// ---- authorization ----

#[tokio::test]
async fn nothing_is_told_without_the_token() {
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
async fn without_its_store_it_lives_and_is_not_ready() {
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

// ---- what is not found ----

#[tokio::test]
async fn what_is_not_there_and_what_is_done_otherwise_is_said() {
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

// ---- status, machines, metrics ----

#[tokio::test]
async fn the_status_has_all_on_one_page() {
    let world = World::start().await;
    let host = world.register(Role::Host).await;
    world.post("/v1/kinds/chess/components", GOOD).await;
    world.live_room(GAME, "chess", 1).await;
    until("the host has all partitions", async || world.good("/v1/status").await["partitions"]["hosted"] == 4).await;
    let status = world.good("/v1/status").await;
    assert_eq!(status["monitor"]["id"], world.monitor.id.to_string());
    assert_eq!((&status["monitor"]["in_charge"], &status["machines"]["host"]["alive"]), (&true.into(), &1.into()));
    assert_eq!(status["kinds"][0]["kind"], "chess");
    assert_eq!(status["kinds"][0]["rooms"]["live"], 1);
    assert_eq!(status["problems"][0], "no edge is alive: nobody can connect; start an edge");
    let machines = world.good("/v1/machines").await;
    let shown = machines["machines"].as_array().expect("a list");
    let shown = shown.iter().find(|machine| machine["id"] == host.to_string()).expect("the host");
    assert_eq!(shown["partitions"], serde_json::json!([0, 1, 2, 3]));
}

#[tokio::test]
async fn metrics_are_for_prometheus() {
    let world = World::start().await;
    world.register(Role::Edge).await;
    world.live_room(GAME, "chess", 1).await;
    let (_, page) = world.get("/metrics").await;
    let page = page.as_str().expect("text");
    for line in [
        r#"chorus_machines{role="edge",state="alive"} 1"#,
        r#"chorus_machines{role="host",state="dead"} 0"#,
        r#"chorus_rooms{kind="chess",status="live"} 1"#,
        "chorus_partitions 4",
        "chorus_store_up 1",
        "# EOF",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        // A counter's sample has one word more than its name.
        let name = name.strip_suffix("_total").unwrap_or(name);
        assert!(page.contains(&format!("# TYPE {name} ")), "{line}");
    }
}

#[tokio::test]
async fn a_machine_is_drained_by_a_word_in_the_table() {
    let world = World::start().await;
    let host = world.register(Role::Host).await;
    let (status, body) = world.post(&format!("/v1/machines/{host}/drain"), "").await;
    assert_eq!((status, body["state"].as_str()), (StatusCode::ACCEPTED, Some("draining")));
    let machines = world.good("/v1/machines").await;
    assert!(machines.to_string().contains(r#""state":"draining""#), "{machines}");
    for nobody in ["host-99", "nobody", "%00"] {
        let (status, body) = world.post(&format!("/v1/machines/{nobody}/drain"), "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    }
}

// ---- rooms ----

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
async fn a_list_that_makes_no_sense_is_refused() {
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
async fn a_room_without_a_state_says_why() {
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

// ---- events ----

#[tokio::test]
async fn who_follows_a_room_sees_what_happens_and_not_what_is_said() {
    let world = World::start().await;
    world.append(GAME, saying("before")).await;
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events")).await;
    let other = same_partition(GAME);
    world.append(other, saying("elsewhere")).await;
    let offset = world.append(GAME, saying("a secret")).await;
    let (id, event) = events.next().await.expect("an event");
    assert_eq!((id, &event["offset"]), (offset.to_string(), &offset.into()));
    assert_eq!((&event["command"], &event["bytes"]), (&"message".into(), &10.into()));
    assert!(!event.to_string().contains("secret") && event.get("type").is_none(), "{event}");
}

#[tokio::test]
async fn who_asks_for_the_content_gets_it() {
    let world = World::start().await;
    world.append(GAME, saying("a secret")).await;
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events?follow=false&content=true")).await;
    let (_, event) = events.next().await.expect("an event");
    assert_eq!((&event["type"], &event["data"]), (&"say".into(), &"a secret".into()));
    assert_eq!(events.next().await, None, "a stream that is not followed ends");
}

#[tokio::test]
async fn events_go_on_after_the_last_one_that_was_seen() {
    let world = World::start().await;
    let first = world.append(GAME, saying("1")).await;
    let second = world.append(GAME, saying("2")).await;
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events?from={second}&follow=false")).await;
    assert_eq!(events.next().await.map(|(id, _)| id), Some(second.to_string()));
    assert_eq!(events.next().await, None);
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events?from={first}&follow=false")).await;
    assert_eq!(events.next().await.map(|(id, _)| id), Some(first.to_string()));
    let mut nothing = world.events(&format!("/v1/rooms/{GAME}/events?from=999&follow=false")).await;
    assert_eq!(nothing.next().await, None);
    for bad in ["from=x", "from=-1", "follow=perhaps", "content=yes", "since=1"] {
        assert_eq!(world.get(&format!("/v1/rooms/{GAME}/events?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn who_follows_hears_first_where_that_begins() {
    let world = World::start().await;
    let last = world.append(GAME, saying("before")).await;
    let events = world.events(&format!("/v1/rooms/{GAME}/events")).await;
    assert_eq!(events.raw().await, format!("event:begin\ndata:{{\"from\":{}}}\n\n", last + 1));
}

#[tokio::test]
async fn only_so_many_follow_at_a_time() {
    let world = World::start().await;
    let path = format!("/v1/rooms/{GAME}/events");
    let mut followers = Vec::new();
    for _ in 0..MAX_FOLLOWERS {
        followers.push(world.events(&path).await);
    }
    let (status, body) = world.get(&path).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    followers.pop();
    until("there is a place again", async || {
        send(world.address(), "GET", &path, Some(TOKEN), Bytes::new()).await.status() == StatusCode::OK
    })
    .await;
}

// ---- publish and swap ----

#[tokio::test]
async fn a_component_is_checked_and_becomes_a_version() {
    let world = World::start().await;
    let path = "/v1/kinds/chess/components";
    let (status, first) = world.post(path, GOOD).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    assert_eq!((&first["version"], &first["active"], &first["state_version"]), (&1.into(), &true.into(), &2.into()));
    let (_, second) = world.post(path, BETTER).await;
    assert_eq!((&second["version"], &second["active"]), (&2.into(), &false.into()), "rooms go on as they were");
    let (_, again) = world.post(path, GOOD).await;
    assert_eq!(again["version"], 1, "the same component is the same version");
    let versions = world.good(path).await;
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(2));
    assert_eq!(versions["versions"][0]["digest"], Digest::of(GOOD).to_string());
}

#[tokio::test]
async fn what_cannot_run_is_not_published() {
    let world = World::start().await;
    let path = "/v1/kinds/chess/components";
    let (status, body) = world.post(path, BAD).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["error"].as_str().is_some_and(|error| error.contains("throws in onCreate")), "{body}");
    for body in [&b""[..], b"export default class", b"\0asm\x01\0\0\0"] {
        assert_eq!(world.post(path, body).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(world.post("/v1/kinds/No/components", GOOD).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.get(path).await.0, StatusCode::NOT_FOUND);
    let (status, body) = world.post(path, vec![0; MAX_BODY + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
}

#[tokio::test]
async fn a_swap_reaches_every_room_of_the_kind() {
    let world = World::start().await;
    world.post("/v1/kinds/chess/components", GOOD).await;
    world.post("/v1/kinds/chess/components", BETTER).await;
    for n in 1..=3 {
        world.live_room(RoomId(n), "chess", n as u64).await;
    }
    world.live_room(RoomId(4), "lobby", 4).await;
    let mut ended = row(RoomId(5), "chess", 5);
    ended.status = RoomStatus::Ended;
    world.write_room(ended, None).await;
    let (status, body) = world.post("/v1/kinds/chess/swap", "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((&body["version"], &body["rooms"], &body["active"]), (&2.into(), &3.into(), &true.into()));
    for n in 1..=3 {
        assert_eq!(world.records(RoomId(n)).await, [swap_to(BETTER)]);
    }
    assert_eq!(world.records(RoomId(4)).await, []);
    assert_eq!(world.records(RoomId(5)).await, []);
    assert_eq!(world.store.active(&kind("chess")).await.expect("read"), Some(Digest::of(BETTER)));
}

#[tokio::test]
async fn rooms_that_run_the_version_already_are_counted_apart() {
    let world = World::start().await;
    world.post("/v1/kinds/chess/components", GOOD).await;
    world.post("/v1/kinds/chess/components", BETTER).await;
    for n in 1..=3 {
        world.live_room(RoomId(n), "chess", n as u64).await;
    }
    let mut ahead = row(RoomId(4), "chess", 4);
    ahead.component = Digest::of(BETTER);
    world.write_room(ahead, None).await;
    let (_, body) = world.post("/v1/kinds/chess/swap", r#"{"version":1}"#).await;
    assert_eq!((&body["rooms"], &body["already"]), (&1.into(), &3.into()), "{body}");
    let one = format!(r#"{{"version":1,"room":"{}"}}"#, RoomId(1));
    let (_, body) = world.post("/v1/kinds/chess/swap", one).await;
    assert_eq!((&body["rooms"], &body["already"]), (&0.into(), &1.into()), "{body}");
    assert_eq!(world.records(RoomId(1)).await.len(), 2, "a row may be older than a swap that is on its way");
}

#[tokio::test]
async fn one_room_can_go_first_and_a_kind_can_go_back() {
    let world = World::start().await;
    world.post("/v1/kinds/chess/components", GOOD).await;
    world.post("/v1/kinds/chess/components", BETTER).await;
    world.live_room(GAME, "chess", 1).await;
    world.live_room(RoomId(8), "chess", 2).await;
    let (_, body) = world.post("/v1/kinds/chess/swap", format!(r#"{{"room":"{GAME}"}}"#)).await;
    assert_eq!((&body["rooms"], &body["active"]), (&1.into(), &false.into()));
    assert_eq!(world.records(RoomId(8)).await, []);
    assert_eq!(
        world.store.active(&kind("chess")).await.expect("read"),
        Some(Digest::of(GOOD)),
        "new rooms are as ever"
    );
    world.post("/v1/kinds/chess/swap", r#"{"version":1}"#).await;
    assert_eq!(world.records(GAME).await, [swap_to(BETTER), swap_to(GOOD)]);
}

#[tokio::test]
async fn a_swap_that_makes_no_sense_changes_nothing() {
    let world = World::start().await;
    assert_eq!(world.post("/v1/kinds/chess/swap", "").await.0, StatusCode::NOT_FOUND, "nothing is published");
    world.post("/v1/kinds/chess/components", GOOD).await;
    world.live_room(RoomId(4), "lobby", 4).await;
    let lobby = format!(r#"{{"room":"{}"}}"#, RoomId(4));
    let nobody = format!(r#"{{"room":"{}"}}"#, RoomId(99));
    for (body, wanted) in [
        ("nonsense", StatusCode::BAD_REQUEST),
        ("[]", StatusCode::BAD_REQUEST),
        (r#"{"version":-1}"#, StatusCode::BAD_REQUEST),
        (r#"{"room":"x"}"#, StatusCode::BAD_REQUEST),
        (r#"{"share":10}"#, StatusCode::BAD_REQUEST),
        (r#"{"version":9}"#, StatusCode::NOT_FOUND),
        (&nobody, StatusCode::NOT_FOUND),
        (&lobby, StatusCode::CONFLICT),
    ] {
        let (status, answer) = world.post("/v1/kinds/chess/swap", body.to_owned()).await;
        assert_eq!(status, wanted, "{body}: {answer}");
    }
    assert_eq!(world.records(RoomId(4)).await, []);
}

fn swap_to(component: &[u8]) -> RoomCommand {
    RoomCommand::Swap { component: Digest::of(component), rollout: None }
}

/// Another room of the same partition.
fn same_partition(room: RoomId) -> RoomId {
    let mut others = (1000..).map(RoomId);
    others.find(|other| other.partition(4) == room.partition(4)).expect("a quarter of all")
}
