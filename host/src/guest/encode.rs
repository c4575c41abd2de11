//! Encodes what a room's machine passes to a guest: the room for `open`, an event for `handle`. The texts are those of
//! `wit/room.wit`.

use std::{borrow::Cow, sync::Arc};

use chorus_core::{
    effect::{CallContext, Event, MemberInfo, RestoreReason, RoomInfo},
    ids::{RoomId, Seed},
};
use serde::Serialize;

use super::manifest::Manifest;

/// An event as the arguments of the contract's `handle`.
pub(crate) struct EncodedEvent<'a> {
    pub event: &'static str,
    who: Option<HexId>,
    pub what: Cow<'a, str>,
    pub data: &'a str,
}

impl EncodedEvent<'_> {
    pub(crate) fn who(&self) -> &str {
        self.who.as_ref().map_or("", HexId::as_str)
    }
}

pub(crate) fn encode_event(event: &Event) -> EncodedEvent<'_> {
    let new = |event, who: Option<u128>, what, data| EncodedEvent { event, who: who.map(HexId::of), what, data };
    let nothing = Cow::Borrowed("");
    match event {
        Event::Create { options } => new("create", None, nothing, options),
        Event::Join { member, options, from } => {
            new("join", Some(member.session.0), encode_joining(member, *from).into(), options)
        }
        Event::Drop { session } => new("drop", Some(session.0), nothing, ""),
        Event::Reconnect { session } => new("reconnect", Some(session.0), nothing, ""),
        Event::Leave { session, reason } => new("leave", Some(session.0), reason.as_str().into(), ""),
        Event::Message { session, msg_type, data } => new("message", Some(session.0), (&**msg_type).into(), data),
        Event::Timer { name, payload } => new("timer", None, (&**name).into(), payload),
        Event::RoomMessage { room, data } => new("room-message", Some(room.0), nothing, data),
        Event::RoomEnd { room, outcome, failed } => {
            // An empty text means that the room has not failed.
            let failed = failed.as_deref().map(|reason| if reason.is_empty() { "failed" } else { reason });
            new("room-end", Some(room.0), failed.unwrap_or("").into(), outcome)
        }
        Event::MoveFailed { session, room, reason } => {
            new("move-failed", Some(session.0), room.to_string().into(), reason)
        }
        Event::Dispose { outcome } => new("dispose", None, nothing, outcome),
    }
}

fn encode_joining(member: &MemberInfo, from: Option<RoomId>) -> String {
    #[derive(Serialize)]
    struct Joining<'a> {
        player: &'a str,
        name: &'a str,
        spectator: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    }
    let MemberInfo { player, spectator, .. } = member;
    let from = from.map(|room| room.to_string());
    json_of(&Joining { player: &player.id, name: &player.name, spectator: *spectator, from })
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a value of ours has string keys and no failing serializer")
}

/// The room as `open` takes it.
pub(crate) fn encode_room(info: &RoomInfo, manifest: &Manifest, check: bool) -> String {
    let living = u32::try_from(manifest.config.budget.living).unwrap_or(u32::MAX);
    #[derive(Serialize)]
    struct Room<'a> {
        id: String,
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        creator: Option<String>,
        now: u64,
        chance: &'a str,
        #[serde(rename = "hashSeed")]
        hash_seed: &'a str,
        members: Vec<Member<'a>>,
        timers: &'a [Arc<str>],
        locked: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        rooms: Option<Rooms>,
        #[serde(skip_serializing_if = "Option::is_none")]
        restored: Option<&'static str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        check: bool,
    }
    #[derive(Serialize)]
    struct Rooms {
        left: u32,
        taken: Vec<(String, u32)>,
    }
    #[derive(Serialize)]
    struct Member<'a> {
        session: String,
        player: &'a str,
        name: &'a str,
        connected: bool,
        spectator: bool,
    }
    let CallContext { now, seed } = &info.context;
    json_of(&Room {
        id: info.id.to_string(),
        kind: info.kind.as_str(),
        creator: info.creator.map(|room| room.to_string()),
        now: now.0,
        chance: HexSeed::of(seed).as_str(),
        hash_seed: HexId::of(info.hash_seed.0).as_str(),
        members: info
            .members
            .iter()
            .map(|one| Member {
                session: one.session.to_string(),
                player: &one.player.id,
                name: &one.player.name,
                connected: one.connected,
                spectator: one.spectator,
            })
            .collect(),
        timers: &info.timers,
        locked: info.locked,
        rooms: info.rooms.as_ref().map(|rooms| Rooms {
            left: rooms.left(living),
            taken: rooms.taken.iter().map(|(room, taken)| (room.to_string(), *taken)).collect(),
        }),
        restored: info.restored.map(RestoreReason::as_str),
        check,
    })
}

/// An id's 32 digits, without an allocation.
pub(crate) struct HexId([u8; 32]);

impl HexId {
    fn of(id: u128) -> HexId {
        let mut digits = [0; 32];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (124 - 4 * at)) as usize & 15];
        }
        HexId(digits)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

/// A record's `chance`, without an allocation.
pub(crate) struct HexSeed([u8; 64]);

impl HexSeed {
    pub(crate) fn of(seed: &Seed) -> HexSeed {
        let id = |words: [u32; 4]| HexId::of(words.iter().fold(0, |id, word| (id << 32) | u128::from(*word)));
        let mut digits = [0; 64];
        digits[..32].copy_from_slice(&id(seed.random).0);
        digits[32..].copy_from_slice(&id(seed.rooms).0);
        HexSeed(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_written_as_rooms_are() {
        let seed = Seed { random: [1, 2, 3, 0xffff_ffff], rooms: [4, 5, 6, 7] };
        let chance = HexSeed::of(&seed);
        assert_eq!(&chance.as_str()[24..32], "ffffffff");
        assert_eq!(chance.as_str()[32..], seed.room(0).to_string());
    }

    #[test]
    fn an_id_is_written_as_core_writes_it() {
        let id = RoomId(0x0123_4567_89ab_cdef_0000_0000_00ff_1bb7);
        assert_eq!(HexId::of(id.0).as_str(), id.to_string());
    }
}
