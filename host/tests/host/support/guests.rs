//! Loaded guests, and the engine that all tests share.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use chorus_core::ids::Digest;
use chorus_host::guest::{Component, Engine, Options};
pub use chorus_testing::guests::{Built, all, built};

/// Where compiled components are kept from one run to the next.
pub fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-guests")
}

/// One engine for all tests: each reserves the address space of its instances.
pub fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let new =
        || Engine::new(Options { max_instances: 256, ..Options::new(cache_dir()) }).expect("the engine is set up");
    ENGINE.get_or_init(new).clone()
}

/// A built guest, loaded. Kept, since most tests use the same few.
pub async fn component(kind: &str) -> Component {
    if let Some(component) = loaded().lock().unwrap().get(kind) {
        return component.clone();
    }
    let Built { digest, wasm } = built(kind);
    insert(kind, digest, &wasm).await
}

/// Adds a component that is no built guest, under a name.
pub async fn insert(kind: &str, digest: Digest, wasm: &[u8]) -> Component {
    let component = engine().load(digest, wasm).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    loaded().lock().unwrap().insert(kind.to_owned(), component.clone());
    component
}

fn loaded() -> &'static Mutex<HashMap<String, Component>> {
    static LOADED: OnceLock<Mutex<HashMap<String, Component>>> = OnceLock::new();
    LOADED.get_or_init(Mutex::default)
}
