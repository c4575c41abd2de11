//! Scripts that trap or exceed a limit: each failure is in the room's log, and the process and its other rooms continue.

use chorus_core::{
    command::{Fault, RoomCommand},
    effect::LogLevel,
    frame::FrameTag,
    ids::{Kind, RoomId},
    room::Notice,
};
use serde_json::{Value, json};

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, BEN,
        stage::{ROOM, Stage},
        world::{Edge, Setup, World},
    },
};

#[tokio::test]
async fn a_loop_without_end_runs_out_of_fuel() {
    for kind in ["spin", "regexp"] {
        let fault = pays("spin-forever", kind, json!(null)).await;
        assert_eq!(fault, Fault::OutOfFuel(20_000_000), "{kind}: what a message may");
    }
    let mut stage = Stage::with("spin-forever", json!({}), &[ANA]).await;
    stage.send(ANA, "later", json!(null)).await;
    let (_, id) = stage.room.poll_timeout().expect("it has a timer");
    let out = stage.record(RoomCommand::Timer { id, name: None }).await;
    assert_eq!(out.fault(), Some(Fault::OutOfFuel(300_000_000)), "what a record of the room's own may");
}

#[tokio::test]
async fn memory_without_end_is_out_of_memory() {
    for kind in ["allocate", "stubborn"] {
        let fault = pays("allocate-forever", kind, json!(null)).await;
        assert_eq!(fault, Fault::OutOfMemory(64 << 20), "{kind}");
    }
    // A value that is too large at once is refused by the engine itself.
    for (kind, words) in [("strings", "string too long"), ("one", "invalid array buffer length")] {
        let mut stage = Stage::with("allocate-forever", json!({}), &[ANA]).await;
        let out = stage.send(ANA, kind, json!(null)).await;
        assert!(out.threw().is_some_and(|text| text.contains(words)), "{out:?}");
        assert_eq!(stage.send(ANA, "echo", json!(1)).await.reply(), 1);
    }
}

#[tokio::test]
async fn recursion_without_end_traps_inside_of_try_and_catch_too() {
    for kind in ["recurse", "caught"] {
        let fault = pays("recurse-forever", kind, json!(null)).await;
        assert!(matches!(fault, Fault::Trapped(_)), "{kind}: {fault}");
    }
}

/// A client can send such a text, so it must not end the room.
#[tokio::test]
async fn a_text_that_nests_too_deeply_is_thrown_by_json_parse() {
    let mut stage = Stage::with("recurse-forever", json!({}), &[ANA]).await;
    for _ in 0..6 {
        let out = stage.send(ANA, "json", json!(null)).await;
        let words = out.threw().expect("a throw");
        assert!(words.starts_with("RangeError: JSON.parse: the text nests more than 4096 deep"), "{words}");
    }
    assert_eq!(stage.send(ANA, "echo", json!(1)).await.reply(), 1);
    rebuilds_everywhere(ROOM, &stage.log, &["recurse-forever"]).await;
}

#[tokio::test]
async fn to_ask_for_more_than_a_record_may_is_thrown_by_the_sdk() {
    let cases = [
        ("effects", json!({ "count": 1_200 }), "RangeError: broadcast: this call has requested 1000 effects"),
        (
            "bytes",
            json!({ "count": 20 }),
            "RangeError: broadcast: with these 60020 bytes the effects of this call exceed",
        ),
        ("one", json!({ "size": 1_100_000 }), "RangeError: the reply: with these 1100007 bytes"),
        ("rooms", json!({ "count": 17 }), "RangeError: rooms.create: this call has created 16 rooms"),
        ("state", json!({ "size": 1_100_000 }), "RangeError: this.state and the players' data have 1100021 characters"),
    ];
    let mut stage = Stage::with("flood-output", json!({}), &[ANA]).await;
    for (kind, data, words) in cases {
        let before = stage.saved().await;
        let out = stage.send(ANA, kind, data).await;
        assert!(out.threw().is_some_and(|text| text.starts_with(words)), "{kind}: {out:?}");
        assert_eq!(out.error().0, "fault", "{kind}");
        assert_eq!(stage.saved().await, before, "{kind}");
    }
    assert_eq!(stage.send(ANA, "timers", json!({ "count": 900 })).await.reply(), json!(null), "one name is one timer");
    assert_eq!(stage.send(ANA, "caught-effects", json!(null)).await.reply(), 200);
    // As much as possible: any of the bounds may be reached first.
    for kind in ["effects", "bytes", "one", "timers", "rooms", "state"] {
        let out = stage.send(ANA, kind, json!({})).await;
        let fault = out.fault();
        let dear = matches!(fault, None | Some(Fault::OutOfFuel(_) | Fault::OutOfMemory(_)));
        assert!(dear && (fault.is_some() || out.threw().is_some()), "{kind}: {out:?}");
    }
    rebuilds_everywhere(ROOM, &stage.log, &["flood-output"]).await;
}

