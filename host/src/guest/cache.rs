//! Files that save a compile, and that are discarded rather than trusted.
//!
//! | what | name | key | owner |
//! |---|---|---|---|
//! | a compiled component | `<digest>.cwasm` | its digest, and the engine's compatibility hash | any host on this machine |
//! | compiled functions | `functions`, `functions-fuel` | the engine's compatibility hash | any host on this machine |
//!
//! Layout: magic (16 bytes) · compatibility hash of the engine: wasmtime's version, the compiler's settings, the target
//! (32) · subject: the component's digest, or that of the file's name (32) · length of the payload (8,
//! little-endian) · SHA-256 of the payload (32) · payload. Written to a temporary file, synced and renamed, readable by
//! their owner alone, since their content is run as native code. A file that does not match in every part is treated as
//! absent.
//!
//! A directory or file that others may write to, or that another user owns, is refused by name: a checksum beside the
//! code is no proof of who wrote both.
//!
//! Bounds: [`MAX_BYTES`] and [`MAX_AGE`], enforced at each start by [`prune`]. A file's time of modification is that of
//! its last use. A host whose file is gone compiles again.

use std::{
    fs,
    hash::Hash,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use chorus_core::ids::Digest;
use chorus_private::PrivateError;
use sha2::{Digest as _, Sha256};

/// The files of compiled functions: of components that meter themselves, and of others.
pub(super) const FUNCTIONS: [&str; 2] = ["functions", "functions-fuel"];

const MAGIC: &[u8; 16] = b"chorus cache 2\r\n";
const HEADER: usize = 16 + 32 + 32 + 8 + 32;

/// The total size of the compiled components that are kept: some two hundred guests in JavaScript.
const MAX_BYTES: u64 = 1 << 30;

/// A component that has not been used for this long is an old build of some author.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A temporary file of this age has no writer any more: a write takes seconds.
const MAX_AGE_OF_TEMPORARY: Duration = Duration::from_secs(24 * 3600);

/// The properties of an engine that compiled code depends on.
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
    #[error("it is of another component: it was renamed or replaced")]
    OtherSubject,
    #[error("it is damaged")]
    Damaged,
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes the directory, for its owner alone, or refuses one that others may write to.
pub(super) fn make_dir(dir: &Path) -> Result<PathBuf, PrivateError> {
    chorus_private::dir_of_code(dir)
}

/// The payload of the file at `path`, if its subject is `of`; `None` when there is no file.
pub(super) fn read(path: &Path, want: Compatibility, of: Digest) -> Result<Option<Vec<u8>>, Unusable> {
    let mut file = match chorus_private::open_code(path) {
        Ok(file) => file,
        Err(PrivateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let header = bytes.get(..HEADER).filter(|header| header.starts_with(MAGIC)).ok_or(Unusable::Foreign)?;
    if header[16..48] != want.0 {
        return Err(Unusable::Incompatible);
    }
    if header[48..80] != of.0 {
        return Err(Unusable::OtherSubject);
    }
    let length = u64::from_le_bytes(header[80..88].try_into().expect("8 bytes"));
    let payload = &bytes[HEADER..];
    if length != payload.len() as u64 || header[88..120] != *Sha256::digest(payload) {
        return Err(Unusable::Damaged);
    }
    bytes.drain(..HEADER);
    Ok(Some(bytes))
}

/// Records that the file at `path` was used just now, so that it is kept.
pub(super) fn touch(path: &Path) {
    // Best effort: at worst the component is compiled again.
    let _ = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes compiled components above the bounds and old temporary files, among the files named by this module. Returns
/// how many. A file that cannot be removed stays.
pub(super) fn prune(dir: &Path, now: SystemTime) -> usize {
    let (mut components, temporary): (Vec<CachedFile>, Vec<CachedFile>) =
        cached_files(dir).partition(|file| !file.is_temporary);
    components.sort_unstable_by_key(|file| std::cmp::Reverse(file.used));
    let mut bytes = 0;
    let surplus = components.iter().filter(|file| {
        bytes += file.bytes;
        bytes > MAX_BYTES || file.age(now) > MAX_AGE
    });
    let left_behind = temporary.iter().filter(|file| file.age(now) > MAX_AGE_OF_TEMPORARY);
    surplus.chain(left_behind).filter(|file| fs::remove_file(&file.path).is_ok()).count()
}

struct CachedFile {
    path: PathBuf,
    is_temporary: bool,
    bytes: u64,
    used: SystemTime,
}

impl CachedFile {
    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.used).unwrap_or_default()
    }
}

/// Files in `dir` that this module has named. A file that vanishes meanwhile was removed by another process.
fn cached_files(dir: &Path) -> impl Iterator<Item = CachedFile> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        let (stem, extension) = name.to_str()?.split_once('.')?;
        let is_digest = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_temporary = extension.starts_with("tmp-") && (is_digest || FUNCTIONS.contains(&stem));
        let is_component = is_digest && extension == "cwasm";
        if !is_temporary && !is_component {
            return None;
        }
        let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(CachedFile { path: entry.path(), is_temporary, bytes: about.len(), used: about.modified().ok()? })
    })
}

