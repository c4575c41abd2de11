//! The replay of one room from its channel: the reference.
//!
//! **What the log takes back.** A `Fault` record at `F` voids the record at `O`, before it. A host that had not read `F` may
//! nevertheless have applied `O` (it had an older instance, and a fault is not always the script's), and may have sent the
//! frames of `O` and of the records up to `F`. So one channel has several *timelines*, one for each number of faults that a
//! host may have read: timeline `k` skips the records that the first `k` faults void, and ends at the next fault. The last
//! timeline, with all faults, is the valid one. A frame that is only in an earlier timeline is *taken back*: a client may have
//! received it, since no host could have prevented that, but only
//! - under a number below that of the whole view which `F` sends to that member: the room jumps far for just that reason, so no
//!   number denotes two frames on both sides of `F`, which is checked;
//! - until that view: numbers rise for each receiver, so no frame that was taken back can come after it.
//!
//! A rolled-back swap needs no timeline of its own: its `Fault` rolls it back, at that offset in every replay, and all hosts
//! that had read as far have sent the same frames until then.
//!
//! The machine receives all faults before the first record, just as a host passes it those that it finds in the tail of the
//! log.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chorus_core::{
    command::{EdgeCommand, Fault, OutputRef, Record, RoomCommand},
    effect::{Event, RestoreReason},
    frame::RoomFrame,
    ids::{Kind, Offset, RoomId, Secret, Seed, SessionId},
    json::Json,
    room::{Call, Input, Output, Room},
};

use chorus_store::SnapshotRow;

use super::{
    Guest, Unplayable,
    channels::Channel,
    report::{At, Rule, Violation},
};

/// The start of a replay.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// An empty room: the channel has all its records.
    Nothing,
    /// This snapshot, which includes the records that were truncated.
    Snapshot { offset: Offset, bytes: Arc<[u8]> },
    /// The room had ended before the first record.
    Ended,
}

/// The effects of a room's channel.
#[derive(Debug, Default)]
pub struct Replay {
    /// The last record that could not be replayed.
    pub after: Option<Offset>,
    /// Frames up to this number may have been sent to any session before the replay.
    pub before: u64,
    pub shown: HashMap<SessionId, Shown>,
    /// Messages in the channel, by their sessions and ids.
    pub messages: HashMap<(SessionId, u64), Received>,
    /// Its outputs for other rooms' channels.
    pub said: Vec<Said>,
    /// Its states after the requested records.
    pub states: BTreeMap<Offset, Arc<[u8]>>,
    pub created: Option<Offset>,
    pub ended: Option<Offset>,
    /// Its script failed at this record, and no later record has the result: no host has applied any record after this one.
    pub stuck: Option<Offset>,
    /// Guarantees that the machine itself has broken.
    pub violations: Vec<Violation>,
}

/// The frames for one session.
#[derive(Debug, Default)]
pub struct Shown {
    /// Frames up to this number were sent to it before the replay began.
    pub before: u64,
    /// By number. Several, where the log has taken some back.
    pub frames: BTreeMap<u64, Vec<Frame>>,
    /// Records at which the room removed the session.
    pub out: Vec<Offset>,
}

/// A frame, the first record that caused it, and the `Fault` that took it back.
#[derive(Clone, Debug)]
pub struct Frame {
    pub frame: RoomFrame,
    pub offset: Offset,
    pub taken_back: Option<Offset>,
}

/// One message in the channel.
#[derive(Debug)]
pub struct Received {
    pub kind: Arc<str>,
    pub data: Json,
    /// Its records.
    pub at: Vec<Offset>,
    /// Those of them that the room applied.
    pub applied: Vec<Offset>,
}

/// An output of a record for another room's channel.
#[derive(Clone, Debug)]
pub struct Said {
    pub offset: Offset,
    pub what: Saying,
}

#[derive(Clone, Debug)]
pub enum Saying {
    Tell { to: RoomId, command: RoomCommand },
    Create { room: RoomId, kind: Kind, options: Json, source: OutputRef, secret: Secret, allowance: u32 },
}

impl Beginning {
    /// `None`: there is no start. `whole`: the partition was never truncated. `has_ended`: in the store.
    pub fn of(channel: &Channel, whole: bool, has_ended: bool, snapshot: Option<&SnapshotRow>) -> Option<Beginning> {
        let creates = |(_, record): &(Offset, Record)| matches!(record.command, RoomCommand::Create { .. });
        if whole || channel.records.first().is_some_and(creates) {
            return Some(Beginning::Nothing);
        }
        if has_ended {
            return Some(Beginning::Ended);
        }
        let snapshot = snapshot?;
        Some(Beginning::Snapshot { offset: snapshot.offset, bytes: Arc::from(&*snapshot.state) })
    }

