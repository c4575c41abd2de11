//! What machines and sessions leave behind.
//!
//! Everything here may be done twice, by two monitors even: a room ignores a `Drop` of a session that has come back by
//! another edge, and a `Leave` of one that it does not have.

use std::{collections::BTreeSet, time::Duration};

use chorus_bus::{AppendError, Bus, MachineError};
use chorus_core::{
    command::{LeaveReason, Record, RoomCommand},
    ids::{MachineId, RoomId, SessionId},
    placement::Role,
};
use chorus_store::{Clock, Store, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::SILENT_EXPIRE_AFTER;

/// Sessions that are read at a time.
const PAGE: u32 = 256;

/// Writes to the store that are on their way at a time.
const WRITES: usize = 16;

/// How soon to try again when the bus's queue is full. It empties in one write.
const FULL_RETRY: Duration = Duration::from_millis(20);

/// As if the connection had ended without a word.
const GONE: u16 = 1006;

/// It is not done; nothing is lost, and it can be done again.
#[derive(Debug, thiserror::Error)]
pub enum BuryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Channel(#[from] MachineError),
}

/// Tells every room that the sessions of a dead edge have lost their connection, and notes the sessions as
/// disconnected, so that they expire. How many there were.
pub async fn drop_sessions(edge: &MachineId, bus: &Bus, store: &Store) -> Result<usize, BuryError> {
    let (mut after, mut dropped) = (None, 0);
    loop {
        let page = store.sessions_of_edge(edge, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(dropped) };
        after = Some(*last);
        dropped += page.len();
        let gone = |session| RoomCommand::Drop { session, edge: edge.clone(), code: GONE };
        tell(bus, store.clock(), &page, gone).await?;
        // Only when the rooms know: whoever comes after a crash finds the others.
        // Whether they were silent, only their edge knew.
        let note = |(session, _)| store.session_disconnected(session, edge, false);
        stream::iter(page).map(note).buffer_unordered(WRITES).try_collect::<Vec<()>>().await?;
    }
}

/// Deletes what is left of a machine that has long been dead: its channel, then its row.
pub async fn clean_up(machine: &MachineId, role: Role, bus: &Bus, store: &Store) -> Result<(), BuryError> {
    if role == Role::Edge {
        // It may have let somebody in after its death, before it knew of it.
        drop_sessions(machine, bus, store).await?;
    }
    bus.delete_machine(machine).await?;
    Ok(store.close_machine(machine).await?)
}

/// Deletes the channels of machines that have left in good order: their rows went with them. How many there were.
pub async fn delete_channels(bus: &Bus, store: &Store) -> Result<usize, BuryError> {
    // In this order: a machine has a row before it has a channel, so whoever is not in the second list has left.
    let channels = bus.machines().await?;
    let machines: BTreeSet<MachineId> = store.machines().await?.into_iter().map(|row| row.id).collect();
    let mut deleted = 0;
    for left in channels.iter().filter(|channel| !machines.contains(channel)) {
        bus.delete_machine(left).await?;
        deleted += 1;
    }
    Ok(deleted)
}

/// Takes sessions that have been gone for this long, or silent ones that have been for [`SILENT_EXPIRE_AFTER`], out of the
/// rooms that still hold their seats, and ends them. How many there were.
pub async fn expire(older_than: Duration, bus: &Bus, store: &Store) -> Result<usize, BuryError> {
    let mut expired = 0;
    loop {
        let sessions = store.expire_sessions(older_than, SILENT_EXPIRE_AFTER).await?;
        if sessions.is_empty() {
            return Ok(expired);
        }
        expired += sessions.len();
        let over = |session| RoomCommand::Leave { session, reason: LeaveReason::TimedOut };
        tell(bus, store.clock(), &sessions, over).await?;
        // Only when the rooms know: until then the store names it again.
        let end = |(session, _)| store.end_session(session);
        stream::iter(sessions).map(end).buffer_unordered(WRITES).try_collect::<Vec<()>>().await?;
    }
}

async fn tell(
    bus: &Bus,
    clock: &Clock,
    sessions: &[(SessionId, Vec<RoomId>)],
    command: impl Fn(SessionId) -> RoomCommand,
) -> Result<(), AppendError> {
    let mut appends = Vec::new();
    for (session, rooms) in sessions {
        for room in rooms {
            appends.push(append(bus, clock, *room, command(*session)).await?);
        }
    }
    for append in appends {
        append.await?;
    }
    Ok(())
}

/// Appends to a room's channel, waiting while the bus is full. Its place in the log is that of this call's end.
pub(crate) async fn append(
    bus: &Bus,
    clock: &Clock,
    room: RoomId,
    command: RoomCommand,
) -> Result<chorus_bus::Append, AppendError> {
    let record = Record { room, time: clock.now(), command };
    loop {
        let append = bus.append(&record);
        match append.refused() {
            None => return Ok(append),
            Some(AppendError::Full { .. }) => tokio::time::sleep(FULL_RETRY).await,
            Some(error) => return Err(error.clone()),
        }
    }
}
