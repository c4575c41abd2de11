//! The replay of one room from its channel: the reference.
//!
//! **What the log takes back.** A `Fault` record at `F` voids the record at `O`, before it. A host that had not read `F` may
//! nevertheless have applied `O` (it had an older instance, and a fault is not always the script's), and may have sent the
//! frames of `O` and of the records up to `F`. So one channel has several *timelines*, one for each number of faults that a
//! host may have read: timeline `k` skips the records that the first `k` faults void, and ends at the next fault. The last
//! timeline, with all faults, is the valid one. A frame that is only in an earlier timeline is *taken back*: a client may have
//! received it, since no host could have prevented that, but only
//! - under a number below that of the whole view which `F` sends to that member: the room jumps far for just that reason, so no
//!   number denotes two frames on both sides of `F`, which is checked;
//! - until that view: numbers rise for each receiver, so no frame that was taken back can come after it.
//!
//! A rolled-back swap needs no timeline of its own: its `Fault` rolls it back, at that offset in every replay, and all hosts
//! that had read as far have sent the same frames until then.
//!
//! The machine receives all faults before the first record, just as a host passes it those that it finds in the tail of the
//! log.

use std::collections::{BTreeSet, HashSet};

use chorus_core::{
    command::{Record, RoomCommand},
    ids::{Offset, RoomId},
};

use super::{
    Guest, Unplayable,
    pass::{Pass, Voided},
    reference::Replay,
    start::Start,
};

/// Replays all of a room's records. `wanted`: the records after which the state is kept.
pub async fn replay<G: Guest>(
    id: RoomId,
    start: &Start,
    records: &[(Offset, Record)],
    wanted: &BTreeSet<Offset>,
    guest: &mut G,
) -> Result<Replay, Unplayable> {
    let voided = voided(records);
    let mut pass = Pass::new(id, start, guest, &voided)?;
    pass.wanted = wanted.clone();
    pass.keeps_snapshots = !voided.is_empty();
    pass.play(records).await?;
    let Pass { mut replay, snapshots, .. } = pass;
    for known in 0..voided.len() {
        let (known, unknown) = voided.split_at(known);
        let until = unknown[0].fault_at;
        let from = unknown.iter().map(|record| record.offset).min().expect("there is one at least");
        let base = snapshots.iter().rev().find(|(offset, _)| *offset < from);
        let base = base.map(|(offset, bytes)| Start::Snapshot { offset: *offset, bytes: bytes.clone() });
        let mut pass = Pass::new(id, base.as_ref().unwrap_or(start), guest, known)?;
        pass.play(&records[..records.partition_point(|(offset, _)| *offset < until)]).await?;
        let earlier = pass.replay;
        replay.add_taken_back(id, earlier, until);
    }
    Ok(replay)
}

/// In the order of the faults; if several void one record, the first of them.
fn voided(records: &[(Offset, Record)]) -> Vec<Voided> {
    let mut seen = HashSet::new();
    let mut voided = Vec::new();
    for (fault_at, record) in records {
        if let RoomCommand::Fault { at, fault } = &record.command
            && at.offset < *fault_at
            && seen.insert(at.offset)
        {
            voided.push(Voided { offset: at.offset, fault: fault.clone(), fault_at: *fault_at });
        }
    }
    voided
}
