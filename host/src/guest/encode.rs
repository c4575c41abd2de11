//! Encodes what a room's machine passes to a guest, as an entry of `wit/room.wit`: the room for `open`, an event, `save`.

use std::sync::Arc;

use chorus_core::{
    effect::{CallContext, Event, MemberInfo, RestoreReason, RoomInfo, SavedState},
    ids::{RoomId, Seed, SessionId},
    room::Entry,
};
use serde::Serialize;

use super::{
    cell::Selection,
    engine::Component,
    layout::{HEAD, Writer, entry},
    manifest::Manifest,
};

/// What an event has beside its texts: heads, ids, lengths.
const FIXED: usize = HEAD + 3 * 48;

/// What every event has: the context of its record, and its limit, 0 for a guest without a meter of its own.
#[derive(Clone, Copy)]
struct Header<'a> {
    context: &'a CallContext,
    limit: u64,
}

/// An input, with the entries that come first in a call of a cell.
fn begin(selection: Option<Selection>, capacity: usize) -> Writer {
    let Some(Selection { slot, closes }) = selection else { return Writer::with_capacity(capacity) };
    let mut input = Writer::with_capacity(capacity + (1 + closes.count_ones() as usize) * (HEAD + size_of::<u32>()));
    let closed = (0..u64::BITS).filter(|slot| closes >> slot & 1 == 1);
    closed.for_each(|slot| input.tagged(entry::CLOSE, |fields| fields.u32(slot)));
    input.tagged(entry::SELECT, |fields| fields.u32(slot));
    input
}

/// The event of one record.
pub(crate) fn encode_event(selection: Option<Selection>, context: &CallContext, event: &Event, limit: u64) -> Vec<u8> {
    let mut input = begin(selection, size_of_event(event));
    put_entry(&mut input, Header { context, limit }, event);
    input.into_bytes()
}

/// The events of several records, in their order, each with its limit.
pub(crate) fn encode_all(
    selection: Option<Selection>,
    entries: &[Entry],
    limits: impl IntoIterator<Item = u64>,
) -> Vec<u8> {
    let mut input = begin(selection, entries.iter().map(|entry| size_of_event(&entry.event)).sum());
    for (entry, limit) in entries.iter().zip(limits) {
        put_entry(&mut input, Header { context: &entry.context, limit }, &entry.event);
    }
    input.into_bytes()
}

/// The bytes of a message, at least.
fn size_of_event(event: &Event) -> usize {
    let Event::Message { msg_type, data, .. } = event else { return 0 };
    FIXED + msg_type.len() + data.len()
}

fn put_entry(input: &mut Writer, header: Header<'_>, event: &Event) {
    let Event::Message { session, msg_type, data } = event else { return put_other(input, header, event) };
    put_event(input, entry::MESSAGE, header, |fields| {
        fields.id(session.0);
        fields.text(msg_type);
        fields.rest(data);
    });
}

fn put_other(input: &mut Writer, header: Header<'_>, event: &Event) {
    let mut put = |tag, session: Option<&SessionId>, room: Option<&RoomId>, text: Option<&str>, rest: &str| {
        put_event(input, tag, header, |fields| {
            session.into_iter().for_each(|session| fields.id(session.0));
            room.into_iter().for_each(|room| fields.id(room.0));
            text.into_iter().for_each(|text| fields.text(text));
            fields.rest(rest);
        });
    };
    match event {
        Event::Create { options } => put(entry::CREATE, None, None, None, options),
        Event::Join { member, options, claims, from } => {
            let claims = claims.as_deref().unwrap_or_default();
            put_event(input, entry::JOIN, header, |fields| {
                put_joining(fields, member, *from);
                fields.text(claims);
                fields.rest(options);
            });
        }
        Event::Identify { session, was, player, claims } => {
            put_event(input, entry::IDENTIFY, header, |fields| {
                fields.id(session.0);
                [was, &player.id, &player.name].into_iter().for_each(|text| fields.text(text));
                fields.rest(claims.as_deref().unwrap_or_default());
            });
        }
        Event::Answer { handler, payload, result } => {
            // An empty text means that there is a result.
            let (failed, result): (&str, &str) = match result {
                Ok(result) => ("", result),
                Err(error) if error.is_empty() => ("failed", "null"),
                Err(error) => (error, "null"),
            };
            put_event(input, entry::ANSWER, header, |fields| {
                [handler, failed, payload].into_iter().for_each(|text| fields.text(text));
                fields.rest(result);
            });
        }
        Event::Drop { session } => put(entry::DROP, Some(session), None, None, ""),
        Event::Reconnect { session } => put(entry::RECONNECT, Some(session), None, None, ""),
        Event::Leave { session, reason } => put(entry::LEAVE, Some(session), None, None, reason.as_str()),
        Event::Message { session, msg_type, data } => put(entry::MESSAGE, Some(session), None, Some(msg_type), data),
        Event::Timer { name, payload } => put(entry::TIMER, None, None, Some(name), payload),
        Event::RoomMessage { room, data } => put(entry::ROOM_MESSAGE, None, Some(room), None, data),
        Event::RoomEnd { room, outcome, failed } => {
            // An empty text means that the room has not failed.
            let failed = failed.as_deref().map_or("", |reason| if reason.is_empty() { "failed" } else { reason });
            put(entry::ROOM_END, None, Some(room), Some(failed), outcome);
        }
        Event::MoveFailed { session, room, reason } => {
            put(entry::MOVE_FAILED, Some(session), Some(room), None, reason);
        }
        Event::Erase { player } => put(entry::ERASE, None, None, None, player),
        Event::Dispose { outcome } => put(entry::DISPOSE, None, None, None, outcome),
    }
}

