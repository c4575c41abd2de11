//! A hook that throws is rolled back: none of its effects count, and the room goes on from the state before.

use chorus_core::{
    command::{Answer, EdgeCommand, LeaveReason, RoomCommand, RoomData},
    ids::{OutputId, RoomId},
    json::Json,
    room::Output,
};
use serde_json::{Value, json};

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, BEN, CLEO, FIRST, join,
        stage::{Out, ROOM, Stage, edge},
    },
};

#[tokio::test]
async fn a_message_that_throws_has_no_effect_but_its_error() {
    let mut stage = armed("message").await;
    let out = stage.send(ANA, "message", json!(null)).await;
    let (code, words) = out.error();
    assert_eq!(
        (code.as_str(), words.as_str()),
        ("fault", "the room's script failed on this message; it had no effect")
    );
    goes_on(&mut stage, "message", &out).await;
}

#[tokio::test]
async fn a_view_that_throws_undoes_the_call_it_was_to_show() {
    let mut stage = Stage::with("throw-everywhere", json!({}), &[ANA]).await;
    let before = stage.saved().await;
    let out = stage.send(ANA, "arm", json!("view")).await;
    assert_eq!(out.error().0, "fault");
    assert!(out.threw().unwrap().contains("view throws on purpose"));
    stage.send(ANA, "arm", json!("")).await;
    assert_eq!(stage.saved().await, before);
}

#[tokio::test]
async fn a_join_during_which_the_script_throws_is_refused() {
    for hook in ["onJoinAttempt", "onJoin"] {
        let mut stage = armed(hook).await;
        let out = stage.record(join(BEN, &edge(), 0)).await;
        let refused = out.0.iter().find_map(|output| match output {
            Output::Edge(_, EdgeCommand::Refused { session: BEN, reason, .. }) => Some(reason.clone()),
            _ => None,
        });
        assert_eq!(refused.as_deref(), Some("the room's script failed"), "{hook}");
        assert!(!stage.room.state().unwrap().members.contains_key(&BEN), "{hook}");
        goes_on(&mut stage, hook, &out).await;
    }
}

#[tokio::test]
async fn what_the_room_itself_does_stands_when_the_scripts_hook_throws() {
    let drop_ben = RoomCommand::Drop { session: BEN, edge: edge(), code: 1006 };
    let back = RoomCommand::Reconnect { session: BEN, edge: edge(), request: FIRST, last_seq: None };
    let leave = RoomCommand::Leave { session: BEN, reason: LeaveReason::Left };

    let mut stage = armed("onDrop").await;
    stage.record(join(BEN, &edge(), 0)).await;
    let out = stage.record(drop_ben.clone()).await;
    assert!(!stage.room.state().unwrap().members[&BEN].connected);
    goes_on(&mut stage, "onDrop", &out).await;

    let mut stage = armed("onReconnect").await;
    stage.record(join(BEN, &edge(), 0)).await;
    stage.record(drop_ben).await;
    let out = stage.record(back).await;
    assert!(stage.room.state().unwrap().members[&BEN].connected);
    goes_on(&mut stage, "onReconnect", &out).await;

    let mut stage = armed("onLeave").await;
    stage.record(join(BEN, &edge(), 0)).await;
    let out = stage.record(leave).await;
    assert!(!stage.room.state().unwrap().members.contains_key(&BEN));
    goes_on(&mut stage, "onLeave", &out).await;
    let reached = stage.send(ANA, "message", json!(null)).await.reply();
    assert_eq!(reached.as_array().unwrap().iter().filter(|hook| *hook == "onLeave").count(), 0);
}

#[tokio::test]
async fn a_timer_that_throws_has_fired() {
    let mut stage = armed("timer").await;
    stage.send(ANA, "timer", json!(0)).await;
    let (_, id) = stage.room.poll_timeout().expect("the timer");
    let out = stage.record(RoomCommand::Timer { id, name: None }).await;
    assert_eq!(stage.room.poll_timeout(), None);
    goes_on(&mut stage, "timer", &out).await;
}

#[tokio::test]
async fn answers_and_other_rooms_words_that_make_it_throw_are_heard_once() {
    let mut stage = armed("onRoomMessage").await;
    let data = RoomData::Message(Json::trusted("1"));
    let number = OutputId { offset: 5, index: 1 };
    let out = stage.record(RoomCommand::RoomMessage { from: RoomId(5), number, data }).await;
    goes_on(&mut stage, "onRoomMessage", &out).await;

    let mut stage = armed("onRoomEnd").await;
    let asked = stage.send(ANA, "create", json!(null)).await;
    let (room, request) = asked.0.iter().find_map(created).expect("it asked for a room");
    let answer = Answer::CreateFailed { room, reason: "there is no such kind".into() };
    let out = stage.record(RoomCommand::Answer { request, answer }).await;
    goes_on(&mut stage, "onRoomEnd", &out).await;

    let mut stage = armed("onMoveFailed").await;
    let asked = stage.send(ANA, "move", json!(null)).await;
    let (room, request) = asked.0.iter().find_map(moved).expect("it asked for a move");
    let answer = Answer::MoveRefused { session: ANA, room, reason: "full".into() };
    let out = stage.record(RoomCommand::Answer { request, answer }).await;
    goes_on(&mut stage, "onMoveFailed", &out).await;
}

