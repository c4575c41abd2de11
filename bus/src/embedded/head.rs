//! A partition's head: the log's pairing with its store, and its newest segment.
//!
//! `DIR/log/<partition>.head`, 56 bytes, all numbers little endian; replaced whole by a rename:
//!
//! ```text
//! magic "CHORUSHD" · format u32 · partition u32 · id u128 · life u64 · first offset of the newest segment u64 · 4 zero bytes · crc u32
//! ```
//! The id and the life are `chorus_core::pairing`'s. The newest segment is named so that its loss is not taken for a log that
//! ends before it: the head is written after a segment has been created, and before a record in it is confirmed.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chorus_core::{
    ids::Offset,
    pairing::{DataId, Mark},
};

use super::segment::sync_dir;
use crate::OpenError;

/// The format of heads.
pub(super) const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"CHORUSHD";
const SIZE: usize = 56;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub partition: u32,
    pub mark: Mark,
    /// The first offset of the newest segment.
    pub newest: Offset,
}

pub(super) fn path(log: &Path, partition: u32) -> PathBuf {
    log.join(format!("{partition}.head"))
}

impl Head {
    /// `None`: there is no such file.
    pub fn read(log: &Path, partition: u32) -> Result<Option<Head>, OpenError> {
        let file = path(log, partition);
        if !chorus_private::check(&file)? {
            return Ok(None);
        }
        let bytes = std::fs::read(&file);
        let bytes = bytes.map_err(|source| OpenError::Io { action: "read", file: file.clone(), source })?;
        let damaged = |what: &str| OpenError::Damaged { file: file.clone(), position: 0, what: what.to_owned() };
        let bytes: [u8; SIZE] = bytes.try_into().map_err(|_| damaged("the head of a partition has another size"))?;
        Head::check(&file, partition, &bytes).map(Some)
    }

    /// The head with these bytes, which are a file's.
    pub(super) fn check(file: &Path, partition: u32, bytes: &[u8; SIZE]) -> Result<Head, OpenError> {
        let damaged = |what: &str| OpenError::Damaged { file: file.to_owned(), position: 0, what: what.to_owned() };
        if &bytes[..8] != MAGIC {
            return Err(damaged("this is not the head of a partition of a chorus log"));
        }
        if u32_at(bytes, 8) != FORMAT {
            return Err(OpenError::Format { file: file.to_owned(), found: u32_at(bytes, 8), reads: FORMAT });
        }
        match Head::decode(bytes) {
            Some(head) if head.partition == partition => Ok(head),
            Some(_) => Err(damaged("the head is of another partition: the file was renamed or moved")),
            None => Err(damaged("the head's checksum does not match")),
        }
    }

    /// Returns when it is on the disk.
    pub fn write(&self, log: &Path) -> Result<(), (PathBuf, io::Error)> {
        let file = path(log, self.partition);
        let new = file.with_extension("head-new");
        let written = || {
            let mut made = chorus_private::open(OpenOptions::new().write(true).create(true).truncate(true), &new)
                .map_err(io::Error::other)?;
            made.write_all(&self.encode())?;
            made.sync_all()?;
            std::fs::rename(&new, &file)?;
            sync_dir(log)
        };
        written().map_err(|error| (file.clone(), error))
    }

    pub(super) fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.partition.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.mark.id.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.mark.life.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.newest.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<Head> {
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let id = DataId(u128::from_le_bytes(bytes[16..32].try_into().expect("16 bytes")));
        let head = Head { partition: u32_at(bytes, 12), mark: Mark { id, life: u64_at(32) }, newest: u64_at(40) };
        (crc32fast::hash(&bytes[..52]) == u32_at(bytes, 52)).then_some(head)
    }
}

fn u32_at(bytes: &[u8; SIZE], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { partition: 3, mark: Mark { id: DataId(0x0102_0304), life: 5 }, newest: 70_000 };

    #[test]
    fn its_bytes_are_these() {
        let bytes = hex::encode(HEAD.encode());
        let golden = concat!(
            "43484f5255534844",
            "01000000",
            "03000000",
            "04030201000000000000000000000000",
            "0500000000000000",
            "7011010000000000",
            "00000000",
        );
        assert_eq!(bytes[..104], *golden);
        assert_eq!(Head::decode(&HEAD.encode()), Some(HEAD));
    }

    #[test]
    fn what_is_not_this_partitions_head_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Head::read(dir.path(), 3).unwrap(), None);
        HEAD.write(dir.path()).unwrap();
        assert_eq!(Head::read(dir.path(), 3).unwrap(), Some(HEAD));
        std::fs::copy(path(dir.path(), 3), path(dir.path(), 4)).unwrap();
        assert!(Head::read(dir.path(), 4).unwrap_err().to_string().contains("another partition"));
        for (at, text) in [(0, "not the head"), (8, "format"), (40, "checksum"), (55, "checksum")] {
            let mut bytes = HEAD.encode();
            bytes[at] ^= 0xff;
            std::fs::write(path(dir.path(), 3), bytes).unwrap();
            let error = Head::read(dir.path(), 3).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("3.head"), "{error}");
        }
        std::fs::write(path(dir.path(), 3), b"CHO").unwrap();
        assert!(matches!(Head::read(dir.path(), 3), Err(OpenError::Damaged { .. })));
    }
}