    fn room(&self, id: RoomId) -> Result<Room, Unplayable> {
        match self {
            Beginning::Nothing => Ok(Room::new(id)),
            Beginning::Ended => Ok(Room::ended(id)),
            Beginning::Snapshot { bytes, .. } => {
                Room::restore(id, bytes, RestoreReason::Recovered).map_err(|error| Unplayable(error.to_string()))
            }
        }
    }

    fn offset(&self) -> Option<Offset> {
        match self {
            Beginning::Snapshot { offset, .. } => Some(*offset),
            Beginning::Nothing | Beginning::Ended => None,
        }
    }
}

/// A record that a `Fault` voids.
#[derive(Clone, Debug)]
struct Skip {
    of: Offset,
    fault: Fault,
    /// The offset of the `Fault`.
    said: Offset,
}

/// Replays all of a room's records. `wanted`: the records after which the state is kept.
pub async fn replay<G: Guest>(
    id: RoomId,
    beginning: &Beginning,
    records: &[(Offset, Record)],
    wanted: &BTreeSet<Offset>,
    guest: &mut G,
) -> Result<Replay, Unplayable> {
    let skips = skips(records);
    let mut pass = Pass::new(id, beginning, guest, &skips)?;
    pass.wanted = wanted.clone();
    pass.keeps_snapshots = !skips.is_empty();
    pass.play(records).await?;
    let Pass { mut replay, snapshots, .. } = pass;
    for known in 0..skips.len() {
        let (known, unknown) = skips.split_at(known);
        let until = unknown[0].said;
        let from = unknown.iter().map(|skip| skip.of).min().expect("there is one at least");
        let base = snapshots.iter().rev().find(|(offset, _)| *offset < from);
        let base = base.map(|(offset, bytes)| Beginning::Snapshot { offset: *offset, bytes: bytes.clone() });
        let mut pass = Pass::new(id, base.as_ref().unwrap_or(beginning), guest, known)?;
        pass.play(&records[..records.partition_point(|(offset, _)| *offset < until)]).await?;
        let earlier = pass.replay;
        replay.add_taken_back(id, earlier, until);
    }
    Ok(replay)
}

/// In the order of the faults; if several void one record, the first of them.
fn skips(records: &[(Offset, Record)]) -> Vec<Skip> {
    let mut seen = HashSet::new();
    let mut skips = Vec::new();
    for (said, record) in records {
        if let RoomCommand::Fault { at, fault } = &record.command
            && at.offset < *said
            && seen.insert(at.offset)
        {
            skips.push(Skip { of: at.offset, fault: fault.clone(), said: *said });
        }
    }
    skips
}

/// One pass through the records.
struct Pass<'a, G> {
    id: RoomId,
    room: Room,
    guest: &'a mut G,
    replay: Replay,
    wanted: BTreeSet<Offset>,
    keeps_snapshots: bool,
    snapshots: Vec<(Offset, Arc<[u8]>)>,
    /// The current record.
    at: Offset,
    /// Whether the guest was called for the current record's message.
    asked: bool,
}

