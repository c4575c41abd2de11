//! Compares the frames and answers that players received from a room with the reference.
//!
//! **Frames.** A client's frames are a prefix of the room's frames for it: numbers without a gap, each frame equal to the
//! room's under that number; only a whole view may skip numbers. One frame may come from an edge instead of the room: `left`,
//! to a session that resumes after the room has removed it. It is accepted only where the room has removed the session, after
//! the client's last frame.
//!
//! **Messages.** A message is *acknowledged* if its room has answered it, even with a refusal; if it has no answer but is not
//! above the `ack` of a whole view; or if an edge has reported that it was applied. An acknowledged message is in the channel,
//! as it was sent, and was applied once. A message that an edge reports as without effect had none, unless it was sent more
//! than once: then another edge may have delivered it. No message at all is applied twice.

use std::collections::BTreeMap;

use chorus_core::{
    diff,
    frame::FrameTag,
    ids::{Offset, RoomId, SessionId},
};
use serde_json::Value;

use super::{
    history::{Event, OfRoom, Seen, Stay},
    replay::{Received, Replay, Shown},
    report::{At, Figures, Rule, Violation},
};

/// Codes of an edge's errors that mean that no room has received the message.
const NO_EFFECT: [&str; 2] = ["unavailable", "not_in_room"];

pub fn judge(room: RoomId, replay: &Replay, history: &OfRoom, figures: &mut Figures, violations: &mut Vec<Violation>) {
    for (session, stay) in history {
        let mut judge = Judge { room, session: *session, stay, replay, figures, violations, shown: None };
        judge.shown = replay.shown.get(session);
        judge.frames();
        judge.messages();
    }
    nothing_twice(room, replay, violations);
}

/// Includes sessions without a history.
fn nothing_twice(room: RoomId, replay: &Replay, violations: &mut Vec<Violation>) {
    for ((session, id), received) in &replay.messages {
        if let [_, second, ..] = received.applied[..] {
            violations.push(Violation {
                session: Some(*session),
                at: Some(At::Offset(second)),
                what: format!("message {id} was applied by the records at {:?}", received.applied),
                ..Violation::of(Rule::AppliedTwice, room)
            });
        }
    }
}

/// One session in one room.
struct Judge<'a> {
    room: RoomId,
    session: SessionId,
    stay: &'a Stay,
    replay: &'a Replay,
    shown: Option<&'a Shown>,
    figures: &'a mut Figures,
    violations: &'a mut Vec<Violation>,
}

/// The answers to one message, as the client received them.
#[derive(Debug, Default)]
struct Told<'a> {
    kind: &'a str,
    data: Option<&'a Seen>,
    sent: u32,
    /// The numbers of the room's answers.
    answers: Vec<u64>,
    /// Reported by a whole view or by an edge.
    applied: bool,
    /// Reported by an edge.
    no_effect: bool,
}

impl<'a> Judge<'a> {
    // ---- frames ----

    fn frames(&mut self) {
        let mut last: u64 = 0;
        let mut caused: Option<Offset> = None;
        for event in &self.stay.events {
            let Event::Frame { seq, frame } = event else { continue };
            let kind = frame["t"].as_str().unwrap_or_default();
            if *seq <= last {
                self.found(Rule::FrameTwice, At::Seq(*seq), format!("{kind} after {last}"));
            } else if kind != "room" && *seq != last + 1 {
                self.found(Rule::FrameMissing, At::Seq(*seq), format!("{kind} after {last}"));
            }
            if *seq > last {
                let by = self.compare(*seq, kind, frame, caused);
                (last, caused) = (*seq, by);
            }
        }
    }

    /// Returns the record that caused the frame, if the room did send it.
    fn compare(&mut self, seq: u64, kind: &str, frame: &Seen, before: Option<Offset>) -> Option<Offset> {
        let known = self.shown.and_then(|shown| shown.frames.get(&seq)).map_or(&[][..], Vec::as_slice);
        let same = known.iter().find(|known| diff::is_same(&known.frame.with_seq(seq), frame.text()));
        if let Some(same) = same {
            self.figures.frames += 1;
            self.figures.taken_back += u64::from(same.taken_back.is_some());
            return Some(same.offset);
        }
        let unknown = self.shown.map_or(0, |shown| shown.before).max(self.replay.before);
        if known.is_empty() && seq <= unknown {
            self.figures.frames_unchecked += 1;
            return None;
        }
        if kind == "left" && self.was_let_go(seq, before) {
            self.figures.frames += 1;
            return before;
        }
        match known.first() {
            Some(other) => {
                let what = format!("it got {}, the room has {}", frame.text(), other.frame.with_seq(seq));
                self.found(Rule::FrameDiffers, At::Seq(seq), what);
            }
            None => self.found(Rule::FrameUnknown, At::Seq(seq), format!("it got {}", frame.text())),
        }
        None
    }

    /// Whether the room has removed the session, not before the client's last frame. Not if the room's own `left` has the
    /// number before: then the client had been notified already.
    fn was_let_go(&self, seq: u64, before: Option<Offset>) -> bool {
        let Some(shown) = self.shown else { return false };
        let last_was_left = shown.frames.get(&(seq - 1)).is_some_and(|frames| {
            frames.iter().any(|frame| frame.frame.tag == FrameTag::Left && frame.taken_back.is_none())
        });
        !last_was_left && shown.out.iter().any(|out| before.is_none_or(|before| *out >= before))
    }

