//! Between the plain types of `core` and the contract's. What comes out of a guest is checked here.
//!
//! A text that a guest calls JSON is parsed as strictly as anybody downstream might, so that nobody downstream can be
//! surprised: numbers that no `f64` holds and nesting beyond 127 are refused. One thing is repaired instead. JavaScript
//! makes half a surrogate pair by cutting a string inside an emoji, prints it as `\ud83d`, and other languages' parsers
//! refuse that: it becomes `\ufffd`. Saved state is left as it is, since only the guest itself reads it.

use std::{borrow::Cow, fmt, sync::Arc};

use chorus_core::{
    command::{Fault, LeaveReason},
    effect::{Effect, Event, LogLevel, MemberInfo, Moment, RestoreReason, RoomInfo, Saved},
    ids::{Kind, RoomId, SessionId},
    json::Json,
};
use serde_json::value::RawValue;

use super::{
    budget,
    contract::{self, chorus::room::types as wit},
    fault::shortened,
    manifest::Manifest,
};

/// An id's 32 digits, without an allocation.
pub(crate) struct Id([u8; 32]);

impl Id {
    fn of(id: u128) -> Id {
        let mut digits = [0; 32];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (124 - 4 * at)) as usize & 15];
        }
        Id(digits)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

fn words(w: [u32; 4]) -> (u32, u32, u32, u32) {
    (w[0], w[1], w[2], w[3])
}

pub(crate) fn moment(at: &Moment) -> contract::Moment {
    contract::Moment { now: at.now.0 as f64, seed: words(at.seed.random), rooms: words(at.seed.rooms) }
}

/// The ids in an event, written out; [`event`] borrows them.
pub(crate) struct EventIds(Id, Id);

pub(crate) fn event_ids(event: &Event) -> EventIds {
    let (first, second) = match event {
        Event::Create { .. } | Event::Timer { .. } | Event::Dispose { .. } => (0, 0),
        Event::Join { member, from, .. } => (member.session.0, from.map_or(0, |room| room.0)),
        Event::Drop { session }
        | Event::Reconnect { session }
        | Event::Leave { session, .. }
        | Event::Message { session, .. } => (session.0, 0),
        Event::RoomMessage { room, .. } | Event::RoomEnd { room, .. } => (room.0, 0),
        Event::MoveFailed { session, room, .. } => (session.0, room.0),
    };
    EventIds(Id::of(first), Id::of(second))
}

pub(crate) fn event<'a>(event: &'a Event, ids: &'a EventIds) -> contract::Event<'a> {
    let (first, second) = (ids.0.as_str(), ids.1.as_str());
    match event {
        Event::Create { options } => contract::Event::Create(options),
        Event::Join { member: who, options, from } => contract::Event::Join(wit::Joining {
            member: member(who, first),
            options,
            from: from.is_some().then_some(second),
        }),
        Event::Drop { .. } => contract::Event::Drop(first),
        Event::Reconnect { .. } => contract::Event::Reconnect(first),
        Event::Leave { reason, .. } => {
            contract::Event::Leave(wit::Leaving { session: first, reason: leave_reason(*reason) })
        }
        Event::Message { kind, data, .. } => contract::Event::Message(wit::Incoming { session: first, kind, data }),
        Event::Timer { name, payload } => contract::Event::Timer(wit::Fired { name, payload }),
        Event::RoomMessage { data, .. } => contract::Event::RoomMessage(wit::FromRoomParam { room: first, data }),
        Event::RoomEnd { outcome, failed, .. } => {
            contract::Event::RoomEnd(wit::RoomEnded { room: first, outcome, failed: failed.as_deref() })
        }
        Event::MoveFailed { reason, .. } => {
            contract::Event::MoveFailed(wit::MoveFailed { session: first, room: second, reason })
        }
        Event::Dispose { outcome } => contract::Event::Dispose(outcome),
    }
}

fn member<'a>(member: &'a MemberInfo, session: &'a str) -> wit::Member<'a> {
    wit::Member {
        session,
        player: &member.player.id,
        name: &member.player.name,
        connected: member.connected,
        spectator: member.spectator,
    }
}

fn leave_reason(reason: LeaveReason) -> wit::LeaveReason {
    match reason {
        LeaveReason::Left => wit::LeaveReason::Left,
        LeaveReason::Moved => wit::LeaveReason::Moved,
        LeaveReason::TimedOut => wit::LeaveReason::TimedOut,
        LeaveReason::Kicked => wit::LeaveReason::Kicked,
        LeaveReason::Replaced => wit::LeaveReason::Replaced,
    }
}

