//! Files that save us a compile, and that we would rather lose than trust.
//!
//! | what | name | key | owner |
//! |---|---|---|---|
//! | a compiled component | `<digest>.cwasm` | the component's digest, and what this engine is | any host on this machine |
//! | compiled functions | `functions` | what this engine is | any host on this machine |
//!
//! Layout: magic (16 bytes) · compatibility hash of the engine: wasmtime's version, the compiler's settings, the target
//! (32) · length of the payload (8, little-endian) · SHA-256 of the payload (32) · payload. Written to a temporary file,
//! synced and renamed, readable by their owner alone: what is in them is run as native code. One that does not match in
//! every part is as good as absent.

use std::{
    fs,
    hash::Hash,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 16] = b"chorus cache 1\r\n";
const HEADER: usize = 16 + 32 + 8 + 32;

/// What an engine is, as far as compiled code cares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Compatibility([u8; 32]);

impl Compatibility {
    pub(super) fn of(engine: &wasmtime::Engine) -> Compatibility {
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Compatibility(hasher.0.finalize().into())
    }
}

struct Sha256Hasher(Sha256);

impl std::hash::Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

/// Why a cache file was not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is not a cache file of chorus")]
    Foreign,
    #[error("it was made by another engine or with other settings")]
    Incompatible,
    #[error("it is damaged")]
    Damaged,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes the directory, for its owner alone.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The payload of the file at `path`; `None` when there is no file.
pub(super) fn read(path: &Path, want: Compatibility) -> Result<Option<Vec<u8>>, Unusable> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let header = bytes.get(..HEADER).filter(|header| header.starts_with(MAGIC)).ok_or(Unusable::Foreign)?;
    if header[16..48] != want.0 {
        return Err(Unusable::Incompatible);
    }
    let length = u64::from_le_bytes(header[48..56].try_into().expect("8 bytes"));
    let payload = &bytes[HEADER..];
    if length != payload.len() as u64 || header[56..88] != *Sha256::digest(payload) {
        return Err(Unusable::Damaged);
    }
    bytes.drain(..HEADER);
    Ok(Some(bytes))
}

/// Puts the file at `path`, whole or not at all.
pub(super) fn write(path: &Path, compatibility: Compatibility, payload: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write_new(&temporary, compatibility, payload).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: what is left behind is never read.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, compatibility: Compatibility, payload: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(MAGIC)?;
    file.write_all(&compatibility.0)?;
    file.write_all(&(payload.len() as u64).to_le_bytes())?;
    file.write_all(&Sha256::digest(payload))?;
    file.write_all(payload)?;
    file.sync_all()
}

/// A name that no other writer uses: another thread's, or another process's.
fn temporary(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("tmp-{}-{count}", std::process::id()))
}