    // ---- messages ----

    fn messages(&mut self) {
        let mut told = self.told();
        self.figures.messages += told.len() as u64;
        for (id, told) in &mut told {
            let received = self.replay.messages.get(&(self.session, *id));
            self.message(*id, told, received);
        }
        self.nothing_made_up(&told);
    }

    fn told(&mut self) -> BTreeMap<u64, Told<'a>> {
        let mut all: BTreeMap<u64, Told<'a>> = BTreeMap::new();
        for event in &self.stay.events {
            match event {
                Event::Sent { id, kind, data } => {
                    let told = all.entry(*id).or_default();
                    if told.sent == 0 {
                        (told.kind, told.data) = (kind, Some(data));
                    }
                    told.sent += 1;
                }
                Event::Frame { seq, frame } => match (frame["t"].as_str(), frame["id"].as_u64()) {
                    (Some("room"), _) => acknowledge(&mut all, frame["ack"].as_u64().unwrap_or(0)),
                    (Some("reply" | "error"), Some(id)) => {
                        let answers = &mut all.entry(id).or_default().answers;
                        if !answers.contains(seq) {
                            answers.push(*seq);
                        }
                    }
                    _ => {}
                },
                Event::Edge { id, frame } => self.edge_says(all.entry(*id).or_default(), *id, frame),
            }
        }
        all
    }

    fn edge_says(&mut self, told: &mut Told<'a>, id: u64, frame: &Value) {
        match (frame["t"].as_str(), frame["code"].as_str()) {
            (Some("reply"), _) => {
                // An edge has no way to determine that; the claim is checked nevertheless.
                told.applied = true;
                let what = format!("message {id} was acknowledged by {frame}, which is no frame of a room");
                self.violations.push(Violation { what, ..self.of(Rule::NotByTheRoom) });
            }
            (_, Some("applied")) => told.applied = true,
            (_, Some(code)) if NO_EFFECT.contains(&code) => told.no_effect = true,
            _ => {}
        }
    }

    fn message(&mut self, id: u64, told: &Told<'_>, received: Option<&Received>) {
        let applied = received.is_some_and(|received| !received.applied.is_empty());
        let name = || format!("message {id} ({})", told.kind);
        if told.answers.len() > 1 {
            let what = format!("{} has {} answers of its room, under {:?}", name(), told.answers.len(), told.answers);
            self.violations.push(Violation { what, ..self.of(Rule::AnsweredTwice) });
        }
        let acknowledged = !told.answers.is_empty() || told.applied;
        self.figures.acknowledged += u64::from(acknowledged);
        if acknowledged && !applied {
            self.lost(told, received, name());
        }
        let offset = received.and_then(|received| received.applied.first());
        if let (true, 1, Some(offset)) = (told.no_effect, told.sent, offset)
            && !acknowledged
        {
            let what = format!("{} was refused by an edge as without effect, and applied", name());
            self.found(Rule::NoEffect, At::Offset(*offset), what);
        }
        if let Some(received) = received
            && told.sent > 0
            && !(*received.kind == *told.kind
                && told.data.is_none_or(|data| diff::is_same(&received.data, data.text())))
        {
            let what = format!("{} is there as {} {}", name(), received.kind, received.data.as_str());
            self.found(Rule::NotAsSent, At::Offset(received.at[0]), what);
        }
    }

    fn lost(&mut self, told: &Told<'_>, received: Option<&Received>, name: String) {
        let how = match told.answers.first() {
            Some(seq) => format!("answered by frame {seq}"),
            None => "said to be applied".to_owned(),
        };
        match received {
            Some(received) => {
                let what = format!("{name}, {how}, was dropped by its room");
                self.found(Rule::NotApplied, At::Offset(received.at[0]), what);
            }
            // A message in a truncated part of the log is not missing.
            None if self.replay.after.is_some() || self.replay.before > 0 => self.figures.messages_unchecked += 1,
            None => self.violations.push(Violation { what: format!("{name}, {how}"), ..self.of(Rule::NotInChannel) }),
        }
    }

    /// Every message in the channel was sent by its player.
    fn nothing_made_up(&mut self, told: &BTreeMap<u64, Told<'_>>) {
        let ours = self.replay.messages.iter().filter(|((session, _), _)| *session == self.session);
        let made_up = ours.filter(|((_, id), _)| told.get(id).is_none_or(|told| told.sent == 0));
        let made_up: Vec<_> = made_up.map(|((_, id), received)| (*id, received.at[0])).collect();
        for (id, offset) in made_up {
            self.found(Rule::NeverSent, At::Offset(offset), format!("message {id}"));
        }
    }

    // ---- helpers ----

    fn of(&self, rule: Rule) -> Violation {
        Violation {
            session: Some(self.session),
            player: Some(self.stay.player.clone()),
            ..Violation::of(rule, self.room)
        }
    }

    fn found(&mut self, rule: Rule, at: At, what: String) {
        self.violations.push(Violation { at: Some(at), what, ..self.of(rule) });
    }
}

/// A whole view acknowledges every message of the session up to `ack`. It does not cover messages that were answered before,
/// and an edge may have answered for the room.
fn acknowledge(all: &mut BTreeMap<u64, Told<'_>>, ack: u64) {
    for told in all.range_mut(..=ack).map(|(_, told)| told) {
        if told.answers.is_empty() && !told.no_effect {
            told.applied = true;
        }
    }
}