#[tokio::test]
async fn a_room_whose_creation_throws_ends_and_says_why() {
    let mut stage = Stage::of("throw-everywhere", &[]).await;
    let out = stage.create("throw-everywhere", json!({ "throwIn": "onCreate" })).await;
    let reason = out.failed().expect("it has failed");
    assert!(reason.starts_with("its script threw: Error: onCreate throws on purpose"), "{reason}");
    assert!(stage.room.has_ended());
    rebuilds_everywhere(ROOM, &stage.log, &["throw-everywhere"]).await;
}

#[tokio::test]
async fn a_room_that_throws_at_its_end_ends_all_the_same() {
    let mut stage = armed("onDispose").await;
    let out = stage.send(ANA, "finish", json!(null)).await;
    assert_eq!(out.failed(), None);
    assert_eq!(out.left(), ["ended", "ended"]);
    assert!(out.logs().iter().any(|(_, text)| text.contains("onDispose throws on purpose")), "{:?}", out.logs());
}

#[tokio::test]
async fn a_throw_costs_one_instance_and_goes_back_to_the_state_before() {
    let mut stage = armed("message").await;
    let before = stage.opened.len();
    for _ in 0..10 {
        stage.send(ANA, "message", json!(null)).await;
    }
    stage.send(ANA, "arm", json!("")).await;
    assert_eq!(stage.opened.len() - before, 10);
    assert!(!stage.room.has_ended(), "what a player can make throw ends nothing");
}

#[tokio::test]
async fn garbage_that_the_sdk_sees_is_a_throw_with_words_for_the_author() {
    let cases = [
        ("promise", "promise"),
        ("cycle", "not plain JSON data"),
        ("bigint", "not plain JSON data"),
        ("bigint-state", "not plain JSON data"),
        ("function", "must be plain JSON data"),
        ("function-state", "must be plain JSON data"),
        ("no-state", "this.state is undefined"),
        ("empty-type", "1 to 64 bytes"),
        ("infinity", "0 or more"),
        ("no-such-timer", "has no \"tock\""),
        ("no-such-room", "not a room's id"),
        ("own-field", "only this.state survives"),
        ("throw-nothing", "threw undefined"),
        ("throw-surrogate", "cut \u{fffd}"),
        ("throw-unprintable", "cannot be printed"),
        ("player", "not plain data"),
    ];
    let mut stage = Stage::with("return-garbage", json!({}), &[ANA]).await;
    for (kind, words) in cases {
        let out = stage.send(ANA, kind, json!(null)).await;
        let threw = out.threw().unwrap_or_else(|| panic!("{kind}: {out:?}"));
        assert!(threw.to_lowercase().contains(&words.to_lowercase()), "{kind}: {threw}");
        assert_eq!(out.error().0, "fault", "{kind}");
        assert_eq!(stage.send(ANA, "echo", json!(kind)).await.reply(), kind);
    }
    let cut = stage.send(ANA, "surrogate", json!(null)).await;
    assert_eq!((cut.reply(), cut.events()), (json!("\u{fffd} cut"), vec![("\u{fffd}".into(), json!("cut \u{fffd}"))]));
    assert_eq!(stage.send(ANA, "surrogate-refusal", json!(null)).await.error().1, "cut \u{fffd}");
    assert!(!stage.room.has_ended());
    rebuilds_everywhere(ROOM, &stage.log, &["return-garbage"]).await;
}

/// A room with ana and cleo in it, whose hook `throw_in` will throw.
async fn armed(throw_in: &str) -> Stage {
    let mut stage = Stage::with("throw-everywhere", json!({}), &[ANA, CLEO]).await;
    stage.send(ANA, "arm", json!(throw_in)).await.reply();
    stage
}

/// Only the author was notified; the state is unchanged, and the room works.
async fn goes_on(stage: &mut Stage, hook: &str, out: &Out) {
    assert!(out.threw().is_some_and(|text| text.contains(&format!("{hook} throws on purpose"))), "{out:?}");
    assert_eq!(out.events().iter().filter(|(kind, data)| kind == "reached" && data == hook).count(), 0, "{out:?}");
    let reached = stage.send(ANA, "arm", json!("")).await.reply();
    let count = |reached: &Value| reached.as_array().unwrap().iter().filter(|one| *one == hook).count();
    let known = usize::from(matches!(hook, "onJoinAttempt" | "onJoin")) * 2;
    assert_eq!(count(&reached), known, "{hook}: {reached}");
    assert!(!stage.room.has_ended());
    rebuilds_everywhere(ROOM, &stage.log, &["throw-everywhere"]).await;
}

fn created(output: &Output) -> Option<(RoomId, OutputId)> {
    match output {
        Output::Create { id, source, .. } => Some((*id, source.number)),
        _ => None,
    }
}

fn moved(output: &Output) -> Option<(RoomId, OutputId)> {
    match output {
        Output::Edge(_, EdgeCommand::Move { room, from, .. }) => Some((*room, from.number)),
        _ => None,
    }
}
