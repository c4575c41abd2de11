//! The records that a room may have to apply again, and what is known about them.
//!
//! The *base* is the last encoded state, the *tail* the records since. Replaying the tail from the base gives the present
//! state. Bounds: the tail by [`TAIL_RECORDS`], [`TAIL_BYTES`] and [`TAIL_FUEL`], at which the machine requests a snapshot; the
//! failures by the tail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{packed::Packed, state::State, tail::Tail};
use crate::{
    command::{Fault, Joining, Record, RoomCommand, RoomData},
    ids::{Offset, RoomId},
};

/// Records since the base at which a room requests a snapshot. A rebuild costs at most this many calls.
pub const TAIL_RECORDS: usize = 128;

/// Bytes of messages since the base at which a room requests a snapshot.
pub const TAIL_BYTES: usize = 32 * 1024;

/// Fuel burnt since the base at which a room requests a snapshot. 128 moves of tic-tac-toe take a twentieth of it. A rebuild
/// costs little more than one record may cost the room, however expensive the earlier messages were.
pub const TAIL_FUEL: u64 = 300_000_000;

#[derive(Debug, Default)]
pub(super) struct History {
    /// `None` before the first snapshot: then the tail begins with `Create`.
    base: Option<Base>,
    tail: Tail,
    tail_bytes: usize,
    tail_fuel: u64,
    /// Records to skip, by offset: the log has a `Fault` for each.
    skips: BTreeMap<Offset, Fault>,
    /// Records whose hook threw, by offset, so that a replay need not call it again.
    thrown: BTreeMap<Offset, Box<str>>,
    /// Outputs of records up to this offset have been emitted.
    emitted_through: Option<Offset>,
    /// The highest record whose application was ever begun. Records up to it are a replay.
    applied_through: Option<Offset>,
    /// Records at which the lobby has ended, and whose outputs contain that end.
    ends: BTreeSet<Offset>,
    /// Records up to this offset were in the log before this machine was created: another machine may have applied them.
    inherited_through: Option<Offset>,
}

/// The length of a tail, in records and in bytes of messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    records: usize,
    bytes: usize,
}

impl Growth {
    /// With one more record.
    pub fn add(&mut self, command: &RoomCommand) {
        self.records += 1;
        self.bytes += command.size();
    }

    pub fn is_long(&self) -> bool {
        self.records >= TAIL_RECORDS || self.bytes >= TAIL_BYTES
    }
}

/// The state that a rebuild returns to, encoded.
#[derive(Debug)]
struct Base {
    offset: Offset,
    state: Packed,
}

impl History {
    /// The history of a room that is restored from a snapshot.
    pub fn from(offset: Offset, snapshot: &[u8]) -> History {
        let base = Some(Base { offset, state: Packed::of(snapshot) });
        let through = Some(offset);
        History { base, emitted_through: through, applied_through: through, ..History::default() }
    }

    /// The part of the history that a room keeps after its end.
    pub fn of_ended(&self) -> History {
        let History { emitted_through, applied_through, .. } = *self;
        History { emitted_through, applied_through, ..History::default() }
    }

    pub fn inherit(&mut self, offset: Offset) {
        self.inherited_through = self.inherited_through.max(Some(offset));
    }

    pub fn applied_through(&self) -> Option<Offset> {
        self.applied_through
    }

    /// The application of this record begins.
    pub fn begin(&mut self, offset: Offset) {
        self.applied_through = self.applied_through.max(Some(offset));
    }

    /// Keeps the record for a replay.
    pub fn push(&mut self, offset: Offset, record: &Record) {
        self.tail_bytes += record.command.size();
        self.tail.push(offset, record);
    }

    pub fn add_fuel(&mut self, fuel: u64) {
        self.tail_fuel = self.tail_fuel.saturating_add(fuel);
    }

    /// Whether a replay of the tail is so long or large that a snapshot is due.
    pub fn is_long(&self) -> bool {
        self.growth().is_long()
    }

    /// How far the tail has grown.
    pub fn growth(&self) -> Growth {
        Growth { records: self.tail.len(), bytes: self.tail_bytes }
    }

