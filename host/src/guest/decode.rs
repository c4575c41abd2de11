//! Decodes and checks what a guest returns: effects, saved state, an error. The texts are those of `wit/room.wit`. The rest of
//! chorus relies on these checks.

use std::{str::Split, sync::Arc};

use chorus_core::{
    command::Fault,
    effect::{Effect, LogLevel, SavedState},
    ids::{Kind, RoomId, SessionId},
    json::Json,
};
use serde_json::value::RawValue;

use super::{
    budget,
    fault::shortened,
    manifest::Manifest,
    strict_json::strict_json,
    utf16::{prefix, units},
};

/// Between effects, and between the parts of one. Neither can be in JSON.
const EFFECT_END: char = '\u{1e}';
const PART_END: char = '\u{1f}';

/// A guest's error.
#[derive(Debug)]
pub(crate) struct FailedCall {
    pub message: Box<str>,
    /// The log of the call, up to the failure.
    pub log: Vec<Effect>,
}

/// A guest's result, or its error.
pub(crate) fn decode_result(text: String, manifest: &Manifest) -> Result<String, FailedCall> {
    let Some(failed) = text.strip_prefix('!') else { return Ok(text) };
    let (message, log) = failed.split_once(EFFECT_END).unwrap_or((failed, ""));
    Err(FailedCall { message: shortened(message), log: decode_failed_log(log, manifest) })
}

/// The log lines of a call that failed, for the script's author. Its other effects, and its malformed lines, are dropped.
pub(crate) fn decode_failed_log(text: &str, manifest: &Manifest) -> Vec<Effect> {
    let mut checker = Checker::new(manifest, 0);
    let lines = text.split(EFFECT_END).map(RawEffect::split).filter(|raw| raw.name == "log");
    let mut log: Vec<Effect> = lines.filter_map(|raw| checker.log(raw.parts().ok()?).ok()?).collect();
    log.extend(checker.log_note());
    log
}

/// Checks the effects of one call, and puts what the guest printed meanwhile in front of them.
pub(crate) fn decode_effects(text: &str, printed: Vec<Effect>, manifest: &Manifest) -> Result<Vec<Effect>, Fault> {
    if text.is_empty() {
        return Ok(printed);
    }
    let mut checker = Checker::new(manifest, log_length(&printed));
    let mut effects = printed;
    for effect in text.split(EFFECT_END) {
        effects.extend(checker.effect(effect)?);
    }
    effects.extend(checker.log_note());
    Ok(effects)
}

/// Checks what `save` returned. The text stays as it is, since only the guest itself reads it.
pub(crate) fn decode_saved(text: String, manifest: &Manifest) -> Result<SavedState, Fault> {
    let limit = manifest.config.budget.state;
    if units(&text) > limit {
        return Err(too_much(format!("a state of {} characters; at most {limit}", units(&text))));
    }
    let raw: &RawValue = serde_json::from_str(&text).map_err(|cause| not_json("save", &cause.to_string()))?;
    let whole = raw.get().len() == text.len();
    let state = if whole { Json::trusted(text) } else { Json::trusted(raw.get()) };
    Ok(SavedState { version: manifest.state_version, state })
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

fn log_length(effects: &[Effect]) -> u64 {
    let length = |effect: &Effect| if let Effect::Log { text, .. } = effect { units(text) } else { 0 };
    effects.iter().map(length).sum()
}

/// One effect as it was received: its name and its parts.
struct RawEffect<'a> {
    name: &'a str,
    parts: Option<Split<'a, char>>,
}

impl<'a> RawEffect<'a> {
    fn split(text: &'a str) -> RawEffect<'a> {
        match text.split_once(PART_END) {
            Some((name, parts)) => RawEffect { name, parts: Some(parts.split(PART_END)) },
            None => RawEffect { name: text, parts: None },
        }
    }

    /// All of its parts, if it has exactly `N`.
    fn parts<const N: usize>(mut self) -> Result<[&'a str; N], Fault> {
        let mut parts = [""; N];
        for part in &mut parts {
            *part = self.next().ok_or_else(|| self.wrong_count(N))?;
        }
        if self.next().is_some() { Err(self.wrong_count(N)) } else { Ok(parts) }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.parts.as_mut().and_then(Iterator::next)
    }

    fn wrong_count(&self, wanted: usize) -> Fault {
        garbage(format!("the effect {:?} has {wanted} parts, this one has not", shortened(self.name)))
    }
}

/// Checks the effects of one call, one after another.
struct Checker<'a> {
    manifest: &'a Manifest,
    /// Effects so far, and their length; the log has a bound of its own.
    effects: u64,
    output: u64,
    rooms: u64,
    log: u64,
    log_cut: u64,
}

