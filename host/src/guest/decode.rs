//! Decodes and checks what a guest returns: effects, saved state, an error, in the encoding of `wit/room.wit`. The rest of
//! chorus relies on these checks.
//!
//! The answer is read in place; only what the room keeps is copied out of it. Any bytes lead to a value within every limit, or to
//! a fault with its reason.

use std::sync::Arc;

use chorus_core::{
    command::Fault,
    effect::{Effect, LogLevel, SavedState},
    ids::{Kind, RoomId, SessionId},
    json::Json,
    room::RequestKind,
};
use serde_json::value::RawValue;

use super::{
    budget,
    layout::{HEAD, Malformed, Reader, effect, outcome},
    manifest::Manifest,
    shortened::shortened,
    strict_json::strict_json,
    utf16::{prefix, units},
};

/// An entry without effects.
#[derive(Debug)]
pub(crate) struct Failed {
    pub cause: Cause,
    /// The log of the entry, up to the failure, without what was printed.
    pub log: Vec<Effect>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The guest's own error.
    Threw(Box<str>),
    /// It has reached the limit of its own meter.
    Exhausted,
    /// Its answer is not allowed.
    Fault(Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed { cause: Cause::Fault(fault), log: Vec::new() }
    }
}

/// An entry that is done.
#[derive(Debug)]
pub(crate) struct Done {
    pub effects: Vec<Effect>,
    /// By the guest's own meter. Any number.
    pub used: u64,
}

/// Checks the effects of one entry. `printed`: the units of log that the guest has printed meanwhile.
pub(crate) fn decode_effects(answer: &[u8], printed: u64, manifest: &Manifest) -> Result<Done, Failed> {
    let (used, outcome) = decode_outcome(answer)?;
    effects_of(outcome, printed, manifest).map(|effects| Done { effects, used })
}

/// What one entry of several has led to.
#[derive(Debug)]
pub(crate) struct Settled {
    pub effects: Result<Vec<Effect>, Failed>,
    /// By the guest's own meter. Any number.
    pub used: u64,
}

/// Checks the effects of so many entries, up to the first that has failed.
///
/// # Errors
/// When the answer is not one outcome for each entry up to the first that threw or is exhausted.
pub(crate) fn decode_all(answer: &[u8], entries: usize, manifest: &Manifest) -> Result<Vec<Settled>, Fault> {
    let mut all: Vec<Settled> = Vec::with_capacity(entries);
    let mut answer = Reader::new(answer);
    while all.len() < entries && all.last().is_none_or(|last| last.effects.is_ok()) {
        let (used, outcome) = next_outcome(&mut answer)?;
        all.push(Settled { effects: effects_of(outcome, 0, manifest), used });
    }
    // What follows an outcome that is not allowed does not matter.
    let is_refused = |last: &Settled| matches!(last.effects, Err(Failed { cause: Cause::Fault(_), .. }));
    if all.last().is_none_or(is_refused) { Ok(all) } else { end(&answer).map(|()| all) }
}

fn effects_of(outcome: Outcome<'_>, printed: u64, manifest: &Manifest) -> Result<Vec<Effect>, Failed> {
    let done = match outcome {
        Outcome::Done(effects) => effects,
        Outcome::Threw { error, log } => return Err(threw(error, log, manifest)),
        Outcome::Exhausted { log } => {
            return Err(Failed { cause: Cause::Exhausted, log: decode_log(log, manifest) });
        }
        Outcome::Saved(_) => return Err(other_outcome("saved").into()),
    };
    checked(done, printed, manifest).map_err(|fault| {
        let log = decode_log(done, manifest);
        Failed { cause: Cause::Fault(fault), log }
    })
}

/// Checks the outcome of `save`. The text stays as it is, since only the guest itself reads it.
pub(crate) fn decode_saved(answer: &[u8], manifest: &Manifest) -> Result<SavedState, Failed> {
    let text = match decode_outcome(answer)?.1 {
        Outcome::Saved(text) => text,
        Outcome::Threw { error, log } => return Err(threw(error, log, manifest)),
        Outcome::Done(_) => return Err(other_outcome("done").into()),
        Outcome::Exhausted { .. } => return Err(other_outcome("exhausted").into()),
    };
    let (limit, bytes) = (manifest.config.budget.state, text.len() as u64);
    // A unit is a byte at least.
    if bytes > limit && units(text) > limit {
        return Err(too_much(format!("a state of {} characters; at most {limit}", units(text))).into());
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|cause| not_json("save", &cause.to_string()))?;
    Ok(SavedState { version: manifest.state_version, state: Json::trusted(raw.get()) })
}

