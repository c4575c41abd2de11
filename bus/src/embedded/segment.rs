//! A segment file: a header, then frames, with nothing in between. All numbers are little endian.
//!
//! ```text
//! header  magic "CHORUSLG" · format u32 · partition u32 · first offset u64 · end of the segment before u64 · id u128 · crc u32
//! frame   length u32 · crc u32 · offset u64 · payload, `length` bytes
//! ```
//! * A frame with a payload is a record: the payload is `chorus_core::wire`'s bytes (at most [`MAX_RECORD`]), the key is
//!   in them, and offsets go up by one.
//! * A frame without a payload is a *sync marker*: every record below its offset was on the disk when the marker was
//!   written. It takes no offset. Sync markers distinguish damage from the effects of a power cut (see [`recover`]).
//! * The crc (CRC-32, IEEE) is over everything in the header before it; in a frame over payload, offset, length.
//! * The id is the log's, the same in all of its segments and in its store (`chorus_core::pairing`).
//! * The end of the segment before is equal to the first offset unless offsets were skipped on purpose.
//!
//! A segment is created under another name and renamed when its header is on the disk. By then the segment before it is
//! entirely on the disk, so only the last segment can be torn.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use chorus_core::{ids::Offset, pairing::DataId};
use crc32fast::Hasher;

use crate::{MAX_RECORD, OpenError};

/// The format of segment files.
pub const FORMAT: u32 = 2;

const MAGIC: &[u8; 8] = b"CHORUSLG";
pub(super) const HEADER: usize = 52;
pub(super) const FRAME: usize = 16;

/// The highest first offset: that of a broker, and of the columns of the store. What follows it in a file cannot overflow.
pub(super) const MAX_BASE: Offset = i64::MAX as u64;

/// The distance in bytes between two entries of the index.
const INDEX_EVERY: u64 = 32 << 10;

/// One open segment. The partition's writer writes it; readers may read it even after its name is deleted.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: Offset,
    /// The end of the segment before it.
    pub previous_end: Offset,
    pub path: PathBuf,
    pub file: File,
    /// The size of its header and its whole frames, in bytes.
    len: AtomicU64,
    /// Some records and the positions of their frames, in order.
    sparse_index: Mutex<Vec<(Offset, u64)>>,
}

impl Segment {
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Publishes to readers that the file is whole up to `len`.
    pub fn set_len(&self, len: u64) {
        self.len.store(len, Ordering::Release);
    }

    /// Adds a record's position to the index, if it is far enough from the last entry.
    pub fn index(&self, offset: Offset, position: u64) {
        let mut index = self.sparse_index.lock().expect("nothing panics under this lock");
        if index.last().is_none_or(|(_, last)| position >= last + INDEX_EVERY) {
            index.push((offset, position));
        }
    }

    /// A position at or before the frame of `offset`, not far from it.
    pub fn position_before(&self, offset: Offset) -> u64 {
        let index = self.sparse_index.lock().expect("nothing panics under this lock");
        match index.partition_point(|(indexed, _)| *indexed <= offset) {
            0 => HEADER as u64,
            n => index[n - 1].1,
        }
    }

    /// Creates the file of a new segment, and returns when it and its name are on the disk.
    pub fn create(dir: &Path, partition: u32, id: DataId, base: Offset, previous_end: Offset) -> io::Result<Segment> {
        let path = dir.join(file_name(base));
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = chorus_private::open(&mut options, &new).map_err(io::Error::other)?;
        file.write_all_at(&header(partition, id, base, previous_end), 0)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        sync_dir(dir)?;
        let len = AtomicU64::new(HEADER as u64);
        Ok(Segment { base, previous_end, path, file, len, sparse_index: Mutex::default() })
    }
}

/// Makes the creations, renames and deletions in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn file_name(base: Offset) -> String {
    format!("{base:020}.log")
}

