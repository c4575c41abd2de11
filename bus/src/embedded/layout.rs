//! The files of a log as a whole: whether all of them are there, and the creation of a new log's.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use chorus_core::pairing::Mark;

use super::{
    Options,
    head::{self, Head},
    segment::{self, Segment},
};
use crate::OpenError;

/// Refuses a number of partitions that differs from the one on disk: a partition has a directory and a head, and one of the two
/// may have been lost.
fn check_count(options: &Options) -> Result<(), OpenError> {
    assert!(options.partitions > 0, "a log has at least one partition");
    let dir = options.dir.join("log");
    let names = match std::fs::read_dir(&dir) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OpenError::Io { action: "list", file: dir, source }),
    };
    let number = |name: String| name.strip_suffix(".head").unwrap_or(&name).parse::<u32>().ok();
    match names.filter_map(number).collect::<BTreeSet<u32>>().len() as u32 {
        found if found == 0 || found == options.partitions => Ok(()),
        found => Err(OpenError::Partitions { dir, found, configured: options.partitions }),
    }
}

/// The log's mark, read before the log is opened; `None` when there is no log.
pub(super) fn read_mark(options: &Options) -> Result<Option<Mark>, OpenError> {
    let log = options.dir.join("log");
    if log.symlink_metadata().is_ok() {
        chorus_private::dir(&log, chorus_private::Root::Inside)?;
    }
    check_count(options)?;
    let mut heads = Vec::new();
    let mut missing = Vec::new();
    for number in 0..options.partitions {
        match Head::read(&log, number)? {
            Some(head) => heads.push(head),
            None => missing.push(number),
        }
    }
    if !missing.is_empty() && is_half_created(&log, options.partitions)? {
        return Ok(None);
    }
    if let Some(number) = missing.first() {
        return Err(OpenError::Missing { file: head::path(&log, *number) });
    }
    let id = heads[0].mark.id;
    if let Some(other) = heads.iter().find(|head| head.mark.id != id) {
        return Err(OpenError::Foreign { file: head::path(&log, other.partition), id, found: other.mark.id });
    }
    // The partitions' heads are written one after the other.
    Ok(heads.iter().map(|head| head.mark).max_by_key(|mark| mark.life))
}

/// Whether there is no log, or only the remains of an interrupted first start: segments without a record, since no record is
/// accepted before all heads are written.
fn is_half_created(log: &Path, partitions: u32) -> Result<bool, OpenError> {
    for number in 0..partitions {
        let dir = log.join(number.to_string());
        if !dir.is_dir() {
            continue;
        }
        for file in segment_files(&dir).map_err(|(file, source)| OpenError::Io { action: "list", file, source })? {
            let size = std::fs::symlink_metadata(&file);
            let size =
                size.map_err(|source| OpenError::Io { action: "read the size of", file: file.clone(), source })?.len();
            if size > segment::HEADER as u64 || !file.ends_with(segment::file_name(0)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Creates the segments of a new log, and then its heads. Replaces the files of an interrupted first start.
pub(super) fn create(options: &Options, mark: Mark) -> Result<(), OpenError> {
    let log = options.dir.join("log");
    let io = |action| move |(file, source)| OpenError::Io { action, file, source };
    for number in 0..options.partitions {
        let dir = log.join(number.to_string());
        create_dirs(&options.dir, &dir)?;
        for left in segment_files(&dir).map_err(io("list"))? {
            std::fs::remove_file(&left).map_err(|e| (left, e)).map_err(io("remove"))?;
        }
        Segment::create(&dir, number, mark.id, 0, 0).map_err(|e| (dir, e)).map_err(io("create a segment in"))?;
    }
    for partition in 0..options.partitions {
        Head { partition, mark, newest: 0 }.write(&log).map_err(io("write"))?;
    }
    Ok(())
}

pub(super) type AtFile = (PathBuf, io::Error);

/// Creates the partition's directory, and makes its name durable.
pub(super) fn create_dirs(root: &Path, dir: &Path) -> Result<(), OpenError> {
    let log = root.join("log");
    for created in [&log, dir] {
        chorus_private::dir(created, chorus_private::Root::Inside)?;
    }
    for parent in [root, &log] {
        let synced = segment::sync_dir(parent);
        synced.map_err(|source| OpenError::Io { action: "sync", file: parent.to_owned(), source })?;
    }
    Ok(())
}

/// The segments of a partition in the order of their offsets. Deletes a segment that a crash left unfinished.
pub(super) fn segment_files(dir: &Path) -> Result<Vec<PathBuf>, AtFile> {
    let at = |e| (dir.to_owned(), e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("log") => files.push(path),
            Some("new") => std::fs::remove_file(&path).map_err(|e| (path, e))?,
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}
