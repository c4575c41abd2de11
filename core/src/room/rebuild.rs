//! Saving, rebuilding from what was saved, and giving up when neither is possible.
//!
//! **One way to start.** *New instance ← snapshot ← tail.* To start a room, to restore it after hibernation, or to continue
//! after a failed call, the machine returns to the base, opens a new instance with the base's saved state, and replays the
//! tail. Outputs that were emitted before are suppressed.
//!
//! **Failure.** A hook that *throws* has no effect, and does so in every replay, so nothing needs to be written. A *trap* or an
//! exhausted budget depends on more than the records (a heap's history, a host's limit), so the log decides it: the machine
//! appends `Fault{at}` and applies nothing until it has read that record back. From then on every replay skips the failed
//! record. Each member then gets a whole view, because a host on which the call succeeded may have sent other frames.

use super::{
    Output, Room,
    commands::swap,
    io::Call,
    phase::Phase,
    state::{Probation, State},
    step::{CallOrigin, Step},
};
use crate::{
    command::{EdgeCommand, Fault, LeaveReason, Record, RoomCommand},
    effect::{LogLevel, RestoreReason, SavedState},
    ids::{MachineId, Offset, OutputId},
};

impl Room {
    // Saving.

    pub(super) fn save(&mut self, state: Box<State>) -> Phase {
        self.wants_snapshot = false;
        if self.has_instance {
            self.outputs.push_back(Output::Guest(Call::Save));
            return Phase::Saving(state);
        }
        // No call was made since the base, so its saved state is still valid.
        self.rebase(state)
    }

    pub(super) fn on_saved(&mut self, mut state: Box<State>, saved: SavedState) -> Phase {
        state.saved = Some(saved);
        self.has_instance &= !self.instance_is_stale;
        self.instance_is_stale = false;
        self.rebase(state)
    }

    /// Makes the present state the base.
    fn rebase(&mut self, state: Box<State>) -> Phase {
        let bytes = self.history.rebase(&state);
        self.outputs.push_back(Output::Snapshot { offset: state.offset, bytes });
        Phase::Idle(state)
    }

    // Rebuilding.

    /// Returns to the base and moves the tail back to the inbox, to be replayed.
    pub(super) fn rebuild(&mut self) -> Phase {
        self.drop_instance();
        self.outputs.retain(|output| !matches!(output, Output::Guest(_)));
        let (state, tail) = self.history.rewind(self.id);
        tail.into_iter().rev().for_each(|entry| self.inbox.push_front(entry));
        state.map_or(Phase::Absent, |state| Phase::Idle(Box::new(state)))
    }

    /// A batch has failed as a whole, or the guest was given a record that the room did not call it for.
    pub(super) fn rebuild_alone(&mut self) -> Phase {
        self.batch.fail();
        self.restore_reason = RestoreReason::Recovered;
        self.rebuild()
    }

    /// The machine's next call opens an instance.
    pub(super) fn drop_instance(&mut self) {
        (self.has_instance, self.instance_is_stale) = (false, false);
        self.batch.clear();
    }

    pub(super) fn on_fault_decided(&mut self, offset: Offset, fault: Fault) {
        if !self.has_ended() && self.history.add_skip(offset, fault) {
            self.phase = self.rebuild();
        }
    }

    pub(super) fn on_instance_lost(&mut self) {
        self.restore_reason = RestoreReason::Recovered;
        self.phase = self.rebuild();
    }

    pub(super) fn undo_swap(&mut self, mut step: Step, probation: Probation, fault: Fault) -> Phase {
        let swap::Undone { state, records, skips } = swap::undo(&mut step, probation, fault);
        self.history.replace(&state, &records, skips, step.offset);
        self.outputs.extend(step.out);
        self.rebuild()
    }