/// An outcome as it was received.
enum Outcome<'a> {
    Done(&'a [u8]),
    Threw { error: &'a str, log: &'a [u8] },
    Saved(&'a str),
    Exhausted { log: &'a [u8] },
}

/// The outcome of a call with one entry, and what it has used by the guest's own meter.
fn decode_outcome(answer: &[u8]) -> Result<(u64, Outcome<'_>), Fault> {
    let mut answer = Reader::new(answer);
    let outcome = next_outcome(&mut answer)?;
    end(&answer).map(|()| outcome)
}

fn end(answer: &Reader<'_>) -> Result<(), Fault> {
    match answer.is_empty() {
        true => Ok(()),
        false => Err(garbage("the answer has more outcomes than the call has entries".into())),
    }
}

fn next_outcome<'a>(answer: &mut Reader<'a>) -> Result<(u64, Outcome<'a>), Fault> {
    let malformed = |cause: Malformed| garbage(format!("the answer: {cause}"));
    if answer.is_empty() {
        return Err(garbage("the answer has no outcome".into()));
    }
    let (tag, body) = answer.tagged().map_err(malformed)?;
    let mut body = Reader::new(body);
    let used = body.u64().map_err(malformed)?;
    let outcome = match tag {
        outcome::DONE => Outcome::Done(body.rest()),
        outcome::THREW => Outcome::Threw { error: body.text().map_err(malformed)?, log: body.rest() },
        outcome::SAVED => Outcome::Saved(body.rest_text().map_err(malformed)?),
        outcome::EXHAUSTED => Outcome::Exhausted { log: body.rest() },
        other => return Err(garbage(format!("no outcome has the tag {other:#04x}"))),
    };
    Ok((used, outcome))
}

fn other_outcome(name: &str) -> Fault {
    garbage(format!("the outcome `{name}` for an entry that cannot have it"))
}

fn threw(error: &str, log: &[u8], manifest: &Manifest) -> Failed {
    Failed { cause: Cause::Threw(shortened(error)), log: decode_log(log, manifest) }
}

fn checked(effects: &[u8], printed: u64, manifest: &Manifest) -> Result<Vec<Effect>, Fault> {
    let mut checker = Checker::new(manifest, printed);
    let mut decoded = Vec::new();
    let mut left = Reader::new(effects);
    while !left.is_empty() {
        let (tag, fields) = left.tagged().map_err(|cause| garbage(format!("an effect: {cause}")))?;
        decoded.extend(checker.effect(tag, fields)?);
    }
    decoded.extend(checker.log_note());
    Ok(decoded)
}

/// The log lines of an entry that failed, for the script's author. Its other effects, and its malformed lines, are dropped.
fn decode_log(effects: &[u8], manifest: &Manifest) -> Vec<Effect> {
    let mut checker = Checker::new(manifest, 0);
    let mut left = Reader::new(effects);
    let tagged = std::iter::from_fn(|| left.tagged().ok());
    let lines = tagged.filter(|(tag, _)| *tag == effect::LOG);
    let mut log: Vec<Effect> = lines.filter_map(|(_, fields)| checker.log(Fields::of("log", fields)).ok()?).collect();
    log.extend(checker.log_note());
    log
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

/// The length of a log, in units of UTF-16.
pub(crate) fn log_length(effects: &[Effect]) -> u64 {
    let length = |effect: &Effect| if let Effect::Log { text, .. } = effect { units(text) } else { 0 };
    effects.iter().map(length).sum()
}

/// The fields of one effect, and its name for a fault.
struct Fields<'a> {
    name: &'static str,
    left: Reader<'a>,
}

impl<'a> Fields<'a> {
    fn of(name: &'static str, fields: &'a [u8]) -> Fields<'a> {
        Fields { name, left: Reader::new(fields) }
    }

    fn get<T>(&mut self, read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>) -> Result<T, Fault> {
        read(&mut self.left).map_err(|cause| garbage(format!("{}: {cause}", self.name)))
    }

    fn session(&mut self) -> Result<SessionId, Fault> {
        self.get(Reader::id).map(SessionId)
    }

    fn room(&mut self) -> Result<RoomId, Fault> {
        self.get(Reader::id).map(RoomId)
    }

    fn text(&mut self) -> Result<&'a str, Fault> {
        self.get(Reader::text)
    }

    fn rest(mut self) -> Result<&'a str, Fault> {
        self.get(Reader::rest_text)
    }

    /// One JSON value that every parser accepts, or a fault.
    fn json(self) -> Result<Json, Fault> {
        let name = self.name;
        strict_json(self.rest()?).map_err(|cause| not_json(name, &cause.to_string()))
    }

    /// A JSON text that leaves the room as one record.
    fn record_json(self) -> Result<Json, Fault> {
        let (name, bytes) = (self.name, self.left.len());
        if bytes > budget::MAX_RECORD_JSON {
            return Err(too_much(format!("{name}: {bytes} bytes at once; at most {}", budget::MAX_RECORD_JSON)));
        }
        self.json()
    }

    fn end(mut self) -> Result<(), Fault> {
        self.get(|left| left.end())
    }

    fn msg_type(&mut self) -> Result<Box<str>, Fault> {
        let msg_type = self.text()?;
        if msg_type.is_empty() || msg_type.len() > budget::MAX_TYPE {
            let (name, bytes) = (self.name, msg_type.len());
            return Err(garbage(format!("{name}: a type of {bytes} bytes; it has 1 to {}", budget::MAX_TYPE)));
        }
        Ok(msg_type.into())
    }
}

