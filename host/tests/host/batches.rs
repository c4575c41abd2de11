//! Records that a guest gets in one call have the results that they have one by one.

use chorus_core::{
    command::{Fault, LeaveReason, Record, RoomCommand},
    ids::{Offset, SessionId},
    room::Output,
};
use serde_json::{Value, json};

use crate::support::{
    ANA, BEN, CLEO, join, message,
    stage::{Out, Stage, edge},
};

const PLAYERS: [SessionId; 3] = [ANA, BEN, CLEO];

/// Its type and its data.
type Message = (&'static str, Value);

/// Messages of each kind: what they change, what they refuse, how they fail, and what must not be handed over with others.
#[tokio::test]
async fn rooms_are_the_same_however_many_records_a_call_has() {
    let kinds: [(&str, Value, Vec<Message>); 10] = [
        ("tic-tac-toe", json!({ "seats": ["ana", "ben"] }), (0..9).map(|n| ("move", json!({ "cell": n }))).collect()),
        ("chance-and-time", json!({}), ["draw", "deal", "luck", "draw"].map(|one| (one, json!(null))).into()),
        ("table", json!({}), ["sit", "stand", "pretend"].map(|one| (one, json!(null))).into()),
        ("throw-everywhere", json!({}), few("message", "move", 10)),
        (
            "return-garbage",
            json!({}),
            ["echo", "echo", "echo", "promise", "surrogate"].map(|one| (one, json!(1))).into(),
        ),
        (
            "bouncer",
            json!({}),
            vec![("who", json!(0)), ("gone", json!(0)), ("kick", json!({ "name": "ben", "why": "" }))],
        ),
        ("spin-forever", json!({}), few("echo", "spin", 30)),
        ("native-forever", json!({}), few("echo", "reverse", 50)),
        ("recurse-forever", json!({}), few("echo", "recurse", 30)),
        ("bare-garbage", json!({}), few("no-reply", "two-outcomes", 20)),
    ];
    let mut in_few_calls = vec![];
    for (seed, (kind, options, messages)) in kinds.into_iter().enumerate() {
        let mut dice = Dice(seed as u64);
        let (mut alone, mut out) = (Stage::of(kind, &[]).await, Out::default());
        out.0.extend(alone.create(kind, options).await.0);
        for session in PLAYERS {
            out.0.extend(alone.record(join(session, &edge(), 0)).await.0);
        }
        for _ in 0..150 {
            let (msg_type, data) = messages[dice.below(messages.len())].clone();
            out.0.extend(alone.send(PLAYERS[dice.below(3)], msg_type, data).await.0);
            if dice.below(40) == 0 {
                let session = PLAYERS[dice.below(3)];
                out.0.extend(alone.record(RoomCommand::Leave { session, reason: LeaveReason::Left }).await.0);
                out.0.extend(alone.record(join(session, &edge(), 0)).await.0);
            }
        }
        let (mut batched, mut again) = (Stage::of(kind, &[]).await, Out::default());
        for records in split(&alone.log, &mut dice) {
            again.0.extend(batched.replay(&records).await.0);
        }
        assert_eq!(of_records(again), of_records(out), "{kind}");
        assert_eq!(batched.room.state(), alone.room.state(), "{kind}");
        assert_eq!(batched.saved().await, alone.saved().await, "{kind}");
        if 2 * batched.calls < alone.calls {
            in_few_calls.push(kind);
        }
    }
    // The others have a record that fails without a name, and hand over most of their records alone.
    assert!(in_few_calls.len() >= 4, "{in_few_calls:?}");
}

#[tokio::test]
async fn a_replay_makes_few_calls() {
    let mut stage = Stage::with("bench-room", json!({}), &PLAYERS).await;
    for n in 0..96 {
        stage.send(PLAYERS[n % 3], "echo", json!(n)).await;
    }
    let (expected, log) = (stage.saved().await, stage.log.clone());
    let mut replay = Stage::of("bench-room", &[]).await;
    replay.replay(&log).await;
    assert_eq!(replay.saved().await, expected);
    assert_eq!(stage.calls, 100);
    assert_eq!(replay.calls, 8, "create, two joins, the third with the first messages, and up to 32 in a call");
}

/// The limit is that of the record, so it is the same in a batch.
#[tokio::test]
async fn a_record_that_exhausts_its_limit_in_a_batch_is_the_one_at_fault() {
    let mut stage = Stage::with("spin-forever", json!({}), &PLAYERS).await;
    let calls = in_swing(&mut stage).await;
    let opened = stage.opened.len();
    let out = stage.replay(&records_of(&stage, ["echo", "echo", "spin", "echo"])).await;
    assert!(matches!(fault_at(&out, 10_003), Some(Fault::OutOfFuel(20_000_000..))), "{out:?}");
    assert_eq!(replies(&out), 2, "of the records before");
    assert_eq!((stage.calls, stage.opened.len()), (calls + 1, opened), "nothing is handed over again");
}

/// The clock names no record, so each is handed over again, and the log gets the fault of the one that is at fault.
#[tokio::test]
async fn a_batch_that_is_out_of_time_is_handed_over_record_by_record() {
    let mut stage = Stage::with("native-forever", json!({}), &PLAYERS).await;
    let calls = in_swing(&mut stage).await;
    let opened = stage.opened.len();
    let out = stage.replay(&records_of(&stage, ["echo", "echo", "reverse", "echo"])).await;
    assert!(matches!(fault_at(&out, 10_003), Some(Fault::TooMuch(_))), "{out:?}");
    assert_eq!(replies(&out), 2, "of the records before");
    assert_eq!(stage.opened.len(), opened + 1, "the call of all four has failed");
    assert!(stage.calls > calls + 1 + 3, "{}", stage.calls);
}

/// A room that hands over as many records as there are here. Returns the number of its calls.
async fn in_swing(stage: &mut Stage) -> usize {
    for n in 0..8 {
        stage.send(ANA, "echo", json!(n)).await;
    }
    stage.calls
}

/// Messages of one player, from offset 10,001 on.
fn records_of<const N: usize>(stage: &Stage, kinds: [&str; N]) -> Vec<(Offset, Record)> {
    let records = (1..).zip(kinds).map(|(n, what)| (10_000 + n, stage.record_of(message(BEN, n, what, &json!(n)))));
    records.collect()
}

fn fault_at(out: &Out, offset: Offset) -> Option<Fault> {
    out.0.iter().find_map(|output| match output {
        Output::Append(_, RoomCommand::Fault { at, fault }) if at.offset == offset => Some(fault.clone()),
        _ => None,
    })
}

fn replies(out: &Out) -> usize {
    out.0.iter().filter(|output| format!("{output:?}").contains("Reply")).count()
}

/// Without kicks: the machine outputs them when it has no record left to apply.
fn of_records(out: Out) -> Vec<Output> {
    out.0.into_iter().filter(|output| !matches!(output, Output::Kick { .. })).collect()
}

/// The records in random parts, so that each part has what the room has appended for itself in those before.
fn split(log: &[(Offset, Record)], dice: &mut Dice) -> Vec<Vec<(Offset, Record)>> {
    let mut parts: Vec<Vec<(Offset, Record)>> = vec![];
    let mut left = 0;
    for entry in log {
        let own = matches!(
            entry.1.command,
            RoomCommand::Fault { .. }
                | RoomCommand::Threw { .. }
                | RoomCommand::Close { .. }
                | RoomCommand::Answer { .. }
        );
        if own || left == 0 {
            left = 1 + dice.below(60);
            parts.push(vec![]);
        }
        left -= 1;
        parts.last_mut().expect("one was added").push(entry.clone());
    }
    parts
}

/// Mostly the first of these messages, and one in so many the second.
fn few(often: &'static str, seldom: &'static str, one_in: usize) -> Vec<Message> {
    std::iter::repeat_n((often, json!(1)), one_in - 1).chain([(seldom, json!(1))]).collect()
}

/// A small generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}
