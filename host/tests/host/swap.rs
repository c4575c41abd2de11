//! A room changes its component: with its state, or not at all.

use chorus_core::{frame::FrameTag, ids::RoomId, room::Notice};
use chorus_host::guest::{Engine, Options};
use serde_json::json;

use crate::support::{
    ANA, BEN,
    guests::cache_dir,
    world::{Setup, World},
};

const ROOM: RoomId = RoomId(0xc0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_carries_the_state_over_by_migrate() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = counting(&dir, Setup::default()).await;
    let to = world.publish("counter", "counter-v2").await;
    swapped(&mut world).await;
    assert_eq!(world.edge.request(ANA, ROOM, "version", json!(null)).await, Ok(json!(2)));
    assert_eq!(world.edge.request(BEN, ROOM, "add", json!(1)).await, Ok(json!(4)), "three were counted before");
    for session in [ANA, BEN] {
        let frames = world.edge.of(session, ROOM);
        assert!(frames.iter().any(|frame| frame.tag == FrameTag::Event && frame.text.contains("swapped")));
        assert!(frames.iter().any(|frame| frame.tag == FrameTag::Patch && frame.text.contains("total")));
        assert!(frames.iter().zip(1..).all(|(frame, seq)| frame.seq == seq), "no gap: {frames:?}");
    }
    world.host.drain(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.store.room(ROOM).await.unwrap().unwrap().component, to);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_is_refused_or_never_opens_changes_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = counting(&dir, Setup::default()).await;
    let cases =
        [("counter-refuses", "counts of version 1 cannot be trusted"), ("counter-traps-on-open", "ran out of fuel")];
    for (count, (guest, words)) in (4..).zip(cases) {
        world.publish("counter", guest).await;
        let reason = refused(&mut world).await;
        assert!(reason.contains(words), "{guest}: {reason}");
        assert_eq!(world.edge.request(ANA, ROOM, "version", json!(null)).await, Ok(json!(1)));
        assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(count)));
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_traps_soon_is_taken_back_and_everyone_sees_the_room_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = counting(&dir, Setup::default()).await;
    world.publish("counter", "counter-traps").await;
    swapped(&mut world).await;
    assert_eq!(world.edge.request(ANA, ROOM, "version", json!(null)).await, Ok(json!(3)));
    let (code, _) = world.edge.request(ANA, ROOM, "add", json!(1)).await.expect_err("it traps");
    assert_eq!(code, "fault");
    world.notices(ROOM, "the swap to be undone", |it| matches!(it, Notice::SwapUndone { .. }).then_some(())).await;
    assert_eq!(world.edge.request(BEN, ROOM, "version", json!(null)).await, Ok(json!(1)));
    assert_eq!(world.edge.request(BEN, ROOM, "add", json!(1)).await, Ok(json!(4)), "the trapped one had no effect");
    for session in [ANA, BEN] {
        let last = world.edge.of(session, ROOM).into_iter().rfind(|frame| frame.tag == FrameTag::Room);
        let last = last.expect("a view").value();
        assert_eq!(last["view"], json!({ "count": 3 }), "{session}");
        let seqs: Vec<u64> = world.edge.of(session, ROOM).iter().map(|frame| frame.seq).collect();
        assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_sleeps_is_woken_for_its_swap() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = counting(&dir, Setup::restless()).await;
    world.quiet().await;
    world.publish("counter", "counter-v2").await;
    swapped(&mut world).await;
    world.quiet().await;
    assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(4)));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_created_with_an_older_component_gets_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    let old = world.publish("counter", "counter-v1").await;
    world.publish("counter", "counter-v2").await;
    world.create_with(ROOM, "counter", old).await;
    swapped(&mut world).await;
    world.edge.join(ANA, ROOM).await;
    assert_eq!(world.edge.request(ANA, ROOM, "version", json!(null)).await, Ok(json!(2)));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_place_for_two_instances_the_old_one_leaves_first_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(Options { max_instances: 1, ..Options::new(cache_dir()) }).unwrap();
    let mut world = counting(&dir, Setup { engine, ..Setup::restless() }).await;
    // A component is tried in an instance before any room runs it.
    world.quiet().await;
    world.publish("counter", "counter-refuses").await;
    let reason = refused(&mut world).await;
    assert!(reason.contains("cannot be trusted"), "a full host is no reason: {reason}");
    assert_eq!(
        world.edge.request(ANA, ROOM, "add", json!(1)).await,
        Ok(json!(4)),
        "the old one is back, with its state"
    );
    world.quiet().await;
    world.publish("counter", "counter-v2").await;
    swapped(&mut world).await;
    assert_eq!(world.edge.request(ANA, ROOM, "add", json!(1)).await, Ok(json!(5)));
    world.close().await;
}

/// A room of the first counter, with ana and ben, that has counted to three.
async fn counting(dir: &tempfile::TempDir, setup: Setup) -> World {
    let mut world = World::open(dir.path(), setup).await;
    world.publish("counter", "counter-v1").await;
    world.create(ROOM, "counter", json!({})).await;
    for session in [ANA, BEN] {
        world.edge.join(session, ROOM).await;
    }
    assert_eq!(world.edge.request(ANA, ROOM, "add", json!(3)).await, Ok(json!(3)));
    world
}

async fn swapped(world: &mut World) {
    let look = |notice: &Notice| match notice {
        Notice::Swapped { .. } => Some(Ok(())),
        Notice::SwapRefused { reason, .. } => Some(Err(reason.to_string())),
        _ => None,
    };
    world.notices(ROOM, "the swap", look).await.expect("it is not refused");
}

async fn refused(world: &mut World) -> String {
    let look = |notice: &Notice| match notice {
        Notice::Swapped { .. } => Some(Err(())),
        Notice::SwapRefused { reason, .. } => Some(Ok(reason.to_string())),
        _ => None,
    };
    world.notices(ROOM, "the refusal", look).await.expect("it is not swapped")
}
