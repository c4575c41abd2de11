//! The manifest of a backup: `manifest.json`, written when all other files are on the disk. Without it, a backup is incomplete.
//!
//! ```text
//! DIR/manifest.json   this
//! DIR/store.sqlite    the store, without a write-ahead log
//! DIR/log/…           the log, as in a data directory
//! ```
//! Every file has its size and its SHA-256 in the manifest; the last line of the manifest is its own SHA-256. A manifest has at
//! most [`MAX_BYTES`], and names no file outside its directory.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chorus_core::ids::{Digest, Offset};
use serde::{Deserialize, Serialize};

/// The version of a backup's layout and manifest. Another one is refused.
pub const VERSION: u32 = 1;

/// The manifest's name.
pub const NAME: &str = "manifest.json";

/// The store's name.
pub const STORE: &str = "store.sqlite";

/// A segment of 64 MiB has some 200 bytes here.
const MAX_BYTES: u64 = 16 << 20;

const FORMAT: &str = "chorus-backup";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u32,
    /// The version of chorus that made it.
    pub chorus: String,
    /// When it was complete, in milliseconds since 1970.
    pub made_at: u64,
    /// The id that log and store share.
    pub id: String,
    /// The process life in which it was made.
    pub life: u64,
    pub partitions: Vec<Bounds>,
    pub files: Vec<File>,
}

/// The log of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    pub start: Offset,
    /// One past the last offset.
    pub end: Offset,
    /// Below this offset, every record is in its room's snapshot.
    pub checkpoint: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Below the backup's directory, with `/`.
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// What is read of a manifest of any version.
#[derive(Deserialize)]
struct Beginning {
    format: String,
    version: u32,
}

impl Manifest {
    pub fn new(made_at: u64, id: String, life: u64, partitions: Vec<Bounds>, files: Vec<File>) -> Manifest {
        let chorus = env!("CARGO_PKG_VERSION").to_owned();
        Manifest { format: FORMAT.to_owned(), version: VERSION, chorus, made_at, id, life, partitions, files }
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it is always JSON");
        bytes.push(b'\n');
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(format!("{digest}\n").as_bytes());
        bytes
    }

    /// The manifest of a backup.
    pub fn read(dir: &Path) -> anyhow::Result<Manifest> {
        let path = dir.join(NAME);
        let found = std::fs::symlink_metadata(&path);
        match found {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "{} has no {NAME}: it is no backup, or one that was interrupted before it was complete; use another one",
                dir.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
            Ok(found) => ensure!(
                found.is_file() && found.len() <= MAX_BYTES,
                "{} is not a backup's manifest: it is no file, or is too large; use another backup",
                path.display()
            ),
        }
        let bytes = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Manifest::decode(&bytes).with_context(|| format!("{} is refused", path.display()))
    }

    pub fn decode(bytes: &[u8]) -> anyhow::Result<Manifest> {
        const DAMAGED: &str = "it is damaged: use another backup";
        let text = std::str::from_utf8(bytes).context(DAMAGED)?;
        let (body, digest) = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).context(DAMAGED)?;
        let body = &text[..body.len() + 1];
        // Before the digest: another version may have it elsewhere.
        let beginning = serde_json::from_str::<Beginning>(body).context(DAMAGED)?;
        ensure!(beginning.format == FORMAT, "it is not that of a backup of chorus");
        ensure!(
            beginning.version == VERSION,
            "it is of version {}, and this chorus restores version {VERSION}: restore it with the chorus that made it",
            beginning.version
        );
        ensure!(Digest::of(body.as_bytes()).to_string() == digest, DAMAGED);
        let manifest = serde_json::from_str::<Manifest>(body).context(DAMAGED)?;
        for File { name, .. } in &manifest.files {
            ensure!(is_a_files_name(name), "it names {name:?}, which no backup has: use another backup");
        }
        Ok(manifest)
    }
}

/// `store.sqlite`, `log/<number>.head` or `log/<number>/<20 digits>.log`.
fn is_a_files_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.split('/').collect::<Vec<_>>()[..] {
        [STORE] => true,
        ["log", head] => head.strip_suffix(".head").is_some_and(is_number),
        ["log", partition, segment] => is_number(partition) && segment.strip_suffix(".log").is_some_and(is_number),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = |name: &str, bytes| File { name: name.into(), bytes, sha256: "ab".repeat(32) };
        let files =
            vec![file("store.sqlite", 4096), file("log/0/00000000000000000000.log", 52), file("log/0.head", 56)];
        let partitions = vec![Bounds { start: 0, end: 7, checkpoint: 3 }];
        Manifest { chorus: "0.1.0".into(), ..Manifest::new(1_700_000_000_000, "07".repeat(16), 5, partitions, files) }
    }

    #[test]
    fn its_bytes_are_these() {
        let golden = include_bytes!("manifest.golden");
        assert_eq!(manifest().encode(), golden, "{}", String::from_utf8_lossy(&manifest().encode()));
        assert_eq!(Manifest::decode(golden).unwrap(), manifest());
    }

    #[test]
    fn another_version_is_refused_by_name_and_damage_is_named() {
        let text = String::from_utf8(manifest().encode()).unwrap();
        let error = |text: &str| format!("{:#}", Manifest::decode(text.as_bytes()).unwrap_err());
        let other = text.replace("\"version\": 1", "\"version\": 2").replace("\"life\"", "\"lives\"");
        assert!(error(&other).contains("version 2"), "{}", error(&other));
        assert!(error(&text.replace(FORMAT, "a-backup")).contains("not that of a backup"));
        for damaged in [text.replace("\"end\": 7", "\"end\": 8"), text[..text.len() - 9].to_owned(), String::new()] {
            assert!(error(&damaged).contains("damaged"), "{}", error(&damaged));
        }
    }

    #[test]
    fn no_file_outside_its_directory_is_named() {
        for name in
            ["../store.sqlite", "/etc/passwd", "log/0/../../x.log", "log", "log/x.head", "token", "log/0/1/2.log"]
        {
            let files = vec![File { name: name.into(), bytes: 0, sha256: String::new() }];
            let bytes = Manifest { files, ..manifest() }.encode();
            assert!(Manifest::decode(&bytes).unwrap_err().to_string().contains("no backup has"), "{name}");
        }
    }
}
