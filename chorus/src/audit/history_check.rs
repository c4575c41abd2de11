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
    history::{Event, ExactJson, RoomHistory, SessionHistory},
    reference::{ChannelMessage, Replay, SessionFrames},
    report::{At, Figures, Rule, Violation},
};

/// Codes of an edge's errors that mean that no room has received the message.
const NO_EFFECT: [&str; 2] = ["unavailable", "not_in_room"];

pub fn check_history(
    room: RoomId,
    replay: &Replay,
    history: &RoomHistory,
    figures: &mut Figures,
    violations: &mut Vec<Violation>,
) {
    for (session, events) in history {
        let mut checker =
            Checker { room, session: *session, history: events, replay, figures, violations, frames: None };
        checker.frames = replay.sessions.get(session);
        checker.check_frames();
        checker.check_messages();
    }
    check_applied_once(room, replay, violations);
}

/// Includes sessions without a history.
fn check_applied_once(room: RoomId, replay: &Replay, violations: &mut Vec<Violation>) {
    for ((session, id), received) in &replay.messages {
        if let [_, second, ..] = received.applied_at[..] {
            violations.push(Violation {
                session: Some(*session),
                at: Some(At::Offset(second)),
                what: format!("message {id} was applied by the records at {:?}", received.applied_at),
                ..Violation::of(Rule::AppliedTwice, room)
            });
        }
    }
}

/// One session in one room.
struct Checker<'a> {
    room: RoomId,
    session: SessionId,
    history: &'a SessionHistory,
    replay: &'a Replay,
    frames: Option<&'a SessionFrames>,
    figures: &'a mut Figures,
    violations: &'a mut Vec<Violation>,
}

/// The answers to one message, as the client received them.
#[derive(Debug, Default)]
struct ClientMessage<'a> {
    msg_type: &'a str,
    data: Option<&'a ExactJson>,
    sent: u32,
    /// The numbers of the room's answers.
    answers: Vec<u64>,
    /// Reported by a whole view or by an edge.
    applied: bool,
    /// Reported by an edge.
    no_effect: bool,
}

impl<'a> Checker<'a> {
    // ---- frames ----

    fn check_frames(&mut self) {
        let mut last: u64 = 0;
        let mut caused: Option<Offset> = None;
        for event in &self.history.events {
            let Event::Frame { seq, frame } = event else { continue };
            let tag = frame["t"].as_str().unwrap_or_default();
            if *seq <= last {
                self.found(Rule::FrameTwice, At::Seq(*seq), format!("{tag} after {last}"));
            } else if tag != "room" && *seq != last + 1 {
                self.found(Rule::FrameMissing, At::Seq(*seq), format!("{tag} after {last}"));
            }
            if *seq > last {
                let by = self.compare(*seq, tag, frame, caused);
                (last, caused) = (*seq, by);
            }
        }
    }

