//! More rooms than instances: they take turns.

use std::time::Duration;

use chorus_core::frame::FrameTag;
use chorus_host::guest::{Engine, Options};
use serde_json::json;

use crate::support::{
    ANA,
    guests::cache_dir,
    stage::Stage,
    world::{Setup, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_find_no_instance_wait_until_others_rest() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(Options { max_instances: 3, ..Options::new(cache_dir()) }).unwrap();
    let options = chorus_host::Options { hibernate_after: Duration::from_secs(3600), ..Default::default() };
    let mut world = World::open(dir.path(), Setup { engine, options, ..Setup::default() }).await;
    world.publish("counter", "counter-v1").await;
    let rooms = world.rooms_with_a_member("counter", 10).await;
    for count in 1..=2 {
        world.all_add(&rooms, count).await;
    }
    for (session, room) in &rooms {
        let frames = world.edge.of(*session, *room);
        assert!(frames.iter().zip(1..).all(|(frame, seq)| frame.seq == seq), "{frames:?}");
        assert_eq!(frames[0].tag, FrameTag::Room);
    }
    world.close().await;
}

#[tokio::test]
async fn a_room_that_has_released_its_stack_is_called_as_before() {
    let mut stage = Stage::with("recurse-forever", json!({}), &[ANA]).await;
    for count in 0..3 {
        assert_eq!(stage.send(ANA, "echo", json!(count)).await.reply(), count);
        stage.runner.rest(Duration::ZERO).await;
    }
    // After a call that has used all of its stack, and the next one.
    assert!(stage.send(ANA, "recurse", json!(null)).await.fault().is_some());
    stage.runner.rest(Duration::ZERO).await;
    assert_eq!(stage.send(ANA, "echo", json!(3)).await.reply(), 3);
    stage.runner.rest(Duration::ZERO).await;
    assert_eq!(stage.send(ANA, "echo", json!(4)).await.reply(), 4);
}
