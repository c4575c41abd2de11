//! Time that a guest of our engine spends where nothing counts: it ends by the clock, and then the log decides.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use chorus_core::{
    command::{Fault, Record, RoomCommand},
    ids::{Digest, Time},
    room::{Call, Input, Output},
};
use chorus_host::guest::Unavailable;
use serde_json::json;

use crate::{
    metered,
    replay::rebuilds_everywhere,
    support::{
        ANA, create, guests,
        guests::component,
        join, kind, message,
        stage::{ROOM, Stage, edge},
    },
};

const GUEST: &str = "native-forever";

fn out_of_time() -> Fault {
    Fault::TooMuch("more than 50 ms of computation in one record".into())
}

#[tokio::test]
async fn time_without_end_in_the_engines_own_code_is_too_much() {
    let mut stage = Stage::with(GUEST, json!({}), &[ANA]).await;
    for kind in ["skip", "caught", "finally", "reverse", "copy", "fill", "keys"] {
        let out = stage.send(ANA, kind, json!(null)).await;
        assert_eq!(out.fault(), Some(out_of_time()), "{kind}");
        assert_eq!(out.error().0, "too_costly", "{kind}");
        assert_eq!(stage.send(ANA, "echo", json!(1)).await.reply(), 1, "{kind}");
    }
    rebuilds_everywhere(ROOM, &stage.log, &[GUEST]).await;
}

/// So each replay ends it at the same place, and the clock has no part in it.
#[tokio::test]
async fn work_in_the_engines_own_code_that_takes_polls_is_out_of_fuel() {
    let mut stage = Stage::with(GUEST, json!({}), &[ANA]).await;
    for kind in ["search", "sort", "repeat", "json", "print"] {
        let fault = stage.send(ANA, kind, json!(null)).await.fault();
        assert!(matches!(fault, Some(Fault::OutOfFuel(_))), "{kind}: {fault:?}");
        assert_eq!(stage.send(ANA, "echo", json!(1)).await.reply(), 1, "{kind}");
    }
    rebuilds_everywhere(ROOM, &stage.log, &[GUEST]).await;
}

/// The slices of a loop end without an epoch: those are too long.
#[tokio::test]
async fn a_loop_leaves_others_their_turns_at_its_safepoints() {
    let mut stage = Stage::with("spin-forever", json!({}), &[ANA]).await;
    stage.send(ANA, "later", json!(null)).await;
    let turns = Arc::new(AtomicU32::new(0));
    let other = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let (due, id) = stage.room.poll_timeout().expect("a timer is set");
    stage.now = stage.now.max(due);
    let fault = stage.record(RoomCommand::Timer { id, name: None }).await.fault();
    other.abort();
    assert!(matches!(fault, Some(Fault::OutOfFuel(_))), "{fault:?}");
    let turns = turns.load(Relaxed);
    assert!(turns >= 20, "{turns} turns in a loop of 3 million polls");
}

#[tokio::test]
async fn a_room_that_is_never_created_ends_by_a_fault() {
    let mut stage = Stage::of(GUEST, &[]).await;
    let out = stage.create(GUEST, json!({ "skip": true })).await;
    assert_eq!(out.fault(), Some(out_of_time()));
    assert!(stage.room.has_ended());
}

/// A component that only claims to meter itself: a loop in its own code ends as well.
#[tokio::test]
async fn a_component_that_poses_as_ours_ends_by_the_clock() {
    let mut stage = posing("poses", "").await;
    assert_eq!(stage.send(ANA, "go", json!(null)).await.fault(), Some(out_of_time()));
}

#[tokio::test]
async fn a_component_that_poses_as_ours_costs_at_most_its_limit() {
    let mut stage = posing("poses-as-expensive", &returns(0x01, -1)).await;
    stage.send(ANA, "go", json!(null)).await.reply();
    assert!((20_000_000..=300_000_000).contains(&stage.fuel), "{}", stage.fuel);
}

#[tokio::test]
async fn an_entry_is_exhausted_only_by_a_meter_of_the_guests_own() {
    let mut stage = posing("poses-as-exhausted", &returns(0x04, 0)).await;
    let fault = stage.send(ANA, "go", json!(null)).await.fault();
    assert!(matches!(fault, Some(Fault::OutOfFuel(_))), "{fault:?}");
    let mut stage = of_another_make("exhausted-without-a-meter", &returns(0x04, 0), "").await;
    let fault = stage.send(ANA, "go", json!(null)).await.fault();
    let wanted = "the outcome `exhausted` of a component without a meter of its own";
    assert_eq!(fault, Some(Fault::Garbage(wanted.into())));
}

