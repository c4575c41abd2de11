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
    reference::{Outgoing, OutgoingMessage, Replay},
    report::{At, Figures, Rule, Violation},
    stored::Stored,
};

/// The outputs, and the records found in channels.
#[derive(Debug, Default)]
pub struct RoomMessages {
    sent: HashMap<Delivery, Sent>,
    found: Vec<(Delivery, RoomId, Offset)>,
    /// Rooms all of whose outputs are known.
    whole: HashSet<RoomId>,
    /// Creations that failed, according to their creator's channel.
    failed: HashSet<(RoomId, OutputId)>,
}

/// An output with its sender, number and receiver. The command's bytes, without the fields that only its host adds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Delivery {
    from: RoomId,
    number: OutputId,
    to: RoomId,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Sent {
    offset: Offset,
    /// The sender's snapshot includes the record of this output.
    owed: bool,
}

impl RoomMessages {
    /// The outputs and records of one room.
    pub fn of(replay: &Replay, channel: &Channel, stored: &Stored) -> RoomMessages {
        let mut messages = RoomMessages::default();
        let room = stored.room;
        for Outgoing { offset, message } in &replay.outgoing {
            let Some(delivery) = delivery_of_output(room, message) else { continue };
            let owed = stored.covers().is_some_and(|covers| *offset <= covers);
            let sent = messages.sent.entry(delivery).or_insert(Sent { offset: *offset, owed });
            sent.owed |= owed;
        }
        for (offset, record) in &channel.records {
            messages.found.extend(delivery_in_record(record).map(|delivery| (delivery, room, *offset)));
            if let RoomCommand::Answer { request, answer: Answer::CreateFailed { .. } } = &record.command {
                messages.failed.insert((room, *request));
            }
        }
        if replay.starts_after.is_none() && replay.sent_before == 0 {
            messages.whole.insert(room);
        }
        messages
    }

    pub fn extend(&mut self, other: RoomMessages) {
        self.sent.extend(other.sent);
        self.found.extend(other.found);
        self.whole.extend(other.whole);
        self.failed.extend(other.failed);
    }

    /// `is_whole`: the room's partition was never truncated.
    pub fn check(self, is_whole: impl Fn(RoomId) -> bool, figures: &mut Figures) -> Vec<Violation> {
        let mut violations = Vec::new();
        let unknown = self
            .found
            .iter()
            .filter(|(delivery, ..)| self.whole.contains(&delivery.from) && !self.sent.contains_key(delivery));
        for (delivery, room, offset) in unknown {
            violations.push(Violation {
                at: Some(At::Offset(*offset)),
                what: format!("{} of room {}", number(delivery.number), delivery.from),
                ..Violation::of(Rule::OutputUnknown, *room)
            });
        }
        figures.outputs += self.sent.len() as u64;
        let found: HashSet<&Delivery> = self.found.iter().map(|(delivery, ..)| delivery).collect();
        for (delivery, Sent { offset, owed }) in &self.sent {
            let failed = self.failed.contains(&(delivery.from, delivery.number));
            if *owed && !failed && is_whole(delivery.to) && !found.contains(delivery) {
                violations.push(Violation {
                    at: Some(At::Offset(*offset)),
                    what: format!("{}, for room {}", number(delivery.number), delivery.to),
                    ..Violation::of(Rule::OutputMissing, delivery.from)
                });
            }
        }
        violations
    }
}

fn number(number: OutputId) -> String {
    format!("output {}.{}", number.offset, number.index)
}

fn delivery_of_output(from: RoomId, message: &OutgoingMessage) -> Option<Delivery> {
    match message {
        OutgoingMessage::Append { to, command: RoomCommand::RoomMessage { number, data, .. } } => {
            Some(Delivery { from, number: *number, to: *to, bytes: wire::part(data) })
        }
        // An answer for its own channel.
        OutgoingMessage::Append { .. } => None,
        OutgoingMessage::Create { room, kind, options, source, secret, allowance } => {
            let bytes = wire::part(&(kind, options, secret, allowance));
            Some(Delivery { from, number: source.number, to: *room, bytes })
        }
    }
}

fn delivery_in_record(Record { room, command, .. }: &Record) -> Option<Delivery> {
    match command {
        RoomCommand::RoomMessage { from, number, data } => {
            Some(Delivery { from: *from, number: *number, to: *room, bytes: wire::part(data) })
        }
        RoomCommand::Create { kind, options, creator: Some(creator), secret, allowance, .. } => {
            let bytes = wire::part(&(kind, options, secret, allowance));
            Some(Delivery { from: creator.room, number: creator.number, to: *room, bytes })
        }
        _ => None,
    }
}
