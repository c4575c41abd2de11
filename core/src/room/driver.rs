//! The control flow of the machine: which record is next, and what follows each handler.
//!
//! Each function here takes the state, or the step that owns it, and returns the next [`Phase`]: there is no way to lose a
//! record that is half applied. Handlers have no access to phases, to the instance or to replays. They return a [`Next`], and
//! [`Room::proceed`] carries that out.

use std::{mem, sync::Arc};

use super::{
    ComponentSpec, Output, Room,
    commands::{self, close, fault, rooms, swap},
    effects,
    io::{Call, Entry, Outcome, SwappedTo},
    lobby_restart,
    phase::{OpenedFor, Phase},
    release_spare,
    resend_buffer::ResendBuffer,
    state::State,
    step::{CallOrigin, Ending, Next, Step},
};
use crate::{
    command::{EdgeCommand, Fault, LeaveReason, Record, RoomCommand},
    effect::{Effect, Event, RestoreReason},
    ids::{Digest, Offset, Seed, SessionId},
};

/// Fuel that a client's record gets in addition for each byte of the last saved state: a script that reads its state parses and
/// prints all of it, even for a small message. Without this allowance a growing room would reach a size at which it refuses
/// every message.
pub const STATE_FUEL: u64 = 300;

impl Room {
    pub(super) fn on_record(&mut self, offset: Offset, record: Record) {
        let newest = self.inbox.back().map(|(offset, _)| *offset).max(self.history.applied_through());
        if newest.is_some_and(|newest| offset <= newest) {
            return;
        }
        if let RoomCommand::Fault { at, fault } = &record.command {
            self.on_fault_decided(at.offset, fault.clone());
        }
        let closes = matches!(record.command, RoomCommand::Close { .. });
        self.inbox.push_back((offset, record));
        self.phase = match mem::take(&mut self.phase) {
            Phase::AwaitingClose(state) if closes => self.skip_to_close(state),
            phase => phase,
        };
    }

    pub(super) fn on_guest(&mut self, outcome: Outcome, fuel: u64) {
        self.history.add_fuel(fuel);
        match &outcome {
            Outcome::Called(Ok(_)) => self.batch.burnt(fuel, 1),
            Outcome::CalledAll(results) if !results.is_empty() => self.batch.burnt(fuel, results.len()),
            _ => {}
        }
        self.wants_snapshot |= self.history.is_expensive();
        let phase = mem::take(&mut self.phase);
        self.phase = self.on_outcome(phase, outcome);
    }

    /// Applies records until the machine has to wait.
    pub(super) fn advance(&mut self) {
        while self.phase.is_ready() {
            if self.batch.is_wrong(self.inbox.front().map(|(offset, _)| *offset)) {
                self.phase = self.rebuild_alone();
            }
            let phase = match mem::take(&mut self.phase) {
                Phase::Idle(state) if self.is_save_due(&state) => self.save(state),
                phase => match self.inbox.pop_front() {
                    Some((offset, record)) => self.apply(phase, offset, record),
                    None => {
                        self.phase = phase;
                        release_spare(&mut self.inbox);
                        self.request_kicks();
                        return self.perform_requests();
                    }
                },
            };
            self.phase = phase;
        }
    }

    /// Between batches only: the guest is ahead of the room within one.
    fn is_save_due(&self, state: &State) -> bool {
        self.wants_snapshot && self.batch.is_empty() && self.history.is_new_base(state.offset)
    }

    fn apply(&mut self, phase: Phase, offset: Offset, record: Record) -> Phase {
        let phase = match phase {
            Phase::Idle(state) if offset <= state.offset => return Phase::Idle(state),
            Phase::Idle(state) => self.apply_to(state, offset, record),
            Phase::Absent => self.create_or_refuse(offset, record),
            phase => {
                self.refuse(offset, record.command, "the room has ended", LeaveReason::Ended);
                phase
            }
        };
        self.wants_snapshot |= self.history.is_long();
        phase
    }

    /// Applies a record to a room that exists.
    fn apply_to(&mut self, mut state: Box<State>, offset: Offset, record: Record) -> Phase {
        self.history.begin(offset);
        self.history.push(offset, &record);
        state.keep_for_probation(offset, &record);
        state.clock = state.clock.max(record.time);
        if !self.history.is_replay(offset) {
            let fails = self.history.failure_of(offset).is_some();
            self.charges.begin(offset, &record.command, &state, fails);
        }
        let seed = self.batch.seed_of(offset).unwrap_or_else(|| Seed::of(self.id, state.secret, offset));
        let mut step = Step::new(self.id, state, offset, seed, record.command.client());
        let next = commands::apply(&mut step, record.command);
        self.proceed(step, next)
    }

