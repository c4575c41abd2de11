//! How a room ends a session, whether or not that has a connection.
//!
//! The session's row in the store comes first: from then on nobody resumes the session, and whoever tries is told the
//! reason. Then come the rooms that it is in, each by a `Leave` of its own channel, this one last. When this one applies its
//! `Leave`, its edge closes the connection.
//!
//! A store that is gone must not lose a kick, and the room must not wait for it. So the kick is part of the room's state until
//! that last `Leave` is in the log: whoever restores the room asks its shell again. The shell may do it any number of times.
//!
//! Until then the session is a member, whose messages no longer reach the script and whose seat no timer takes.
//!
//! Bounds: a room kicks members, of which it has [`super::Spec::MAX_MEMBERS`] at most; those that left by themselves since
//! are few, since a store that is gone opens no sessions. Of those that were away [`GONE`] are remembered.

use super::{
    Output, Room, State, Turn,
    state::{Gone, Member},
};
use crate::{
    command::{EdgeCommand, LeaveReason, Question},
    ids::{MachineId, SessionId},
};

/// Members that were taken out, of those the latest: one that was away may come back to hear why. A room that loses more at once was itself gone for
/// longer than its seats were held; the others hear that they have left.
pub const GONE: usize = 64;

impl Room {
    /// The first reason stands.
    pub(super) fn kick(&mut self, session: SessionId, reason: Box<str>) {
        let state = self.state_mut();
        let Some(member) = state.members.get_mut(&session) else { return };
        if let Some((due, id)) = member.hold.take() {
            state.holds.remove(&(due, id, session));
        }
        state.kicks.entry(session).or_insert(reason);
    }

    /// Asks for what the state says is to be done, once in the life of this machine.
    pub(super) fn ask_for_kicks(&mut self) {
        let Some(state) = &self.state else { return };
        self.asked_kicks.retain(|session| state.kicks.contains_key(session));
        for (session, reason) in &state.kicks {
            if self.asked_kicks.insert(*session) {
                self.outputs.push_back(Output::Kick { session: *session, reason: reason.clone() });
            }
        }
    }

    /// The store, and the session's other rooms, know.
    pub(super) fn end_kick(&mut self, session: SessionId) -> Option<Box<str>> {
        self.state_mut().kicks.remove(&session)
    }

    /// Tells the edge of a member that has just been one, and keeps it for one that is away, perhaps without the room's
    /// knowing.
    pub(super) fn tell_left(&mut self, turn: &mut Turn, session: SessionId, member: &Member, gone: Gone) {
        if !matches!(gone.reason, LeaveReason::Left | LeaveReason::Moved) {
            self.state_mut().remember_gone(session, gone.clone());
        }
        self.tell_gone(turn, session, (member.edge.clone(), member.question), gone);
    }

    /// A session that is no member asks what it has missed.
    pub(super) fn tell_why(&mut self, turn: &mut Turn, session: SessionId, asked_by: (MachineId, Question)) {
        let gone = self.state_mut().gone.iter().find(|(left, _)| *left == session).map(|(_, gone)| gone.clone());
        self.tell_gone(turn, session, asked_by, gone.unwrap_or(Gone { reason: LeaveReason::Left, text: None }));
    }

    fn tell_gone(&self, turn: &mut Turn, session: SessionId, (edge, question): (MachineId, Question), gone: Gone) {
        let room = self.id;
        let command = match gone.text {
            Some(reason) => EdgeCommand::Kick { session, connection: question.connection, room, reason },
            None => EdgeCommand::Leave { session, question, room, reason: gone.reason },
        };
        turn.edge(&edge, command);
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
