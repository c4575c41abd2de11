//! Module state that a call leaves changed: a warning for the author, where the process is the author's.

use chorus_host::{
    HostEventKind, MODULE_STATE,
    guest::{Engine, Options},
};
use serde_json::{Value, json};

use crate::support::{
    ANA,
    guests::cache_dir,
    stage::ROOM,
    world::{Setup, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_author_sees_the_variable_and_the_place_and_the_answers_are_the_same() {
    let (checked, lines) = answers(true).await;
    let (unchecked, none) = answers(false).await;
    assert_eq!((checked, none), (unchecked, vec![]));
    let [count, remember] = &lines[..] else { panic!("one for each place: {lines:#?}") };
    let is = |line: &str, name: &str, handler: &str| {
        line.starts_with(&format!("{MODULE_STATE}`{name}` is changed"))
            && line.contains(&format!("at {handler} ("))
            && line.contains("module-globals.js:")
    };
    assert!(is(count, "calls", "count") && is(remember, "seen", "remember"), "{lines:#?}");
}

/// The answers of a room that keeps things in its module, and the warnings about it.
async fn answers(check_scripts: bool) -> (Vec<Value>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new(Options { max_instances: 2, check_scripts, ..Options::new(cache_dir()) }).unwrap();
    let mut world = World::open(dir.path(), Setup { engine, ..Setup::default() }).await;
    world.publish("globals", "module-globals").await;
    world.create(ROOM, "globals", json!({})).await;
    world.edge.join(ANA, ROOM).await;
    let mut answers = vec![];
    for (message, data) in [
        ("count", json!(null)),
        ("remember", json!({ "key": "a", "value": 1 })),
        ("count", json!(null)),
        ("echo", json!(1)),
    ] {
        answers.push(world.edge.request(ANA, ROOM, message, data).await.unwrap());
    }
    let mut lines = vec![];
    // The events of a record are emitted before the next record is handled.
    while let Ok(event) = world.events.try_recv() {
        if let HostEventKind::Log(_, text) = event.what {
            lines.push(text.to_string());
        }
    }
    world.close().await;
    (answers, lines)
}