    fn create_or_refuse(&mut self, offset: Offset, record: Record) -> Phase {
        let RoomCommand::Create { kind, component, options, creator, secret, allowance } = record.command.clone()
        else {
            self.refuse(offset, record.command, "there is no such room", LeaveReason::Left);
            return Phase::Absent;
        };
        self.history.begin(offset);
        let state = State::new(kind, component, creator, secret, allowance, record.time, offset);
        self.history.push(offset, &record);
        let seed = Seed::of(self.id, secret, offset);
        let mut step = Step::new(self.id, Box::new(state), offset, seed, None);
        let next = rooms::create(&mut step, options);
        self.proceed(step, next)
    }

    /// Answers a record of a room that does not exist: a join is refused with the reason, and a reconnect is answered with
    /// `Left`.
    fn refuse(&mut self, offset: Offset, command: RoomCommand, reason: &str, left: LeaveReason) {
        self.history.begin(offset);
        let room = self.id;
        let answer = match command {
            RoomCommand::Join(joining) => Some(Output::Edge(joining.edge.clone(), joining.refused(room, reason))),
            RoomCommand::Reconnect { session, edge, request, .. } => {
                Some(Output::Edge(edge, EdgeCommand::Left { session, request, room, reason: left }))
            }
            _ => None,
        };
        self.emit(offset, answer);
    }

    /// Carries out what a handler has returned.
    fn proceed(&mut self, step: Step, next: Next) -> Phase {
        match next {
            Next::Done => self.finish(step),
            Next::Call(event, origin) => self.call(step, event, origin),
            Next::Swap(component) => self.swap(step, component),
            Next::UndoSwap(probation, fault) => self.undo_swap(step, *probation, fault),
            Next::End(ending) => self.end(step, ending),
        }
    }

    /// The record is fully applied, so its outputs may be emitted.
    fn finish(&mut self, step: Step) -> Phase {
        let Step { mut state, offset, out, is_erasure, .. } = step;
        state.offset = offset;
        if is_erasure {
            // The frames of this record may name the player, too.
            state.resend_buffer = ResendBuffer::default();
            self.wants_snapshot = true;
        }
        self.emit(offset, out);
        Phase::Idle(state)
    }

    /// Emits the outputs of a record, unless this is a replay of a record whose outputs were emitted.
    fn emit(&mut self, offset: Offset, outputs: impl IntoIterator<Item = Output>) {
        if self.history.emit(offset) {
            self.outputs.extend(outputs);
        }
    }

    /// Passes `event` to the guest; opens an instance first when there is none. A call that is known to fail is skipped.
    fn call(&mut self, mut step: Step, event: Event, origin: CallOrigin) -> Phase {
        step.origin = origin;
        if let Some(fault) = self.history.failure_of(step.offset) {
            return self.skip_call(step, event.handler(), fault);
        }
        if self.has_instance {
            return self.call_instance(step, event);
        }
        let is_replay = self.history.is_replay(step.offset);
        self.outputs.push_back(Output::Guest(step.open_for(&event, self.restore_reason, is_replay)));
        Phase::Opening(Box::new(step), OpenedFor::Event(event))
    }

    /// Takes the answer that the guest has given within a batch; calls it if there is none.
    fn call_instance(&mut self, step: Step, event: Event) -> Phase {
        if let Some(answer) = self.batch.take(step.offset) {
            return self.on_called(step, answer);
        }
        if !self.batch.is_empty() {
            return self.rebuild_alone();
        }
        let client = step.client.filter(|_| !matches!(step.origin, CallOrigin::Dispose { .. }));
        let (offset, context, fuel) = (step.offset, step.context, self.fuel(&step.state, client, step.offset));
        let repeats = self.history.is_replay(offset);
        self.outputs.push_back(Output::Guest(Call::Handle(Entry { offset, context, event, fuel, repeats })));
        Phase::Calling(Box::new(step))
    }

    /// The fuel of this client's record; `None` for a record that no client has caused, or that may have been applied before. A
    /// room ends only once, so its last call has the room's budget even where a client has caused the end.
    pub(super) fn fuel(&self, state: &State, client: Option<SessionId>, offset: Offset) -> Option<u64> {
        client.filter(|_| !self.history.is_replay(offset))?;
        let size = state.saved.as_ref().map_or(0, |saved| saved.state.len() as u64);
        state.spec.as_ref().map(|spec| spec.fuel_per_message.saturating_add(STATE_FUEL * size))
    }

    /// Applies the record without the call, and requests a snapshot: with a new base, the next failure that a client causes
    /// costs one instance and no replay of the tail.
    pub(super) fn skip_call(&mut self, mut step: Step, handler: Box<str>, fault: Fault) -> Phase {
        let offset = step.offset;
        if !matches!(fault, Fault::Threw(_)) && step.client.is_some() && !self.history.is_replay(offset) {
            self.charges.keep_for_fault(offset);
        }
        self.instance_is_stale |= step.origin.outlives_its_call();
        self.wants_snapshot = true;
        let next = fault::skip_call(&mut step, handler, &fault);
        self.proceed(step, next)
    }

