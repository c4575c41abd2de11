//! How a room ends a session, connected or not.
//!
//! First the store ends the session: from then on no client can resume it, and an attempt is answered with the reason. Then
//! each of the session's rooms gets a `Leave` on its own channel, this room last. When this room applies its `Leave`, the
//! session's edge closes the connection.
//!
//! An unreachable store must not lose a kick, and the room must not wait for the store. So the kick is part of the room's state
//! until that last `Leave` is in the log: a host that restores the room outputs the kick again. The shell may carry it out any
//! number of times.
//!
//! Until then the session stays a member, but its messages no longer reach the guest and no timer takes its seat.
//!
//! Bounds: a room kicks only members, at most [`super::ComponentSpec::MAX_MEMBERS`]. Kicks of sessions that have left meanwhile
//! are few, since no session is opened while the store is unreachable. Of removed members that may be away, [`MAX_DEPARTURES`]
//! are kept.

use super::{
    Output, Room,
    state::{Departure, Member, State},
    step::Step,
};
use crate::{
    command::{EdgeCommand, LeaveReason, RequestId},
    ids::{MachineId, SessionId},
};

/// How many of the latest removed members are kept, each with the reason, in case they reconnect. A room that loses more at
/// once was without a host for longer than its seats were held; members beyond the limit get [`LeaveReason::Left`].
pub const MAX_DEPARTURES: usize = 64;

impl State {
    /// The reason of a session's first kick is kept.
    pub(super) fn kick(&mut self, session: SessionId, reason: Box<str>) {
        let Some(member) = self.members.get_mut(&session) else { return };
        if let Some((due, id)) = member.hold.take() {
            self.held_seats.remove(&(due, id, session));
        }
        self.kicks.entry(session).or_insert(reason);
    }

    pub(super) fn record_departure(&mut self, session: SessionId, departure: Departure) {
        self.departures.retain(|(other, _)| *other != session);
        self.departures.push_back((session, departure));
        if self.departures.len() > MAX_DEPARTURES {
            self.departures.pop_front();
        }
    }
}

impl Room {
    /// Outputs the kicks of the state, each once for this machine.
    pub(super) fn request_kicks(&mut self) {
        let Some(state) = self.phase.state() else { return };
        self.requested_kicks.retain(|session| state.kicks.contains_key(session));
        for (session, reason) in &state.kicks {
            if self.requested_kicks.insert(*session) {
                self.outputs.push_back(Output::Kick { session: *session, reason: reason.clone() });
            }
        }
    }
}

impl Step {
    /// Notifies the edge of a member that was just removed, and keeps the reason in case the member is away: its connection may
    /// be lost without a record of that here.
    pub fn notify_departed(&mut self, session: SessionId, member: &Member, departure: Departure) {
        if !matches!(departure.reason, LeaveReason::Left | LeaveReason::Moved) {
            self.state.record_departure(session, departure.clone());
        }
        self.send_departure(session, &member.edge, member.request, departure);
    }

    /// Answers a reconnect of a session that is no member, with the reason if that is kept.
    pub fn answer_departed(&mut self, session: SessionId, edge: &MachineId, request: RequestId) {
        let mut departures = self.state.departures.iter();
        let departure = departures.find(|(left, _)| *left == session).map(|(_, departure)| departure.clone());
        let departure = departure.unwrap_or(Departure { reason: LeaveReason::Left, text: None });
        self.send_departure(session, edge, request, departure);
    }

    fn send_departure(&mut self, session: SessionId, edge: &MachineId, request: RequestId, departure: Departure) {
        let room = self.room;
        let command = match departure.text {
            Some(reason) => EdgeCommand::Kick { session, connection: request.connection, room, reason },
            None => EdgeCommand::Left { session, request, room, reason: departure.reason },
        };
        self.edge(edge, command);
    }
}
