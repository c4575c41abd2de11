//! Batches: records that wait for the room, handed to the guest in one call.
//!
//! A call has a price beside that of its script. So with the record in hand the machine hands over the messages that wait
//! behind it. It then applies them one after the other, as always, and where it would call the guest for one of them it takes
//! the answer that it has already.
//!
//! What a record does depends on the answers before it, so a batch is a prediction: a message of a member is handed to the
//! guest unless an earlier answer ends the room, kicks the sender or fails. Whether the prediction was right shows when the
//! record is applied. If it was wrong, the guest is ahead of the room: the machine drops the instance and rebuilds it, as after
//! a lost instance. It does the same when a call has failed as a whole, by a trap or by the clock, which name no record. Either
//! way the records that follow are handed over alone, so a wrong prediction costs time and changes nothing: with and without
//! batches the same records lead to the same state and the same outputs.
//!
//! A snapshot is taken between batches: a batch ends where one is due. One that is due by fuel alone may come up to
//! [`BATCH_RECORDS`] records later.
//!
//! Bounds: [`BATCH_RECORDS`], [`BATCH_BYTES`], and [`BATCH_FUEL`], which a call of several records is expected to need at
//! most; each record has the limit that it has alone. After a wrong prediction, [`ALONE_RECORDS`] records are handed over alone:
//! a guest that provokes one has its tail replayed once for twice as many records.

use std::collections::VecDeque;

use super::{
    Room,
    history::Growth,
    io::{Call, Entry},
    phase::Phase,
    state::State,
    step::{CallOrigin, Step},
};
use crate::{
    command::{Fault, Joining, Record, RoomCommand},
    effect::{CallContext, Effect, Event},
    ids::{Offset, Seed, SessionId, Time},
};

/// The most records that are handed over in one call.
pub const BATCH_RECORDS: usize = 32;

/// The most bytes of messages that are handed over in one call, unless one message has more.
pub const BATCH_BYTES: usize = 16 * 1024;

/// The fuel that a call of several records is expected to burn at most, by those before: 0.2 ms at the usual rate. So those that are
/// expensive are handed over alone, and the first answer of a call waits little for the others.
pub const BATCH_FUEL: u64 = 2_000_000;

/// Records that are handed over alone after a wrong prediction: twice the longest tail.
pub const ALONE_RECORDS: u32 = 2 * super::TAIL_RECORDS as u32;

/// The records after the one in hand that the guest was given with it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order of the inbox, whose first records they are.
    ahead: VecDeque<Ahead>,
    pace: Pace,
}

#[derive(Debug)]
struct Ahead {
    offset: Offset,
    seed: Seed,
    /// `None` until the call has returned.
    answer: Option<Answer>,
}

type Answer = Result<Vec<Effect>, Fault>;

impl Batch {
    pub fn clear(&mut self) {
        self.ahead = VecDeque::new();
    }

    pub fn is_empty(&self) -> bool {
        self.ahead.is_empty()
    }

    /// The seed of this record, if it was made for the batch.
    pub fn seed_of(&self, offset: Offset) -> Option<Seed> {
        self.ahead.front().filter(|ahead| ahead.offset == offset).map(|ahead| ahead.seed)
    }

    /// The guest's answer to this record.
    pub fn take(&mut self, offset: Offset) -> Option<Answer> {
        self.ahead.pop_front_if(|ahead| ahead.offset == offset)?.answer
    }

    /// Whether the guest has an event that the room did not call it with: the next record is not the next of the batch.
    pub fn is_wrong(&self, next: Option<Offset>) -> bool {
        self.ahead.front().is_some_and(|ahead| Some(ahead.offset) != next)
    }

    /// The call has returned with these answers to the records after the first.
    pub fn answer(&mut self, answers: impl Iterator<Item = Answer>) {
        let mut answers = answers.fuse();
        self.ahead.iter_mut().for_each(|ahead| ahead.answer = answers.next());
        self.ahead.retain(|ahead| ahead.answer.is_some());
        assert!(answers.next().is_none(), "the shell has more answers than the call has records");
    }

    /// A call for so many records has burnt this much.
    pub fn burnt(&mut self, fuel: u64, records: usize) {
        self.pace.burnt(fuel, records);
    }

    /// A prediction was wrong, or a call has failed as a whole.
    pub fn fail(&mut self) {
        self.pace = Pace { alone: ALONE_RECORDS, ..Pace::default() };
    }

    /// Hands over no two records together.
    #[cfg(test)]
    pub fn disable(&mut self) {
        self.pace.alone = u32::MAX;
    }
}

/// How many records are handed over together: twice as many as the last time, within what they are expected to burn.
#[derive(Debug)]
struct Pace {
    records: usize,
    /// What a record is expected to burn: by the dearest of the last calls, of which each counts for a quarter less than the next.
    fuel: u64,
    /// Records that are still to be handed over alone.
    alone: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { records: 1, fuel: 0, alone: 0 }
    }
}

impl Pace {
    fn burnt(&mut self, fuel: u64, records: usize) {
        self.alone = self.alone.saturating_sub(u32::try_from(records).unwrap_or(u32::MAX));
        self.fuel = (fuel / records as u64).max(self.fuel - self.fuel / 4).max(1);
        let within = usize::try_from(BATCH_FUEL / self.fuel).unwrap_or(BATCH_RECORDS);
        self.records = (2 * self.records).min(within).clamp(1, BATCH_RECORDS);
    }