/// The parts of a room-info that are built; [`InfoParts::info`] borrows them.
pub(crate) struct InfoParts {
    id: Id,
    creator: Option<Id>,
    sessions: Vec<Id>,
}

impl InfoParts {
    pub(crate) fn of(info: &RoomInfo) -> InfoParts {
        InfoParts {
            id: Id::of(info.id.0),
            creator: info.creator.map(|room| Id::of(room.0)),
            sessions: info.members.iter().map(|member| Id::of(member.session.0)).collect(),
        }
    }

    pub(crate) fn members<'a>(&'a self, info: &'a RoomInfo) -> Vec<wit::Member<'a>> {
        info.members.iter().zip(&self.sessions).map(|(who, session)| member(who, session.as_str())).collect()
    }

    pub(crate) fn info<'a>(&'a self, info: &'a RoomInfo, members: &'a [wit::Member<'a>]) -> contract::RoomInfo<'a> {
        contract::RoomInfo {
            id: self.id.as_str(),
            kind: info.kind.as_str(),
            creator: self.creator.as_ref().map(Id::as_str),
            at: moment(&info.at),
            members,
            locked: info.locked,
            restored: info.restored.map(|reason| match reason {
                RestoreReason::Recovered => wit::RestoreReason::Recovered,
                RestoreReason::Woken => wit::RestoreReason::Woken,
                RestoreReason::Swapped => wit::RestoreReason::Swapped,
                RestoreReason::Faulted => wit::RestoreReason::Faulted,
            }),
        }
    }
}

/// Checks what one call returned, and puts what the guest printed meanwhile in front of it.
pub(crate) fn effects(
    said: Vec<contract::Effect>,
    printed: Vec<Effect>,
    manifest: &Manifest,
) -> Result<Vec<Effect>, Fault> {
    let budget = &manifest.config.budget;
    if said.len() as u64 > budget.effects {
        return Err(too_much(format!("{} effects in one record; at most {}", said.len(), budget.effects)));
    }
    let mut checker = Checker { manifest, output: 0, rooms: 0, log: log_bytes(&printed), log_cut: 0 };
    let mut effects = printed;
    effects.reserve_exact(said.len());
    for effect in said {
        effects.extend(checker.effect(effect)?);
    }
    effects.extend(checker.log_note());
    Ok(effects)
}

/// Checks what `save` returned.
pub(crate) fn saved(said: contract::SavedResult, manifest: &Manifest) -> Result<Saved, Fault> {
    let limit = manifest.config.budget.state;
    if said.state.len() as u64 > limit {
        return Err(too_much(format!("a state of {} bytes; at most {limit}", said.state.len())));
    }
    if said.version != manifest.state_version {
        let text = format!("save: version {}, but the manifest says {}", said.version, manifest.state_version);
        return Err(garbage(text));
    }
    let raw: &RawValue = serde_json::from_str(&said.state).map_err(|cause| not_json("save", &cause.to_string()))?;
    let whole = raw.get().len() == said.state.len();
    let state = if whole { Json::trusted(said.state) } else { Json::trusted(raw.get()) };
    Ok(Saved { version: said.version, state })
}

fn too_much(text: String) -> Fault {
    Fault::TooMuch(shortened(&text))
}

fn garbage(text: String) -> Fault {
    Fault::Garbage(shortened(&text))
}

fn not_json(what: &str, cause: &str) -> Fault {
    garbage(format!("{what}: not one JSON value: {cause}"))
}

fn log_bytes(effects: &[Effect]) -> u64 {
    let bytes = |effect: &Effect| if let Effect::Log { text, .. } = effect { text.len() as u64 } else { 0 };
    effects.iter().map(bytes).sum()
}

/// Checks the effects of one call, one after another.
struct Checker<'a> {
    manifest: &'a Manifest,
    output: u64,
    rooms: u64,
    log: u64,
    log_cut: u64,
}

