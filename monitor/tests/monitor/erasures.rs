//! What operators do with a player's data: reports, export, erasure.

use chorus_core::{
    command::{LeaveReason, RoomCommand},
    ids::{OutputId, RoomId, Time},
    json::Json,
    room::Report,
};
use chorus_store::{ReportRow, Role, RoomStatus};
use hyper::StatusCode;
use serde_json::json;

use crate::support::*;

/// A room whose state names Ana, who is no member.
const NAMES_ANA: RoomId = RoomId(21);
/// A room that Ana was in, by its records alone.
const LEFT: RoomId = RoomId(22);
const ENDED: RoomId = RoomId(23);
const OTHER: RoomId = RoomId(24);

async fn report(world: &World, at: u64, of: chorus_core::ids::SessionId) {
    let report = Report {
        number: OutputId { offset: at, index: 1 },
        at: Time(at),
        session: of,
        player: player(of),
        reason: "spam".into(),
        data: Json::trusted(r#"{"said":"…"}"#),
    };
    world.store.add_report(ReportRow { room: GAME, kind: kind("chat"), report }).await.expect("added");
}

/// Ana is in the lobby and in a game, and was in other rooms.
async fn world() -> World {
    let world = World::without_a_monitor().await;
    let edge = world.register(Role::Edge).await;
    let _channel = world.bus.edge_channel(&edge).await.expect("a channel");
    world.open_session(ANA, &edge, RoomId::LOBBY).await;
    world.open_session(BEN, &edge, RoomId::LOBBY).await;
    assert!(world.store.join_membership(ANA, GAME, &edge).await.expect("joined"));
    let mut game = state_with_ana("chess");
    let saved = format!(r#"{{"state":{{}},"data":{{"{ANA}":{{"score":3}}}}}}"#);
    game.saved.as_mut().expect("there").state = Json::trusted(saved);
    game.view = Some(Json::trusted(r#"{"n":1}"#));
    world.write_room(row(GAME, "chess", 1), Some(game)).await;
    let mut names = state_with_ana("chess");
    names.members.clear();
    names.saved.as_mut().expect("there").state = Json::of(&json!({ "winner": &*player(ANA).id }));
    world.write_room(row(NAMES_ANA, "chess", 2), Some(names)).await;
    let mut other = state_with_ana("chess");
    other.members.clear();
    world.write_room(row(OTHER, "chess", 3), Some(other)).await;
    for room in [LEFT, ENDED] {
        world.append(room, chorus_testing::cast::join(ANA, &edge, 0)).await;
    }
    world.live_room(LEFT, "chess", 4).await;
    let ended = chorus_store::RoomRow { status: RoomStatus::Ended, ended_at: Some(Time(5)), ..row(ENDED, "chess", 5) };
    world.write_room(ended, None).await;
    report(&world, 1, ANA).await;
    report(&world, 2, BEN).await;
    world
}

#[tokio::test]
async fn reports_are_listed_page_by_page_the_latest_first() {
    let world = world().await;
    report(&world, 3, ANA).await;
    let all = world.good("/v1/reports").await;
    let at = |page: &serde_json::Value| {
        page["reports"].as_array().unwrap().iter().map(|one| one["at"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(at(&all), [3, 2, 1]);
    let first = &all["reports"][0];
    assert_eq!(
        (&first["data"], &first["number"], &first["kind"]),
        (&json!({ "said": "…" }), &json!("3.1"), &json!("chat"))
    );
    assert_eq!(at(&world.good(&format!("/v1/reports?player={}", player(ANA).id)).await), [3, 1]);
    let page = world.good("/v1/reports?limit=2").await;
    let next = world.good(&format!("/v1/reports?limit=2&after={}", page["next"].as_str().expect("more"))).await;
    assert_eq!((at(&page), at(&next), &next["next"]), (vec![3, 2], vec![1], &json!(null)));
    for query in ["limit=0", "after=5", "after=1-2-3-4", "sort=up"] {
        assert_eq!(world.get(&format!("/v1/reports?{query}")).await.0, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn an_export_has_what_the_store_and_the_snapshots_have_of_the_player() {
    let world = world().await;
    let id = player(ANA).id;
    let export = world.good(&format!("/v1/players/{id}/export")).await;
    assert_eq!((&export["player"], &export["complete"], &export["ban"]), (&json!(&*id), &json!(true), &json!(null)));
    assert_eq!(export["sessions"][0]["rooms"], json!([RoomId::LOBBY.to_string(), GAME.to_string()]));
    assert_eq!(export["reports"].as_array().map(Vec::len), Some(1));
    let rooms = export["rooms"].as_array().expect("a list");
    assert_eq!(rooms.len(), 2, "those whose snapshots name it: {rooms:?}");
    let member = &rooms[0]["members"][0];
    assert_eq!((&member["data"], &member["view"]), (&json!({ "score": 3 }), &json!({ "n": 1 })));
    assert_eq!((&rooms[1]["room"], &rooms[1]["members"]), (&json!(NAMES_ANA.to_string()), &json!([])));
    let nobody = world.good("/v1/players/u%3Anobody/export").await;
    assert_eq!((&nobody["sessions"], &nobody["rooms"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn an_erasure_ends_the_sessions_and_reaches_every_room_that_holds_or_held_the_player() {
    let world = world().await;
    let id = player(ANA).id;
    let (status, erased) = world.post(&format!("/v1/players/{id}/erase"), "").await;
    assert_eq!(status, StatusCode::OK, "{erased}");
    let wanted = json!({ "player": &*id, "sessions": 1, "rooms": 4, "reports": 1 });
    assert_eq!(erased, wanted);
    let erase = RoomCommand::Erase { player: id.clone() };
    let leave = RoomCommand::Leave { session: ANA, reason: LeaveReason::Kicked };
    for room in [RoomId::LOBBY, GAME] {
        assert_eq!(world.records(room).await, [leave.clone(), erase.clone()], "the member has left before");
    }
    assert_eq!(world.records(NAMES_ANA).await, std::slice::from_ref(&erase));
    assert_eq!(world.records(LEFT).await.last(), Some(&erase));
    assert!(!world.records(ENDED).await.contains(&erase) && world.records(OTHER).await.is_empty());
    assert_eq!(world.store.sessions_of_player(&id, None, 10).await.expect("read"), [], "its rows are deleted");
    assert_eq!(world.good("/v1/reports").await["reports"].as_array().map(Vec::len), Some(1), "Ben's is there");
}

#[tokio::test]
async fn of_a_player_that_is_not_known_nothing_is_erased() {
    let world = world().await;
    for _ in 0..2 {
        let (status, erased) = world.post("/v1/players/u%3Anobody/erase", "").await;
        assert_eq!(status, StatusCode::OK, "{erased}");
        assert_eq!(erased, json!({ "player": "u:nobody", "sessions": 0, "rooms": 0, "reports": 0 }));
    }
    assert_eq!(world.get("/v1/players/u%3Anobody/erase").await.0, StatusCode::METHOD_NOT_ALLOWED);
    for bad in ["%ff".to_owned(), "x".repeat(129), String::new()] {
        assert_eq!(world.post(&format!("/v1/players/{bad}/erase"), "").await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}