#[tokio::test]
async fn a_script_without_the_sdk_is_charged_for_too_many_effects() {
    let cases = [
        ("many-effects", "more than 1000 effects in one record"),
        ("many-bytes", "more than 1048576 bytes of output in one record"),
        ("one-reply", "more than 1048576 bytes of output in one record"),
        ("many-rooms", "more than 16 rooms created in one record"),
        ("large-parcel", "end: 600002 bytes at once"),
    ];
    for (kind, words) in cases {
        let fault = pays("bare-garbage", kind, json!(null)).await;
        assert!(matches!(&fault, Fault::TooMuch(text) if text.contains(words)), "{kind}: {fault}");
    }
}

#[tokio::test]
async fn one_timer_set_often_is_one_timer() {
    let mut stage = Stage::with("bare-garbage", json!({}), &[ANA]).await;
    for _ in 0..3 {
        assert_eq!(stage.send(ANA, "set-again", json!(null)).await.reply(), 1);
    }
    assert_eq!(stage.room.state().expect("it lives").timers.len(), 1);
}

#[tokio::test]
async fn a_log_that_is_too_long_is_cut_and_no_fault() {
    let mut stage = Stage::with("flood-output", json!({}), &[ANA]).await;
    let out = stage.send(ANA, "log", json!({})).await;
    assert_eq!(out.reply(), json!(null));
    let logs = out.logs();
    assert!(logs.iter().map(|(_, text)| text.len()).sum::<usize>() < 17 << 10);
    assert_eq!(
        logs.last().map(|(level, text)| (*level, text.ends_with("more bytes of log were cut)"))),
        Some((LogLevel::Warn, true))
    );
}

#[tokio::test]
async fn garbage_from_a_script_without_the_sdk_is_named() {
    let cases = [
        ("short-session", "send: it ends within a field"),
        ("negative-timer", "-5 ms; it must be from 0"),
        ("nan-timer", "NaN ms"),
        ("short-timer", "set-timer: it ends within a field"),
        ("unknown-timer", "no timer is called \"tock\""),
        ("bad-json", "not one JSON value"),
        ("no-json", "not one JSON value"),
        ("not-utf8", "reply: it has a text that is not UTF-8"),
        ("too-many-ids", "broadcast: it ends within a field"),
        ("bad-kind", "not a kind"),
        ("empty-type", "a type of 0 bytes"),
        ("deep-json", "not one JSON value"),
        ("unknown-effect", "no effect has the tag 0xee"),
        ("unknown-role", "a flag that is neither 0 nor 1: 7"),
        ("unknown-level", "log: 4 is no level"),
        ("missing-part", "send-room: not one JSON value"),
        ("part-too-many", "lock: it has 1 bytes after its last field"),
        ("long-effect", "an effect: it ends within a field"),
        ("half-a-head", "an effect: it ends within a field"),
        ("two-outcomes", "more outcomes than the call has entries"),
        ("no-outcome", "the answer has no outcome"),
        ("short-outcome", "the answer: it ends within a field"),
        ("unknown-outcome", "no outcome has the tag 0x77"),
        ("saved-instead", "the outcome `saved` for an entry that cannot have it"),
        ("long-outcome", "the answer: it ends within a field"),
        ("sit-nobody", "is not in the room"),
        ("short-stand", "stand: it ends within a field"),
        ("sit-together", "sit: it has 16 bytes after its last field"),
        ("sit-again", "is a player"),
    ];
    for (kind, words) in cases {
        let Fault::Garbage(text) = pays("bare-garbage", kind, json!(null)).await else { panic!("{kind}: {kind}") };
        assert!(text.contains(words), "{kind}: {text}");
    }
    for kind in ["many-timers"] {
        let fault = pays("bare-garbage", kind, json!(null)).await;
        assert!(matches!(fault, Fault::OutOfMemory(_) | Fault::OutOfFuel(_) | Fault::TooMuch(_)), "{kind}: {fault}");
    }
    for kind in ["not-bytes", "nothing", "throw", "threw"] {
        let mut stage = Stage::with("bare-garbage", json!({}), &[ANA]).await;
        let out = stage.send(ANA, kind, json!(null)).await;
        assert_eq!(out.error().0, "fault", "{kind}");
        assert_eq!(stage.send(ANA, "two-replies", json!(null)).await.reply(), 1, "{kind}");
        rebuilds_everywhere(ROOM, &stage.log, &["bare-garbage"]).await;
    }
}

