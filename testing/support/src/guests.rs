//! Guests, as `node guests/build.mjs` has built them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use chorus_core::ids::Digest;
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
///
/// # Panics
/// When none is built.
pub fn all() -> Vec<String> {
    let text = fs::read_to_string(dist().join("manifest.json")).unwrap_or_else(|error| panic!("{error}; {BUILD}"));
    let manifest: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("a manifest");
    manifest.keys().cloned().collect()
}

/// A build of everything touches the manifest, even when there is nothing to build.
fn assert_not_stale(kind: &str, manifest: &Path) {
    let sources = guests();
    let engine = sources.join("../engine");
    let of_kind = [
        sources.join(kind),
        sources.join("fixtures").join(kind),
        sources.join("sdk"),
        engine.join("sdk"),
        engine.join("engine.wasm"),
    ];
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests")
}

fn dist() -> PathBuf {
    env::var_os("CHORUS_GUESTS_DIST").map_or_else(|| guests().join("dist"), PathBuf::from)
}
