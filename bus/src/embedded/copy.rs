//! A copy of the log while it is used: a backup's half.
//!
//! [`TruncationHold`] keeps all segments of the moment at which it is taken, and those that follow: while it exists, nothing is
//! deleted. A copy has every whole frame up to one moment: the last segment is copied up to the end of its last frame, so no
//! copy has a torn end. [`check_copy`] reads all of a copy, and refuses a torn end, which [`super::LockedDir::open`] would cut off.
//!
//! Bounds: one buffer of [`CHUNK`] for the copy, one segment in memory for the check. The caller ends a copy that takes too long
//! by its `goes_on`, which is called after each chunk.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use chorus_core::{ids::Offset, pairing::Mark};

use super::{
    Embedded, Options,
    head::{self, Head},
    layout,
    partition::Partition,
    segment::{self, Segment},
};
use crate::{Backend, Bus, CopyError, OpenError};

/// How many bytes are copied in one step.
const CHUNK: usize = 1 << 20;

/// What a copied log has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedLog {
    pub mark: Mark,
    /// For each partition, its first offset and one past its last.
    pub partitions: Vec<(Offset, Offset)>,
    /// The files' names below the directory, with `/`: the segments first, then the heads.
    pub files: Vec<String>,
}

/// Nothing of the log is deleted while this exists.
#[derive(Debug)]
pub struct TruncationHold(Arc<Embedded>);

impl Bus {
    /// Holds truncation until the returned value is dropped. `None`: the log is a broker's. Returns when no deletion is under way.
    pub async fn hold_truncation(&self) -> Option<TruncationHold> {
        let Backend::Embedded(bus) = &self.0 else { return None };
        let bus = bus.clone();
        let held = tokio::task::spawn_blocking(move || {
            bus.partitions.iter().for_each(|partition| partition.hold());
            TruncationHold(bus)
        });
        Some(held.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }
}

impl Drop for TruncationHold {
    fn drop(&mut self) {
        self.0.partitions.iter().for_each(|partition| partition.release());
    }
}

impl TruncationHold {
    /// The bytes that a copy would have now.
    pub fn bytes(&self) -> u64 {
        let segments =
            |partition: &Arc<Partition>| partition.segments().iter().map(|segment| segment.len()).sum::<u64>();
        self.0.partitions.iter().map(segments).sum()
    }

    /// Copies the log as it is now into `dir`, which has no log; returns when the copy is on the disk and was checked. After an
    /// error, a part of the copy is there. `goes_on` receives the number of bytes of each step, and ends the copy by `false`.
    pub async fn copy_to(
        self,
        dir: PathBuf,
        goes_on: impl Fn(u64) -> bool + Send + 'static,
    ) -> Result<CopiedLog, CopyError> {
        let copied = tokio::task::spawn_blocking(move || {
            for partition in &self.0.partitions {
                copy_partition(partition, &dir, &goes_on)?;
            }
            let partitions = self.0.partitions();
            // The check reads the copy alone.
            drop(self);
            check_copy(&dir, partitions)
        });
        copied.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

fn copy_partition(partition: &Partition, root: &Path, goes_on: &impl Fn(u64) -> bool) -> Result<(), CopyError> {
    let log = root.join("log");
    let dir = log.join(partition.number.to_string());
    layout::create_dirs(root, &dir)?;
    // Under one lock: each segment but the last is final, and the last is whole up to this length.
    let segments: Vec<(Arc<Segment>, u64)> =
        partition.segments().iter().map(|segment| (segment.clone(), segment.len())).collect();
    for (segment, len) in &segments {
        copy_segment(segment, *len, &dir.join(segment::file_name(segment.base)), goes_on)?;
    }
    let newest = segments.last().expect("there is always one").0.base;
    let head = Head { partition: partition.number, mark: partition.mark, newest };
    head.write(&log).map_err(io_error("write"))?;
    segment::sync_dir(&dir).map_err(|error| io_error("sync")((dir, error)))
}

fn io_error(action: &'static str) -> impl Fn((PathBuf, io::Error)) -> CopyError {
    move |(file, source)| CopyError::Io { action, file, source }
}

fn copy_segment(segment: &Segment, len: u64, to: &Path, goes_on: &impl Fn(u64) -> bool) -> Result<(), CopyError> {
    let writing = |source| io_error("write")((to.to_owned(), source));
    let mut file =
        chorus_private::open(OpenOptions::new().write(true).create_new(true), to).map_err(OpenError::from)?;
    let mut buffer = vec![0; CHUNK.min(len as usize)];
    let mut at = 0;
    while at < len {
        let step = buffer.len().min((len - at) as usize);
        let read = segment.file.read_exact_at(&mut buffer[..step], at);
        read.map_err(|source| io_error("read")((segment.path.clone(), source)))?;
        file.write_all(&buffer[..step]).map_err(writing)?;
        at += step as u64;
        if !goes_on(step as u64) {
            return Err(CopyError::Ended);
        }
    }
    file.sync_all().map_err(writing)
}

/// Reads all of a log that no process uses, and compares its files with each other. Refuses what opening it would repair: a copy
/// is whole, or it is none. Blocks.
pub fn check_copy(dir: &Path, partitions: u32) -> Result<CopiedLog, CopyError> {
    let options = Options { partitions, ..Options::new(dir) };
    let log = dir.join("log");
    let mark = layout::read_mark(&options)?.ok_or_else(|| OpenError::Missing { file: head::path(&log, 0) })?;
    let (mut bounds, mut files) = (Vec::new(), Vec::new());
    for number in 0..partitions {
        let head = Head::read(&log, number)?.ok_or_else(|| OpenError::Missing { file: head::path(&log, number) })?;
        let dir = log.join(number.to_string());
        let mut kept = None;
        for path in layout::segment_files(&dir).map_err(io_error("list"))? {
            let end = kept.map(|(_, end, _)| end);
            let (base, end) = check_segment(&path, (number, mark), end)?;
            kept = Some((kept.map_or(base, |(start, ..)| start), end, base));
            files.push(format!("log/{number}/{}", segment::file_name(base)));
        }
        match kept {
            Some((start, end, newest)) if newest == head.newest => bounds.push((start, end)),
            _ => return Err(OpenError::Missing { file: dir.join(segment::file_name(head.newest)) }.into()),
        }
    }
    files.extend((0..partitions).map(|number| format!("log/{number}.head")));
    Ok(CopiedLog { mark, partitions: bounds, files })
}

/// Returns the first offset and the end.
fn check_segment(
    path: &Path,
    (number, mark): (u32, Mark),
    previous_end: Option<Offset>,
) -> Result<(Offset, Offset), CopyError> {
    chorus_private::check(path).map_err(OpenError::from)?;
    let bytes = std::fs::read(path).map_err(|source| io_error("read")((path.to_owned(), source)))?;
    let (base, written_after) = segment::check_header(path, number, mark.id, &bytes)?;
    if let Some(end) = previous_end.filter(|end| *end != written_after) {
        return Err(OpenError::Gap { file: path.to_owned(), missing: end, found: written_after }.into());
    }
    let scan = segment::scan(base, &bytes, |_, _| ());
    match scan.bad {
        None => Ok((base, scan.end)),
        Some(what) => Err(CopyError::Torn { file: path.to_owned(), position: scan.stop as u64, what }),
    }
}
