//! An effect of a script is either refused by the SDK, with a throw in the script's own call, or accepted by the host: no
//! effect is left for the host to punish.

use std::collections::BTreeMap;

use chorus_core::{
    command::RoomCommand,
    frame::FrameTag,
    ids::{RoomId, SessionId},
};
use serde_json::{Value, json};

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, BEN, CLEO,
        stage::{ROOM, Stage},
        world::{Edge, Setup, World},
    },
};

/// Enough for each sort of call to be thrown and taken many times; a few seconds.
const ROUNDS: u64 = 300;
/// Rounds of the room that is replayed from each of its offsets.
const REPLAYED: usize = 15;

#[tokio::test]
async fn what_a_script_asks_for_at_random_is_thrown_or_taken() {
    let mut stage =
        Stage::with("random-effects", json!({}), &[ANA, BEN, CLEO, SessionId(0xd), SessionId(0xe), SessionId(0xf)])
            .await;
    let (mut taken, mut thrown) = (BTreeMap::new(), BTreeMap::new());
    for round in 0..ROUNDS {
        let out = stage.send(ANA, "ask", json!({ "calls": 1 + round % 40 })).await;
        assert_eq!(out.fault(), None, "the calls of round {round}, and no other, are at fault: {out:?}");
        if let Some(words) = out.threw() {
            // An error that is only found at the end of a call cannot be caught.
            assert!(words.starts_with("RangeError: "), "round {round}: {words}");
            continue;
        }
        let reply = out.reply();
        add(&mut taken, &reply["taken"]);
        add(&mut thrown, &reply["thrown"]);
    }
    for (call, count) in &taken {
        assert!(*count > 5, "{call} was taken {count} times");
    }
    for call in ["send", "broadcast", "create", "sendRoom", "after", "cancel", "metadata", "sit", "stand"] {
        assert!(thrown[call] > 20, "{call} was thrown {} times", thrown[call]);
    }
    assert_eq!(stage.send(BEN, "echo", json!(1)).await.reply(), 1);
}

#[tokio::test]
async fn what_is_thrown_is_thrown_again_in_a_replay() {
    let mut stage =
        Stage::with("random-effects", json!({}), &[ANA, BEN, CLEO, SessionId(0xd), SessionId(0xe), SessionId(0xf)])
            .await;
    for _ in 0..REPLAYED {
        stage.send(ANA, "ask", json!({ "calls": 30 })).await;
        while let Some((due, id)) = stage.room.poll_timeout().filter(|(due, _)| due.0 < stage.now.0 + 2_000) {
            stage.now = stage.now.max(due);
            stage.record(RoomCommand::Timer { id, name: None }).await;
        }
    }
    rebuilds_everywhere(ROOM, &stage.log, &["random-effects"]).await;
}

fn add(sums: &mut BTreeMap<String, u64>, counts: &Value) {
    for (call, count) in counts.as_object().expect("counts by call") {
        *sums.entry(call.clone()).or_default() += count.as_u64().expect("a count");
    }
}

/// All on one thread: if a view of 7 MB were checked, or compared with the one before it, in one go, no other room would
/// be served.
#[tokio::test]
async fn rooms_with_views_of_megabytes_leave_their_neighbour_its_turns() {
    const HEAVY: [RoomId; 3] = [RoomId(7), RoomId(8), RoomId(9)];
    const NEIGHBOUR: RoomId = RoomId(10);
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("wide-view", "wide-view").await;
    world.publish("echo", "echo").await;
    for room in HEAVY {
        world.create(room, "wide-view", json!({})).await;
        world.edge.join(ANA, room).await;
    }
    world.create(NEIGHBOUR, "echo", json!({})).await;
    world.edge.join(BEN, NEIGHBOUR).await;
    let mut ids = Vec::new();
    for room in HEAVY.into_iter().cycle().take(18) {
        ids.push(world.edge.send(ANA, room, "bump", json!(null)).await);
    }
    let mut turns = 0;
    let answered = |edge: &Edge| edge.frames[&ANA].iter().filter(|frame| frame.tag == FrameTag::Reply).count();
    while answered(&world.edge) < ids.len() {
        assert_eq!(world.edge.request(BEN, NEIGHBOUR, "echo", json!(turns)).await, Ok(json!(turns)));
        turns += 1;
    }
    assert!(turns >= 200, "{turns} answers while eighteen views were made");
    world.close().await;
}
