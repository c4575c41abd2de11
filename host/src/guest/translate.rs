//! Translation between the plain types of `core` and the contract's texts. A guest's output is checked here.
//!
//! A text that a guest passes as JSON is parsed as strictly as any parser downstream may parse it, so that none of them
//! fails on it later: numbers that no `f64` holds and nesting beyond 127 are refused. One thing is repaired instead.
//! JavaScript makes half a surrogate pair by cutting a string inside an emoji, and prints it as `\ud83d`, which parsers
//! of other languages refuse: it becomes `\ufffd`. Saved state is left as it is, since only the guest itself reads it.

use std::{borrow::Cow, fmt, str::Split, sync::Arc};

use chorus_core::{
    command::Fault,
    effect::{Effect, Event, LogLevel, MemberInfo, Moment, RestoreReason, RoomInfo, Saved},
    ids::{Kind, RoomId, Seed, SessionId},
    json::Json,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{budget, fault::shortened, manifest::Manifest};

/// Between effects, and between the parts of one. Neither can be in JSON.
const END: char = '\u{1e}';
const PART: char = '\u{1f}';

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

/// A record's chance, written out without an allocation.
pub(crate) struct Chance([u8; 64]);

impl Chance {
    pub(crate) fn of(seed: &Seed) -> Chance {
        let id = |words: [u32; 4]| Id::of(words.iter().fold(0, |id, word| (id << 32) | u128::from(*word)));
        let mut digits = [0; 64];
        digits[..32].copy_from_slice(&id(seed.random).0);
        digits[32..].copy_from_slice(&id(seed.rooms).0);
        Chance(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

/// An event as `handle` takes it.
pub(crate) struct Told<'a> {
    pub event: &'static str,
    who: Option<Id>,
    pub what: Cow<'a, str>,
    pub data: &'a str,
}

impl Told<'_> {
    pub(crate) fn who(&self) -> &str {
        self.who.as_ref().map_or("", Id::as_str)
    }
}

pub(crate) fn told(event: &Event) -> Told<'_> {
    let new = |event, who: Option<u128>, what, data| Told { event, who: who.map(Id::of), what, data };
    let nothing = Cow::Borrowed("");
    match event {
        Event::Create { options } => new("create", None, nothing, options),
        Event::Join { member, options, from } => {
            new("join", Some(member.session.0), joining(member, *from).into(), options)
        }
        Event::Drop { session } => new("drop", Some(session.0), nothing, ""),
        Event::Reconnect { session } => new("reconnect", Some(session.0), nothing, ""),
        Event::Leave { session, reason } => new("leave", Some(session.0), reason.as_str().into(), ""),
        Event::Message { session, kind, data } => new("message", Some(session.0), (&**kind).into(), data),
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

fn joining(member: &MemberInfo, from: Option<RoomId>) -> String {
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

/// What `open` receives of the room.
pub(crate) fn room_text(info: &RoomInfo, manifest: &Manifest) -> String {
    let living = u32::try_from(manifest.config.budget.living).unwrap_or(u32::MAX);
    #[derive(Serialize)]
    struct Told<'a> {
        id: String,
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        creator: Option<String>,
        now: u64,
        chance: &'a str,
        members: Vec<Member<'a>>,
        timers: &'a [Arc<str>],
        locked: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        rooms: Option<Rooms>,
        #[serde(skip_serializing_if = "Option::is_none")]
        restored: Option<&'static str>,
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
    let Moment { now, seed } = &info.at;
    json_of(&Told {
        id: info.id.to_string(),
        kind: info.kind.as_str(),
        creator: info.creator.map(|room| room.to_string()),
        now: now.0,
        chance: Chance::of(seed).as_str(),
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
    })
}

/// A guest's error.
#[derive(Debug)]
pub(crate) struct Failed {
    pub words: Box<str>,
    /// The log of the call, up to the failure.
    pub log: Vec<Effect>,
}

/// A guest's answer, or its error.
pub(crate) fn answer(said: String, manifest: &Manifest) -> Result<String, Failed> {
    let Some(failed) = said.strip_prefix('!') else { return Ok(said) };
    let (words, log) = failed.split_once(END).unwrap_or((failed, ""));
    Err(Failed { words: shortened(words), log: log_of_failed(log, manifest) })
}

/// The log lines of a call that failed, for the script's author. Its other effects, and its malformed lines, are dropped.
pub(crate) fn log_of_failed(said: &str, manifest: &Manifest) -> Vec<Effect> {
    let mut checker = Checker::new(manifest, 0);
    let lines = said.split(END).map(Asked::of).filter(|asked| asked.name == "log");
    let mut log: Vec<Effect> = lines.filter_map(|asked| checker.log(asked.parts().ok()?).ok()?).collect();
    log.extend(checker.log_note());
    log
}

/// Checks the effects of one call, and puts what the guest printed meanwhile in front of them.
pub(crate) fn effects(said: &str, printed: Vec<Effect>, manifest: &Manifest) -> Result<Vec<Effect>, Fault> {
    if said.is_empty() {
        return Ok(printed);
    }
    let mut checker = Checker::new(manifest, log_length(&printed));
    let mut effects = printed;
    for effect in said.split(END) {
        effects.extend(checker.effect(effect)?);
    }
    effects.extend(checker.log_note());
    Ok(effects)
}

/// Checks what `save` returned.
pub(crate) fn saved(said: String, manifest: &Manifest) -> Result<Saved, Fault> {
    let limit = manifest.config.budget.state;
    if units(&said) > limit {
        return Err(too_much(format!("a state of {} characters; at most {limit}", units(&said))));
    }
    let raw: &RawValue = serde_json::from_str(&said).map_err(|cause| not_json("save", &cause.to_string()))?;
    let whole = raw.get().len() == said.len();
    let state = if whole { Json::trusted(said) } else { Json::trusted(raw.get()) };
    Ok(Saved { version: manifest.state_version, state })
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

/// The length of a text in units of UTF-16, which a script can count at no cost.
fn units(text: &str) -> u64 {
    let of = |byte: u8| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0);
    text.bytes().map(of).sum()
}

/// The longest start of the text that has at most `limit` units.
fn start_of(text: &str, limit: u64) -> &str {
    if text.len() as u64 <= limit {
        return text;
    }
    let mut left = limit;
    let end = text.char_indices().find(|(_, char)| match left.checked_sub(char.len_utf16() as u64) {
        Some(less) => {
            left = less;
            false
        }
        None => true,
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn log_length(effects: &[Effect]) -> u64 {
    let length = |effect: &Effect| if let Effect::Log { text, .. } = effect { units(text) } else { 0 };
    effects.iter().map(length).sum()
}

/// One effect as it was received: its name and its parts.
struct Asked<'a> {
    name: &'a str,
    parts: Option<Split<'a, char>>,
}

impl<'a> Asked<'a> {
    fn of(text: &'a str) -> Asked<'a> {
        match text.split_once(PART) {
            Some((name, parts)) => Asked { name, parts: Some(parts.split(PART)) },
            None => Asked { name: text, parts: None },
        }
    }

    /// All of its parts, if it has exactly `N`.
    fn parts<const N: usize>(mut self) -> Result<[&'a str; N], Fault> {
        let mut parts = [""; N];
        for part in &mut parts {
            *part = self.next().ok_or_else(|| self.miscounted(N))?;
        }
        if self.next().is_some() { Err(self.miscounted(N)) } else { Ok(parts) }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.parts.as_mut().and_then(Iterator::next)
    }

    fn miscounted(&self, wanted: usize) -> Fault {
        garbage(format!("the effect {:?} has {wanted} parts, this one has not", shortened(self.name)))
    }
}

/// Checks the effects of one call, one after another.
struct Checker<'a> {
    manifest: &'a Manifest,
    /// Effects so far, and their length; the log has a bound of its own.
    asked: u64,
    output: u64,
    rooms: u64,
    log: u64,
    log_cut: u64,
}

impl Checker<'_> {
    /// `log`: the units that are printed already.
    fn new(manifest: &Manifest, log: u64) -> Checker<'_> {
        Checker { manifest, asked: 0, output: 0, rooms: 0, log, log_cut: 0 }
    }

    fn effect(&mut self, text: &str) -> Result<Option<Effect>, Fault> {
        let asked = Asked::of(text);
        let name = asked.name;
        if name != "log" {
            self.count(text)?;
        }
        Ok(Some(match name {
            "admit" => Effect::Admit { spectator: role(asked.parts()?)? },
            "reply" => Effect::Reply { data: sound(name, asked.parts::<1>()?[0])? },
            "refuse" => Effect::Refuse { reason: shortened(asked.parts::<1>()?[0]) },
            "send" => {
                let [to, kind, data] = asked.parts()?;
                Effect::Send { session: session(name, to)?, kind: self.kind(name, kind)?, data: sound(name, data)? }
            }
            "broadcast" => self.broadcast(asked)?,
            "view" => Effect::View { view: sound(name, asked.parts::<1>()?[0])? },
            "view-of" => {
                let [whose, view] = asked.parts()?;
                Effect::ViewOf { session: session(name, whose)?, view: sound(name, view)? }
            }
            "move-to" => {
                let [who, to, options] = asked.parts()?;
                let (session, room) = (session(name, who)?, room(name, to)?);
                Effect::MoveTo { session, room, options: self.parcel(name, options)? }
            }
            "kick" => {
                let [who, reason] = asked.parts()?;
                Effect::Kick { session: session(name, who)?, reason: shortened(reason) }
            }
            "create-room" => self.create_room(asked)?,
            "send-room" => {
                let [to, data] = asked.parts()?;
                Effect::SendRoom { room: room(name, to)?, data: self.parcel(name, data)? }
            }
            "set-timer" => {
                let [timer, after, payload] = asked.parts()?;
                let (timer, after_ms) = (self.timer(name, timer)?, delay(after)?);
                Effect::SetTimer { name: timer, after_ms, payload: sound(name, payload)? }
            }
            "cancel-timer" => Effect::CancelTimer { name: self.timer(name, asked.parts::<1>()?[0])? },
            "lock" => asked.parts().map(|[]| Effect::Lock)?,
            "unlock" => asked.parts().map(|[]| Effect::Unlock)?,
            "metadata" => Effect::Metadata { data: sound(name, asked.parts::<1>()?[0])? },
            "end" => Effect::End { outcome: self.parcel(name, asked.parts::<1>()?[0])? },
            "log" => return self.log(asked.parts()?),
            other => return Err(garbage(format!("no effect is called {:?}", shortened(other)))),
        }))
    }

    fn broadcast(&mut self, mut asked: Asked<'_>) -> Result<Effect, Fault> {
        let (Some(kind), Some(data)) = (asked.next(), asked.next()) else { return Err(asked.miscounted(2)) };
        let (kind, data) = (self.kind("broadcast", kind)?, sound("broadcast", data)?);
        let except = asked.parts.into_iter().flatten().map(|id| session("broadcast", id));
        Ok(Effect::Broadcast { kind, data, except: except.collect::<Result<_, _>>()? })
    }

    fn create_room(&mut self, mut asked: Asked<'_>) -> Result<Effect, Fault> {
        let (Some(kind), Some(options)) = (asked.next(), asked.next()) else { return Err(asked.miscounted(2)) };
        let allowance = asked.next().map_or(Ok(0), allowance)?;
        if asked.next().is_some() {
            return Err(asked.miscounted(3));
        }
        self.rooms += 1;
        let limit = self.manifest.config.budget.rooms;
        if self.rooms > limit {
            return Err(too_much(format!("more than {limit} rooms created in one record")));
        }
        let kind = Kind::new(kind).map_err(|cause| garbage(format!("create-room: {cause}")))?;
        Ok(Effect::CreateRoom { kind, options: self.parcel("create-room", options)?, allowance })
    }

    fn count(&mut self, effect: &str) -> Result<(), Fault> {
        let budget = &self.manifest.config.budget;
        self.asked += 1;
        // One more, which answers the record: the limit of a script's own effects leaves a place for it.
        if self.asked > budget.effects + 1 {
            return Err(too_much(format!("more than {} effects in one record", budget.effects)));
        }
        self.output += units(effect);
        if self.output > budget.output {
            return Err(too_much(format!("more than {} characters of output in one record", budget.output)));
        }
        Ok(())
    }

    /// A JSON text that leaves the room as one record.
    fn parcel(&self, what: &str, text: &str) -> Result<Json, Fault> {
        if text.len() > budget::PARCEL {
            return Err(too_much(format!("{what}: {} bytes at once; at most {}", text.len(), budget::PARCEL)));
        }
        sound(what, text)
    }

    fn kind(&self, what: &str, kind: &str) -> Result<Box<str>, Fault> {
        if kind.is_empty() || kind.len() > budget::TYPE {
            return Err(garbage(format!("{what}: a type of {} bytes; it has 1 to {}", kind.len(), budget::TYPE)));
        }
        Ok(kind.into())
    }

    fn timer(&self, what: &str, name: &str) -> Result<Arc<str>, Fault> {
        let known = self.manifest.timers.get(name).cloned();
        known.ok_or_else(|| garbage(format!("{what}: no timer is called {:?}", shortened(name))))
    }

    /// A line that fits. Lines that do not fit are counted, and reported once at the end: to log too much is no fault.
    fn log(&mut self, [level, line]: [&str; 2]) -> Result<Option<Effect>, Fault> {
        let level = match level {
            "debug" => LogLevel::Debug,
            "info" => LogLevel::Info,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            other => return Err(garbage(format!("log: {:?} is no level", shortened(other)))),
        };
        // A line costs one unit more than its text, so that the number of empty lines is bounded too.
        let left = budget::LOG.saturating_sub(self.log + 1);
        let text = start_of(line, left);
        if left == 0 || text.is_empty() && !line.is_empty() {
            self.log_cut += units(line) + 1;
            return Ok(None);
        }
        self.log += units(text) + 1;
        self.log_cut += units(line) - units(text);
        Ok(Some(Effect::Log { level, text: text.into() }))
    }

    fn log_note(&self) -> Option<Effect> {
        let text = format!("({} more bytes of log were cut)", self.log_cut);
        (self.log_cut > 0).then(|| Effect::Log { level: LogLevel::Warn, text: text.into() })
    }
}

fn role([role]: [&str; 1]) -> Result<bool, Fault> {
    match role {
        "player" => Ok(false),
        "spectator" => Ok(true),
        other => Err(garbage(format!("admit: {:?} is no role", shortened(other)))),
    }
}

fn session(what: &str, id: &str) -> Result<SessionId, Fault> {
    id.parse().map_err(|_| garbage(format!("{what}: {:?} is not a session's id", shortened(id))))
}

fn room(what: &str, id: &str) -> Result<RoomId, Fault> {
    id.parse().map_err(|_| garbage(format!("{what}: {:?} is not a room's id", shortened(id))))
}

fn allowance(text: &str) -> Result<u32, Fault> {
    text.parse().map_err(|_| garbage(format!("create-room: {:?} is no allowance", shortened(text))))
}

/// Milliseconds, rounded up: a timer never fires early.
fn delay(text: &str) -> Result<u64, Fault> {
    let not_a_number = || garbage(format!("set-timer: {:?} is no number of milliseconds", shortened(text)));
    let ms: f64 = text.parse().map_err(|_| not_a_number())?;
    if (0.0..=budget::DELAY_MS).contains(&ms) {
        return Ok(ms.ceil() as u64);
    }
    Err(garbage(format!("set-timer: {ms} ms; it must be from 0 to {} (ten years)", budget::DELAY_MS)))
}

/// One JSON value that every parser accepts, or a fault.
fn sound(what: &str, text: &str) -> Result<Json, Fault> {
    let cause = match serde_json::from_str::<Sound>(text) {
        Ok(Sound) => return Ok(Json::trusted(text)),
        Err(cause) => cause,
    };
    if let Cow::Owned(repaired) = repair_surrogates(text)
        && serde_json::from_str::<Sound>(&repaired).is_ok()
    {
        return Ok(Json::trusted(repaired));
    }
    Err(not_json(what, &cause.to_string()))
}

/// Replaces each escape of half a surrogate pair by the escape of the replacement character.
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
        sound("view", text).map(|json| json.as_str().to_owned())
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
    fn a_text_is_as_long_as_a_script_takes_it_to_be() {
        for text in ["", "abc", "жук", "a😀b", "\u{ffff}x", "\u{800}\u{7ff}\u{80}"] {
            assert_eq!(units(text), text.encode_utf16().count() as u64, "{text}");
            for limit in 0..8 {
                let start = start_of(text, limit);
                assert!(units(start) <= limit && text.starts_with(start), "{text} {limit}");
                let next = text[start.len()..].chars().next();
                assert!(next.is_none_or(|next| units(start) + next.len_utf16() as u64 > limit), "{text} {limit}");
            }
        }
    }

    #[test]
    fn a_delay_is_rounded_up_and_within_reason() {
        assert_eq!(delay("0"), Ok(0));
        assert_eq!(delay("1.2"), Ok(2));
        for bad in ["-1", "NaN", "inf", "1e300", "", "soon"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_effect_has_the_parts_that_it_is_to_have() {
        assert!(Asked::of("lock").parts::<0>().is_ok());
        assert_eq!(Asked::of("kick\u{1f}a\u{1f}").parts::<2>(), Ok(["a", ""]));
        for (text, wanted) in
            [("lock\u{1f}", "0 parts"), ("kick\u{1f}a", "2 parts"), ("kick\u{1f}a\u{1f}b\u{1f}c", "2 parts")]
        {
            let asked = Asked::of(text);
            let wrong = if asked.name == "lock" { asked.parts::<0>().map(drop) } else { asked.parts::<2>().map(drop) };
            assert!(matches!(&wrong, Err(Fault::Garbage(said)) if said.contains(wanted)), "{wrong:?}");
        }
    }

    #[test]
    fn chance_is_written_as_rooms_are() {
        let seed = Seed { random: [1, 2, 3, 0xffff_ffff], rooms: [4, 5, 6, 7] };
        let chance = Chance::of(&seed);
        assert_eq!(&chance.as_str()[24..32], "ffffffff");
        assert_eq!(chance.as_str()[32..], seed.room(0).to_string());
    }

    #[test]
    fn an_id_is_written_as_core_writes_it() {
        let id = RoomId(0x0123_4567_89ab_cdef_0000_0000_00ff_1bb7);
        assert_eq!(Id::of(id.0).as_str(), id.to_string());
    }
}
