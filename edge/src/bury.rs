//! What is left of sessions whose edge died, and of those that never came back.

use chorus_bus::{AppendError, Bus};
use chorus_core::{
    command::{LeaveReason, Record, RoomCommand},
    ids::{MachineId, RoomId, SessionId, Time},
};
use chorus_store::{Store, StoreError};
use std::time::Duration;

/// It is not done; nothing is lost, and it can be done again.
#[derive(Debug, thiserror::Error)]
pub enum BuryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Sessions read from the store at a time.
const PAGE: u32 = 256;

/// Tells every room that the sessions of a dead edge have lost their connection, then closes that machine. A room
/// ignores it of a session that has come back elsewhere. How many sessions there were.
pub async fn bury(dead: &MachineId, now: Time, bus: &Bus, store: &Store) -> Result<usize, BuryError> {
    let gone = |session| RoomCommand::Drop { session, edge: dead.clone(), code: 1006 };
    let (mut count, mut after) = (0, None);
    loop {
        let sessions = store.sessions_of_edge(dead, after, PAGE).await?;
        tell(bus, now, &sessions, gone).await?;
        count += sessions.len();
        match sessions.last() {
            Some((last, _)) => after = Some(*last),
            None => break,
        }
    }
    store.close_machine(dead).await?;
    Ok(count)
}

/// Ends sessions that have been gone for this long, and takes them out of the rooms that still hold their seats. How
/// many there were.
pub async fn expire(older_than: Duration, now: Time, bus: &Bus, store: &Store) -> Result<usize, BuryError> {
    let sessions = store.expire_sessions(older_than).await?;
    let over = |session| RoomCommand::Leave { session, reason: LeaveReason::TimedOut };
    tell(bus, now, &sessions, over).await?;
    // Only now: had the telling failed, they would come again.
    for (session, _) in &sessions {
        store.end_session(*session).await?;
    }
    Ok(sessions.len())
}

async fn tell(
    bus: &Bus,
    time: Time,
    sessions: &[(SessionId, Vec<RoomId>)],
    command: impl Fn(SessionId) -> RoomCommand,
) -> Result<(), AppendError> {
    for (session, rooms) in sessions {
        let appends = rooms.iter().map(|room| bus.append(&Record { room: *room, time, command: command(*session) }));
        for append in appends.collect::<Vec<_>>() {
            append.await?;
        }
    }
    Ok(())
}