    /// How many records may be handed over with the one in hand.
    fn others(&self) -> usize {
        if self.alone > 0 { 0 } else { self.records - 1 }
    }
}

impl Room {
    /// The call for the record in hand, together with those of the waiting records that are handed over with it. Called when the
    /// shell takes the call, so that no record that it has handed over by then has to wait for another call.
    pub(super) fn call_with_waiting(&mut self, first: Entry) -> Call {
        let others = self.predict();
        if others.is_empty() {
            return Call::Handle(first);
        }
        let ahead = others.iter().map(|entry| Ahead { offset: entry.offset, seed: entry.context.seed, answer: None });
        self.batch.ahead = ahead.collect();
        Call::HandleAll(std::iter::once(first).chain(others).collect())
    }

    /// The entries of the records that are expected to lead to a call with any answers before them, up to the first that may
    /// not.
    fn predict(&self) -> Vec<Entry> {
        let Phase::Calling(step) = &self.phase else { return Vec::new() };
        if !may_lead(step) {
            return Vec::new();
        }
        let mut prediction = Prediction::new(self, step);
        let waiting = self.inbox.iter().take(self.batch.pace.others());
        waiting.map_while(|(offset, record)| prediction.entry(*offset, record)).collect()
    }
}

/// Whether the room's part of this record is done but for the effects of the call, and the call is not the last one.
fn may_lead(step: &Step) -> bool {
    let replaces = |joining: &Joining| !step.state.replaced_by(&joining.player.id, joining.session).is_empty();
    match &step.origin {
        CallOrigin::Join(joining) => !replaces(joining),
        CallOrigin::Message { .. } => true,
        CallOrigin::Other => step.departing.is_empty(),
        _ => false,
    }
}

/// What is known of the room before the next record of a batch.
struct Prediction<'a> {
    room: &'a Room,
    state: &'a State,
    /// The record before.
    last: Offset,
    clock: Time,
    tail: Growth,
    bytes: usize,
    /// The latest message of each sender in the batch.
    applied: Vec<(SessionId, u64)>,
}

impl<'a> Prediction<'a> {
    fn new(room: &'a Room, step: &'a Step) -> Prediction<'a> {
        let (state, last) = (&*step.state, step.offset);
        Prediction { room, state, last, clock: state.clock, tail: room.history.growth(), bytes: 0, applied: Vec::new() }
    }

    /// The entry of the next record, if that is a message that the guest will get.
    fn entry(&mut self, offset: Offset, record: &Record) -> Option<Entry> {
        let RoomCommand::Message { session, message_id, msg_type, data } = &record.command else { return None };
        self.bytes += data.len();
        let is_given = self.bytes <= BATCH_BYTES
            && !self.is_saved_before()
            && self.room.history.failure_of(offset).is_none()
            && self.is_accepted(*session, *message_id, msg_type);
        if !is_given {
            return None;
        }
        self.last = offset;
        self.clock = self.clock.max(record.time);
        self.tail.add(&record.command);
        let seed = Seed::of(self.room.id, self.state.secret, offset);
        let event = Event::Message { session: *session, msg_type: msg_type.clone(), data: data.clone() };
        let fuel = self.room.fuel(self.state, Some(*session), offset);
        let repeats = self.room.history.is_replay(offset);
        Some(Entry { offset, context: CallContext { now: self.clock, seed }, event, fuel, repeats })
    }

    /// Whether a snapshot is due once the record before is applied.
    fn is_saved_before(&self) -> bool {
        let is_wanted = self.room.wants_snapshot || self.tail.is_long();
        is_wanted && self.room.history.is_new_base(self.last)
    }

    /// As in `commands::message`.
    fn is_accepted(&mut self, session: SessionId, message_id: u64, msg_type: &str) -> bool {
        let Some(member) = self.state.members.get(&session) else { return false };
        let known = self.state.spec.as_ref().is_none_or(|spec| spec.messages.contains(msg_type));
        let applied = self.applied.iter_mut().find(|(sender, _)| *sender == session);
        let last = applied.as_ref().map_or(member.last_message_id, |(_, last)| *last);
        if !known || message_id <= last || self.state.kicks.contains_key(&session) {
            return false;
        }
        match applied {
            Some((_, last)) => *last = message_id,
            None => self.applied.push((session, message_id)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_grows_within_what_its_records_are_expected_to_burn() {
        let mut pace = Pace::default();
        let mut sizes = vec![];
        for _ in 0..7 {
            sizes.push(pace.others() + 1);
            pace.burnt(8_000 * sizes[sizes.len() - 1] as u64, sizes[sizes.len() - 1]);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 32]);
        pace.burnt(500_000, 1);
        assert_eq!(pace.others(), 3, "four of the dear ones");
        pace.burnt(BATCH_FUEL, 1);
        assert_eq!(pace.others(), 0);
        for _ in 0..20 {
            pace.burnt(8_000, 1);
        }
        assert!(pace.others() > 1, "a dear record is not held against the room for ever");
    }

    #[test]
    fn after_a_failure_records_are_handed_over_alone() {
        let mut batch = Batch::default();
        (0..10).for_each(|_| batch.burnt(1, 1));
        assert_eq!(batch.pace.others(), BATCH_RECORDS - 1);
        batch.fail();
        for _ in 0..ALONE_RECORDS {
            assert_eq!(batch.pace.others(), 0);
            batch.burnt(1, 1);
        }
        assert!(batch.pace.others() > 0);
    }
}
