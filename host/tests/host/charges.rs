//! What a client's record may cost. If it costs more, the client pays, not the room or its other members.

use chorus_core::{
    command::{Fault, LeaveReason, RoomCommand},
    ids::{Kind, RoomId, SessionId},
    room::{Notice, State},
};
use serde_json::{Value, json};

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, BEN, join,
        stage::{ROOM, Stage, edge},
        world::{Setup, World},
    },
};

/// In the room and in the lobby, each with a bystander.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_dear_messages_end_no_room_and_a_bystander_plays_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    for (room, kind) in [(RoomId(7), "spin-forever"), (RoomId::LOBBY, "lobby")] {
        world.publish(kind, "spin-forever").await;
        match room {
            RoomId::LOBBY => world.host.ensure(room, &Kind::lobby()).await.expect("there is a lobby"),
            _ => world.create(room, kind, json!({})).await,
        }
        world.edge.join(ANA, room).await;
        world.edge.join(BEN, room).await;
        for n in 0..12 {
            let (code, _) = world.edge.request(ANA, room, "spin", json!(n)).await.expect_err("it costs too much");
            assert_eq!(code, "too_costly");
            assert_eq!(world.edge.request(BEN, room, "echo", json!(n)).await, Ok(json!(n)));
        }
        let failed = |notice: &Notice| match notice {
            Notice::Faulted { charged, .. } => Some(*charged),
            _ => None,
        };
        assert_eq!(world.notices(room, "a fault", failed).await, Some(ANA));
    }
    let spent = |session| world.edge.spent.get(&session).copied().unwrap_or(0);
    assert!(spent(ANA) > 10 * spent(BEN), "the edge gets the session that is charged: {:?}", world.edge.spent);
    world.close().await;
}

/// The calls are counted: only the message itself is called, not the records before it.
#[tokio::test]
async fn dear_messages_are_not_gone_through_again_for_each_that_is_too_dear() {
    let mut stage = Stage::with("costly-hooks", json!({}), &[ANA]).await;
    for _ in 0..20 {
        stage.send(ANA, "burn", json!(20_000)).await.reply();
    }
    assert!(stage.send(ANA, "spin", json!(null)).await.fault().is_some());
    for _ in 0..3 {
        let (calls, opened) = (stage.calls, stage.opened.len());
        assert!(is_exhausted(stage.send(ANA, "spin", json!(null)).await.fault()));
        assert!(stage.opened.len() <= opened + 1, "one instance");
        assert_eq!(stage.calls, calls + 1, "and one call");
    }
    rebuilds_everywhere(ROOM, &stage.log, &["costly-hooks"]).await;
}

#[tokio::test]
async fn what_hooks_exhaust_is_the_clients_too_and_the_machines_part_is_done() {
    for hook in ["join", "drop", "reconnect", "leave"] {
        let mut stage = Stage::with("costly-hooks", json!({}), &[ANA, BEN]).await;
        if hook == "reconnect" {
            stage.record(dropped(BEN)).await;
        }
        if hook == "join" {
            stage.record(left(BEN)).await;
        }
        stage.send(ANA, "loop", json!([hook])).await.reply();
        let command = match hook {
            "join" => crate::support::join(BEN, &edge(), 0),
            "drop" => dropped(BEN),
            "reconnect" => crate::support::join(BEN, &edge(), 0),
            _ => left(BEN),
        };
        for _ in 0..if hook == "join" { 6 } else { 1 } {
            assert!(is_exhausted(stage.record(command.clone()).await.fault()), "{hook}");
        }
        let state: &State = stage.room.state().expect("it goes on");
        assert_eq!(state.faults, 0, "{hook}");
        let ben = state.members.get(&BEN).map(|member| member.connected);
        let expected = match hook {
            "join" | "leave" => None,
            "drop" => Some(false),
            _ => Some(true),
        };
        assert_eq!(ben, expected, "{hook}");
        let heard = stage.send(ANA, "heard", json!(null)).await.reply();
        assert!(heard.as_array().is_some_and(|heard| heard.len() >= 2), "{hook}: {heard}");
        rebuilds_everywhere(ROOM, &stage.log, &["costly-hooks"]).await;
    }
}

/// An edge accepts texts that nest 64 deep. Twice that, in what a script makes of them, is within the limits of other
/// languages' JSON parsers, and far from the end of the sandbox's stack.
#[tokio::test]
async fn what_a_client_nests_is_given_back_shown_and_kept() {
    let deepest = nested(64);
    for depth in [0, 8, 56] {
        let data = json!({ "data": deepest, "depth": depth });
        let mut stage = Stage::with("nests", json!({}), &[ANA, BEN]).await;
        stage.send(ANA, "back", data.clone()).await.reply();
        assert_eq!(stage.send(ANA, "show", data.clone()).await.events().len(), 2, "one for each member");
        stage.send(ANA, "keep", data).await.reply();
        assert!(stage.snapshot().await.is_some());
        rebuilds_everywhere(ROOM, &stage.log, &["nests"]).await;
    }
}

/// The distance to the end of the stack: the SDK's own parsing of a client's text.
#[tokio::test]
async fn the_stack_holds_many_times_what_an_edge_lets_through() {
    let mut stage = Stage::with("nests", json!({}), &[ANA]).await;
    let text = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    let data = chorus_core::json::Json::trusted(text);
    let out = stage.record(RoomCommand::Message { session: ANA, message_id: 100, msg_type: "look".into(), data }).await;
    assert_eq!(out.fault(), None, "60 times what an edge lets through");
    assert_eq!(out.reply(), "object");
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!([1]), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) })
}

/// The fuel of a message, and a little for the state.
fn is_exhausted(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::OutOfFuel(fuel)) if (20_000_000..21_000_000).contains(&fuel))
}

fn dropped(session: SessionId) -> RoomCommand {
    RoomCommand::Drop { session, edge: edge(), code: 1006 }
}

fn left(session: SessionId) -> RoomCommand {
    RoomCommand::Leave { session, reason: LeaveReason::Left }
}

/// A join is the client's record, and the cost of a lobby of thousands is not charged to the newcomer.
#[tokio::test]
async fn a_join_into_a_lobby_of_ten_thousand_is_far_below_what_a_client_may_cost() {
    const MEMBERS: u128 = 10_000;
    let mut stage = Stage::with("lobby", json!({}), &[]).await;
    for n in 1..=MEMBERS {
        stage.record(join(SessionId(n), &edge(), 0)).await;
    }
    let full = stage.record(join(SessionId(MEMBERS + 1), &edge(), 0)).await;
    assert!(full.fault().is_none(), "{:?}", full.fault());
    assert!(!full.tags().is_empty(), "it is in");
    let fuel = stage.fuel;
    assert!(2 * fuel < chorus_host::guest::budget::Budget::default().message_fuel, "{fuel} units");
}
