//! Hands a partition's records to its rooms, and advances the checkpoint below which the log may be truncated.
//!
//! At start, everything between the checkpoint and the log's end is read before any room runs, so that a record with a `Fault`
//! in the log is skipped, and not tried again first.

use std::{collections::HashMap, sync::Arc};

use chorus_bus::{ReadError, TruncateError};
use chorus_core::{
    command::Record,
    effect::RestoreReason,
    ids::{Offset, RoomId},
};
use tokio::sync::watch;

use crate::{HostError, Shared, whole};

/// The records since the checkpoint, and the reader of those that follow.
pub struct Start {
    reader: chorus_bus::Reader,
    backlog: HashMap<RoomId, Vec<(Offset, Record)>>,
    end: Offset,
}

/// Reads the records since the checkpoint. The partition's previous host may store the last of its rooms meanwhile, and
/// truncate the log: then the checkpoint has moved, and the records are read again.
pub async fn prepare(host: &Shared, partition: u32) -> Result<Start, HostError> {
    loop {
        match gather(host, partition).await {
            Ok(Some(start)) => return Ok(start),
            Ok(None) | Err(HostError::Read(ReadError::Gone { .. })) => {}
            Err(error) => return Err(error),
        }
    }
}

/// `None` when the checkpoint has moved meanwhile.
async fn gather(host: &Shared, partition: u32) -> Result<Option<Start>, HostError> {
    let checkpoint = host.store.checkpoint(partition).await?;
    // Before the log's end is read: a room that is listed now was created before that.
    let unsaved = host.store.rooms_without_snapshot(partition).await?;
    let torn_at = whole::catch_up_with_the_store(host, partition, checkpoint).await?;
    let begin = host.bus.start(partition).await?;
    if begin > checkpoint {
        if host.store.checkpoint(partition).await? > checkpoint {
            return Ok(None);
        }
        whole::store_is_behind(host, partition, begin, checkpoint)?;
    }
    let from = checkpoint.max(begin);
    let end = host.bus.end(partition).await?;
    let mut reader = host.bus.read(partition, from);
    let mut backlog: HashMap<RoomId, Vec<(Offset, Record)>> = HashMap::new();
    let mut batch = Vec::new();
    let mut at = from;
    while at < end {
        reader.next(&mut batch).await?;
        for (offset, record) in batch.drain(..) {
            at = offset + 1;
            backlog.entry(record.room).or_default().push((offset, record));
        }
    }
    whole::check_rooms(host, partition, unsaved, &backlog, torn_at).await?;
    if !backlog.is_empty() {
        tracing::info!(partition, from, end, rooms = backlog.len(), "rooms have records behind the checkpoint");
    }
    Ok(Some(Start { reader, backlog, end }))
}

/// Hands records to rooms, until the partition is to be handed over.
pub async fn run(
    host: Arc<Shared>,
    partition: u32,
    start: Start,
    mut leaving: watch::Receiver<bool>,
) -> Result<(), HostError> {
    let Start { mut reader, backlog, end } = start;
    host.partitions.inherit(partition, end);
    // Before the position moves: the checkpoint follows it, and stops at the records of these rooms.
    restore_in_turn(&host, backlog);
    host.partitions.set_position(partition, end);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            result = reader.next(&mut batch) => result?,
            _ = leaving.wait_for(|leaving| *leaving) => return Ok(()),
        }
        let end = batch.last().map_or(0, |(offset, _)| offset + 1);
        host.metrics.records.inc_by(batch.len() as u64);
        for (offset, record) in batch.drain(..) {
            host.rooms().deliver(&host, offset, record);
        }
        host.partitions.set_position(partition, end);
    }
}

fn restore_in_turn(host: &Arc<Shared>, backlog: HashMap<RoomId, Vec<(Offset, Record)>>) {
    let mut rooms = host.rooms();
    for (room, records) in backlog {
        rooms.found(room, records, RestoreReason::Recovered);
    }
    rooms.restore_next(host);
}

/// Restores a room whose own timer is due, if this host has the room's partition.
pub fn wake(host: &Arc<Shared>, room: RoomId) {
    let mut rooms = host.rooms();
    if !host.partitions.is_leaving(host.partition_of(room)) {
        rooms.restored(host, room).wake();
    }
}

/// Advances the checkpoints, until the host is to end.
pub async fn keep_checkpoints(host: Arc<Shared>) -> Result<(), HostError> {
    let mut stopping = host.stopping.subscribe();
    loop {
        let stop = tokio::select! {
            () = tokio::time::sleep(host.options.checkpoint_every) => false,
            // The guard that `wait_for` returns must not be held across the next wait.
            _ = stopping.wait_for(|stopping| *stopping) => true,
        };
        if stop {
            return Ok(());
        }
        let owned: Vec<u32> = host.partitions.owned().into_iter().collect();
        move_checkpoints(&host, &owned).await;
    }
}

/// Below the checkpoint every room has a snapshot, so the log may be truncated. A failure costs disk, not data.
pub async fn move_checkpoints(host: &Shared, partitions: &[u32]) {
    for partition in partitions {
        if let Err(error) = move_checkpoint(host, *partition).await {
            tracing::warn!(partition, %error, "the record log could not be truncated; it grows until it can");
        }
    }
}

async fn move_checkpoint(host: &Shared, partition: u32) -> anyhow::Result<()> {
    host.partitions.set_end(partition, host.bus.end(partition).await?);
    // First the end, then the rooms: a record that arrives in between is above that end.
    let end = host.partitions.position(partition);
    let unsaved = host.rooms().unsaved_from(|room| host.partition_of(room) == partition);
    let stored = host.store.checkpoint(partition).await?;
    let checkpoint = unsaved.unwrap_or(end).min(end).max(stored);
    // After a takeover also where the checkpoint stays: the host before may have been killed before it truncated the log.
    if checkpoint > stored || host.partitions.truncated(partition) < checkpoint {
        // The checkpoint is set only when the log below it is on the disk: a log that ends below its checkpoint has lost
        // records. And the log is truncated only when the checkpoint is on the disk, also one of an earlier process.
        host.bus.settle().await?;
        host.store.set_checkpoint(partition, checkpoint).await?;
        if host.options.truncate {
            match host.bus.truncate(partition, checkpoint).await {
                Err(TruncateError::Unsupported) => {}
                done => done?,
            }
        }
        host.partitions.set_truncated(partition, checkpoint);
    }
    Ok(())
}
