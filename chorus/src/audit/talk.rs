//! The outputs of rooms for each other's channels: messages and creations.
//!
//! - Every record from another room is an output of that room: its replay has the same output.
//! - Every output of a record is in the other room's channel, if the sending room's snapshot includes that record: a snapshot
//!   is stored only after the bus has confirmed all earlier outputs, which are therefore never sent again.

use std::collections::{HashMap, HashSet};

use chorus_core::{
    command::{Answer, Record, RoomCommand},
    ids::{Offset, OutputId, RoomId},
    wire,
};

use super::{
    channels::Channel,
    replay::{Replay, Said, Saying},
    report::{At, Figures, Rule, Violation},
    stored::Stored,
};

/// The outputs, and the records found in channels.
#[derive(Debug, Default)]
pub struct Talk {
    asked: HashMap<Line, Asked>,
    found: Vec<(Line, RoomId, Offset)>,
    /// Rooms all of whose outputs are known.
    whole: HashSet<RoomId>,
    /// Creations that failed, according to their creator's channel.
    failed: HashSet<(RoomId, OutputId)>,
}

/// An output with its sender, number and receiver. The command's bytes, without the fields that only its host adds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    from: RoomId,
    number: OutputId,
    to: RoomId,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Asked {
    by: Offset,
    /// The sender's snapshot includes the record of this output.
    owed: bool,
}

impl Talk {
    /// The outputs and records of one room.
    pub fn of(replay: &Replay, channel: &Channel, stored: &Stored) -> Talk {
        let mut talk = Talk::default();
        let room = stored.room;
        for Said { offset, what } in &replay.said {
            let Some(line) = asked(room, what) else { continue };
            let owed = stored.covers().is_some_and(|covers| *offset <= covers);
            let asked = talk.asked.entry(line).or_insert(Asked { by: *offset, owed });
            asked.owed |= owed;
        }
        for (offset, record) in &channel.records {
            talk.found.extend(found(record).map(|line| (line, room, *offset)));
            if let RoomCommand::Answer { request, answer: Answer::CreateFailed { .. } } = &record.command {
                talk.failed.insert((room, *request));
            }
        }
        if replay.after.is_none() && replay.before == 0 {
            talk.whole.insert(room);
        }
        talk
    }

    pub fn extend(&mut self, other: Talk) {
        self.asked.extend(other.asked);
        self.found.extend(other.found);
        self.whole.extend(other.whole);
        self.failed.extend(other.failed);
    }

    /// `is_whole`: the room's partition was never truncated.
    pub fn check(self, is_whole: impl Fn(RoomId) -> bool, figures: &mut Figures) -> Vec<Violation> {
        let mut violations = Vec::new();
        let unasked =
            self.found.iter().filter(|(line, ..)| self.whole.contains(&line.from) && !self.asked.contains_key(line));
        for (line, room, offset) in unasked {
            violations.push(Violation {
                at: Some(At::Offset(*offset)),
                what: format!("{} of room {}", number(line.number), line.from),
                ..Violation::of(Rule::OutputUnknown, *room)
            });
        }
        figures.outputs += self.asked.len() as u64;
        let found: HashSet<&Line> = self.found.iter().map(|(line, ..)| line).collect();
        for (line, Asked { by, owed }) in &self.asked {
            let failed = self.failed.contains(&(line.from, line.number));
            if *owed && !failed && is_whole(line.to) && !found.contains(line) {
                violations.push(Violation {
                    at: Some(At::Offset(*by)),
                    what: format!("{}, for room {}", number(line.number), line.to),
                    ..Violation::of(Rule::OutputMissing, line.from)
                });
            }
        }
        violations
    }
}

fn number(number: OutputId) -> String {
    format!("output {}.{}", number.offset, number.index)
}

fn asked(from: RoomId, saying: &Saying) -> Option<Line> {
    match saying {
        Saying::Tell { to, command: RoomCommand::RoomMessage { number, data, .. } } => {
            Some(Line { from, number: *number, to: *to, bytes: wire::part(data) })
        }
        // An answer for its own channel.
        Saying::Tell { .. } => None,
        Saying::Create { room, kind, options, source, secret, allowance } => {
            let bytes = wire::part(&(kind, options, secret, allowance));
            Some(Line { from, number: source.number, to: *room, bytes })
        }
    }
}

fn found(Record { room, command, .. }: &Record) -> Option<Line> {
    match command {
        RoomCommand::RoomMessage { from, number, data } => {
            Some(Line { from: *from, number: *number, to: *room, bytes: wire::part(data) })
        }
        RoomCommand::Create { kind, options, creator: Some(creator), secret, allowance, .. } => {
            let bytes = wire::part(&(kind, options, secret, allowance));
            Some(Line { from: creator.room, number: creator.number, to: *room, bytes })
        }
        _ => None,
    }
}
