//! Publication and swaps.

use chorus_core::{
    command::RoomCommand,
    ids::{Digest, RoomId},
};
use chorus_monitor::admin::MAX_BODY;
use chorus_store::RoomStatus;
use hyper::StatusCode;

use crate::support::*;

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
async fn a_component_that_cannot_run_is_not_published() {
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
async fn a_refused_swap_changes_nothing() {
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