impl<'a, G: Guest> Pass<'a, G> {
    fn new(id: RoomId, beginning: &Beginning, guest: &'a mut G, skips: &[Skip]) -> Result<Self, Unplayable> {
        let mut room = beginning.room(id)?;
        // All records were applied before. The log has the calls that exhausted a budget.
        room.handle(Input::Inherited(Offset::MAX));
        for skip in skips {
            room.handle(Input::FaultDecided { offset: skip.of, fault: skip.fault.clone() });
        }
        let mut replay = Replay { after: beginning.offset(), ..Replay::default() };
        if let Some(state) = room.state() {
            replay.created = Some(0);
            replay.before = state.high_seq.max(state.seq_floor);
            for (session, member) in &state.members {
                replay.shown.entry(*session).or_default().before = member.out_seq;
            }
        } else if room.has_ended() {
            replay.before = u64::MAX;
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
            asked: false,
        })
    }

    async fn play(&mut self, records: &[(Offset, Record)]) -> Result<(), Unplayable> {
        for (offset, record) in records {
            if self.replay.after.is_some_and(|after| *offset <= after) {
                continue;
            }
            self.at = *offset;
            self.asked = false;
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
                Output::Edge(_, command) => self.show(command),
                Output::Append(to, command) => self.append(to, command),
                Output::Create { id: room, kind, options, source, secret, allowance } => {
                    self.say(Saying::Create { room, kind, options, source, secret, allowance });
                }
                Output::Snapshot { offset, bytes } => self.snapshot(offset, bytes),
                Output::Ended { .. } => self.replay.ended = Some(self.at),
                Output::Log { .. } | Output::Notice(_) | Output::Kick { .. } => {}
            }
        }
        Ok(())
    }

    async fn call(&mut self, call: Call) -> Result<(), Unplayable> {
        if let Call::Handle { at, event: Event::Message { .. }, .. } = &call
            && let Some(state) = self.room.state()
        {
            // A call of an earlier record, in a rebuild, has another seed.
            self.asked |= at.seed == Seed::of(self.id, state.secret, self.at);
        }
        match self.guest.answer(call).await? {
            Some(outcome) => self.room.handle(Input::Guest { outcome, fuel: 0 }),
            None => self.room.handle(Input::InstanceLost),
        }
        Ok(())
    }

    fn show(&mut self, command: EdgeCommand) {
        match command {
            EdgeCommand::Deliver { targets, frame, .. } => {
                for target in targets {
                    self.show_frame(target.session, target.seq, &frame);
                }
            }
            EdgeCommand::Leave { session, .. } => {
                self.replay.shown.entry(session).or_default().out.push(self.at);
            }
            _ => {}
        }
    }

    fn show_frame(&mut self, session: SessionId, seq: u64, frame: &RoomFrame) {
        let frames = self.replay.shown.entry(session).or_default().frames.entry(seq).or_default();
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
            self.say(Saying::Tell { to, command });
        }
    }

    fn say(&mut self, what: Saying) {
        self.replay.said.push(Said { offset: self.at, what });
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
        self.replay.stuck = if self.room.is_idle() { None } else { self.replay.stuck.or(Some(self.at)) };
    }

    /// For a message: its session and id, and the highest id of that session that the room has applied.
    fn before_message(&mut self, record: &Record) -> Option<((SessionId, u64), Option<u64>)> {
        let RoomCommand::Message { session, message_id, kind, data } = &record.command else { return None };
        let message = (*session, *message_id);
        let received = self.replay.messages.entry(message);
        let first = || Received { kind: kind.clone(), data: data.clone(), at: Vec::new(), applied: Vec::new() };
        received.or_insert_with(first).at.push(self.at);
        Some((message, self.highest(*session)))
    }

    /// A message was applied if the guest was called for it, or if the room answered it itself.
    fn after_message(&mut self, (message, before): ((SessionId, u64), Option<u64>)) {
        let (session, id) = message;
        let moved = self.highest(session) == Some(id) && before.is_some_and(|before| before < id);
        if self.asked || moved {
            self.replay.messages.get_mut(&message).expect("it was just put there").applied.push(self.at);
        }
    }

    fn highest(&self, session: SessionId) -> Option<u64> {
        self.room.state()?.members.get(&session).map(|member| member.last_message_id)
    }
}

impl Replay {
    /// Adds the frames of an earlier timeline, which was valid until the `Fault` at `until`.
    fn add_taken_back(&mut self, id: RoomId, earlier: Replay, until: Offset) {
        for (session, shown) in earlier.shown {
            let ours = self.shown.entry(session).or_default();
            ours.out.extend(shown.out);
            for (seq, frames) in shown.frames {
                let known = ours.frames.entry(seq).or_default();
                for Frame { frame, offset, .. } in frames {
                    if known.iter().any(|known| known.frame == frame) {
                        continue;
                    }
                    if let Some(again) = known.iter().find(|known| known.taken_back.is_none() && known.offset >= until)
                    {
                        self.violations.push(Violation {
                            session: Some(session),
                            at: Some(At::Seq(seq)),
                            what: format!("the record at {} uses it again, and what it stood for was taken back before, at {until}", again.offset),
                            ..Violation::of(Rule::NumberTwice, id)
                        });
                    }
                    known.push(Frame { frame, offset, taken_back: Some(until) });
                }
            }
        }
        // Its outputs for other rooms may have been delivered.
        self.said.extend(earlier.said.into_iter().map(|said| Said { offset: Offset::MAX, ..said }));
        self.violations.extend(earlier.violations);
    }
}
