//! Rooms that create rooms: no chain of them exceeds the allowance of its first room.

use chorus_core::{
    command::{Record, RoomCommand},
    ids::{RoomId, SessionId},
};
use serde_json::{Value, json};

use crate::support::{
    ANA,
    stage::Stage,
    world::{Setup, World},
};

const ROOM: RoomId = RoomId(7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_creates_its_own_kind_stops_at_its_allowance() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("begets", "begets").await;
    world.create(ROOM, "begets", json!({})).await;
    // The last one may create none: it throws, and ends as failed.
    let throws = |notice: &chorus_host::HostEvent| match &notice.what {
        chorus_host::HostEventKind::Ended { failed } => failed.clone(),
        _ => None,
    };
    let reason = world.happens("the last one to fail", throws).await;
    assert!(reason.contains("rooms.create: this room may have 0 more rooms"), "{reason}");
    world.edge.join(ANA, ROOM).await;
    assert_eq!(world.edge.request(ANA, ROOM, "left", json!(null)).await, Ok(json!(0)), "its one child has all");
    let (created, ended) = world.rooms().await;
    assert_eq!((created, ended), (17, 1), "itself and 16, of which the last one is gone");
    world.close().await;
}

#[tokio::test]
async fn rooms_that_are_refused_or_end_return_their_allowance_and_an_instance_has_the_rest() {
    let mut stage = Stage::with("begets", json!({}), &[ANA]).await;
    // It has passed on its whole allowance.
    let (code, text) = stage.send(ANA, "create", json!(1)).await.error();
    assert_eq!(code, "fault");
    let _ = text;
    let child = stage.room.state().unwrap().children.keys().next().copied().expect("a child");
    let data = chorus_core::command::RoomData::Ended { outcome: chorus_core::json::Json::null(), failed: None };
    let number = chorus_core::ids::OutputId { offset: 1, index: 0 };
    stage.record(RoomCommand::RoomMessage { from: child, number, data }).await;
    assert_eq!(left(&mut stage, ANA).await, 16);
    stage.send(ANA, "create", json!(10)).await.reply();
    assert_eq!(left(&mut stage, ANA).await, 6);
    assert_eq!(stage.send(ANA, "create-and-refuse", json!(null)).await.error().0, "refused");
    assert_eq!(left(&mut stage, ANA).await, 6);
    // A throw takes another instance, which receives the allowance from the host.
    let out = stage.send(ANA, "create", json!(7)).await;
    assert!(out.threw().is_some_and(|text| text.contains("this room may have 0 more rooms")), "{out:?}");
    assert_eq!(left(&mut stage, ANA).await, 6);
    crate::replay::rebuilds_everywhere(crate::support::stage::ROOM, &stage.log, &["begets"]).await;
}

async fn left(stage: &mut Stage, session: SessionId) -> Value {
    stage.send(session, "left", json!(null)).await.reply()
}

impl World {
    /// Counts the rooms that were created and those that have ended, by the log.
    async fn rooms(&self) -> (usize, usize) {
        let log = self.log().await;
        let creates = log.iter().filter(|(_, Record { command, .. })| matches!(command, RoomCommand::Create { .. }));
        let ended = log.iter().filter(|(_, Record { command, .. })| {
            matches!(command, RoomCommand::RoomMessage { data: chorus_core::command::RoomData::Ended { .. }, .. })
        });
        (creates.count(), ended.count())
    }
}
