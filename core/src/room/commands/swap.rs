//! Swaps: the change of a room to another component, the probation after it, and undoing it.
//!
//! The probation ends after [`PROBATION_RECORDS`] records or [`PROBATION_MS`] milliseconds. Until then the state contains what
//! undoing the swap needs: the state before, the records since, and those of them that were skipped. A fault of a record in
//! that time undoes the swap: the room returns to the old component and replays those records with outputs suppressed.

use std::collections::BTreeMap;

use crate::{
    command::{Fault, Record, RoomCommand},
    effect::Effect,
    ids::{Digest, Offset},
    json::Json,
    room::{
        effects,
        frames::RESYNC_JUMP,
        io::{Notice, SwappedTo},
        state::{Audience, Probation, State},
        step::{Next, Step},
    },
};

/// Records after a swap during which a fault undoes the swap. The room's state keeps them until the probation ends.
pub const PROBATION_RECORDS: usize = 64;

/// How long after a swap a fault undoes it, in milliseconds.
pub const PROBATION_MS: u64 = 60_000;

pub(super) fn swap(step: &mut Step, component: Digest) -> Next {
    if step.state.component == component { Next::Done } else { Next::Swap(component) }
}

/// The new component could not be opened with the state. The instance is still one of the old component.
pub(in crate::room) fn refused(step: &mut Step, component: Digest, reason: Box<str>) -> Next {
    step.notice(Notice::SwapRefused { component, reason });
    Next::Done
}

/// The instance is one of the new component.
pub(in crate::room) fn swapped(step: &mut Step, component: Digest, swapped: SwappedTo) -> Next {
    let state = &mut *step.state;
    state.saved = Some(swapped.before);
    state.probation = None;
    state.probation = Some(Box::new(Probation {
        before: state.encode(),
        swap: step.offset,
        records: Vec::new(),
        skips: BTreeMap::new(),
        until: state.clock.plus(PROBATION_MS),
        exhausted: None,
    }));
    state.component = component;
    state.spec = Some(swapped.spec);
    state.faults = 0;
    step.notice(Notice::Swapped { component });
    if swapped.effects.iter().any(|effect| matches!(effect, Effect::View { .. })) {
        drop_own_views(step);
    }
    effects::carry_out(step, swapped.effects)
}

/// Drops members' own views: the old component gave each member its own view, the new one gives all members the same.
fn drop_own_views(step: &mut Step) {
    let state = &mut *step.state;
    let shared = state.view.clone().unwrap_or_else(Json::null);
    let own = state.members.iter_mut().filter_map(|(session, member)| Some((*session, member.view.take()?)));
    for (session, view) in own.collect::<Vec<_>>() {
        let frame = step.patch(view, shared.clone());
        step.deliver(frame, Audience::One(session));
    }
}

impl State {
    /// Keeps a record of the probation, or ends the probation.
    pub(in crate::room) fn keep_for_probation(&mut self, offset: Offset, record: &Record) {
        let Some(probation) = &mut self.probation else { return };
        let is_over = record.time >= probation.until || probation.records.len() >= PROBATION_RECORDS;
        if is_over && !matches!(record.command, RoomCommand::Fault { .. }) {
            self.probation = None;
        } else {
            probation.records.push((offset, record.clone()));
        }
    }

    /// The record was skipped by a fault, and answered with an error: if the swap is undone, it is skipped again.
    pub(in crate::room) fn skip_in_probation(&mut self, offset: Offset, fault: &Fault) {
        if let Some(probation) = &mut self.probation {
            probation.skips.insert(offset, fault.clone());
        }
    }
}

impl Probation {
    /// Whether this fault undoes the swap. One client that exhausts its budget does not undo the swap, since a client can
    /// exhaust the budget of any component. A second client does.
    pub(super) fn is_ended_by(&mut self, offset: Offset, fault: &Fault) -> bool {
        if offset <= self.swap {
            return false;
        }
        let record = self.records.iter().find(|(at, _)| *at == offset);
        // Another swap that has failed is no failure of the present component.
        if record.is_some_and(|(_, record)| matches!(record.command, RoomCommand::Swap { .. })) {
            return false;
        }
        let client = record.and_then(|(_, record)| record.command.client()).filter(|_| fault.is_exhaustion());
        match (client, self.exhausted) {
            (None, _) => true,
            (Some(client), Some(first)) => client != first,
            (Some(client), None) => {
                self.exhausted = Some(client);
                false
            }
        }
    }
}

/// What a room returns to when its swap is undone.
pub(in crate::room) struct Undone {
    /// The state before the swap.
    pub state: State,
    pub records: Vec<(Offset, Record)>,
    pub skips: BTreeMap<Offset, Fault>,
}

/// Rolls back to the old component. The probation's records are replayed, with outputs suppressed; then the current record is
/// applied again, and since the probation is over, it resyncs every member's view. The numbers of later frames are above those
/// that the new component has used.
pub(in crate::room) fn undo(step: &mut Step, probation: Probation, fault: Fault) -> Undone {
    let new = &step.state;
    let used = new.members.values().map(|member| member.out_seq).max().unwrap_or(0).max(new.high_seq);
    let seq_floor = used.max(new.seq_floor) + RESYNC_JUMP;
    step.notice(Notice::SwapUndone { component: step.state.component, fault });
    let Probation { before, records, skips, .. } = probation;
    let state = State { seq_floor, ..State::decode_own(&before) };
    Undone { state, records, skips }
}
