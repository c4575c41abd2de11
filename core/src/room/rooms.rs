//! How many rooms a room may create.
//!
//! `Create` hands a room an *allowance*: how many living rooms it may have created, those that they have created in turn
//! included. The room shares it out: each room that it creates takes one and what it is handed down, and gives that back
//! when it ends. So it is known locally, the same in every replay, and no chain of rooms that create rooms outgrows what its
//! first one was given. What a room is handed down by the lobby or an operator is as much as any may have; its kind's
//! `rooms` budget says how much of that is used.
//!
//! The lobby has a rate instead, by the records' time, and a bound on the living rooms that one session has made it create.
//!
//! A script is told how many rooms it may still create, and the SDK throws beyond that. A room that is asked for all the
//! same is answered as one that could not be created: no fault, for the reason may be somebody else's doing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Output, Room, State, Turn};
use crate::{
    command::{Answer, RoomCommand, Source},
    effect::RoomsInfo,
    ids::{Kind, RoomId, SessionId, Time},
    json::Json,
};

/// What the lobby and operators hand down: the cap of the `rooms` budget, which each kind has its own value of.
pub const ALLOWANCE: u32 = 1_024;

/// The lobby creates one room in so many milliseconds, over a longer time: more than the games that a server can begin.
pub const LOBBY_EVERY_MS: u64 = 2;

/// The lobby creates so many rooms at once: a tournament of all who are there.
pub const LOBBY_AT_ONCE: u64 = 2_048;

/// Living rooms that one session may have made the lobby create. A player is in one or two, and those that it has left end
/// after a minute.
pub const OF_ONE_SESSION: usize = 16;

/// What a room that was refused takes of the allowance, until its creator has heard of that.
const REFUSED: u32 = 0;

/// What the lobby knows of the rooms that it has created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The rate is used up to here, which may be [`LOBBY_AT_ONCE`] rooms ahead of the clock.
    pub until: Time,
    /// Living rooms that a client's record has made it create, and whose.
    pub by: BTreeMap<RoomId, SessionId>,
}

impl Room {
    pub(super) fn create_room(&mut self, turn: &mut Turn, kind: Kind, options: Json, handed_down: u32) {
        let number = turn.number();
        let id = turn.moment.seed.room(turn.created);
        turn.created += 1;
        let is_lobby = self.id == RoomId::LOBBY;
        let state = self.state.as_mut().expect("only a room that exists has a guest that asks");
        let granted = if is_lobby { state.place(id, turn.client, turn.moment.now) } else { state.grant(handed_down) };
        match granted {
            Ok(allowance) => {
                state.children.insert(id, allowance.saturating_add(1));
                let (secret, source) = (state.secret.of_created(id), Source { room: self.id, number });
                turn.out.push(Output::Create { id, kind, options, source, secret, allowance });
            }
            Err(reason) => {
                state.children.insert(id, REFUSED);
                let answer = Answer::CreateFailed { room: id, reason };
                turn.out.push(Output::Append(self.id, RoomCommand::Answer { request: number, answer }));
            }
        }
    }
}

impl State {
    /// What the script is told. Nothing, in the lobby: what it may do changes with the time and with who asks.
    pub(super) fn rooms_info(&self, room: RoomId) -> Option<RoomsInfo> {
        (room != RoomId::LOBBY).then(|| self.rooms())
    }

    /// Whether it was refused, and its creator has yet to hear of that.
    pub(super) fn is_refused(&self, room: RoomId) -> bool {
        self.children.get(&room) == Some(&REFUSED)
    }

    /// The room has ended, or was never made. Whether it is one of this room's.
    pub(super) fn forget_child(&mut self, room: RoomId) -> bool {
        self.placed.by.remove(&room);
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

    fn place(&mut self, room: RoomId, client: Option<SessionId>, now: Time) -> Result<u32, Box<str>> {
        if let Some(client) = client {
            if self.placed.by.values().filter(|session| **session == client).count() >= OF_ONE_SESSION {
                return Err(format!("one session may have {OF_ONE_SESSION} rooms created at a time").into());
            }
            self.placed.by.insert(room, client);
        }
        let until = self.placed.until.max(now).plus(LOBBY_EVERY_MS);
        if until.since(now) > LOBBY_AT_ONCE * LOBBY_EVERY_MS {
            self.placed.by.remove(&room);
            return Err("the lobby creates too many rooms at a time; try again later".into());
        }
        self.placed.until = until;
        Ok(ALLOWANCE)
    }
}