pub(super) fn header(partition: u32, id: DataId, base: Offset, previous_end: Offset) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..16].copy_from_slice(&partition.to_le_bytes());
    bytes[16..24].copy_from_slice(&base.to_le_bytes());
    bytes[24..32].copy_from_slice(&previous_end.to_le_bytes());
    bytes[32..48].copy_from_slice(&id.0.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..48]);
    bytes[48..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Appends a record's frame to a batch. `hasher` has already hashed the payload: that part of the work needs no lock.
pub(super) fn put_record(out: &mut Vec<u8>, offset: Offset, payload: &[u8], mut hasher: Hasher) {
    let len = payload.len() as u32;
    hasher.update(&offset.to_le_bytes());
    hasher.update(&len.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&hasher.finalize().to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Appends a sync marker to a batch.
pub(super) fn put_sync_marker(out: &mut Vec<u8>, synced: Offset) {
    put_record(out, synced, &[], Hasher::new());
}

/// The frame at a position in a file's bytes. `next` is the position after it.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed<'a> {
    Record {
        offset: Offset,
        payload: &'a [u8],
        next: usize,
    },
    SyncMarker {
        offset: Offset,
        next: usize,
    },
    /// The bytes end before the frame does; it needs this many.
    Short {
        needed: usize,
    },
    Bad(&'static str),
}

pub(super) fn parse(bytes: &[u8], at: usize) -> Parsed<'_> {
    let rest = &bytes[at..];
    let Some((head, body)) = rest.split_at_checked(FRAME) else { return Parsed::Short { needed: FRAME } };
    let len = word(head, 0) as usize;
    if len > MAX_RECORD {
        return Parsed::Bad("a frame's length is impossible");
    }
    let Some(payload) = body.get(..len) else { return Parsed::Short { needed: FRAME + len } };
    let mut hasher = Hasher::new();
    hasher.update(payload);
    hasher.update(&head[8..]);
    hasher.update(&head[..4]);
    if hasher.finalize() != word(head, 4) {
        return Parsed::Bad("a frame's checksum does not match");
    }
    let offset = u64::from_le_bytes(head[8..].try_into().expect("8 bytes"));
    let next = at + FRAME + len;
    match len {
        0 => Parsed::SyncMarker { offset, next },
        _ => Parsed::Record { offset, payload, next },
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// A segment as it was read, and one past its last record.
#[derive(Debug)]
pub(super) struct Recovered {
    pub segment: Segment,
    pub end: Offset,
}

/// Opens a segment and checks all of it. `previous_end` is the actual end of the segment before it, if there is one.
///
/// A record that was known to be on the disk must be whole. That holds for every record of every segment but the last, and in
/// the last one for the records that a sync marker covers: frames that turn invalid at a record covered by a later sync marker are damage,
/// and an error. Without such a marker, they are the effect of a crash on writes that were never synced (the kernel writes pages
/// in any order, so whole frames may follow): the file is truncated there, with a warning.
pub(super) fn recover(
    path: &Path,
    (partition, id): (u32, DataId),
    previous_end: Option<Offset>,
    last: bool,
) -> Result<Recovered, OpenError> {
    let io = |action| move |source| OpenError::Io { action, file: path.to_owned(), source };
    let mut file = chorus_private::open(OpenOptions::new().read(true).write(true), path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io("read"))?;
    let (base, written_after) = check_header(path, partition, id, &bytes)?;
    if let Some(end) = previous_end.filter(|end| *end != written_after) {
        return Err(OpenError::Gap { file: path.to_owned(), missing: end, found: written_after });
    }
    let len = AtomicU64::new(bytes.len() as u64);
    let segment =
        Segment { base, previous_end: written_after, path: path.to_owned(), file, len, sparse_index: Mutex::default() };
    let scan = scan(segment.base, &bytes, |offset, position| segment.index(offset, position));
    if let Some(what) = scan.bad {
        if !last || is_covered(&bytes, scan.stop, scan.end) {
            return Err(OpenError::Damaged { file: path.to_owned(), position: scan.stop as u64, what: what.into() });
        }
        truncate(&segment, &scan, bytes.len()).map_err(io("truncate the torn end of"))?;
    }
    Ok(Recovered { segment, end: scan.end })
}

pub(super) fn check_header(
    path: &Path,
    partition: u32,
    id: DataId,
    bytes: &[u8],
) -> Result<(Offset, Offset), OpenError> {
    let damaged = |what: &str| OpenError::Damaged { file: path.to_owned(), position: 0, what: what.to_owned() };
    let beginning = bytes.get(..12).ok_or_else(|| damaged("the header is cut off"))?;
    if &beginning[..8] != MAGIC {
        return Err(damaged("this is not a chorus log"));
    }
    // Before the other checks: another format may be shorter, and may have its checksum elsewhere.
    if word(beginning, 8) != FORMAT {
        return Err(OpenError::Format { file: path.to_owned(), found: word(beginning, 8), reads: FORMAT });
    }
    let head = bytes.get(..HEADER).ok_or_else(|| damaged("the header is cut off"))?;
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
    if crc32fast::hash(&head[..48]) != word(head, 48) {
        return Err(damaged("the header's checksum does not match"));
    }
    if word(head, 12) != partition || path.file_name() != Some(file_name(long(16)).as_ref()) {
        return Err(damaged("the header is of another segment: the file was renamed or moved"));
    }
    if long(16) > MAX_BASE {
        return Err(damaged("the header's first offset is impossible"));
    }
    let found = DataId(u128::from_le_bytes(head[32..48].try_into().expect("16 bytes")));
    if found != id {
        return Err(OpenError::Foreign { file: path.to_owned(), id, found });
    }
    Ok((long(16), long(24)))
}

pub(super) struct Scan {
    pub end: Offset,
    /// The position after the last whole frame.
    pub stop: usize,
    pub bad: Option<&'static str>,
}

/// Reads the frames of a file whose header is valid. Each record's offset and position go to `index`.
pub(super) fn scan(base: Offset, bytes: &[u8], mut index: impl FnMut(Offset, u64)) -> Scan {
    let mut scan = Scan { end: base, stop: HEADER, bad: None };
    while scan.stop < bytes.len() {
        scan.stop = match parse(bytes, scan.stop) {
            Parsed::Record { offset, next, .. } if offset == scan.end => {
                index(offset, scan.stop as u64);
                scan.end += 1;
                next
            }
            Parsed::SyncMarker { offset, next } if offset <= scan.end => next,
            Parsed::Record { .. } | Parsed::SyncMarker { .. } => {
                return Scan { bad: Some("a frame is out of order"), ..scan };
            }
            Parsed::Short { .. } => return Scan { bad: Some("a frame is cut off"), ..scan },
            Parsed::Bad(what) => return Scan { bad: Some(what), ..scan },
        };
    }
    scan
}

/// Whether any sync marker after the position states that the record at `offset` was on the disk. Every byte is tried as a frame's first,
/// since a damaged length cannot be followed; almost all fail on their length or offset, before any checksum.
pub(super) fn is_covered(bytes: &[u8], from: usize, offset: Offset) -> bool {
    let highest = offset + (bytes.len() - from) as u64;
    (from + 1..bytes.len().saturating_sub(FRAME - 1)).any(|at| {
        let is_marker = word(bytes, at) == 0;
        let named = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("8 bytes"));
        is_marker && named > offset && named <= highest && matches!(parse(bytes, at), Parsed::SyncMarker { .. })
    })
}

fn truncate(segment: &Segment, scan: &Scan, len: usize) -> io::Result<()> {
    tracing::warn!(
        file = %segment.path.display(),
        offset = scan.end,
        position = scan.stop,
        bytes = len - scan.stop,
        reason = scan.bad,
        "truncated the torn end of the log: the last writes had not reached the disk when the machine or process died"
    );
    segment.file.set_len(scan.stop as u64)?;
    segment.file.sync_all()?;
    segment.set_len(scan.stop as u64);
    Ok(())
}
