//! Failures of the guest: a call that is skipped, and the `Fault` record that decides it.

use crate::{
    command::Fault,
    frame::{ErrorCode, RoomFrame},
    ids::{Offset, SessionId},
    room::{
        io::Notice,
        state::{Audience, State},
        step::{CallOrigin, Ending, Next, Step},
    },
};

/// Faults in a row that end a room whose component was never opened.
const DEFAULT_MAX_FAULTS: u32 = 5;

/// Applies a `Fault` record: the record at `offset` is skipped. Every member gets a whole view, because some may have been sent
/// effects of the skipped record. A swap on probation is undone first; then the `Fault` record is applied again.
pub(super) fn fault(step: &mut Step, offset: Offset, fault: Fault) -> Next {
    if let Some(probation) = step.state.probation.take_if(|probation| probation.is_ended_by(offset, &fault)) {
        return Next::UndoSwap(probation, fault);
    }
    let sessions: Vec<SessionId> = step.state.members.keys().copied().collect();
    sessions.into_iter().for_each(|session| step.resync(session));
    Next::Done
}

/// Applies the record without the guest, whose call failed by a fault in the log or by its own throw.
pub(in crate::room) fn skip_call(step: &mut Step, handler: Box<str>, fault: &Fault) -> Next {
    let threw = matches!(fault, Fault::Threw(_));
    let ends = matches!(step.origin, CallOrigin::Create | CallOrigin::Dispose { .. });
    let charged = step.client.filter(|_| fault.is_exhaustion() && !ends);
    let counts = !threw && charged.is_none();
    step.state.faults += u32::from(counts);
    if !threw {
        step.state.skip_in_probation(step.offset, fault);
    }
    notify_operator(step, handler, fault, charged);
    match std::mem::replace(&mut step.origin, CallOrigin::Other) {
        CallOrigin::Create => return Next::End(Ending::failed(format!("its script {fault}"))),
        CallOrigin::Dispose { outcome } => return Next::End(Ending { outcome, failed: None }),
        CallOrigin::Join(joining) => {
            let reason = match charged {
                Some(_) => "to let you in costs the room more than it may".into(),
                None => failure_text(&step.state, "the room's script failed", fault),
            };
            step.refuse(&joining, reason);
        }
        CallOrigin::FreeSeat(joining) => step.refuse(&joining, "the room's script failed"),
        CallOrigin::Message { session, message_id } => {
            let (code, text) = message_error(&step.state, fault, charged.is_some());
            let frame = RoomFrame::error(step.room, Some(message_id), code, &text);
            step.deliver(frame, Audience::One(session));
        }
        // A member whose upgrade failed stays who it is in this room.
        CallOrigin::Identify { .. } | CallOrigin::Other => {}
    }
    // Members that were to leave do so without the guest, whose instance is replaced.
    while let Some((session, departure)) = step.departing.pop_front() {
        step.remove_member(session, departure.reason, departure.text);
    }
    if counts { check_limit(&step.state, fault) } else { Next::Done }
}

fn notify_operator(step: &mut Step, handler: Box<str>, fault: &Fault, charged: Option<SessionId>) {
    let offset = step.offset;
    step.notice(match fault {
        Fault::Threw(text) => Notice::Threw { offset, handler, text: text.clone() },
        fault => Notice::Faulted { offset, handler, fault: fault.clone(), charged },
    });
}

fn message_error(state: &State, fault: &Fault, is_charged: bool) -> (ErrorCode, Box<str>) {
    if is_charged {
        return (ErrorCode::TooCostly, "this message costs the room more than one may; it had no effect".into());
    }
    let text = "the room's script failed on this message; it had no effect";
    (ErrorCode::Fault, failure_text(state, text, fault))
}

/// The error text of a failure, with the first line of the fault where the component's spec shows failures to clients.
fn failure_text(state: &State, text: &str, fault: &Fault) -> Box<str> {
    let shows = state.spec.as_ref().is_some_and(|spec| spec.shows_failures);
    let fault = fault.to_string();
    match fault.lines().next() {
        Some(fault) if shows => format!("{text}: it {fault}").into(),
        _ => text.into(),
    }
}

/// Ends a room whose script has failed too often in a row.
fn check_limit(state: &State, fault: &Fault) -> Next {
    let limit = state.spec.as_ref().map_or(DEFAULT_MAX_FAULTS, |spec| spec.max_faults);
    if state.faults < limit {
        return Next::Done;
    }
    let reason = format!("its script failed {} times in a row; the last time it {fault}", state.faults);
    Next::End(Ending::failed(reason))
}