#[tokio::test]
async fn strange_but_harmless_answers_are_one_answer() {
    let mut stage = Stage::with("bare-garbage", json!({}), &[ANA]).await;
    assert_eq!(stage.send(ANA, "two-replies", json!(null)).await.reply(), 1);
    assert_eq!(stage.send(ANA, "no-reply", json!(null)).await.reply(), json!(null));
    assert_eq!(stage.send(ANA, "admit-nobody", json!(null)).await.reply(), 1);
    let out = stage.send(ANA, "unknown-session", json!(null)).await;
    assert_eq!(out.tags(), [(ANA, FrameTag::Reply)], "a send to nobody goes nowhere");
}

#[tokio::test]
async fn a_state_that_cannot_be_saved_ends_the_room_with_a_reason() {
    let mut stage = Stage::with("bare-garbage", json!({}), &[ANA]).await;
    stage.send(ANA, "bad-save", json!(null)).await.reply();
    stage.room.handle(chorus_core::room::Input::TakeSnapshot);
    let out = stage.carry_out().await;
    let closed = out.iter().find_map(|output| match output {
        chorus_core::room::Output::Append(_, command @ RoomCommand::Close { .. }) => Some(command.clone()),
        _ => None,
    });
    let out = stage.record(closed.expect("it gives up")).await;
    assert!(out.left()[0].starts_with("ended: its state cannot be saved"), "{:?}", out.left());
}

#[tokio::test]
async fn a_large_state_is_kept() {
    let mut stage = Stage::with("big-state", json!({ "cells": 20_000 }), &[ANA]).await;
    assert_eq!(stage.send(ANA, "touch", json!(19_999)).await.reply(), 1);
    let saved = stage.snapshot().await.expect("it can be saved");
    assert!(saved.len() > 100_000);
    assert_eq!(stage.send(ANA, "read", json!(19_999)).await.reply(), 20_000);
    rebuilds_everywhere(ROOM, &stage.log, &["big-state"]).await;
}

#[tokio::test]
async fn a_trap_goes_back_to_the_state_before_the_record_in_a_new_instance() {
    let mut stage = Stage::with("big-state", json!({ "cells": 10 }), &[ANA, BEN]).await;
    stage.send(ANA, "touch", json!(3)).await;
    stage.snapshot().await;
    stage.send(BEN, "touch", json!(4)).await;
    let before = stage.saved().await;
    let opened = stage.opened.len();
    // The array becomes so long that the guest exceeds a bound when it prints it.
    let out = stage.send(ANA, "touch", json!(4_000_000_000_u64)).await;
    assert!(out.fault().is_some(), "{out:?}");
    assert_eq!(stage.opened.len(), opened + 1, "a new instance, from the snapshot");
    assert_eq!(stage.saved().await, before, "and the tail");
    let whole_views = out.tags().into_iter().filter(|(_, tag)| *tag == FrameTag::Room).count();
    assert_eq!(whole_views, 2, "everyone sees everything anew");
    assert_eq!(stage.send(BEN, "touch", json!(4)).await.reply(), 3);
    rebuilds_everywhere(ROOM, &stage.log, &["big-state"]).await;
}

#[tokio::test]
async fn faults_in_a_row_end_the_room_with_a_reason_that_its_members_get() {
    let mut stage = Stage::with("recurse-forever", json!({}), &[ANA, BEN]).await;
    for _ in 0..4 {
        stage.send(ANA, "recurse", json!(null)).await;
    }
    assert_eq!(stage.send(ANA, "echo", json!(1)).await.reply(), 1);
    for _ in 0..4 {
        stage.send(ANA, "recurse", json!(null)).await;
    }
    assert!(!stage.room.has_ended(), "four, and four, are not five in a row");
    let out = stage.send(ANA, "recurse", json!(null)).await;
    assert!(stage.room.has_ended());
    let reason = out.failed().expect("a reason");
    assert!(reason.starts_with("its script failed 5 times in a row; the last time it trapped"), "{reason}");
    assert_eq!(out.left(), vec![format!("ended: {reason}"); 2]);
    rebuilds_everywhere(ROOM, &stage.log, &["recurse-forever"]).await;
}

#[tokio::test]
async fn what_a_script_prints_and_logs_is_its_authors() {
    let mut stage = Stage::with("console", json!({}), &[ANA]).await;
    let out = stage.send(ANA, "levels", json!(null)).await;
    let levels: Vec<LogLevel> = out.logs().into_iter().map(|(level, _)| level).collect();
    assert_eq!(levels, [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Info]);
    stage.send(ANA, "strange", json!(null)).await.reply();
    let refused = stage.send(ANA, "then-refuse", json!(null)).await;
    assert_eq!((refused.logs(), refused.events()), (vec![(LogLevel::Info, "kept".into())], vec![]));
}