impl Checker<'_> {
    fn effect(&mut self, said: contract::Effect) -> Result<Option<Effect>, Fault> {
        use contract::Effect as Said;
        Ok(Some(match said {
            Said::Admit(role) => Effect::Admit { spectator: role == wit::Role::Spectator },
            Said::Reply(data) => Effect::Reply { data: self.json("reply", data)? },
            Said::Refuse(reason) => Effect::Refuse { reason: self.reason(reason)? },
            Said::Send(it) => Effect::Send {
                session: session("send", &it.session)?,
                kind: self.kind("send", it.kind)?,
                data: self.json("send", it.data)?,
            },
            Said::Broadcast(it) => Effect::Broadcast {
                kind: self.kind("broadcast", it.kind)?,
                data: self.json("broadcast", it.data)?,
                except: it.except.iter().map(|id| session("broadcast", id)).collect::<Result<_, _>>()?,
            },
            Said::View(view) => Effect::View { view: self.json("view", view)? },
            Said::ViewOf(it) => {
                Effect::ViewOf { session: session("view-of", &it.session)?, view: self.json("view-of", it.view)? }
            }
            Said::MoveTo(it) => Effect::MoveTo {
                session: session("move-to", &it.session)?,
                room: room("move-to", &it.room)?,
                options: self.parcel("move-to", it.options)?,
            },
            Said::Kick(it) => Effect::Kick { session: session("kick", &it.session)?, reason: self.reason(it.reason)? },
            Said::CreateRoom(it) => self.create_room(it)?,
            Said::SendRoom(it) => {
                Effect::SendRoom { room: room("send-room", &it.room)?, data: self.parcel("send-room", it.data)? }
            }
            Said::SetTimer(it) => Effect::SetTimer {
                name: self.timer("set-timer", &it.name)?,
                after_ms: delay(it.after_ms)?,
                payload: self.json("set-timer", it.payload)?,
            },
            Said::CancelTimer(name) => Effect::CancelTimer { name: self.timer("cancel-timer", &name)? },
            Said::Lock => Effect::Lock,
            Said::Unlock => Effect::Unlock,
            Said::Metadata(data) => Effect::Metadata { data: self.json("metadata", data)? },
            Said::End(outcome) => Effect::End { outcome: self.parcel("end", outcome)? },
            Said::Log(line) => return Ok(self.log(line)),
        }))
    }

    fn create_room(&mut self, it: wit::Creating) -> Result<Effect, Fault> {
        self.rooms += 1;
        let limit = self.manifest.config.budget.rooms;
        if self.rooms > limit {
            return Err(too_much(format!("more than {limit} rooms created in one record")));
        }
        let kind = Kind::new(&it.kind).map_err(|cause| garbage(format!("create-room: {cause}")))?;
        Ok(Effect::CreateRoom { kind, options: self.parcel("create-room", it.options)? })
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.output += bytes as u64;
        let limit = self.manifest.config.budget.output;
        if self.output > limit {
            return Err(too_much(format!("more than {limit} bytes of output in one record")));
        }
        Ok(())
    }

    fn json(&mut self, what: &str, text: String) -> Result<Json, Fault> {
        self.count(text.len())?;
        sound(what, text)
    }

    /// A JSON text that leaves the room as one record.
    fn parcel(&mut self, what: &str, text: String) -> Result<Json, Fault> {
        if text.len() > budget::PARCEL {
            return Err(too_much(format!("{what}: {} bytes at once; at most {}", text.len(), budget::PARCEL)));
        }
        self.json(what, text)
    }

    fn reason(&mut self, text: String) -> Result<Box<str>, Fault> {
        self.count(text.len())?;
        Ok(if text.len() > budget::TEXT { shortened(&text) } else { text.into() })
    }

    fn kind(&mut self, what: &str, kind: String) -> Result<Box<str>, Fault> {
        self.count(kind.len())?;
        if kind.is_empty() || kind.len() > budget::TYPE {
            return Err(garbage(format!("{what}: a type of {} bytes; it has 1 to {}", kind.len(), budget::TYPE)));
        }
        Ok(kind.into())
    }

    fn timer(&self, what: &str, name: &str) -> Result<Arc<str>, Fault> {
        let known = self.manifest.timers.get(name).cloned();
        known.ok_or_else(|| garbage(format!("{what}: no timer is called {:?}", shortened(name))))
    }

    /// A line that fits. What does not is counted, and said once at the end: to log too much is no fault.
    fn log(&mut self, line: wit::LogLine) -> Option<Effect> {
        let left = budget::LOG.saturating_sub(self.log) as usize;
        let text = &line.text[..line.text.floor_char_boundary(left)];
        self.log += text.len() as u64;
        self.log_cut += (line.text.len() - text.len()) as u64;
        if text.is_empty() && !line.text.is_empty() {
            return None;
        }
        let level = match line.level {
            wit::Level::Debug => LogLevel::Debug,
            wit::Level::Info => LogLevel::Info,
            wit::Level::Warn => LogLevel::Warn,
            wit::Level::Error => LogLevel::Error,
        };
        Some(Effect::Log { level, text: text.into() })
    }

    fn log_note(&self) -> Option<Effect> {
        let text = format!("({} more bytes of log were cut)", self.log_cut);
        (self.log_cut > 0).then(|| Effect::Log { level: LogLevel::Warn, text: text.into() })
    }
}

