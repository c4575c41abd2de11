//! Timers: the script's own, those of held seats, the deadlines of requests, and the one that ends an empty room.

use crate::{
    command::LeaveReason,
    effect::Event,
    ids::OutputId,
    json::Json,
    room::{
        commands::{close, membership},
        requests,
        step::{CallOrigin, Next, Step},
    },
};

/// Fires the timer that was set under this id, if it is still pending and was not set again.
pub(super) fn timer(step: &mut Step, id: OutputId) -> Next {
    let state = &mut *step.state;
    if let Some(name) = state.timer_name(id)
        && let Some((name, timer)) = state.timers.remove_entry(&name)
    {
        return Next::Call(Event::Timer { name, payload: timer.payload }, CallOrigin::Other);
    }
    if let Some(next) = requests::expired(step, id) {
        return next;
    }
    let state = &mut *step.state;
    if state.closes_at.is_some_and(|(_, closes)| closes == id) {
        return close::dispose(Json::null());
    }
    let held = state.held_seats.iter().find(|(_, hold, _)| *hold == id).map(|(_, _, session)| *session);
    held.map_or(Next::Done, |session| membership::leave(step, session, LeaveReason::TimedOut))
}
