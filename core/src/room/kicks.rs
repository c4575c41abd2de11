//! How a room ends a session, connected or not.
//!
//! The session's row in the store comes first: from then on no client can resume the session, and an attempt gets the reason.
//! Then each of its rooms gets a `Leave` on its own channel, this room last. When this room applies its `Leave`, the session's
//! edge closes the connection.
//!
//! An unreachable store must not lose a kick, and the room must not wait for the store. So the kick is part of the room's state
//! until that last `Leave` is in the log: a host that restores the room outputs the kick again. The shell may carry it out any
//! number of times.
//!
//! Until then the session stays a member, but its messages no longer reach the guest and no timer takes its seat.
//!
//! Bounds: a room kicks only members, at most [`super::Spec::MAX_MEMBERS`]. Kicks of sessions that have left meanwhile are few,
//! since no session is opened while the store is unreachable. Of removed members that may be away, [`GONE`] are kept.

use super::{
    Output, Room, State, Step,
    state::{Gone, Member},
};
use crate::{
    command::{EdgeCommand, LeaveReason, RequestId},
    ids::{MachineId, SessionId},
};

/// The latest removed members that are kept with the reason, in case they reconnect. A room that loses more at once was without
/// a host for longer than its seats were held; the others get [`LeaveReason::Left`].
pub const GONE: usize = 64;

impl Room {
    /// The reason of a session's first kick is kept.
    pub(super) fn kick(&mut self, session: SessionId, reason: Box<str>) {
        let state = self.state_mut();
        let Some(member) = state.members.get_mut(&session) else { return };
        if let Some((due, id)) = member.hold.take() {
            state.holds.remove(&(due, id, session));
        }
        state.kicks.entry(session).or_insert(reason);
    }

    /// Outputs the kicks of the state, each once for this machine.
    pub(super) fn ask_for_kicks(&mut self) {
        let Some(state) = &self.state else { return };
        self.asked_kicks.retain(|session| state.kicks.contains_key(session));
        for (session, reason) in &state.kicks {
            if self.asked_kicks.insert(*session) {
                self.outputs.push_back(Output::Kick { session: *session, reason: reason.clone() });
            }
        }
    }

    /// The store and the session's other rooms have the kick. Returns its reason.
    pub(super) fn end_kick(&mut self, session: SessionId) -> Option<Box<str>> {
        self.state_mut().kicks.remove(&session)
    }

    /// Notifies the edge of a member that was just removed, and keeps the reason in case the member is away: its connection may
    /// be lost without a record of that here.
    pub(super) fn tell_left(&mut self, step: &mut Step, session: SessionId, member: &Member, gone: Gone) {
        if !matches!(gone.reason, LeaveReason::Left | LeaveReason::Moved) {
            self.state_mut().remember_gone(session, gone.clone());
        }
        self.tell_gone(step, session, (member.edge.clone(), member.request), gone);
    }

    /// Answers a reconnect of a session that is no member, with the reason if that is kept.
    pub(super) fn tell_why(&mut self, step: &mut Step, session: SessionId, asked_by: (MachineId, RequestId)) {
        let gone = self.state_mut().gone.iter().find(|(left, _)| *left == session).map(|(_, gone)| gone.clone());
        self.tell_gone(step, session, asked_by, gone.unwrap_or(Gone { reason: LeaveReason::Left, text: None }));
    }

    fn tell_gone(&self, step: &mut Step, session: SessionId, (edge, request): (MachineId, RequestId), gone: Gone) {
        let room = self.id;
        let command = match gone.text {
            Some(reason) => EdgeCommand::Kick { session, connection: request.connection, room, reason },
            None => EdgeCommand::Leave { session, request, room, reason: gone.reason },
        };
        step.edge(&edge, command);
    }
}

impl State {
    pub(super) fn remember_gone(&mut self, session: SessionId, gone: Gone) {
        self.gone.retain(|(other, _)| *other != session);
        self.gone.push_back((session, gone));
        if self.gone.len() > GONE {
            self.gone.pop_front();
        }
    }
}
