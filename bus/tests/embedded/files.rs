//! A log in a directory of its own.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use chorus_bus::{
    Bus, Durability, OpenError,
    embedded::{self, Options},
};
use chorus_testing::soon;
use tempfile::TempDir;

use crate::suite::{EmptyLog, ROOM, append_all};

/// The size of a segment's header.
pub const HEADER: u64 = 52;

/// Two partitions in a directory of its own, with segments that 10 KiB fill, and few records in memory.
pub struct Files {
    pub dir: TempDir,
    durability: Durability,
}

impl EmptyLog for Files {
    async fn open(&self) -> Bus {
        embedded::open(self.options()).await.unwrap()
    }
}

impl Files {
    pub fn new(durability: Durability) -> Files {
        Files { dir: tempfile::tempdir().unwrap(), durability }
    }

    pub fn options(&self) -> Options {
        let small = Options { segment_bytes: 10 << 10, tail_bytes: 30 << 10, ..Options::new(self.dir.path()) };
        Options { partitions: 2, durability: self.durability, ..small }
    }

    /// The segments of the room's partition, oldest first.
    pub fn segments(&self) -> Vec<PathBuf> {
        let dir = self.dir.path().join("log").join(ROOM.partition(2).to_string());
        let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The head of the room's partition.
    pub fn head(&self) -> PathBuf {
        self.dir.path().join("log").join(format!("{}.head", ROOM.partition(2)))
    }

    pub async fn open_error(&self) -> OpenError {
        embedded::open(self.options()).await.expect_err("it is refused")
    }
}

impl Files {
    /// A log with this many records, as a killed process leaves it: no sync marker covers its end.
    pub async fn crashed_after(records: u64) -> Files {
        let files = Files::new(Durability::Background);
        let bus = files.open().await;
        append_all(&bus, 0..records).await;
        let copy: Vec<_> = files.segments().into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
        soon(bus.close()).await.unwrap();
        copy.into_iter().for_each(|(bytes, file)| fs::write(file, bytes).unwrap());
        files
    }

    pub fn bytes_of_the_last_segment(&self) -> Vec<u8> {
        fs::read(self.segments().last().unwrap()).unwrap()
    }
}

/// Inverts a byte.
pub fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0xff], at).unwrap();
}