impl Checker<'_> {
    /// `log`: the units that are printed already.
    fn new(manifest: &Manifest, log: u64) -> Checker<'_> {
        Checker { manifest, effects: 0, output: 0, rooms: 0, log, log_cut: 0 }
    }

    fn effect(&mut self, text: &str) -> Result<Option<Effect>, Fault> {
        let raw = RawEffect::split(text);
        let name = raw.name;
        if name != "log" {
            self.count(text)?;
        }
        Ok(Some(match name {
            "admit" => Effect::Admit { spectator: role(raw.parts()?)? },
            "reply" => Effect::Reply { data: json(name, raw.parts::<1>()?[0])? },
            "refuse" => Effect::Refuse { reason: shortened(raw.parts::<1>()?[0]) },
            "send" => {
                let [to, msg_type, data] = raw.parts()?;
                Effect::Send {
                    session: session(name, to)?,
                    msg_type: self.msg_type(name, msg_type)?,
                    data: json(name, data)?,
                }
            }
            "broadcast" => self.broadcast(raw)?,
            "view" => Effect::View { view: json(name, raw.parts::<1>()?[0])? },
            "view-of" => {
                let [whose, view] = raw.parts()?;
                Effect::ViewOf { session: session(name, whose)?, view: json(name, view)? }
            }
            "move-to" => {
                let [who, to, options] = raw.parts()?;
                let (session, room) = (session(name, who)?, room(name, to)?);
                Effect::MoveTo { session, room, options: self.record_json(name, options)? }
            }
            "kick" => {
                let [who, reason] = raw.parts()?;
                Effect::Kick { session: session(name, who)?, reason: shortened(reason) }
            }
            "create-room" => self.create_room(raw)?,
            "send-room" => {
                let [to, data] = raw.parts()?;
                Effect::SendRoom { room: room(name, to)?, data: self.record_json(name, data)? }
            }
            "set-timer" => {
                let [timer, after, payload] = raw.parts()?;
                let (timer, after_ms) = (self.timer(name, timer)?, delay(after)?);
                Effect::SetTimer { name: timer, after_ms, payload: json(name, payload)? }
            }
            "cancel-timer" => Effect::CancelTimer { name: self.timer(name, raw.parts::<1>()?[0])? },
            "lock" => raw.parts().map(|[]| Effect::Lock)?,
            "unlock" => raw.parts().map(|[]| Effect::Unlock)?,
            "metadata" => Effect::Metadata { data: json(name, raw.parts::<1>()?[0])? },
            "end" => Effect::End { outcome: self.record_json(name, raw.parts::<1>()?[0])? },
            "log" => return self.log(raw.parts()?),
            "sit" => Effect::Sit { session: session(name, raw.parts::<1>()?[0])? },
            "stand" => Effect::Stand { session: session(name, raw.parts::<1>()?[0])? },
            other => return Err(garbage(format!("no effect is called {:?}", shortened(other)))),
        }))
    }

    fn broadcast(&mut self, mut raw: RawEffect<'_>) -> Result<Effect, Fault> {
        let (Some(msg_type), Some(data)) = (raw.next(), raw.next()) else { return Err(raw.wrong_count(2)) };
        let (msg_type, data) = (self.msg_type("broadcast", msg_type)?, json("broadcast", data)?);
        let except = raw.parts.into_iter().flatten().map(|id| session("broadcast", id));
        Ok(Effect::Broadcast { msg_type, data, except: except.collect::<Result<_, _>>()? })
    }

    fn create_room(&mut self, mut raw: RawEffect<'_>) -> Result<Effect, Fault> {
        let (Some(kind), Some(options)) = (raw.next(), raw.next()) else { return Err(raw.wrong_count(2)) };
        let allowance = raw.next().map_or(Ok(0), allowance)?;
        if raw.next().is_some() {
            return Err(raw.wrong_count(3));
        }
        self.rooms += 1;
        let limit = self.manifest.config.budget.rooms;
        if self.rooms > limit {
            return Err(too_much(format!("more than {limit} rooms created in one record")));
        }
        let kind = Kind::new(kind).map_err(|cause| garbage(format!("create-room: {cause}")))?;
        Ok(Effect::CreateRoom { kind, options: self.record_json("create-room", options)?, allowance })
    }

    fn count(&mut self, effect: &str) -> Result<(), Fault> {
        let budget = &self.manifest.config.budget;
        self.effects += 1;
        // One effect more is accepted, the answer to the record: the limit bounds the script's own effects.
        if self.effects > budget.effects + 1 {
            return Err(too_much(format!("more than {} effects in one record", budget.effects)));
        }
        self.output += units(effect);
        if self.output > budget.output {
            return Err(too_much(format!("more than {} characters of output in one record", budget.output)));
        }
        Ok(())
    }

    /// A JSON text that leaves the room as one record.
    fn record_json(&self, what: &str, text: &str) -> Result<Json, Fault> {
        if text.len() > budget::MAX_RECORD_JSON {
            return Err(too_much(format!("{what}: {} bytes at once; at most {}", text.len(), budget::MAX_RECORD_JSON)));
        }
        json(what, text)
    }

    fn msg_type(&self, what: &str, msg_type: &str) -> Result<Box<str>, Fault> {
        if msg_type.is_empty() || msg_type.len() > budget::MAX_TYPE {
            return Err(garbage(format!(
                "{what}: a type of {} bytes; it has 1 to {}",
                msg_type.len(),
                budget::MAX_TYPE
            )));
        }
        Ok(msg_type.into())
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
        let left = budget::MAX_LOG.saturating_sub(self.log + 1);
        let text = prefix(line, left);
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
    if (0.0..=budget::MAX_DELAY_MS).contains(&ms) {
        return Ok(ms.ceil() as u64);
    }
    Err(garbage(format!("set-timer: {ms} ms; it must be from 0 to {} (ten years)", budget::MAX_DELAY_MS)))
}

/// One JSON value that every parser accepts, or a fault.
fn json(what: &str, text: &str) -> Result<Json, Fault> {
    strict_json(text).map_err(|cause| not_json(what, &cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(RawEffect::split("lock").parts::<0>().is_ok());
        assert_eq!(RawEffect::split("kick\u{1f}a\u{1f}").parts::<2>(), Ok(["a", ""]));
        for (effect, wanted) in
            [("lock\u{1f}", "0 parts"), ("kick\u{1f}a", "2 parts"), ("kick\u{1f}a\u{1f}b\u{1f}c", "2 parts")]
        {
            let raw = RawEffect::split(effect);
            let wrong = if raw.name == "lock" { raw.parts::<0>().map(drop) } else { raw.parts::<2>().map(drop) };
            assert!(matches!(&wrong, Err(Fault::Garbage(text)) if text.contains(wanted)), "{wrong:?}");
        }
    }
}
