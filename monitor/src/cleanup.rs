//! The cleanup after dead machines, machines that have left, and lost sessions.
//!
//! Every step may be repeated, even by another monitor: a room ignores a `Drop` of a session that has resumed at another edge,
//! and a `Leave` of a session that is not its member.

use std::{collections::BTreeSet, time::Duration};

use chorus_bus::{AppendError, Bus, MachineError};
use chorus_core::{
    command::{LeaveReason, Record, RoomCommand},
    frame::CloseCode,
    ids::{MachineId, RoomId, SessionId},
    placement::Role,
};
use chorus_store::{Clock, Expired, ExpiryCause, Store, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::SILENT_EXPIRE_AFTER;

/// The number of sessions that are read at a time.
const PAGE: u32 = 256;

/// The number of writes to the store in flight at a time.
pub(crate) const WRITES: usize = 16;

/// The cleanup failed; no data is lost, and it can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Channel(#[from] MachineError),
}

/// Sends a `Drop` for the sessions of a dead edge to their rooms, and marks the sessions as disconnected, so that they expire.
/// Returns their number.
pub async fn drop_sessions(edge: &MachineId, bus: &Bus, store: &Store) -> Result<usize, CleanupError> {
    let (mut after, mut dropped) = (None, 0);
    loop {
        let page = store.sessions_of_edge(edge, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(dropped) };
        after = Some(*last);
        dropped += page.len();
        let drop = |session| RoomCommand::Drop { session, edge: edge.clone(), code: CloseCode::ABNORMAL };
        append_to_rooms(bus, store.clock(), to_rooms(&page, drop)).await?;
        // Only once the rooms have their `Drop`: after a crash, the next monitor finds the other sessions. Which of them were
        // silent was in the dead edge's memory only.
        let disconnect = |(session, _)| store.session_disconnected(session, edge, false);
        stream::iter(page).map(disconnect).buffer_unordered(WRITES).try_collect::<Vec<()>>().await?;
    }
}

/// Deletes what is left of a machine that has long been dead: its channel, then its row.
pub async fn clean_up(machine: &MachineId, role: Role, bus: &Bus, store: &Store) -> Result<(), CleanupError> {
    if role == Role::Edge {
        // It may have admitted sessions after its death, before it noticed.
        drop_sessions(machine, bus, store).await?;
    }
    bus.delete_machine(machine).await?;
    Ok(store.close_machine(machine).await?)
}

/// Deletes the channels of machines that have left in good order, which removed their rows. Returns their number.
pub async fn delete_channels(bus: &Bus, store: &Store) -> Result<usize, CleanupError> {
    // In this order: a machine has a row before it has a channel, so a machine that is not in the second list has left.
    let channels = bus.machines().await?;
    let machines: BTreeSet<MachineId> = store.machines().await?.into_iter().map(|row| row.id).collect();
    let mut deleted = 0;
    for left in channels.iter().filter(|channel| !machines.contains(channel)) {
        bus.delete_machine(left).await?;
        deleted += 1;
    }
    Ok(deleted)
}

/// Takes sessions that have been disconnected for this long, or silent ones for [`SILENT_EXPIRE_AFTER`], out of the rooms that
/// still hold their seats, and ends them. Returns their number.
pub async fn expire(older_than: Duration, bus: &Bus, store: &Store) -> Result<usize, CleanupError> {
    let mut expired = 0;
    loop {
        let sessions = store.expire_sessions(older_than, SILENT_EXPIRE_AFTER).await?;
        if sessions.is_empty() {
            return Ok(expired);
        }
        expired += sessions.len();
        let leaves = sessions.iter().flat_map(|Expired { session, rooms, cause }| {
            let (session, reason) = (*session, leave_reason(*cause));
            rooms.iter().map(move |room| (*room, RoomCommand::Leave { session, reason }))
        });
        append_to_rooms(bus, store.clock(), leaves.collect()).await?;
        // Only once the rooms have their `Leave`: until then the store returns it again.
        let end = |expired: Expired| store.end_session(expired.session);
        stream::iter(sessions).map(end).buffer_unordered(WRITES).try_collect::<Vec<()>>().await?;
    }
}

/// The reason that a room would have had from the process that kicked the session or logged it out, if that one had not died or been
/// overtaken.
fn leave_reason(cause: ExpiryCause) -> LeaveReason {
    match cause {
        ExpiryCause::Disconnected => LeaveReason::TimedOut,
        ExpiryCause::Kicked => LeaveReason::Kicked,
        ExpiryCause::LoggedOut => LeaveReason::Left,
    }
}

/// Each room of these sessions with the command about its session.
pub(crate) fn to_rooms(
    sessions: &[(SessionId, Vec<RoomId>)],
    command: impl Fn(SessionId) -> RoomCommand,
) -> Vec<(RoomId, RoomCommand)> {
    let of_session = |(session, rooms): &(SessionId, Vec<RoomId>)| {
        rooms.iter().map(|room| (*room, command(*session))).collect::<Vec<_>>()
    };
    sessions.iter().flat_map(of_session).collect()
}

/// Appends each command to its room's channel, and waits until all are in the log.
pub(crate) async fn append_to_rooms(
    bus: &Bus,
    clock: &Clock,
    commands: Vec<(RoomId, RoomCommand)>,
) -> Result<(), AppendError> {
    let mut appends = Vec::with_capacity(commands.len());
    for (room, command) in commands {
        appends.push(append(bus, clock, room, command).await?);
    }
    for append in appends {
        append.await?;
    }
    Ok(())
}

/// Appends to a room's channel, waiting while the bus is full. The record's place in the log is decided when this returns.
pub(crate) async fn append(
    bus: &Bus,
    clock: &Clock,
    room: RoomId,
    command: RoomCommand,
) -> Result<chorus_bus::Append, AppendError> {
    bus.append_retrying(&Record { room, time: clock.now(), command }).await
}
