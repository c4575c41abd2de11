//! A bundle: the components of a project in one file, `dist/<name>.chorus`, as `chorus build` writes it
//! (`packages/chorus-rooms/src/bundle.mjs`).
//!
//! ```text
//! magic "CHORUSBN" · version u32 · length of the header u32 · SHA-256 of the header · header · components, one after the other
//! ```
//! Numbers are little endian. The header is JSON: `{"name", "components": [{"kind", "bytes", "sha256"}]}`, the components in the order in
//! which they follow. Nothing follows the last one.
//!
//! Bounds: a header of [`MAX_HEADER`], [`MAX_KINDS`] components of [`MAX_COMPONENT`] each, all of which are in memory until they are
//! published.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use anyhow::{Context as _, ensure};
use chorus_core::ids::{Digest, Kind};
use serde::Deserialize;

use crate::dev::builds::{Built, Wasm};

/// The version of bundles. Another one is refused.
const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"CHORUSBN";
/// Each kind has some 150 bytes in it.
const MAX_HEADER: u32 = 1 << 20;
const MAX_KINDS: usize = 1_000;
/// As of a component that is published over the network.
const MAX_COMPONENT: u64 = chorus_monitor::admin::MAX_BODY as u64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// The project's. For people.
    #[serde(rename = "name")]
    _name: String,
    components: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: String,
    bytes: u64,
    sha256: String,
}

/// Reads a bundle, and checks all of it.
pub fn read(path: &Path) -> anyhow::Result<Vec<Built>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    decode(BufReader::new(file)).with_context(|| format!("the bundle {} is refused", path.display()))
}

const DAMAGED: &str = "it is damaged or cut off: copy it again, or build it again by `chorus build`";

fn decode(mut from: impl Read) -> anyhow::Result<Vec<Built>> {
    let mut beginning = [0; 16];
    let is_bundle = fill(&mut from, &mut beginning)? && &beginning[..8] == MAGIC;
    ensure!(is_bundle, "it is none: `chorus build` writes one to dist/");
    let word = |at: usize| u32::from_le_bytes(beginning[at..at + 4].try_into().expect("4 bytes"));
    ensure!(
        word(8) == VERSION,
        "it is of version {}, and this chorus reads version {VERSION}: build it by the chorus-rooms of this version",
        word(8)
    );
    let mut digest = [0; 32];
    ensure!(word(12) <= MAX_HEADER && fill(&mut from, &mut digest)?, DAMAGED);
    let header = piece(&mut from, word(12).into())?;
    ensure!(Digest::of(&header) == Digest(digest), DAMAGED);
    let Header { components, .. } = serde_json::from_slice(&header).context(DAMAGED)?;
    ensure!(components.len() <= MAX_KINDS, "it has {} kinds, and at most {MAX_KINDS} are served", components.len());
    let mut kinds = BTreeSet::new();
    let built = components.into_iter().map(|Entry { kind, bytes, sha256 }| {
        let kind = Kind::new(&kind)?;
        ensure!(kinds.insert(kind.clone()), "it has {kind} twice");
        ensure!(
            bytes <= MAX_COMPONENT,
            "its component {kind} has {bytes} bytes, and at most {MAX_COMPONENT} are served"
        );
        let wasm = piece(&mut from, bytes)?;
        let digest = Digest::of(&wasm);
        ensure!(digest.to_string() == sha256, "its component {kind} is damaged: copy it again, or build it again");
        Ok(Built { kind, digest, wasm: Wasm::Held(wasm) })
    });
    let built = built.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!fill(&mut from, &mut [0])?, "something follows its last component: copy it again, or build it again");
    Ok(built)
}

/// Exactly this many bytes. Memory grows with what is there, not with what a length promises.
fn piece(from: &mut impl Read, bytes: u64) -> anyhow::Result<Vec<u8>> {
    let mut piece = Vec::new();
    from.take(bytes).read_to_end(&mut piece)?;
    ensure!(piece.len() as u64 == bytes, DAMAGED);
    Ok(piece)
}

/// Whether there was that much.
fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        filled => filled.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the package, whose test compares it, too.
    const GOLDEN: &[u8] = include_bytes!("bundle.golden");

    #[test]
    fn a_bundle_of_the_package_is_read() {
        let built = decode(GOLDEN).unwrap();
        let read: Vec<_> = built
            .iter()
            .map(|built| match &built.wasm {
                Wasm::Held(wasm) => (built.kind.as_str(), wasm.as_slice()),
                Wasm::File(_) => unreachable!("a bundle's components are held"),
            })
            .collect();
        assert_eq!(read, [("chess", &b"\0asm chess"[..]), ("lobby", b"\0asm lobby")]);
        assert_eq!(built[0].digest, Digest::of(b"\0asm chess"));
    }

    #[test]
    fn what_is_no_whole_bundle_of_this_version_is_refused_by_name() {
        let error = |bytes: &[u8]| format!("{:#}", decode(bytes).unwrap_err());
        assert!(error(b"").contains("it is none") && error(b"PK\x03\x04 some archive").contains("it is none"));
        let changed = |at: usize| {
            let mut bytes = GOLDEN.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        assert!(error(&changed(8)).contains("version 0"), "{}", error(&changed(8)));
        for at in [15, 20, 60, GOLDEN.len() - 1] {
            assert!(error(&changed(at)).contains("damaged"), "{at}: {}", error(&changed(at)));
        }
        for cut in [17, 50, GOLDEN.len() - 1] {
            assert!(error(&GOLDEN[..cut]).contains("damaged"), "{cut}: {}", error(&GOLDEN[..cut]));
        }
        assert!(error(&[GOLDEN, b"!"].concat()).contains("something follows"));
    }
}
