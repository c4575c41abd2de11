//! Spectators sit down and players stand up in place, with their data: a script's request, the machine's decision, and what a
//! replay makes of both.

use chorus_core::{command::RoomCommand, effect::RestoreReason, frame::FrameTag, ids::SessionId, room::Room};
use serde_json::{Value, json};

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, BEN, CLEO, FIRST, join,
        stage::{ROOM, Stage, edge},
    },
};

#[tokio::test]
async fn a_spectator_takes_the_seat_of_a_player_that_stands_up() {
    let mut stage = table().await;
    assert_eq!(spectators(&stage), [CLEO]);
    let refused = stage.send(CLEO, "sit", json!(null)).await;
    let text = "player.sit: the room has 2 players, the most that it may have (config.maxPlayers)";
    assert_eq!(refused.error(), ("refused".into(), text.into()));
    stage.send(ANA, "stand", json!(null)).await.reply();
    let seated = stage.send(CLEO, "sit", json!(null)).await;
    assert_eq!(seated.reply(), Value::Null);
    assert_eq!(spectators(&stage), [ANA]);
    let cleo = stage.room.state().unwrap().view_of(CLEO);
    let view = json!({ "watches": false, "games": 1 });
    assert_eq!(serde_json::from_str::<Value>(&cleo).unwrap(), view, "its data is kept, and its view shows the seat");
}

#[tokio::test]
async fn a_refusal_takes_the_change_back_and_a_throw_does_too() {
    let mut stage = table().await;
    for (session, kind) in [(ANA, "pretend"), (CLEO, "stand")] {
        let out = stage.send(session, kind, json!(null)).await;
        assert_eq!(out.tags(), [(session, FrameTag::Error)], "{kind}");
        assert_eq!(spectators(&stage), [CLEO], "{kind}");
    }
    let out = stage.send(CLEO, "sit", json!(null)).await;
    assert_eq!(out.error().0, "refused", "the instance, too, counts two players");
}

#[tokio::test]
async fn roles_are_replayed_from_each_offset() {
    let mut stage = table().await;
    let steps: [(SessionId, &str); 8] = [
        (CLEO, "sit"),
        (ANA, "stand"),
        (CLEO, "sit"),
        (BEN, "pretend"),
        (ANA, "sit"),
        (BEN, "stand"),
        (BEN, "stand"),
        (ANA, "sit"),
    ];
    for (session, kind) in steps {
        stage.send(session, kind, json!(null)).await;
    }
    stage.record(RoomCommand::Drop { session: ANA, edge: edge(), code: 1006 }).await;
    stage.record(RoomCommand::Reconnect { session: ANA, edge: edge(), request: FIRST, last_seq: None }).await;
    stage.send(ANA, "stand", json!(null)).await;
    stage.record(join(SessionId(0xd), &edge(), 0)).await;
    assert_eq!(spectators(&stage), [ANA, BEN], "the seat that Ana has given up is the newcomer's");
    rebuilds_everywhere(ROOM, &stage.log, &["table"]).await;
}

#[tokio::test]
async fn a_room_that_hibernates_keeps_its_roles() {
    let mut stage = table().await;
    stage.send(ANA, "stand", json!(null)).await;
    let snapshot = stage.snapshot().await.expect("there is something new");
    stage.room = Room::restore(ROOM, &snapshot, RestoreReason::Woken).unwrap();
    assert_eq!(stage.send(CLEO, "sit", json!(null)).await.reply(), Value::Null);
    let again = stage.send(ANA, "sit", json!(null)).await;
    assert_eq!(again.error().0, "refused");
    assert_eq!(spectators(&stage), [ANA]);
}

/// Ana and Ben have the seats, and Cleo watches.
async fn table() -> Stage {
    Stage::with("table", json!({}), &[ANA, BEN, CLEO]).await
}

fn spectators(stage: &Stage) -> Vec<SessionId> {
    let members = &stage.room.state().unwrap().members;
    members.iter().filter(|(_, member)| member.spectator).map(|(session, _)| *session).collect()
}
