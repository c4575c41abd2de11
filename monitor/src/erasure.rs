//! How an operator erases a player.
//!
//! 1. The rooms are found that hold the player, or held it: those of its sessions, live rooms whose newest snapshot names it, and
//!    rooms whose records in the log have a join of it.
//! 2. Its sessions end, as by an operator's kick: see [`crate::ending`].
//! 3. Each room gets an `Erase`, behind the `Leave`s: see `core/src/room/commands/erase.rs`.
//! 4. The rows are deleted: of its sessions, with their memberships, and of reports about it. A ban stays.
//!
//! Every step may be repeated, and so may the whole. A session that the player opens meanwhile may stay: then it is to be erased
//! again.
//!
//! Cost: it reads every snapshot in the store and all of the record log, so one runs at a time.

use std::{collections::BTreeSet, time::Duration};

use chorus_bus::{AppendError, BoundsError, Bus, ReadError, Reader};
use chorus_core::{
    command::{Joining, Record, RoomCommand},
    frame::CloseCode,
    identity::{Ending, SessionsOf},
    ids::{Offset, RoomId},
};
use chorus_store::{RoomStatus, SessionTrace, Store, StoreError};

use crate::{
    cleanup::append,
    ending::{EndingError, end_sessions},
};

/// Sessions, and snapshots, that are read at a time.
const PAGE: u32 = 500;

/// How long the end of a partition is waited for: offsets may have gaps, even at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What the player's clients get as the reason.
const ERASED: &str = "this player was erased";

/// The player is not erased as a whole; the same can be done again.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ending(#[from] EndingError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("the record log cannot be searched: {0}")]
    Read(#[from] ReadError),
}

/// What was removed: the numbers of sessions, of live rooms that have the `Erase`, and of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub sessions: u64,
    pub rooms: u64,
    pub reports: u64,
}

/// Erases this player.
pub async fn erase_player(player: &str, bus: &Bus, store: &Store) -> Result<Erasure, ErasureError> {
    let sessions = sessions_of(player, store).await?;
    let rooms = rooms_of(player, &sessions, bus, store).await?;
    let of = SessionsOf::Player(player.into());
    end_sessions(&Ending { of, code: CloseCode::Kicked, reason: ERASED.into() }, bus, store).await?;
    let mut appends = Vec::new();
    for room in &rooms {
        let command = RoomCommand::Erase { player: player.into() };
        appends.push(append(bus, store.clock(), *room, command).await?);
    }
    for append in appends {
        append.await?;
    }
    for session in &sessions {
        store.end_session(session.session).await?;
    }
    let reports = store.delete_reports(player).await?;
    Ok(Erasure { sessions: sessions.len() as u64, rooms: rooms.len() as u64, reports })
}

async fn sessions_of(player: &str, store: &Store) -> Result<Vec<SessionTrace>, StoreError> {
    let mut all: Vec<SessionTrace> = Vec::new();
    loop {
        let page = store.sessions_of_player(player, all.last().map(|last| last.session), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The live rooms that hold the player, or may have held it.
async fn rooms_of(
    player: &str,
    sessions: &[SessionTrace],
    bus: &Bus,
    store: &Store,
) -> Result<BTreeSet<RoomId>, ErasureError> {
    let mut rooms: BTreeSet<RoomId> = sessions.iter().flat_map(|session| session.rooms.iter().copied()).collect();
    rooms.extend(rooms_that_mention(player, store, usize::MAX).await?.0);
    for partition in 0..bus.partitions() {
        search_log(player, partition, bus, &mut rooms).await?;
    }
    let mut live = BTreeSet::new();
    for room in rooms {
        // A room without a row is new.
        if store.room(room).await?.is_none_or(|row| row.status == RoomStatus::Live) {
            live.insert(room);
        }
    }
    Ok(live)
}

/// Up to `most` rooms whose newest snapshot has this id, by their own, and whether these are all of them.
pub(crate) async fn rooms_that_mention(
    player: &str,
    store: &Store,
    most: usize,
) -> Result<(Vec<RoomId>, bool), StoreError> {
    let texts = spellings(player);
    let (mut after, mut rooms) = (None, Vec::new());
    loop {
        let page = store.search_snapshots(&texts, after, PAGE).await?;
        rooms.extend(page.iter().filter(|(_, has)| *has).map(|(room, _)| *room));
        if rooms.len() > most {
            rooms.truncate(most);
            return Ok((rooms, false));
        }
        let Some((last, _)) = page.last().filter(|_| page.len() == PAGE as usize) else { return Ok((rooms, true)) };
        after = Some(*last);
    }
}

/// The id as it is among our own data, and in JSON.
fn spellings(id: &str) -> Vec<String> {
    let json = serde_json::to_string(id).expect("a text has JSON");
    let inner = json[1..json.len() - 1].to_owned();
    if inner == id { vec![inner] } else { vec![id.to_owned(), inner] }
}

/// Adds the rooms that the player has joined, as far as the log goes back.
async fn search_log(player: &str, partition: u32, bus: &Bus, rooms: &mut BTreeSet<RoomId>) -> Result<(), ErasureError> {
    loop {
        let (start, end) = (bus.start(partition).await?, bus.end(partition).await?);
        match search(player, bus.read(partition, start), start, end, rooms).await {
            // It was truncated meanwhile.
            Err(ReadError::Gone { .. }) => {}
            done => return Ok(done?),
        }
    }
}

async fn search(
    player: &str,
    mut reader: Reader,
    mut at: Offset,
    end: Offset,
    rooms: &mut BTreeSet<RoomId>,
) -> Result<(), ReadError> {
    let mut records = Vec::new();
    while at < end {
        let Ok(read) = tokio::time::timeout(LAST_WAIT, reader.next(&mut records)).await else { return Ok(()) };
        read?;
        for (offset, record) in records.drain(..) {
            at = offset + 1;
            if player_of(&record) == Some(player) {
                rooms.insert(record.room);
            }
        }
    }
    Ok(())
}

/// The player that this record makes a member.
fn player_of(record: &Record) -> Option<&str> {
    match &record.command {
        RoomCommand::Join(Joining { player, .. }) | RoomCommand::Identify { player, .. } => Some(&player.id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_searched_for_as_it_is_and_as_json() {
        assert_eq!(spellings("u:ana"), ["u:ana"]);
        assert_eq!(spellings("u:\"o\""), ["u:\"o\"", "u:\\\"o\\\""]);
    }
}