    /// The call failed. Its instance is dropped in every case.
    pub(super) fn on_failed(&mut self, mut step: Step, fault: Fault) -> Phase {
        self.drop_instance();
        self.charges.begin_replay();
        self.restore_reason = RestoreReason::Faulted;
        let at = OutputId { offset: step.offset, index: 0 };
        match fault {
            // The room ends all the same, so the fault has no further effect.
            fault if matches!(step.origin, CallOrigin::Dispose { .. }) => {
                step.out.push(Output::Log { level: LogLevel::Error, text: format!("onDispose {fault}").into() });
                self.skip_call(step, "onDispose".into(), fault)
            }
            Fault::Threw(text) => {
                if !self.has_throw_record(step.offset) {
                    self.append(RoomCommand::Threw { at, text: text.clone() });
                }
                self.history.add_throw(step.offset, text);
                // With a new base the next throw costs one instance, not a replay of the tail.
                self.wants_snapshot = true;
                self.rebuild()
            }
            fault => {
                self.append(RoomCommand::Fault { at, fault });
                Phase::AwaitingFault(step.state)
            }
        }
    }

    /// Whether the log is known to contain this throw. Appending it twice does no harm.
    fn has_throw_record(&self, offset: Offset) -> bool {
        let is_it = |(_, record): &(Offset, Record)| matches!(&record.command, RoomCommand::Threw { at, .. } if at.offset == offset);
        self.history.is_emitted(offset) || self.inbox.iter().any(is_it)
    }

    fn append(&mut self, command: RoomCommand) {
        self.outputs.push_back(Output::Append(self.id, command));
    }

    // Giving up.

    /// The saved state cannot be opened, so there is no state to return to. If the record is a join, it is refused.
    pub(super) fn on_unopenable(&mut self, step: Step, fault: Fault) -> Phase {
        if let Some(joining) = step.origin.joining() {
            self.answer_unapplied(step.offset, joining.edge.clone(), joining.refused(self.id, UNUSABLE));
        }
        self.give_up(step.state, format!("its script cannot be opened: {fault}"))
    }

    pub(super) fn on_unsaved(&mut self, state: Box<State>, fault: Fault) -> Phase {
        self.give_up(state, format!("its state cannot be saved: {fault}"))
    }

    /// The room cannot continue. It ends when it reads its own `Close` record; until then it applies nothing.
    pub(super) fn give_up(&mut self, state: Box<State>, reason: String) -> Phase {
        self.drop_instance();
        // On a replay the `Close` record is in the inbox already.
        if self.inbox.iter().any(|(_, record)| is_close(record)) {
            return self.skip_to_close(state);
        }
        self.append(RoomCommand::Close { reason: reason.into() });
        Phase::AwaitingClose(state)
    }

    /// A room that has given up applies only its `Close`. Joins and reconnects before that are refused.
    pub(super) fn skip_to_close(&mut self, state: Box<State>) -> Phase {
        while let Some((offset, record)) = self.inbox.pop_front_if(|(_, record)| !is_close(record)) {
            let room = self.id;
            match record.command {
                RoomCommand::Join(joining) => {
                    self.answer_unapplied(offset, joining.edge.clone(), joining.refused(room, UNUSABLE));
                }
                RoomCommand::Reconnect { session, edge, request, .. } => {
                    let reason = LeaveReason::Left;
                    self.answer_unapplied(offset, edge, EdgeCommand::Left { session, request, room, reason });
                }
                _ => {}
            }
        }
        Phase::Idle(state)
    }

    /// Answers a record that is not applied.
    fn answer_unapplied(&mut self, offset: Offset, edge: MachineId, answer: EdgeCommand) {
        if !self.history.is_emitted(offset) {
            self.outputs.push_back(Output::Edge(edge, answer));
        }
    }
}

/// Why a room that has given up refuses a join.
const UNUSABLE: &str = "the room's script cannot go on";

fn is_close(record: &Record) -> bool {
    matches!(record.command, RoomCommand::Close { .. })
}
