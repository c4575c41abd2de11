//! [`Bug::EarlyAck`], planted: written bytes stay in memory until the next sync, some tens of milliseconds later. By then
//! readers have received them and appends were confirmed; a `kill -9` in between loses them.

use std::{
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use chorus_core::planted::{Bug, planted};

use super::segment::Segment;

struct Postponed {
    segment: Arc<Segment>,
    at: u64,
    bytes: Vec<u8>,
}

static POSTPONED: Mutex<Vec<Postponed>> = Mutex::new(Vec::new());

/// Postpones a write. Returns whether it did.
pub(super) fn postpone(segment: &Arc<Segment>, bytes: &[u8], at: u64) -> bool {
    if planted(Bug::EarlyAck) {
        let write = Postponed { segment: segment.clone(), at, bytes: bytes.to_vec() };
        POSTPONED.lock().unwrap_or_else(PoisonError::into_inner).push(write);
    }
    planted(Bug::EarlyAck)
}

/// Performs the postponed writes.
pub(super) fn write_postponed() -> io::Result<()> {
    let mut writes = POSTPONED.lock().unwrap_or_else(PoisonError::into_inner);
    writes.drain(..).try_for_each(|Postponed { segment, at, bytes }| segment.file.write_all_at(&bytes, at))
}