/// Puts the file at `path`, whole or not at all.
pub(super) fn write(path: &Path, compatibility: Compatibility, of: Digest, payload: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write_new(&temporary, compatibility, of, payload).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: a file that is left behind is never read.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, compatibility: Compatibility, of: Digest, payload: &[u8]) -> io::Result<()> {
    let made = chorus_private::open(fs::OpenOptions::new().write(true).create_new(true), path);
    let mut file = made.map_err(io::Error::other)?;
    file.write_all(MAGIC)?;
    file.write_all(&compatibility.0)?;
    file.write_all(&of.0)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    struct Dir(tempfile::TempDir, SystemTime);

    impl Dir {
        fn new() -> Dir {
            Dir(tempfile::tempdir().expect("a directory"), SystemTime::now())
        }

        /// A file of this size that was last used so long ago. It takes no space on the disk.
        fn put(&self, name: &str, bytes: u64, age: Duration) {
            let file = fs::File::create(self.0.path().join(name)).expect("a file");
            file.set_len(bytes).and_then(|()| file.set_modified(self.1 - age)).expect("as it is to be");
        }

        fn prune(&self) -> Vec<String> {
            prune(self.0.path(), self.1);
            let names = fs::read_dir(self.0.path()).expect("read").flatten().map(|entry| entry.file_name());
            let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
            names.sort_unstable();
            names
        }
    }

    fn component(n: u8) -> String {
        format!("{}.cwasm", format!("{n:02x}").repeat(32))
    }

    #[test]
    fn what_was_used_lately_stays_within_the_bound() {
        let dir = Dir::new();
        for (n, age) in [(1, 3), (2, 1), (3, 2), (4, 0)] {
            dir.put(&component(n), MAX_BYTES / 3, age * DAY);
        }
        assert_eq!(dir.prune(), [component(2), component(3), component(4)]);
        touch(&dir.0.path().join(component(3)));
        dir.put(&component(5), MAX_BYTES / 3, Duration::ZERO);
        assert_eq!(dir.prune(), [component(3), component(4), component(5)], "2 was used before 3");
    }

    #[test]
    fn what_nobody_uses_goes_and_what_is_not_ours_stays() {
        let dir = Dir::new();
        let temporary = |n: u8| format!("{}.tmp-1-1", format!("{n:02x}").repeat(32));
        let foreign = ["functions", "notes.cwasm", "photo.jpg"];
        for name in foreign {
            dir.put(name, 2 * MAX_BYTES, 400 * DAY);
        }
        dir.put(&component(1), 1, MAX_AGE + DAY);
        dir.put(&component(2), 1, MAX_AGE - DAY);
        dir.put(&temporary(1), 1, 2 * DAY);
        dir.put(&temporary(2), 1, DAY / 2);
        for name in FUNCTIONS {
            dir.put(&format!("{name}.tmp-1-2"), 1, 2 * DAY);
        }
        let mut expected = vec![component(2), temporary(2)];
        expected.extend(foreign.map(str::to_owned));
        expected.sort_unstable();
        assert_eq!(dir.prune(), expected);
    }

    #[test]
    fn an_entry_is_used_only_for_what_it_is_of_and_when_nobody_has_touched_it() {
        let dir = Dir::new();
        let path = dir.0.path().join(component(1));
        let (want, of) = (Compatibility([7; 32]), Digest::of(b"one"));
        assert!(read(&path, want, of).expect("there is none").is_none());
        write(&path, want, of, b"code").expect("written");
        assert_eq!(read(&path, want, of).expect("it is good"), Some(b"code".to_vec()));
        assert!(matches!(read(&path, want, Digest::of(b"other")), Err(Unusable::OtherSubject)));
        assert!(matches!(read(&path, Compatibility([8; 32]), of), Err(Unusable::Incompatible)));
        // A renamed file still belongs to the component that it was made of.
        let renamed = dir.0.path().join(component(2));
        fs::rename(&path, &renamed).expect("renamed");
        assert!(matches!(read(&renamed, want, Digest::of(b"two")), Err(Unusable::OtherSubject)));
        std::os::unix::fs::symlink(&renamed, &path).expect("linked");
        assert!(matches!(read(&path, want, of), Err(Unusable::Private(PrivateError::Link { .. }))));
        let good = fs::read(&renamed).expect("read");
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(&renamed, bytes).expect("written");
            read(&renamed, want, of).expect_err("every byte of it counts");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_no_reason_to_fail() {
        assert_eq!(prune(Path::new("/nowhere/at/all"), SystemTime::now()), 0);
    }
}