    pub fn is_expensive(&self) -> bool {
        self.tail_fuel >= TAIL_FUEL
    }

    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Whether a state at this offset contains all records of the tail, and the tail has any, so that the state can become the
    /// base.
    pub fn is_new_base(&self, offset: Offset) -> bool {
        Some(offset) >= self.applied_through && !self.tail.is_empty()
    }

    /// Whether the outputs of this record have been emitted.
    pub fn is_emitted(&self, offset: Offset) -> bool {
        Some(offset) <= self.emitted_through
    }

    /// Marks the outputs of this record as emitted. Returns whether they were not emitted before.
    pub fn emit(&mut self, offset: Offset) -> bool {
        let is_new = !self.is_emitted(offset);
        self.emitted_through = self.emitted_through.max(Some(offset));
        is_new
    }

    /// Whether the record may have been applied before, by this machine or by another.
    pub fn is_replay(&self, offset: Offset) -> bool {
        Some(offset) <= self.emitted_through.max(self.inherited_through)
    }

    /// How the guest is known to fail on this record.
    pub fn failure_of(&self, offset: Offset) -> Option<Fault> {
        let thrown = self.thrown.get(&offset).map(|text| Fault::Threw(text.clone()));
        thrown.or_else(|| self.skips.get(&offset).cloned())
    }

    /// The hook threw on this record.
    pub fn add_throw(&mut self, offset: Offset, text: Box<str>) {
        self.thrown.insert(offset, text);
    }

    /// The log has this fault for the record. Returns whether the record has been applied without the fault.
    pub fn add_skip(&mut self, offset: Offset, fault: Fault) -> bool {
        let in_base = self.base.as_ref().is_some_and(|base| offset <= base.offset);
        if in_base || self.skips.contains_key(&offset) {
            return false;
        }
        self.skips.insert(offset, fault);
        self.tail.contains(offset)
    }

    /// Makes a state the base, and clears the tail.
    pub fn rebase(&mut self, state: &State) -> Arc<[u8]> {
        let bytes: Arc<[u8]> = state.encode().into();
        self.base = Some(Base { offset: state.offset, state: Packed::of(&bytes) });
        self.take_tail();
        self.skips.retain(|at, _| *at > state.offset);
        self.thrown.retain(|at, _| *at > state.offset);
        self.ends.retain(|at| *at > state.offset);
        bytes
    }

    /// Replaces the base and the tail by an earlier base, the records since, and those of them to skip. The record at `again`
    /// is applied once more, and its outputs are emitted again.
    pub fn replace(
        &mut self,
        base: &State,
        records: &[(Offset, Record)],
        mut skips: BTreeMap<Offset, Fault>,
        again: Offset,
    ) {
        self.base = Some(Base { offset: base.offset, state: Packed::of(&base.encode()) });
        self.skips.append(&mut skips);
        self.tail = Tail::default();
        records.iter().for_each(|(offset, record)| self.tail.push(*offset, record));
        self.emitted_through = again.checked_sub(1).max(self.emitted_through);
    }

    /// The room ends at this record. Returns whether the end can be emitted: it was emitted already, or no output of the record
    /// was.
    pub fn end(&mut self, offset: Offset) -> bool {
        let is_reported = self.ends.contains(&offset) || !self.is_emitted(offset);
        if is_reported {
            self.ends.insert(offset);
        }
        is_reported
    }

    /// The state of the base, and the records of the room to apply to it.
    pub fn rewind(&mut self, room: RoomId) -> (Option<State>, Vec<(Offset, Record)>) {
        let state = self.base.as_ref().map(|base| State::decode_own(&base.state.unpacked()));
        (state, self.take_tail().records(room))
    }

    fn take_tail(&mut self) -> Tail {
        (self.tail_bytes, self.tail_fuel) = (0, 0);
        std::mem::take(&mut self.tail)
    }
}

impl RoomCommand {
    /// Roughly the memory that the command takes beyond its own size, in bytes.
    fn size(&self) -> usize {
        match self {
            RoomCommand::Create { options, .. } | RoomCommand::Join(Joining { options, .. }) => options.len(),
            RoomCommand::Message { data, .. } => data.len(),
            RoomCommand::RoomMessage { data: RoomData::Message(data), .. } => data.len(),
            _ => 0,
        }
    }
}
