//! How many rooms a room may create.
//!
//! `Create` gives a room an *allowance*: the number of living rooms that it may have created, including the rooms that those
//! have created in turn. A new room takes one from its creator's allowance, and the part that the script gives it; both return
//! to the creator when the new room ends. So each room computes the rest from its own state, the rest is the same in every
//! replay, and no chain of rooms that create rooms exceeds the allowance of the first. The lobby and operators give each room
//! the highest allowance; the `rooms` budget of its kind limits how much of that is used.
//!
//! The lobby has a rate limit instead, by the records' time, and a limit on the living rooms that one session has caused it to
//! create.
//!
//! The SDK throws when a script creates more rooms than its room has left. A `CreateRoom` beyond the limit that arrives all the
//! same is answered as a room that could not be created. That is no fault, since other clients may have used up the limit.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::{Deserialize, Serialize, Serializer};

use super::{Output, state::State, step::Step};
use crate::{
    command::{Answer, RoomCommand},
    effect::RoomsInfo,
    ids::{Kind, RoomId, SessionId, Time},
    json::Json,
};

/// The allowance that the lobby and operators give: the upper limit of the `rooms` budget, which each kind sets for itself.
pub const MAX_ALLOWANCE: u32 = 1_024;

/// In the long run the lobby creates at most this many rooms in a millisecond: several times as many as a server can start
/// games.
pub const LOBBY_CREATES_PER_MS: u64 = 4;

/// The lobby creates at most this many rooms at once: enough for a tournament of all its members.
pub const LOBBY_CREATE_BURST: u64 = 2_048;

/// Living rooms that one session may have caused the lobby to create. A player is in one or two rooms, and the rooms that the
/// player has left end after a minute.
pub const MAX_ROOMS_PER_SESSION: usize = 16;

/// The entry of a refused room in `children`, until its creator has the answer.
const REFUSED: u32 = 0;

/// The lobby's record of the rooms that it has created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LobbyRooms {
    /// The rooms that the rate allowed until the last creation, counted from the clock's zero. It may be [`LOBBY_CREATE_BURST`]
    /// rooms ahead of the clock.
    pub rate_used: u64,
    pub by_clients: CreatedByClients,
}

/// Living rooms that clients' records have caused the lobby to create. All operations take logarithmic time: a lobby has tens
/// of thousands of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<RoomId, SessionId>")]
pub struct CreatedByClients {
    /// The session of the client, by room.
    session_of: BTreeMap<RoomId, SessionId>,
    /// The number of rooms of each session that has any. A snapshot does not have it.
    count_of: BTreeMap<SessionId, u32>,
}

impl Serialize for CreatedByClients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.session_of.serialize(serializer)
    }
}

impl From<BTreeMap<RoomId, SessionId>> for CreatedByClients {
    fn from(session_of: BTreeMap<RoomId, SessionId>) -> CreatedByClients {
        let mut created = CreatedByClients::default();
        session_of.into_iter().for_each(|(room, session)| created.insert(room, session));
        created
    }
}

impl CreatedByClients {
    pub fn count(&self, session: SessionId) -> usize {
        self.count_of.get(&session).map_or(0, |count| *count as usize)
    }

    pub fn insert(&mut self, room: RoomId, session: SessionId) {
        if self.session_of.insert(room, session).is_none() {
            *self.count_of.entry(session).or_default() += 1;
        }
    }

    pub fn remove(&mut self, room: RoomId) {
        let Some(session) = self.session_of.remove(&room) else { return };
        if let Entry::Occupied(mut count) = self.count_of.entry(session) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Step {
    /// `handed_down`: the part of this room's allowance that the script gives the new one.
    pub fn create_room(&mut self, kind: Kind, options: Json, handed_down: u32) {
        let source = self.output_ref();
        let id = self.next_room();
        let (client, now) = (self.client, self.now());
        let is_lobby = self.is_lobby();
        let state = &mut self.state;
        let granted = if is_lobby { state.grant_by_rate(id, client, now) } else { state.grant(handed_down) };
        match granted {
            Ok(allowance) => {
                state.children.insert(id, allowance.saturating_add(1));
                let secret = state.secret.of_created(id);
                self.out.push(Output::Create { id, kind, options, source, secret, allowance });
            }
            Err(reason) => {
                state.children.insert(id, REFUSED);
                let answer = Answer::CreateFailed { room: id, reason };
                self.append(self.room, RoomCommand::Answer { request: source.number, answer });
            }
        }
    }
}

impl State {
    /// The limits that the script gets. None in the lobby: its limits depend on the time and on the client.
    pub(super) fn rooms_info(&self, room: RoomId) -> Option<RoomsInfo> {
        (room != RoomId::LOBBY).then(|| self.rooms())
    }

    /// Whether the room was refused, and its creator has yet to get the answer.
    pub(super) fn is_refused(&self, room: RoomId) -> bool {
        self.children.get(&room) == Some(&REFUSED)
    }

    /// Removes a room that has ended or was never created. Returns whether this room had created it.
    pub(super) fn remove_child(&mut self, room: RoomId) -> bool {
        self.lobby_rooms.by_clients.remove(room);
        self.children.remove(&room).is_some()
    }

    fn rooms_left(&self) -> u32 {
        let living = self.spec.as_ref().map_or(u32::MAX, |spec| spec.max_rooms);
        self.rooms().left(living)
    }

    fn rooms(&self) -> RoomsInfo {
        let taken = self.children.iter().map(|(child, taken)| (*child, *taken)).collect();
        RoomsInfo { allowance: self.allowance, taken }
    }

    fn grant(&self, handed_down: u32) -> Result<u32, Box<str>> {
        let left = self.rooms_left();
        if handed_down < left {
            return Ok(handed_down);
        }
        let wanted = u64::from(handed_down) + 1;
        Err(format!("this room may have {left} more rooms, and this one would take {wanted}").into())
    }

    fn grant_by_rate(&mut self, room: RoomId, client: Option<SessionId>, now: Time) -> Result<u32, Box<str>> {
        let lobby_rooms = &mut self.lobby_rooms;
        if client.is_some_and(|client| lobby_rooms.by_clients.count(client) >= MAX_ROOMS_PER_SESSION) {
            return Err(format!("one session may have {MAX_ROOMS_PER_SESSION} rooms created at a time").into());
        }
        let clock = now.0.saturating_mul(LOBBY_CREATES_PER_MS);
        let used = lobby_rooms.rate_used.max(clock).saturating_add(1);
        if used - clock > LOBBY_CREATE_BURST {
            return Err("the lobby creates too many rooms at a time; try again later".into());
        }
        lobby_rooms.rate_used = used;
        if let Some(client) = client {
            lobby_rooms.by_clients.insert(room, client);
        }
        Ok(MAX_ALLOWANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_counted_by_the_session_that_caused_them() {
        let (one, other) = (SessionId(1), SessionId(2));
        let mut created = CreatedByClients::default();
        for room in 1..=3 {
            created.insert(RoomId(room), one);
        }
        created.insert(RoomId(4), other);
        created.insert(RoomId(4), other);
        assert_eq!((created.count(one), created.count(other)), (3, 1));
        created.remove(RoomId(4));
        created.remove(RoomId(4));
        created.remove(RoomId(2));
        assert_eq!((created.count(one), created.count(other)), (2, 0));
        assert_eq!((created.session_of.len(), created.count_of.len()), (2, 1), "a session without rooms is not kept");
    }
}
