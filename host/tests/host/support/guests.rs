//! Built guests, and the engine that all tests share.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    time::SystemTime,
};

use chorus_core::ids::Digest;
use chorus_host::guest::{Component, Engine, Options};
use serde_json::Value;

const BUILD: &str = "build the guests first: `node guests/build.mjs` (`npm ci` in guests/ before the first time)";

/// A guest as it was built.
#[derive(Clone, Debug)]
pub struct Built {
    pub digest: Digest,
    pub wasm: Vec<u8>,
}

/// # Panics
/// When it is not built, or was before its source was last changed.
pub fn built(kind: &str) -> Built {
    let path = dist().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; {BUILD}", path.display()));
    let manifest: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let entry = &manifest[kind];
    let file = entry["file"].as_str().unwrap_or_else(|| panic!("{} has no {kind}; {BUILD}", path.display()));
    if env::var_os("CHORUS_GUESTS_DIST").is_none() {
        assert_not_stale(kind, &path);
    }
    let wasm = fs::read(dist().join(file)).unwrap_or_else(|error| panic!("{file}: {error}; {BUILD}"));
    let digest = entry["digest"].as_str().and_then(|digest| digest.parse().ok());
    Built { digest: digest.unwrap_or_else(|| panic!("{}: {kind} has no digest", path.display())), wasm }
}

/// The names of all built guests.
pub fn all() -> Vec<String> {
    let text = fs::read_to_string(dist().join("manifest.json")).unwrap_or_else(|error| panic!("{error}; {BUILD}"));
    let manifest: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("a manifest");
    manifest.keys().cloned().collect()
}

/// A build of everything touches the manifest, even when there is nothing to build.
fn assert_not_stale(kind: &str, manifest: &Path) {
    let sources = guests();
    let of_kind = [sources.join(kind), sources.join("fixtures").join(kind), sources.join("sdk")];
    let script = [format!("{kind}.js"), format!("{kind}.ts")].map(|file| sources.join("fixtures").join(file));
    let changed = of_kind.iter().chain(&script).filter_map(|path| changed_at(path)).max();
    let built = changed_at(manifest);
    assert!(changed <= built, "{kind} has changed since it was built; {BUILD}");
}

/// When its newest file was changed; `None` when it does not exist.
fn changed_at(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return fs::metadata(path).and_then(|it| it.modified()).ok();
    }
    fs::read_dir(path).ok()?.flatten().filter_map(|entry| changed_at(&entry.path())).max()
}

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests")
}

fn dist() -> PathBuf {
    env::var_os("CHORUS_GUESTS_DIST").map_or_else(|| guests().join("dist"), PathBuf::from)
}

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
