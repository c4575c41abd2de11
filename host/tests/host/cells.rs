//! Rooms that share an instance: each is as it would be alone, also when another one fails.

use std::time::Duration;

use chorus_core::ids::Digest;
use chorus_host::guest::{Engine, LoadError, Options};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    metered,
    support::{
        ANA, BEN,
        guests::{cache_dir, engine},
        stage::Stage,
        world::{Setup, World},
    },
};

/// Keeps the rooms of other tests out of the cells of this one.
static CELLS: Mutex<()> = Mutex::const_new(());

/// Two rooms of one cell, and the same room alone.
async fn three() -> (MutexGuard<'static, ()>, [Stage; 3]) {
    let alone = Stage::with("cell", json!({}), &[ANA]).await;
    let cells = CELLS.lock().await;
    (cells, [Stage::sharing("cell", &[ANA]).await, Stage::sharing("cell", &[ANA]).await, alone])
}

async fn add(stage: &mut Stage) -> Value {
    stage.send(ANA, "add", json!(1)).await.reply()
}

#[tokio::test]
async fn rooms_of_a_cell_do_not_see_each_other() {
    let (_cells, [mut one, mut two, mut alone]) = three().await;
    for count in 1..=3 {
        assert_eq!((add(&mut one).await, add(&mut alone).await), (json!(count), json!(count)));
    }
    assert_eq!(add(&mut two).await, 1);
    for stage in [&mut one, &mut alone] {
        stage.send(ANA, "leak", json!("a secret")).await;
    }
    let seen = two.send(ANA, "look", Value::Null).await.reply();
    assert!(!seen.to_string().contains("secret"), "{seen}");
    let seen = one.send(ANA, "look", Value::Null).await.reply();
    assert_eq!(seen, alone.send(ANA, "look", Value::Null).await.reply());
    assert_eq!(one.saved().await, alone.saved().await);
}

#[tokio::test]
async fn a_record_that_is_exhausted_ends_its_own_room_alone() {
    let (_cells, [mut one, mut two, mut alone]) = three().await;
    add(&mut two).await;
    let outs = [one.send(ANA, "spin", Value::Null).await, alone.send(ANA, "spin", Value::Null).await];
    assert_eq!(outs[0].clone().external(), outs[1].clone().external());
    assert_eq!(one.opened.len(), alone.opened.len(), "it is opened again");
    assert_eq!((add(&mut one).await, add(&mut two).await), (json!(1), json!(2)));
    assert_eq!(two.opened.len(), 1, "the other room keeps its slot");
}

/// Each of these ends the instance.
#[tokio::test]
async fn a_trap_is_the_fault_of_its_own_room_alone() {
    for deed in ["recurse", "grow"] {
        let (_cells, [mut one, mut two, mut alone]) = three().await;
        for stage in [&mut one, &mut two, &mut alone] {
            add(stage).await;
        }
        let (out, wanted) = (one.send(ANA, deed, Value::Null).await, alone.send(ANA, deed, Value::Null).await);
        assert!(wanted.fault().is_some(), "{deed}: {wanted:?}");
        assert_eq!(out.external(), wanted.external(), "{deed}");
        assert_eq!((add(&mut one).await, add(&mut two).await), (json!(2), json!(2)), "{deed}");
        assert_eq!(two.opened.len(), 2, "{deed}: the other room is opened again");
        one.send(ANA, deed, Value::Null).await;
        assert_eq!((add(&mut one).await, add(&mut two).await), (json!(3), json!(3)), "{deed}");
        assert_eq!(two.opened.len(), 2, "{deed}: the first room has an instance of its own since");
    }
}

/// Together they need more than a room may have, and each alone needs less.
#[tokio::test]
async fn memory_that_other_rooms_use_is_no_fault() {
    let _cells = CELLS.lock().await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(Stage::sharing("cell", &[ANA]).await);
    }
    for room in &mut rooms {
        let out = room.send(ANA, "hold", json!(300)).await;
        assert_eq!((out.fault(), out.reply()), (None, Value::Null));
    }
    for room in &mut rooms {
        assert_eq!(add(room).await, 1);
    }
    let opened = rooms.iter().map(|room| room.opened.len()).sum::<usize>();
    assert!(opened > rooms.len(), "they never had too little memory: this test shows nothing");
}

#[tokio::test]
async fn a_slot_is_used_again() {
    let _cells = CELLS.lock().await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(Stage::sharing("cell", &[ANA]).await);
    }
    for round in 0..20 {
        let mut next = Stage::sharing("cell", &[ANA, BEN]).await;
        assert_eq!(add(&mut next).await, 1, "{round}");
        rooms[round % 4] = next;
        for room in &mut rooms {
            add(room).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rooms_play_in_few_instances() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(Options { max_instances: 3, ..Options::new(cache_dir()) }).unwrap();
    let options = chorus_host::Options { hibernate_after: Duration::from_secs(3600), ..Default::default() };
    let mut world = World::open(dir.path(), Setup { engine: engine.clone(), options, ..Setup::default() }).await;
    world.publish("cell", "cell").await;
    let rooms = world.rooms_with_a_member("cell", 12).await;
    for count in 1..=3 {
        world.all_add(&rooms, count).await;
    }
    assert_eq!(engine.instances(), 3);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_of_the_other_rooms_wait_and_lose_nothing() {
    let _cells = CELLS.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("cell", "cell").await;
    let rooms = world.rooms_with_a_member("cell", 4).await;
    for count in 1..=3 {
        for (session, room) in &rooms {
            let traps = if *room == rooms[0].1 { "recurse" } else { "add" };
            world.edge.send(*session, *room, traps, json!(0)).await;
        }
        world.all_add(&rooms, count).await;
    }
    world.close().await;
}

#[tokio::test]
async fn only_a_component_with_a_meter_of_its_own_can_share() {
    let config = r#"(data (i32.const 3000) "{\22share\22:2}") (data (i32.const 1032) "go")"#;
    let text = metered::COMPONENT.replace(r#"(data (i32.const 1032) "go")"#, config).replace("$BODY", "");
    let text = text.replace("(i32.const 2056) (i32.const 1024)", "(i32.const 2056) (i32.const 3000)");
    let text = text.replace("(i32.const 2060) (i32.const 2)", "(i32.const 2060) (i32.const 11)");
    let wasm = wat::parse_str(text).expect("it is a component");
    let error = engine().load(Digest::of(&wasm), &wasm).await.expect_err("it has no slots");
    let wanted = "`config.share` is 2, which is for components that meter themselves and import nothing else";
    assert!(matches!(&error, LoadError::Manifest(_)) && error.to_string().contains(wanted), "{error}");
}
