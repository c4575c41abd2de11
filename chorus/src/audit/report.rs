//! The rules, their violations, and the extent of the check.

use std::fmt;

use chorus_core::ids::{Offset, RoomId, SessionId};
use serde_json::{Map, Value, json};

/// A rule. Its text is the name under which a violation is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    FrameTwice,
    FrameMissing,
    FrameDiffers,
    FrameUnknown,
    NumberTwice,
    NotInChannel,
    NotApplied,
    NotByTheRoom,
    NotAsSent,
    NeverSent,
    NoEffect,
    AppliedTwice,
    AnsweredTwice,
    SnapshotDiffers,
    SnapshotUnknown,
    SnapshotBehind,
    EndedInStoreOnly,
    RoomUnknown,
    OutputMissing,
    OutputUnknown,
}

impl Rule {
    pub fn text(self) -> &'static str {
        match self {
            Rule::FrameTwice => "a frame came twice",
            Rule::FrameMissing => "a frame is missing",
            Rule::FrameDiffers => "a frame differs from its room's",
            Rule::FrameUnknown => "a frame that its room never sent",
            Rule::NumberTwice => "two frames under one number",
            Rule::NotInChannel => "an acknowledged message is not in the channel",
            Rule::NotApplied => "an acknowledged message was not applied",
            Rule::NotByTheRoom => "a message was acknowledged by another than its room",
            Rule::NotAsSent => "a message is not in the channel as it was sent",
            Rule::NeverSent => "a message in the channel that nobody sent",
            Rule::NoEffect => "a message had an effect although its answer was an error",
            Rule::AppliedTwice => "a message was applied twice",
            Rule::AnsweredTwice => "a message was answered twice by its room",
            Rule::SnapshotDiffers => "a snapshot differs from the replayed state",
            Rule::SnapshotUnknown => "a snapshot that the log does not lead to",
            Rule::SnapshotBehind => "a snapshot is older than the checkpoint",
            Rule::EndedInStoreOnly => "a room has ended in the store, and not in the log",
            Rule::RoomUnknown => "a room of the store that is not in the log",
            Rule::OutputMissing => "a room's output for another room is not in that room's channel",
            Rule::OutputUnknown => "a record in another room's name that is none of its outputs",
        }
    }
}

/// A rule that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub room: RoomId,
    pub session: Option<SessionId>,
    pub player: Option<String>,
    pub at: Option<At>,
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A frame's number.
    Seq(u64),
    /// A record's offset.
    Offset(Offset),
}

impl Violation {
    pub fn of(rule: Rule, room: RoomId) -> Violation {
        Violation { rule, room, session: None, player: None, at: None, what: String::new() }
    }

    fn json(&self) -> Value {
        let (mut seq, mut offset) = (None, None);
        match self.at {
            Some(At::Seq(at)) => seq = Some(at),
            Some(At::Offset(at)) => offset = Some(at),
            None => {}
        }
        json!({
            "rule": self.rule.text(), "room": self.room.to_string(), "session": self.session.map(|id| id.to_string()),
            "player": self.player, "seq": seq, "offset": offset, "what": self.what,
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: room {}", self.rule.text(), self.room)?;
        if let Some(session) = self.session {
            write!(f, ", session {session}")?;
        }
        if let Some(player) = &self.player {
            write!(f, " ({player})")?;
        }
        match self.at {
            Some(At::Seq(seq)) => write!(f, ", seq {seq}")?,
            Some(At::Offset(offset)) => write!(f, ", offset {offset}")?,
            None => {}
        }
        write!(f, ": {}", self.what)
    }
}

/// A room that could not be checked, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    pub room: RoomId,
    pub why: String,
}

/// The extent of the check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub rooms: u64,
    pub records: u64,
    pub sessions: u64,
    pub messages: u64,
    pub acknowledged: u64,
    /// Messages that are older than what is left of their room's log.
    pub messages_unchecked: u64,
    pub frames: u64,
    /// The frames among them that the log took back.
    pub taken_back: u64,
    pub frames_unchecked: u64,
    pub snapshots: u64,
    pub outputs: u64,
}

impl Figures {
    pub fn add(&mut self, other: &Figures) {
        for ((_, ours), (_, theirs)) in self.named_mut().into_iter().zip(other.clone().named_mut()) {
            *ours += *theirs;
        }
    }

    fn named_mut(&mut self) -> [(&'static str, &mut u64); 11] {
        [
            ("rooms", &mut self.rooms),
            ("records", &mut self.records),
            ("sessions", &mut self.sessions),
            ("messages", &mut self.messages),
            ("messages acknowledged", &mut self.acknowledged),
            ("messages not checkable", &mut self.messages_unchecked),
            ("frames compared", &mut self.frames),
            ("frames taken back", &mut self.taken_back),
            ("frames not checkable", &mut self.frames_unchecked),
            ("snapshots compared", &mut self.snapshots),
            ("outputs between rooms", &mut self.outputs),
        ]
    }
}

/// The whole report.
#[derive(Debug)]
pub struct Report {
    pub figures: Figures,
    pub violations: Vec<Violation>,
    pub unchecked: Vec<Unchecked>,
}

/// The number of violations that are printed of each rule: the first ones are the most useful.
const MAX_LISTED: usize = 10;

impl Report {
    pub fn new(figures: Figures, mut violations: Vec<Violation>, mut unchecked: Vec<Unchecked>) -> Report {
        violations.sort_by_key(|found| (found.rule, found.room, found.session));
        unchecked.sort_by_key(|room| room.room);
        Report { figures, violations, unchecked }
    }

    pub fn print(&self, as_json: bool) {
        if as_json { self.print_json() } else { self.print_lines() }
    }

    fn print_json(&self) {
        let mut figures = self.figures.clone();
        let figures: Map<String, Value> =
            figures.named_mut().into_iter().map(|(name, value)| (name.to_owned(), Value::from(*value))).collect();
        let unchecked = |it: &Unchecked| json!({ "room": it.room.to_string(), "why": it.why });
        let report = json!({
            "ok": self.violations.is_empty(),
            "figures": figures,
            "violations": self.violations.iter().map(Violation::json).collect::<Vec<_>>(),
            "notCheckable": self.unchecked.iter().map(unchecked).collect::<Vec<_>>(),
        });
        println!("{report}");
    }

    fn print_lines(&self) {
        for (name, value) in self.figures.clone().named_mut() {
            println!("{name:<24} {value}");
        }
        println!("{:<24} {}", "rooms not checkable", self.unchecked.len());
        println!("{:<24} {}", "violations", self.violations.len());
        for Unchecked { room, why } in &self.unchecked {
            println!("not checkable: room {room}: {why}");
        }
        for of_rule in self.violations.chunk_by(|one, other| one.rule == other.rule) {
            of_rule.iter().take(MAX_LISTED).for_each(|found| println!("{found}"));
            if of_rule.len() > MAX_LISTED {
                println!("{}: … and {} more", of_rule[0].rule.text(), of_rule.len() - MAX_LISTED);
            }
        }
    }
}