    /// Replaces the component. If there is no instance, one of the old component is opened first. A swap that is known to fail
    /// is refused.
    fn swap(&mut self, mut step: Step, component: Digest) -> Phase {
        if let Some(fault) = self.history.failure_of(step.offset) {
            step.state.skip_in_probation(step.offset, &fault);
            let next = swap::refused(&mut step, component, fault.to_string().into());
            return self.proceed(step, next);
        }
        if self.has_instance {
            return self.swap_instance(step, component);
        }
        self.outputs.push_back(Output::Guest(step.open_to_swap(self.restore_reason)));
        Phase::Opening(Box::new(step), OpenedFor::Swap(component))
    }

    fn swap_instance(&mut self, step: Step, component: Digest) -> Phase {
        let info = Box::new(step.info(Some(RestoreReason::Swapped)));
        let repeats = self.history.is_replay(step.offset);
        self.outputs.push_back(Output::Guest(Call::Swap { component, info, repeats }));
        Phase::Swapping(Box::new(step), component)
    }

    /// Ends the room; the lobby restarts instead.
    fn end(&mut self, mut step: Step, ending: Ending) -> Phase {
        // A record that is replayed may fail where it did not before: after a rollback, or in another heap. Its outputs have
        // left without an end, so the room appends a `Close` and ends at that record.
        if !self.history.end(step.offset) {
            let reason = ending.failed.unwrap_or_else(|| "it has ended in a replay of its records".into());
            return self.give_up(step.state, reason.into());
        }
        close::notify(&mut step, &ending);
        if step.is_lobby() {
            lobby_restart::schedule(&mut step, ending.failed);
            self.drop_instance();
            // With a new base the records that led to the end are never replayed.
            self.wants_snapshot = true;
            return self.finish(step);
        }
        close::report(&mut step, ending);
        self.emit(step.offset, step.out);
        let (outputs, inbox) = (mem::take(&mut self.outputs), mem::take(&mut self.inbox));
        *self = Room { outputs, inbox, history: self.history.of_ended(), ..Room::ended(self.id) };
        Phase::Ended
    }

    /// Continues with the outcome of the guest work that was output.
    fn on_outcome(&mut self, phase: Phase, outcome: Outcome) -> Phase {
        match (phase, outcome) {
            (Phase::Opening(step, purpose), Outcome::Opened(Ok(spec))) => self.on_opened(*step, purpose, spec),
            (Phase::Opening(step, _), Outcome::Opened(Err(fault))) => self.on_unopenable(*step, fault),
            (Phase::Calling(step), Outcome::Called(result)) => self.on_called(*step, result),
            (Phase::Calling(step), Outcome::CalledAll(results)) => self.on_called_all(*step, results),
            (Phase::Swapping(step, component), Outcome::Swapped(result)) => self.on_swapped(*step, component, result),
            (Phase::Swapping(step, _), Outcome::Called(Err(fault))) => self.on_failed(*step, fault),
            (Phase::Saving(state), Outcome::Saved(Ok(saved))) => self.on_saved(state, saved),
            // During a swap this is the old component, which could not save the state to carry over.
            (Phase::Saving(state), Outcome::Saved(Err(fault))) => self.on_unsaved(state, fault),
            (Phase::Swapping(step, _), Outcome::Saved(Err(fault))) => self.on_unsaved(step.state, fault),
            (phase, outcome) => panic!("the shell answered {outcome:?} to {phase:?}"),
        }
    }

    fn on_opened(&mut self, mut step: Step, purpose: OpenedFor, spec: Arc<ComponentSpec>) -> Phase {
        self.has_instance = true;
        match purpose {
            OpenedFor::Event(event) => {
                step.state.spec = Some(spec);
                self.call_instance(step, event)
            }
            OpenedFor::Swap(component) => self.swap_instance(step, component),
        }
    }

    fn on_called(&mut self, mut step: Step, result: Result<Vec<Effect>, Fault>) -> Phase {
        let checked = result.and_then(|effects| effects::check(&step, &effects).map(|()| effects));
        match checked {
            Ok(effects) => {
                let next = effects::carry_out(&mut step, effects);
                self.proceed(step, next)
            }
            Err(fault) => self.on_failed(step, fault),
        }
    }

    /// The first result is that of the record in hand; the others are those of the records that follow.
    fn on_called_all(&mut self, step: Step, results: Vec<Result<Vec<Effect>, Fault>>) -> Phase {
        let mut results = results.into_iter();
        match results.next() {
            Some(first) => {
                self.batch.answer(results);
                self.on_called(step, first)
            }
            None => self.rebuild_alone(),
        }
    }

    fn on_swapped(&mut self, mut step: Step, component: Digest, result: Result<SwappedTo, Box<str>>) -> Phase {
        let next = match result {
            Ok(swapped) => {
                // From here on the state depends on the new component, so it is saved at once.
                self.wants_snapshot = true;
                swap::swapped(&mut step, component, swapped)
            }
            Err(reason) => swap::refused(&mut step, component, reason),
        };
        self.proceed(step, next)
    }
}