/// Each of these fixtures has a room of its own, on one host, beside a neighbour that must not be affected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_room_ends_and_its_neighbour_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    let neighbour = RoomId(1);
    world.publish("echo", "echo").await;
    world.create(neighbour, "echo", json!({})).await;
    world.edge.join(BEN, neighbour).await;
    let hostile = [
        ("spin-forever", "later"),
        ("recurse-forever", "recurse"),
        ("bare-garbage", "bad-json"),
        ("bare-garbage", "deep-json"),
    ];
    for (n, (guest, kind)) in hostile.into_iter().enumerate() {
        let room = RoomId(100 + n as u128);
        world.publish(guest, guest).await;
        world.create(room, guest, json!({})).await;
        world.edge.join(ANA, room).await;
        // One `later` sets five timers, and each of them fails.
        for id in 0..if kind == "later" { 1 } else { 5 } {
            world.edge.send(ANA, room, kind, json!({})).await;
            assert_eq!(world.edge.request(BEN, neighbour, "echo", json!(id)).await, Ok(json!(id)));
        }
        let left = world.edge.until("the room to end", |edge| {
            let frame = edge.of(ANA, room).into_iter().find(|frame| frame.tag == FrameTag::Left)?;
            Some(frame.value()["reason"].as_str().unwrap().to_owned())
        });
        let reason = left.await;
        assert!(reason.starts_with("ended: its script failed 5 times in a row"), "{guest} {kind}: {reason}");
        assert_eq!(world.edge.request(BEN, neighbour, "echo", json!(kind)).await, Ok(json!(kind)));
        let faults = world.log_of(room).await;
        let faults = faults.iter().filter(|(_, record)| matches!(record.command, RoomCommand::Fault { .. })).count();
        assert_eq!(faults, 5, "{guest} {kind}: each is in the log, once");
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lobby_begins_anew_when_it_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("lobby", "recurse-forever").await;
    world.host.ensure(RoomId::LOBBY, &Kind::lobby()).await.expect("there is a lobby");
    world.edge.join(ANA, RoomId::LOBBY).await;
    for _ in 0..5 {
        world.edge.send(ANA, RoomId::LOBBY, "recurse", json!(null)).await;
    }
    let look = |it: &Notice| match it {
        Notice::RestartScheduled { failed, in_ms: 0 } => Some(failed.clone()),
        _ => None,
    };
    let why = world.notices(RoomId::LOBBY, "the lobby to fail", look).await.expect("a reason");
    assert!(why.starts_with("its script failed 5 times in a row"), "{why}");
    world.edge.until("everybody to be out", |edge| (!lefts(edge).is_empty()).then_some(())).await;
    let look = |it: &Notice| matches!(it, Notice::Created { .. }).then_some(());
    world.notices(RoomId::LOBBY, "the lobby to begin anew", look).await;
    world.edge.received.clear();
    world.edge.join(ANA, RoomId::LOBBY).await;
    assert_eq!(world.edge.request(ANA, RoomId::LOBBY, "echo", json!(1)).await, Ok(json!(1)));
    world.close().await;

    // The lobby exists in the next process, too.
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.host.ensure(RoomId::LOBBY, &Kind::lobby()).await.expect("there is a lobby");
    world.edge.join(BEN, RoomId::LOBBY).await;
    world.close().await;
}

fn lefts(edge: &Edge) -> Vec<String> {
    let frames = edge.of(ANA, RoomId::LOBBY).into_iter().filter(|frame| frame.tag == FrameTag::Left);
    frames.map(|frame| frame.value()["reason"].as_str().expect("a reason").to_owned()).collect()
}

/// A member's message is a fault: the sender is notified, the room answers the next message, and the log rebuilds it
/// anywhere.
async fn pays(guest: &str, kind: &str, data: Value) -> Fault {
    let mut stage = Stage::with(guest, json!({}), &[ANA]).await;
    let before = stage.saved().await;
    let out = stage.send(ANA, kind, data).await;
    let fault = out.fault().unwrap_or_else(|| panic!("{guest} {kind}: {out:?}"));
    let code = if fault.is_exhaustion() { "too_costly" } else { "fault" };
    assert_eq!(out.error().0, code, "{guest} {kind}");
    assert_eq!(stage.saved().await, before, "{guest} {kind}");
    let harmless = if guest == "bare-garbage" { "two-replies" } else { "echo" };
    assert_eq!(stage.send(ANA, harmless, json!(1)).await.reply(), 1, "{guest} {kind}");
    rebuilds_everywhere(ROOM, &stage.log, &[guest]).await;
    fault
}