/// An entry with an event's header.
fn put_event(input: &mut Writer, tag: u8, Header { context, limit }: Header<'_>, fields: impl FnOnce(&mut Writer)) {
    input.tagged(tag, |event| {
        event.u64(context.now.0);
        event.id(id_of(context.seed.random));
        event.id(id_of(context.seed.rooms));
        event.u64(limit);
        fields(event);
    });
}

fn put_joining(fields: &mut Writer, member: &MemberInfo, from: Option<RoomId>) {
    fields.id(member.session.0);
    fields.u8(u8::from(member.spectator));
    fields.text(&member.player.id);
    fields.text(&member.player.name);
    match from {
        Some(room) => fields.ids(&[room.0]),
        None => fields.ids(&[]),
    }
}

/// The room, fresh or from what was saved.
pub(crate) fn encode_open(
    selection: Option<Selection>,
    info: &RoomInfo,
    component: &Component,
    saved: Option<&SavedState>,
    limit: u64,
) -> Vec<u8> {
    let (version, saved) = saved.map_or((0, ""), |saved| (saved.version, &saved.state));
    let mut input = begin(selection, 0);
    input.tagged(entry::OPEN, |fields| {
        fields.u64(limit);
        fields.u32(version);
        fields.text(saved);
        fields.rest(&room_json(info, component.manifest(), component.check_scripts()));
    });
    input.into_bytes()
}

pub(crate) fn encode_save(selection: Option<Selection>) -> Vec<u8> {
    let mut input = begin(selection, HEAD);
    input.tagged(entry::SAVE, |_| {});
    input.into_bytes()
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a value of ours has string keys and no failing serializer")
}

/// The room as `open` takes it.
fn room_json(info: &RoomInfo, manifest: &Manifest, check: bool) -> String {
    let living = u32::try_from(manifest.config.budget.living).unwrap_or(u32::MAX);
    #[derive(Serialize)]
    struct Room<'a> {
        id: String,
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        creator: Option<String>,
        now: u64,
        chance: String,
        #[serde(rename = "hashSeed")]
        hash_seed: String,
        members: Vec<Member<'a>>,
        timers: &'a [Arc<str>],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        requests: &'a [Arc<str>],
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
        chance: chance_digits(seed),
        hash_seed: format!("{:032x}", info.hash_seed.0),
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
        requests: &info.requests,
        locked: info.locked,
        rooms: info.rooms.as_ref().map(|rooms| Rooms {
            left: rooms.left(living),
            taken: rooms.taken.iter().map(|(room, taken)| (room.to_string(), *taken)).collect(),
        }),
        restored: info.restored.map(RestoreReason::as_str),
        check,
    })
}

/// Four words as the id whose digits they are.
fn id_of(words: [u32; 4]) -> u128 {
    words.iter().fold(0, |id, word| (id << 32) | u128::from(*word))
}

fn chance_digits(seed: &Seed) -> String {
    format!("{:032x}{:032x}", id_of(seed.random), id_of(seed.rooms))
}

#[cfg(test)]
mod tests {
    use chorus_core::{ids::Time, json::Json};

    use super::*;

    const SEED: Seed = Seed { random: [1, 2, 3, 0xffff_ffff], rooms: [4, 5, 6, 7] };

    #[test]
    fn chance_is_written_as_rooms_are() {
        let chance = chance_digits(&SEED);
        assert_eq!(&chance[24..32], "ffffffff");
        assert_eq!(chance[32..], SEED.room(0).to_string());
    }

    #[test]
    fn a_message_is_laid_out_as_documented() {
        let context = CallContext { now: Time(0x0102), seed: SEED };
        let event = Event::Message { session: SessionId(7), msg_type: "go".into(), data: Json::trusted("{}") };
        let bytes = encode_event(None, &context, &event, 0x0304);
        let mut wanted = vec![0x15, 72, 0, 0, 0, 0x02, 0x01, 0, 0, 0, 0, 0, 0];
        wanted.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]);
        wanted.extend([0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7]);
        wanted.extend([0x04, 0x03, 0, 0, 0, 0, 0, 0]);
        wanted.extend([0; 15]);
        wanted.extend([7, 2, 0, 0, 0]);
        wanted.extend(b"go{}");
        assert_eq!(bytes, wanted);
        let mut other = Writer::default();
        put_other(&mut other, Header { context: &context, limit: 0x0304 }, &event);
        assert_eq!(other.into_bytes(), wanted);
        let entry = |offset| Entry { offset, context, event: event.clone(), fuel: None, repeats: false };
        let mut second = wanted.clone();
        second[45] = 0x05;
        assert_eq!(encode_all(None, &[entry(1), entry(2)], [0x0304, 0x0305]), [wanted, second].concat());
    }
    #[test]
    fn a_call_of_a_cell_begins_with_its_slot() {
        let selection = Selection { slot: 5, closes: 1 << 63 | 0b10 };
        let saves = encode_save(Some(selection));
        let close = |slot| [0x04, 4, 0, 0, 0, slot, 0, 0, 0];
        let wanted = [&close(1)[..], &close(63), &[0x03, 4, 0, 0, 0, 5, 0, 0, 0], &[0x02, 0, 0, 0, 0]].concat();
        assert_eq!(saves, wanted);
        assert_eq!(encode_save(None), [0x02, 0, 0, 0, 0]);
    }
}