    /// Returns the record that caused the frame, if the room did send it.
    fn compare(&mut self, seq: u64, tag: &str, frame: &ExactJson, before: Option<Offset>) -> Option<Offset> {
        let known = self.frames.and_then(|frames| frames.frames.get(&seq)).map_or(&[][..], Vec::as_slice);
        let same = known.iter().find(|known| diff::is_same(&known.frame.with_seq(seq), frame.text()));
        if let Some(same) = same {
            self.figures.frames += 1;
            self.figures.taken_back += u64::from(same.taken_back.is_some());
            return Some(same.offset);
        }
        let unknown = self.frames.map_or(0, |frames| frames.sent_before).max(self.replay.sent_before);
        if known.is_empty() && seq <= unknown {
            self.figures.frames_unchecked += 1;
            return None;
        }
        if tag == "left" && self.was_removed(seq, before) {
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
    fn was_removed(&self, seq: u64, before: Option<Offset>) -> bool {
        let Some(frames) = self.frames else { return false };
        let last_was_left = frames.frames.get(&(seq - 1)).is_some_and(|frames| {
            frames.iter().any(|frame| frame.frame.tag() == FrameTag::Left && frame.taken_back.is_none())
        });
        !last_was_left && frames.removed_at.iter().any(|removed| before.is_none_or(|before| *removed >= before))
    }

    // ---- messages ----

    fn check_messages(&mut self) {
        let messages = self.messages();
        self.figures.messages += messages.len() as u64;
        for (id, message) in &messages {
            let received = self.replay.messages.get(&(self.session, *id));
            self.check_message(*id, message, received);
        }
        self.check_only_sent(&messages);
    }

    fn messages(&mut self) -> BTreeMap<u64, ClientMessage<'a>> {
        let mut all: BTreeMap<u64, ClientMessage<'a>> = BTreeMap::new();
        for event in &self.history.events {
            match event {
                Event::Sent { id, msg_type, data } => {
                    let message = all.entry(*id).or_default();
                    if message.sent == 0 {
                        (message.msg_type, message.data) = (msg_type, Some(data));
                    }
                    message.sent += 1;
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
                Event::Edge { id, frame } => self.edge_answer(all.entry(*id).or_default(), *id, frame),
            }
        }
        all
    }

    fn edge_answer(&mut self, message: &mut ClientMessage<'a>, id: u64, frame: &Value) {
        match (frame["t"].as_str(), frame["code"].as_str()) {
            (Some("reply"), _) => {
                // An edge has no way to determine that; the claim is checked nevertheless.
                message.applied = true;
                let what = format!("message {id} was acknowledged by {frame}, which is no frame of a room");
                self.violations.push(Violation { what, ..self.of(Rule::NotByTheRoom) });
            }
            (_, Some("applied")) => message.applied = true,
            (_, Some(code)) if NO_EFFECT.contains(&code) => message.no_effect = true,
            _ => {}
        }
    }

    fn check_message(&mut self, id: u64, message: &ClientMessage<'_>, received: Option<&ChannelMessage>) {
        let applied = received.is_some_and(|received| !received.applied_at.is_empty());
        let name = || format!("message {id} ({})", message.msg_type);
        if message.answers.len() > 1 {
            let what =
                format!("{} has {} answers of its room, under {:?}", name(), message.answers.len(), message.answers);
            self.violations.push(Violation { what, ..self.of(Rule::AnsweredTwice) });
        }
        let acknowledged = !message.answers.is_empty() || message.applied;
        self.figures.acknowledged += u64::from(acknowledged);
        if acknowledged && !applied {
            self.lost(message, received, name());
        }
        let offset = received.and_then(|received| received.applied_at.first());
        if let (true, 1, Some(offset)) = (message.no_effect, message.sent, offset)
            && !acknowledged
        {
            let what = format!("{} was refused by an edge as without effect, and applied", name());
            self.found(Rule::NoEffect, At::Offset(*offset), what);
        }
        if let Some(received) = received
            && message.sent > 0
            && !(*received.msg_type == *message.msg_type
                && message.data.is_none_or(|data| diff::is_same(&received.data, data.text())))
        {
            let what = format!("{} is there as {} {}", name(), received.msg_type, received.data.as_str());
            self.found(Rule::NotAsSent, At::Offset(received.offsets[0]), what);
        }
    }

    fn lost(&mut self, message: &ClientMessage<'_>, received: Option<&ChannelMessage>, name: String) {
        let how = match message.answers.first() {
            Some(seq) => format!("answered by frame {seq}"),
            None => "reported as applied".to_owned(),
        };
        match received {
            Some(received) => {
                let what = format!("{name}, {how}, was dropped by its room");
                self.found(Rule::NotApplied, At::Offset(received.offsets[0]), what);
            }
            // A message in a truncated part of the log is not missing.
            None if self.replay.starts_after.is_some() || self.replay.sent_before > 0 => {
                self.figures.messages_unchecked += 1
            }
            None => self.violations.push(Violation { what: format!("{name}, {how}"), ..self.of(Rule::NotInChannel) }),
        }
    }

    /// Every message in the channel was sent by its player.
    fn check_only_sent(&mut self, message: &BTreeMap<u64, ClientMessage<'_>>) {
        let ours = self.replay.messages.iter().filter(|((session, _), _)| *session == self.session);
        let made_up = ours.filter(|((_, id), _)| message.get(id).is_none_or(|message| message.sent == 0));
        let made_up: Vec<_> = made_up.map(|((_, id), received)| (*id, received.offsets[0])).collect();
        for (id, offset) in made_up {
            self.found(Rule::NeverSent, At::Offset(offset), format!("message {id}"));
        }
    }

    // ---- helpers ----

    fn of(&self, rule: Rule) -> Violation {
        Violation {
            session: Some(self.session),
            player: Some(self.history.player.clone()),
            ..Violation::of(rule, self.room)
        }
    }

    fn found(&mut self, rule: Rule, at: At, what: String) {
        self.violations.push(Violation { at: Some(at), what, ..self.of(rule) });
    }
}

/// A whole view acknowledges every message of the session up to `ack`. It does not cover messages that were answered before,
/// and an edge may have answered for the room.
fn acknowledge(all: &mut BTreeMap<u64, ClientMessage<'_>>, ack: u64) {
    for message in all.range_mut(..=ack).map(|(_, message)| message) {
        if message.answers.is_empty() && !message.no_effect {
            message.applied = true;
        }
    }
}