fn session(what: &str, id: &str) -> Result<SessionId, Fault> {
    id.parse().map_err(|_| garbage(format!("{what}: {:?} is not a session's id", shortened(id))))
}

fn room(what: &str, id: &str) -> Result<RoomId, Fault> {
    id.parse().map_err(|_| garbage(format!("{what}: {:?} is not a room's id", shortened(id))))
}

/// Milliseconds, rounded up: a timer never fires early.
fn delay(ms: f64) -> Result<u64, Fault> {
    if (0.0..=budget::DELAY_MS).contains(&ms) {
        return Ok(ms.ceil() as u64);
    }
    Err(garbage(format!("set-timer: {ms} ms; it must be from 0 to {} (ten years)", budget::DELAY_MS)))
}

/// One JSON value that every parser takes, or a fault.
fn sound(what: &str, text: String) -> Result<Json, Fault> {
    let cause = match serde_json::from_str::<Sound>(&text) {
        Ok(Sound) => return Ok(Json::trusted(text)),
        Err(cause) => cause,
    };
    if let Cow::Owned(repaired) = repair_surrogates(&text)
        && serde_json::from_str::<Sound>(&repaired).is_ok()
    {
        return Ok(Json::trusted(repaired));
    }
    Err(not_json(what, &cause.to_string()))
}

/// Replaces escapes of half a surrogate pair by that of the replacement character.
fn repair_surrogates(text: &str) -> Cow<'_, str> {
    let escape = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match escape(at) {
            Some(0xd800..=0xdbff) if matches!(escape(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                repaired.push_str(&text[copied..at]);
                repaired.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            // The backslash and what it escapes: one character, which may be another backslash.
            _ => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}

/// Parses as a [`serde_json::Value`] does, and builds nothing.
struct Sound;

impl<'de> serde::Deserialize<'de> for Sound {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Sound, D::Error> {
        from.deserialize_any(Sound)
    }
}

impl<'de> serde::de::Visitor<'de> for Sound {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }
    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }
    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Sound, A::Error> {
        while let Some(Sound) = seq.next_element()? {}
        Ok(Sound)
    }
    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        while let Some((Sound, Sound)) = map.next_entry()? {}
        Ok(Sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, Fault> {
        sound("view", text.to_owned()).map(|json| json.as_str().to_owned())
    }

    #[test]
    fn what_is_called_json_parses_as_a_value() {
        for good in ["null", "{\"a\":[1,2.5,\"x\",true,null]}", "\"\\ud83d\\ude00\"", "-0", " 1 "] {
            assert_eq!(check(good).as_deref(), Ok(good));
            assert!(serde_json::from_str::<serde_json::Value>(good).is_ok(), "{good}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for bad in ["", "{", "1 2", "undefined", "1e999", "\"\u{1}\"", "\"\\ud83\"", &deep] {
            assert!(matches!(check(bad), Err(Fault::Garbage(_))), "{bad}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_repaired() {
        assert_eq!(check(r#""cut \ud83d""#).unwrap(), r#""cut \ufffd""#);
        assert_eq!(
            check(r#"["\ude00","\ud83d\ude00","\\ud83d","\ud83d\ud83d\ude00"]"#).unwrap(),
            r#"["\ufffd","\ud83d\ude00","\\ud83d","\ufffd\ud83d\ude00"]"#
        );
        assert!(check(r#""é\ud83d é"#).is_err());
    }

    #[test]
    fn a_delay_is_rounded_up_and_within_reason() {
        assert_eq!(delay(0.0), Ok(0));
        assert_eq!(delay(1.2), Ok(2));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_is_written_as_core_writes_it() {
        let id = RoomId(0x0123_4567_89ab_cdef_0000_0000_00ff_1bb7);
        assert_eq!(Id::of(id.0).as_str(), id.to_string());
    }
}
