//! One pass through a room's records: `core::room` applies them, the guest is called, the outputs are collected.

use std::{collections::BTreeSet, sync::Arc};

use chorus_core::{
    command::{AUTHORS_MESSAGE, EdgeCommand, Fault, Record, RoomCommand},
    effect::Event,
    frame::RoomFrame,
    ids::{Offset, RoomId, SessionId},
    room::{Call, Entry, Input, Output, Room},
};

use super::{
    Guest, Unplayable,
    reference::{ChannelMessage, Frame, Outgoing, OutgoingMessage, Replay},
    report::{At, Rule, Violation},
    start::Start,
};

/// A record that a `Fault` voids.
#[derive(Clone, Debug)]
pub struct Voided {
    pub offset: Offset,
    pub fault: Fault,
    /// The offset of the `Fault`.
    pub fault_at: Offset,
}

/// One pass through the records.
pub struct Pass<'a, G> {
    id: RoomId,
    room: Room,
    guest: &'a mut G,
    pub replay: Replay,
    /// The records after which the state is kept.
    pub wanted: BTreeSet<Offset>,
    pub keeps_snapshots: bool,
    pub snapshots: Vec<(Offset, Arc<[u8]>)>,
    /// The current record.
    at: Offset,
    /// Whether the guest was called for the current record's message.
    is_called: bool,
}

impl<'a, G: Guest> Pass<'a, G> {
    pub fn new(id: RoomId, start: &Start, guest: &'a mut G, voided: &[Voided]) -> Result<Self, Unplayable> {
        let mut room = start.room(id)?;
        // All records were applied before. The log has the calls that exhausted a budget.
        room.handle(Input::Inherited(Offset::MAX));
        for record in voided {
            room.handle(Input::FaultDecided { offset: record.offset, fault: record.fault.clone() });
        }
        let mut replay = Replay { starts_after: start.offset(), ..Replay::default() };
        if let Some(state) = room.state() {
            replay.created = Some(0);
            replay.sent_before = state.high_seq.max(state.seq_floor);
            for (session, member) in &state.members {
                replay.sessions.entry(*session).or_default().sent_before = member.out_seq;
            }
        } else if room.has_ended() {
            replay.sent_before = u64::MAX;
        }
        Ok(Pass {
            id,
            room,
            guest,
            replay,
            wanted: BTreeSet::new(),
            keeps_snapshots: false,
            snapshots: Vec::new(),
            at: 0,
            is_called: false,
        })
    }

    pub async fn play(&mut self, records: &[(Offset, Record)]) -> Result<(), Unplayable> {
        for (offset, record) in records {
            if self.replay.starts_after.is_some_and(|after| *offset <= after) {
                continue;
            }
            self.at = *offset;
            self.is_called = false;
            let message = self.before_message(record);
            self.room.handle(Input::Record(*offset, record.clone()));
            self.carry_out().await?;
            if let Some(message) = message {
                self.after_message(message);
            }
            self.after_record();
            if self.wanted.contains(offset) {
                self.room.handle(Input::TakeSnapshot);
                self.carry_out().await?;
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self) -> Result<(), Unplayable> {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => self.call(call).await?,
                Output::Edge(_, command) => self.deliver(command),
                Output::Append(to, command) => self.append(to, command),
                Output::Create { id: room, kind, options, source, secret, allowance } => {
                    self.send(OutgoingMessage::Create { room, kind, options, source, secret, allowance });
                }
                Output::Snapshot { offset, bytes } => self.snapshot(offset, bytes),
                Output::Ended { .. } => self.replay.ended = Some(self.at),
                Output::Log { .. }
                | Output::Notice(_)
                | Output::Kick { .. }
                | Output::Report(_)
                | Output::Perform { .. } => {}
            }
        }
        Ok(())
    }

