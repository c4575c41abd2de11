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

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Output, state::State, step::Step};
use crate::{
    command::{Answer, RoomCommand},
    effect::RoomsInfo,
    ids::{Kind, RoomId, SessionId, Time},
    json::Json,
};

/// The allowance that the lobby and operators give: the upper limit of the `rooms` budget, which each kind sets for itself.
pub const MAX_ALLOWANCE: u32 = 1_024;

/// In the long run the lobby creates at most one room in this many milliseconds: more rooms than a server can start games.
pub const LOBBY_CREATE_INTERVAL_MS: u64 = 2;

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
    /// The rate is used up to this time, which may be [`LOBBY_CREATE_BURST`] rooms ahead of the clock.
    pub rate_used_until: Time,
    /// Living rooms that a client's record has caused the lobby to create, and that client's session.
    pub created_for: BTreeMap<RoomId, SessionId>,
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
        self.lobby_rooms.created_for.remove(&room);
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
        if let Some(client) = client {
            if self.lobby_rooms.created_for.values().filter(|session| **session == client).count()
                >= MAX_ROOMS_PER_SESSION
            {
                return Err(format!("one session may have {MAX_ROOMS_PER_SESSION} rooms created at a time").into());
            }
            self.lobby_rooms.created_for.insert(room, client);
        }
        let until = self.lobby_rooms.rate_used_until.max(now).plus(LOBBY_CREATE_INTERVAL_MS);
        if until.since(now) > LOBBY_CREATE_BURST * LOBBY_CREATE_INTERVAL_MS {
            self.lobby_rooms.created_for.remove(&room);
            return Err("the lobby creates too many rooms at a time; try again later".into());
        }
        self.lobby_rooms.rate_used_until = until;
        Ok(MAX_ALLOWANCE)
    }
}
