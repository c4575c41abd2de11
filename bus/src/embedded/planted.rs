//! [`Bug::EarlyAck`], planted: what is written stays in memory until the next sync, some tens of milliseconds later. By
//! then readers have seen it and appends were confirmed; a `kill -9` in between loses it.

use std::{
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use chorus_core::planted::{Bug, planted};

use super::segment::Segment;

struct Late {
    segment: Arc<Segment>,
    at: u64,
    bytes: Vec<u8>,
}

static LATE: Mutex<Vec<Late>> = Mutex::new(Vec::new());

/// Whether the write was put off.
pub(super) fn put_off(segment: &Arc<Segment>, bytes: &[u8], at: u64) -> bool {
    if planted(Bug::EarlyAck) {
        let late = Late { segment: segment.clone(), at, bytes: bytes.to_vec() };
        LATE.lock().unwrap_or_else(PoisonError::into_inner).push(late);
    }
    planted(Bug::EarlyAck)
}

/// Writes what was put off.
pub(super) fn catch_up() -> io::Result<()> {
    let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    late.drain(..).try_for_each(|Late { segment, at, bytes }| segment.file.write_all_at(&bytes, at))
}