    async fn call(&mut self, call: Call) -> Result<(), Unplayable> {
        let entries = match &call {
            Call::Handle(entry) => std::slice::from_ref(entry),
            Call::HandleAll(entries) => entries,
            _ => &[],
        };
        let is_message = |entry: &Entry| entry.offset == self.at && matches!(entry.event, Event::Message { .. });
        // Entries of earlier records are those of a rebuild.
        self.is_called |= entries.iter().any(is_message);
        match self.guest.answer(call).await? {
            Some(outcome) => self.room.handle(Input::Guest { outcome, fuel: 0 }),
            None => self.room.handle(Input::InstanceLost),
        }
        Ok(())
    }

    fn deliver(&mut self, command: EdgeCommand) {
        match command {
            EdgeCommand::Deliver(deliveries) => {
                for (target, frame) in deliveries.iter() {
                    self.deliver_frame(target.session, target.seq, frame);
                }
            }
            EdgeCommand::Left { session, .. } => {
                self.replay.sessions.entry(session).or_default().removed_at.push(self.at);
            }
            _ => {}
        }
    }

    fn deliver_frame(&mut self, session: SessionId, seq: u64, frame: &RoomFrame) {
        let frames = self.replay.sessions.entry(session).or_default().frames.entry(seq).or_default();
        if frames.iter().any(|known| known.frame == *frame) {
            return; // Sent again, to a member that has resumed.
        }
        if let Some(first) = frames.first() {
            self.replay.violations.push(Violation {
                session: Some(session),
                at: Some(At::Seq(seq)),
                what: format!("first by the record at {}, then by the one at {}", first.offset, self.at),
                ..Violation::of(Rule::NumberTwice, self.id)
            });
        }
        frames.push(Frame { frame: frame.clone(), offset: self.at, taken_back: None });
    }

    /// Outputs for its own channel are the host's task: a fault, an end. Either the log has them, or they have no effect.
    fn append(&mut self, to: RoomId, command: RoomCommand) {
        let own = matches!(command, RoomCommand::Fault { .. } | RoomCommand::Close { .. });
        if !own {
            self.send(OutgoingMessage::Append { to, command });
        }
    }

    fn send(&mut self, message: OutgoingMessage) {
        self.replay.outgoing.push(Outgoing { offset: self.at, message });
    }

    fn snapshot(&mut self, offset: Offset, bytes: Arc<[u8]>) {
        if self.wanted.contains(&offset) {
            self.replay.states.insert(offset, bytes.clone());
        }
        if self.keeps_snapshots {
            self.snapshots.push((offset, bytes));
        }
        if self.guest.retires() {
            self.room.handle(Input::InstanceLost);
        }
    }

    fn after_record(&mut self) {
        if self.replay.created.is_none() && self.room.state().is_some() {
            self.replay.created = Some(self.at);
        }
        // The room waits for a record in its own channel, which may still come.
        self.replay.stuck_at = if self.room.is_idle() { None } else { self.replay.stuck_at.or(Some(self.at)) };
    }

    /// For a message: its session and id, and the highest id of that session that the room has applied.
    fn before_message(&mut self, record: &Record) -> Option<((SessionId, u64), Option<u64>)> {
        let RoomCommand::Message { session, message_id, msg_type, data } = &record.command else { return None };
        // No player has sent it, and it may be there more than once.
        if *message_id == AUTHORS_MESSAGE {
            return None;
        }
        let message = (*session, *message_id);
        let received = self.replay.messages.entry(message);
        let first = || ChannelMessage {
            msg_type: msg_type.clone(),
            data: data.clone(),
            offsets: Vec::new(),
            applied_at: Vec::new(),
        };
        received.or_insert_with(first).offsets.push(self.at);
        Some((message, self.highest(*session)))
    }

    /// A message was applied if the guest was called for it, or if the room answered it itself.
    fn after_message(&mut self, (message, before): ((SessionId, u64), Option<u64>)) {
        let (session, id) = message;
        let moved = self.highest(session) == Some(id) && before.is_some_and(|before| before < id);
        if self.is_called || moved {
            self.replay.messages.get_mut(&message).expect("it was just put there").applied_at.push(self.at);
        }
    }

    fn highest(&self, session: SessionId) -> Option<u64> {
        self.room.state()?.members.get(&session).map(|member| member.last_message_id)
    }
}
