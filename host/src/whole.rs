//! Whether a partition's log and the store together hold all the data of its rooms. Checked at every takeover of a
//! partition, before any of its rooms runs: a room that began anew because its state is lost would be silently wrong.
//!
//! * All records below the checkpoint are in snapshots, and the log is truncated below it only when those snapshots are on the
//!   disk. So a log that *begins above* the checkpoint belongs to a newer store than this one.
//! * A checkpoint is set only when the log up to there is on the disk. So a log that *ends below* it has lost records that no
//!   power cut can remove. A log that ends between the checkpoint and the newest snapshot has lost what a power cut may remove
//!   (`--fsync background`): it skips forward, with a warning. A broker loses nothing that it has confirmed, so its topic ends
//!   above all offsets in the store.
//! * A live room has a snapshot, or its `Create` is in the log above the checkpoint.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use chorus_core::{
    command::{Record, RoomCommand},
    ids::{Offset, RoomId},
};

use crate::{HostError, Shared};

/// What a partition has lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error(
        "partition {partition}: the log begins at offset {start}, and the store has snapshots up to {checkpoint} only: the \
         store is older than the log, and what its rooms did in between is lost. {WHAT_TO_DO}"
    )]
    StoreBehind { partition: u32, start: Offset, checkpoint: Offset },
    #[error(
        "partition {partition}: the log ends at offset {end}, and the store has seen it on the disk up to {checkpoint}: the \
         end of the log is lost, or it is another log. {WHAT_TO_DO}"
    )]
    LogBehind { partition: u32, end: Offset, checkpoint: Offset },
    #[error(
        "partition {partition}: {rooms} live, and have neither a snapshot in the store nor the record of their creation in \
         the log. {WHAT_TO_DO}"
    )]
    Rooms { partition: u32, rooms: Rooms },
}

const WHAT_TO_DO: &str =
    "Restore what is missing from a copy, or give --accept-loss to go on without it; nothing was changed";

/// Rooms. Texts of errors list the first few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rooms(pub Vec<RoomId>);

/// How many rooms an error's text lists. The others are found by their status `failed`, once the loss is accepted.
const NAMED: usize = 8;

impl fmt::Display for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.0.iter().take(NAMED).map(RoomId::to_string).collect();
        let more = self.0.len().saturating_sub(NAMED);
        write!(f, "{} room(s) ({}", self.0.len(), named.join(", "))?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(f, ")")
    }
}

impl Shared {
    fn accept(&self, lost: Lost) -> Result<(), HostError> {
        if !self.options.accept_loss {
            return Err(lost.into());
        }
        tracing::warn!("{lost} (--accept-loss is given: going on)");
        Ok(())
    }
}

pub fn store_is_behind(host: &Shared, partition: u32, start: Offset, checkpoint: Offset) -> Result<(), HostError> {
    host.accept(Lost::StoreBehind { partition, start, checkpoint })
}

/// Lets a log that has lost its end continue after the highest offset in the store. The gap ends with a record, because a
/// reader that stops at the log's end waits for the record before it. Returns where the log ended, if a power cut may have
/// caused the loss.
pub async fn catch_up_with_the_store(
    host: &Shared,
    partition: u32,
    checkpoint: Offset,
) -> Result<Option<Offset>, HostError> {
    let highest = host.store.highest_offset(partition).await?;
    let at_least = highest.map_or(0, |offset| offset + 1).max(checkpoint);
    let end = host.bus.end(partition).await?;
    if end >= at_least {
        return Ok(None);
    }
    let kept = if host.bus.may_lose_its_end() { checkpoint } else { at_least };
    if end < kept {
        host.accept(Lost::LogBehind { partition, end, checkpoint: kept })?;
    }
    tracing::warn!(partition, end, at_least, "the log has lost its end, and goes on after what the store has");
    let partitions = host.bus.partitions();
    let nobody = (0..).map(RoomId).find(|room| room.partition(partitions) == partition);
    let room = nobody.expect("some room is in every partition");
    let command = RoomCommand::Close { reason: "the log lost its end here".into() };
    let filler = Record { room, time: host.now(), command };
    host.bus.skip_to(partition, at_least, &filler).await?;
    host.bus.append(&filler).await?;
    // A loss beyond that of a power cut is named and accepted room by room.
    Ok((end >= kept).then_some(end))
}

/// `unsaved`: live rooms that had no snapshot before the log was read. `torn_at`: where the log ended, if a power cut has
/// removed its end, and with it, perhaps, the `Create` of rooms that were listed already.
pub async fn check_rooms(
    host: &Shared,
    partition: u32,
    unsaved: Vec<RoomId>,
    backlog: &HashMap<RoomId, Vec<(Offset, Record)>>,
    torn_at: Option<Offset>,
) -> Result<(), HostError> {
    let is_created = |room: &RoomId| {
        let mut records = backlog.get(room).into_iter().flatten();
        records.any(|(_, record)| matches!(record.command, RoomCommand::Create { .. }))
    };
    let mut missing: BTreeSet<RoomId> = unsaved.into_iter().filter(|room| !is_created(room)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    // The partition's previous host may have stored one of them just now.
    let still: BTreeSet<RoomId> = host.store.rooms_without_snapshot(partition).await?.into_iter().collect();
    missing.retain(|room| still.contains(room));
    let (mut lost, mut torn) = (Vec::new(), Vec::new());
    for room in missing {
        let listed = host.store.room(room).await?.map(|row| row.offset);
        match torn_at.is_some_and(|end| listed >= Some(end)) {
            true => torn.push(room),
            false => lost.push(room),
        }
    }
    if !torn.is_empty() {
        let rooms = Rooms(torn);
        tracing::warn!(partition, %rooms, "a power cut has taken the records of the creation of rooms; they are given up");
        host.store.give_up_rooms(&rooms.0, "a power cut has taken the record of its creation").await?;
    }
    if !lost.is_empty() {
        let rooms = Rooms(lost);
        host.accept(Lost::Rooms { partition, rooms: rooms.clone() })?;
        host.store.give_up_rooms(&rooms.0, "its state was lost, and an operator has accepted that").await?;
    }
    Ok(())
}
