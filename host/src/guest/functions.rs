//! Compiled functions, kept from one component to the next.
//!
//! Every guest in JavaScript contains the same QuickJS, so all but a few functions of a new guest have been compiled
//! before. The file of compiled functions is read for the time of a compile, and written again with what was added.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use chorus_core::ids::Digest;

use super::{
    cache::{self, Compatibility},
    compiler::Unit,
};

/// When the kept functions exceed this, only those that the last component used stay.
const MAX_BYTES: usize = 48 << 20;

pub(super) struct FunctionCache {
    /// The name of its file.
    file: &'static str,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Vec<u8>, Entry>,
    added: bool,
    hits: usize,
}

struct Entry {
    value: Vec<u8>,
    used: bool,
}

impl std::fmt::Debug for FunctionCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FunctionCache")
    }
}

impl wasmtime::CacheStore for FunctionCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut entries = self.lock();
        let entry = entries.by_key.get_mut(key)?;
        entry.used = true;
        let value = entry.value.clone();
        entries.hits += 1;
        Some(Cow::Owned(value))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let mut entries = self.lock();
        entries.added = true;
        entries.by_key.insert(key.to_vec(), Entry { value, used: true });
        true
    }
}

impl FunctionCache {
    /// The functions of one compiler.
    pub(super) fn of(unit: Unit) -> FunctionCache {
        let file = match unit {
            Unit::Polls => cache::FUNCTIONS[0],
            Unit::Fuel => cache::FUNCTIONS[1],
        };
        FunctionCache { file, entries: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().expect("no panic while holding compiled functions")
    }

    /// Runs one compile with the functions of the file in `dir`. One at a time: see `engine`.
    pub(super) fn with_cached<T>(
        self: &Arc<Self>,
        dir: &Path,
        compatibility: Compatibility,
        compile: impl FnOnce() -> T,
    ) -> T {
        let path: PathBuf = dir.join(self.file);
        let read = cache::read(&path, compatibility, subject())
            .map(|payload| payload.map_or_else(HashMap::new, |it| decode(&it)));
        let by_key = read.unwrap_or_else(|why| {
            tracing::warn!(path = %path.display(), %why, "ignoring the cache of compiled functions; it will be rebuilt");
            HashMap::new()
        });
        *self.lock() = Entries { by_key, ..Entries::default() };
        let compiled = compile();
        let entries = std::mem::take(&mut *self.lock());
        tracing::debug!(hits = entries.hits, known = entries.by_key.len(), "compiled with known functions");
        if entries.added {
            let payload = encode(entries.by_key);
            if let Err(cause) = cache::write(&path, compatibility, subject(), &payload) {
                tracing::warn!(path = %path.display(), %cause, "cannot keep compiled functions");
            }
        }
        compiled
    }
}

/// A sequence of: length of key, length of value (4 bytes each, little-endian), key, value.
fn encode(mut entries: HashMap<Vec<u8>, Entry>) -> Vec<u8> {
    let size = |entries: &HashMap<Vec<u8>, Entry>| entries.iter().map(|(k, e)| 8 + k.len() + e.value.len()).sum();
    let mut bytes: usize = size(&entries);
    if bytes > MAX_BYTES {
        entries.retain(|_, entry| entry.used);
        bytes = size(&entries);
    }
    let mut payload = Vec::with_capacity(bytes);
    for (key, Entry { value, .. }) in entries {
        payload.extend_from_slice(&(key.len() as u32).to_le_bytes());
        payload.extend_from_slice(&(value.len() as u32).to_le_bytes());
        payload.extend_from_slice(&key);
        payload.extend_from_slice(&value);
    }
    payload
}

/// The payload has been compared with its hash: an entry that does not fit is a bug of this code, and ends the reading.
fn decode(mut payload: &[u8]) -> HashMap<Vec<u8>, Entry> {
    let mut entries = HashMap::new();
    while let Some((key, value, rest)) = decode_entry(payload) {
        entries.insert(key.to_vec(), Entry { value: value.to_vec(), used: false });
        payload = rest;
    }
    entries
}

fn decode_entry(payload: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key_len, rest) = payload.split_first_chunk::<4>()?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_len) as usize)?;
    Some((key, value, rest))
}

/// The digest that the file of functions is stored under.
fn subject() -> Digest {
    Digest::of(b"functions")
}