/// Checks the effects of one entry, one after another.
struct Checker<'a> {
    manifest: &'a Manifest,
    /// Effects so far, and their bytes; the log has a bound of its own.
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

    fn effect(&mut self, tag: u8, fields: &[u8]) -> Result<Option<Effect>, Fault> {
        let of = |name| Fields::of(name, fields);
        if tag != effect::LOG {
            self.count(HEAD + fields.len())?;
        }
        Ok(Some(match tag {
            effect::ADMIT => {
                let mut fields = of("admit");
                let spectator = fields.get(Reader::flag)?;
                fields.end().map(|()| Effect::Admit { spectator })?
            }
            effect::REPLY => Effect::Reply { data: of("reply").json()? },
            effect::REFUSE => Effect::Refuse { reason: shortened(of("refuse").rest()?) },
            effect::SEND => {
                let mut fields = of("send");
                Effect::Send { session: fields.session()?, msg_type: fields.msg_type()?, data: fields.json()? }
            }
            effect::BROADCAST => {
                let mut fields = of("broadcast");
                let msg_type = fields.msg_type()?;
                let except = fields.get(Reader::ids)?.map(SessionId).collect();
                Effect::Broadcast { msg_type, data: fields.json()?, except }
            }
            effect::VIEW => Effect::View { view: of("view").json()? },
            effect::VIEW_OF => {
                let mut fields = of("view-of");
                Effect::ViewOf { session: fields.session()?, view: fields.json()? }
            }
            effect::MOVE_TO => {
                let mut fields = of("move-to");
                Effect::MoveTo { session: fields.session()?, room: fields.room()?, options: fields.record_json()? }
            }
            effect::KICK => {
                let mut fields = of("kick");
                Effect::Kick { session: fields.session()?, reason: shortened(fields.rest()?) }
            }
            effect::CREATE_ROOM => self.create_room(of("create-room"))?,
            effect::SEND_ROOM => {
                let mut fields = of("send-room");
                Effect::SendRoom { room: fields.room()?, data: fields.record_json()? }
            }
            effect::SET_TIMER => {
                let mut fields = of("set-timer");
                let name = self.timer("set-timer", fields.text()?)?;
                Effect::SetTimer { name, after_ms: delay(fields.get(Reader::f64)?)?, payload: fields.json()? }
            }
            effect::CANCEL_TIMER => {
                Effect::CancelTimer { name: self.timer("cancel-timer", of("cancel-timer").rest()?)? }
            }
            effect::LOCK => of("lock").end().map(|()| Effect::Lock)?,
            effect::UNLOCK => of("unlock").end().map(|()| Effect::Unlock)?,
            effect::METADATA => Effect::Metadata { data: of("metadata").json()? },
            effect::END => Effect::End { outcome: of("end").record_json()? },
            effect::SIT => with_session(of("sit"), |session| Effect::Sit { session })?,
            effect::STAND => with_session(of("stand"), |session| Effect::Stand { session })?,
            effect::IDENTIFY => of("identify").end().map(|()| Effect::Identify)?,
            effect::REQUEST => self.request(of("request"))?,
            effect::REPORT => report(of("report"))?,
            effect::LOG => return self.log(of("log")),
            other => return Err(garbage(format!("no effect has the tag {other:#04x}"))),
        }))
    }

    fn create_room(&mut self, mut fields: Fields<'_>) -> Result<Effect, Fault> {
        self.rooms += 1;
        let limit = self.manifest.config.budget.rooms;
        if self.rooms > limit {
            return Err(too_much(format!("more than {limit} rooms created in one record")));
        }
        let kind = Kind::new(fields.text()?).map_err(|cause| garbage(format!("create-room: {cause}")))?;
        let allowance = fields.get(Reader::u32)?;
        Ok(Effect::CreateRoom { kind, allowance, options: fields.record_json()? })
    }

    fn request(&self, mut fields: Fields<'_>) -> Result<Effect, Fault> {
        let name = fields.text()?;
        let unknown = || garbage(format!("request: no request is called {:?}", shortened(name)));
        let kind = RequestKind::parse(name).ok_or_else(unknown)?;
        let name = fields.text()?;
        let unknown = || garbage(format!("request: no handler of answers is called {:?}", shortened(name)));
        let handler = self.manifest.config.answers.get(name).cloned().ok_or_else(unknown)?;
        let after_ms = deadline(fields.get(Reader::f64)?)?;
        let payload = fields.text()?;
        let bytes = payload.len().max(fields.left.len());
        if bytes > budget::MAX_REQUEST {
            return Err(too_much(format!("request: {bytes} bytes of data; at most {}", budget::MAX_REQUEST)));
        }
        let payload = strict_json(payload).map_err(|cause| not_json("request", &cause.to_string()))?;
        Ok(Effect::Request { kind, handler, after_ms, payload, data: fields.json()? })
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        let budget = &self.manifest.config.budget;
        self.effects += 1;
        // One effect more is accepted, the answer to the record: the limit bounds the script's own effects.
        if self.effects > budget.effects + 1 {
            return Err(too_much(format!("more than {} effects in one record", budget.effects)));
        }
        self.output += bytes as u64;
        if self.output > budget.output {
            return Err(too_much(format!("more than {} bytes of output in one record", budget.output)));
        }
        Ok(())
    }

    fn timer(&self, what: &str, name: &str) -> Result<Arc<str>, Fault> {
        let known = self.manifest.timers.get(name).cloned();
        known.ok_or_else(|| garbage(format!("{what}: no timer is called {:?}", shortened(name))))
    }

    /// A line that fits. Lines that do not fit are counted, and reported once at the end: to log too much is no fault.
    fn log(&mut self, mut fields: Fields<'_>) -> Result<Option<Effect>, Fault> {
        let level = match fields.get(Reader::u8)? {
            0 => LogLevel::Debug,
            1 => LogLevel::Info,
            2 => LogLevel::Warn,
            3 => LogLevel::Error,
            other => return Err(garbage(format!("log: {other} is no level"))),
        };
        let line = fields.rest()?;
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

fn report(mut fields: Fields<'_>) -> Result<Effect, Fault> {
    let (session, reason) = (fields.session()?, shortened(fields.text()?));
    let bytes = fields.left.len();
    if bytes > budget::MAX_REPORT {
        return Err(too_much(format!("report: {bytes} bytes of data; at most {}", budget::MAX_REPORT)));
    }
    Ok(Effect::Report { session, reason, data: fields.json()? })
}

fn with_session(mut fields: Fields<'_>, effect: impl FnOnce(SessionId) -> Effect) -> Result<Effect, Fault> {
    let session = fields.session()?;
    fields.end().map(|()| effect(session))
}

/// Milliseconds, rounded up.
fn deadline(ms: f64) -> Result<u64, Fault> {
    if (1.0..=budget::MAX_DEADLINE_MS).contains(&ms) {
        return Ok(ms.ceil() as u64);
    }
    Err(garbage(format!("request: {ms} ms; it must be from 1 to {} (a minute)", budget::MAX_DEADLINE_MS)))
}

/// Milliseconds, rounded up: a timer never fires early.
fn delay(ms: f64) -> Result<u64, Fault> {
    if (0.0..=budget::MAX_DELAY_MS).contains(&ms) {
        return Ok(ms.ceil() as u64);
    }
    Err(garbage(format!("set-timer: {ms} ms; it must be from 0 to {} (ten years)", budget::MAX_DELAY_MS)))
}

#[cfg(test)]
mod tests;