/// A component that is not ours, in a room with Ana, which claims to meter itself and runs `body` for a message again and again.
async fn posing(name: &str, body: &str) -> Stage {
    of_another_make(name, body, r#"(import "chorus:room/meter@3.0.0" (instance (export "safepoint" (func))))"#).await
}

async fn of_another_make(name: &str, body: &str, import: &str) -> Stage {
    let text = metered::COMPONENT.replacen('\n', &format!("\n{import}\n"), 1);
    let wasm = wat::parse_str(text.replace("$BODY", body)).expect("it is a component");
    guests::insert(name, Digest::of(&wasm), &wasm).await;
    Stage::with(name, json!({}), &[ANA]).await
}

/// Code that returns an outcome with this tag, nothing but what it has used in it.
fn returns(tag: u8, used: i64) -> String {
    let head = 0x0800 | u64::from(tag);
    format!(
        "(i64.store (i32.const 1104) (i64.const {head})) (i64.store (i32.const 1109) (i64.const {used}))
        (return (call $bytes (i32.const 1104) (i32.const 13)))"
    )
}

#[tokio::test]
async fn a_record_that_may_have_been_answered_is_tried_again_and_no_fault() {
    let mut stage = Stage::with(GUEST, json!({}), &[ANA]).await;
    stage.room.handle(Input::Inherited(10_000));
    stage.room.handle(Input::Record(5_000, record(message(ANA, 1, "skip", &json!(null)))));
    let mut tries = 0;
    while let Some(output) = stage.room.poll_output() {
        let Output::Guest(call) = output else { panic!("{output:?}") };
        let is_it = matches!(&call, Call::Handle(entry) if format!("{:?}", entry.event).contains("skip"));
        match stage.runner.run(call).await {
            Ok(outcome) => stage.room.handle(Input::Guest { outcome, fuel: 0 }),
            Err(Unavailable::Resource(why)) if is_it && &*why == "took more than 500 ms" => {
                tries += 1;
                if tries == 2 {
                    return;
                }
                stage.room.handle(Input::InstanceLost);
            }
            Err(cause) => panic!("{cause}"),
        }
    }
    panic!("it has an outcome");
}

/// The swap is refused by the log: no other host tries it again.
#[tokio::test]
async fn a_swap_that_never_ends_is_refused_by_a_fault() {
    let mut stage = Stage::of("counter-v1", &["counter-never-migrates"]).await;
    stage.record(create(kind("counter-v1"), component("counter-v1").await.digest(), &json!({}))).await;
    stage.record(join(ANA, &edge(), 0)).await;
    stage.send(ANA, "add", json!(3)).await.reply();
    let next = component("counter-never-migrates").await.digest();
    let out = stage.record(RoomCommand::Swap { component: next, rollout: None }).await;
    assert!(matches!(out.fault(), Some(Fault::TooMuch(_))), "{out:?}");
    assert_eq!(stage.send(ANA, "add", json!(1)).await.reply(), 4);
    rebuilds_everywhere(ROOM, &stage.log, &["counter-v1", "counter-never-migrates"]).await;
}

/// What a call costs follows from the state and the record, not from what the instance has done before.
#[tokio::test]
async fn a_call_costs_the_same_in_a_restored_room() {
    let mut costs = vec![];
    for restores in [false, true] {
        let mut stage = Stage::with("costly-hooks", json!({}), &[ANA]).await;
        let mut fuel = vec![];
        for n in 0..30 {
            stage.send(ANA, "burn", json!(1_000 + n % 7)).await.reply();
            fuel.push(stage.fuel);
            stage.send(ANA, "heard", json!(null)).await.reply();
            fuel.push(stage.fuel);
            if restores {
                stage.snapshot().await.expect("there is something new");
                stage.room.handle(Input::InstanceLost);
            }
        }
        costs.push(fuel);
    }
    assert_eq!(costs[0], costs[1]);
    // The limit itself: 20 M of fuel are 200,000 polls.
    let mut stage = Stage::with("costly-hooks", json!({}), &[ANA]).await;
    // What a message may take grows with the state as last saved.
    stage.snapshot().await.expect("there is something new");
    let fits = most_rounds(&mut stage, 1, 200_000).await;
    for (rounds, is_exhausted) in [(fits, false), (fits + 1, true), (fits, false)] {
        let fault = stage.send(ANA, "burn", json!(rounds)).await.fault();
        assert_eq!(fault.is_some(), is_exhausted, "{rounds} rounds: {fault:?}");
    }
}

/// The most rounds of `burn` that a message may have, by halving.
async fn most_rounds(stage: &mut Stage, mut fits: u64, mut exceeds: u64) -> u64 {
    while fits + 1 < exceeds {
        let rounds = u64::midpoint(fits, exceeds);
        match stage.send(ANA, "burn", json!(rounds)).await.fault() {
            None => fits = rounds,
            Some(fault) => {
                assert!(matches!(fault, Fault::OutOfFuel(_)), "{fault}");
                exceeds = rounds;
            }
        }
    }
    fits
}

fn record(command: RoomCommand) -> Record {
    Record { room: ROOM, time: Time(1_700_000_009_000), command }
}
