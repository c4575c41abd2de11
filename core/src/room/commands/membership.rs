//! Members: how they join, drop, reconnect and leave.

use std::sync::Arc;

use crate::{
    command::{EdgeCommand, Joining, LeaveReason, OutputRef, Player, RequestId},
    effect::{Event, MemberInfo},
    frame::RoomFrame,
    ids::{MachineId, SessionId},
    json::Json,
    room::{
        ComponentSpec,
        state::{Audience, Departure, Member, State},
        step::{CallOrigin, Next, Step},
    },
};

/// A room that has had no member waits at least this long before it ends as empty, even if its kind's limit is shorter. It may
/// have been created for members whose joins are still in flight: their edges append them after its creation, and may be slow.
const FIRST_JOIN_MS: u64 = 10_000;

pub(in crate::room) fn join(step: &mut Step, joining: Joining) -> Next {
    if step.state.members.contains_key(&joining.session) {
        step.admitted(&joining);
        let Joining { session, edge, request, .. } = joining;
        return reconnect(step, session, edge, request, None);
    }
    // A player whose session is replaced is in the room already, so neither a lock nor a full room keeps it out.
    let replaced = step.state.replaced_by(&joining.player.id, joining.session);
    if !step.state.locked
        && replaced.is_empty()
        && let Some(away) = seat_to_free(step)
    {
        return free_seat(step, away, joining);
    }
    let state = &step.state;
    let refused = match () {
        () if !replaced.is_empty() => None,
        () if state.locked => Some("the room is locked"),
        () if state.members.len() >= ComponentSpec::MAX_MEMBERS => Some("the room is full"),
        () => None,
    };
    if let Some(reason) = refused {
        step.refuse(&joining, reason);
        return Next::Done;
    }
    // A newcomer is a spectator from the start where no seat is free for a player, and none becomes free by its join.
    let spectator = !state.has_free_seat() && replaced.iter().all(|session| state.members[session].spectator);
    let Joining { session, player, claims, options, from, .. } = joining.clone();
    let member = MemberInfo { session, player, connected: true, spectator };
    let event = Event::Join { member, options, claims, from: from.map(|from| from.room) };
    Next::Call(event, CallOrigin::Join(Box::new(joining)))
}

/// The member whose held seat goes to a newcomer: the one that has been away longest. A seat is freed where the room can have
/// no more members, and in the lobby also where the lobby has its `max_players`, since a member can return to the lobby by
/// joining again. In other rooms a seat is a player's place in a game, and is held for the full time.
fn seat_to_free(step: &Step) -> Option<SessionId> {
    let state = &step.state;
    let mut held = state.held_seats.iter().map(|(_, _, session)| *session);
    if state.members.len() >= ComponentSpec::MAX_MEMBERS {
        return held.next();
    }
    // With more players than seats (after a swap), freeing one seat would admit nobody.
    if !step.is_lobby() || state.held_seats.is_empty() || state.free_seats() != Some(0) {
        return None;
    }
    let is_a_player_here = |session: &SessionId| {
        state.members.get(session).is_some_and(|member| !member.spectator && member.moving.is_none())
    };
    held.find(is_a_player_here)
}

/// The guest first gets the `leave` of that member, then the newcomer's `join`.
fn free_seat(step: &mut Step, away: SessionId, joining: Joining) -> Next {
    let reason = LeaveReason::TimedOut;
    step.remove_member(away, reason, None);
    Next::Call(Event::Leave { session: away, reason }, CallOrigin::FreeSeat(Box::new(joining)))
}

/// The seat is free, and the guest has processed the `leave`.
pub(in crate::room) fn join_freed_seat(step: &mut Step, joining: Joining) -> Next {
    step.departed = None;
    join(step, joining)
}

pub(super) fn drop_member(step: &mut Step, session: SessionId, edge: MachineId) -> Next {
    let is_lobby = step.is_lobby();
    let is_kicked = step.state.kicks.contains_key(&session);
    let Some(member) = step.state.members.get_mut(&session) else { return Next::Done };
    // The member may have reconnected elsewhere.
    if !member.connected || member.edge != edge {
        return Next::Done;
    }
    // A member that has sent no message has no state here to return to, so its seat in the lobby is not held.
    if is_lobby && member.last_message_id == 0 && member.moving.is_none() && !is_kicked {
        return leave(step, session, LeaveReason::TimedOut);
    }
    member.connected = false;
    // A member that is being kicked leaves by its kick, not by a timer.
    if !is_kicked {
        hold_seat(step, session);
    }
    Next::Call(Event::Drop { session }, CallOrigin::Other)
}

fn hold_seat(step: &mut Step, session: SessionId) {
    let hold_ms = step.state.spec.as_ref().map_or(0, |spec| spec.hold_ms);
    let (due, id) = (step.now().plus(hold_ms), step.timer_id());
    if let Some(member) = step.state.members.get_mut(&session) {
        member.hold = Some((due, id));
        step.state.held_seats.insert((due, id, session));
    }
}

pub(super) fn reconnect(
    step: &mut Step,
    session: SessionId,
    edge: MachineId,
    request: RequestId,
    last_seq: Option<u64>,
) -> Next {
    let Some(member) = step.state.members.get_mut(&session) else {
        step.answer_departed(session, &edge, request);
        return Next::Done;
    };
    let was_away = !std::mem::replace(&mut member.connected, true);
    let before = std::mem::replace(&mut member.edge, edge);
    member.request = request;
    let has_moved = before != member.edge;
    if let Some((due, id)) = member.hold.take() {
        step.state.held_seats.remove(&(due, id, session));
    }
    // Records of two edges may arrive in another order than the client's connections were made, so the previous edge may still
    // have the client: it is notified.
    if has_moved && !was_away {
        step.edge(&before, EdgeCommand::Replaced { session });
    }
    step.resume(session, last_seq);
    step.end_resume(session);
    repeat_move(step, session);
    if was_away { Next::Call(Event::Reconnect { session }, CallOrigin::Other) } else { Next::Done }
}

/// Sends the member's move to its edge again, if the move has no answer yet.
fn repeat_move(step: &mut Step, session: SessionId) {
    let Some(member) = step.state.members.get(&session) else { return };
    let Some(moving) = member.moving.clone() else { return };
    let (edge, connection) = (member.edge.clone(), member.request.connection);
    let from = OutputRef { room: step.room, number: moving.number };
    step.edge(&edge, EdgeCommand::Move { session, connection, room: moving.room, options: moving.options, from });
}

/// The member's player has signed in. The script decides whether the room takes the new identity: see [`State::identify`]. Nothing
/// happens if the session is no member.
pub(super) fn identify(
    step: &mut Step,
    session: SessionId,
    was: Arc<str>,
    player: Player,
    claims: Option<Json>,
) -> Next {
    if !step.state.members.contains_key(&session) {
        return Next::Done;
    }
    let origin = CallOrigin::Identify { session, player: player.clone() };
    Next::Call(Event::Identify { session, was, player, claims }, origin)
}

/// The next of the members that this record removes, of which the guest gets a `leave` each; then the erasure of their player,
/// if the record is one.
pub(in crate::room) fn next_departure(step: &mut Step) -> Next {
    step.departed = None;
    while let Some((session, Departure { reason, text })) = step.departing.pop_front() {
        if step.remove_member(session, reason, text) {
            return Next::Call(Event::Leave { session, reason }, CallOrigin::Other);
        }
    }
    match step.erases.take() {
        Some(player) => Next::Call(Event::Erase { player }, CallOrigin::Other),
        None => Next::Done,
    }
}

pub(super) fn leave(step: &mut Step, session: SessionId, reason: LeaveReason) -> Next {
    // The store and the session's other rooms have the kick by now.
    let text = if reason == LeaveReason::Kicked { step.state.kicks.remove(&session) } else { None };
    if step.remove_member(session, reason, text) {
        Next::Call(Event::Leave { session, reason }, CallOrigin::Other)
    } else {
        Next::Done
    }
}

impl Step {
    /// The oldest sessions of this member's player leave by this record, as far as the kind's limit requires it: see
    /// [`ComponentSpec::sessions_per_player`].
    pub fn replace_older(&mut self, session: SessionId) {
        let Some(member) = self.state.members.get(&session) else { return };
        let replaced = self.state.replaced_by(&member.player.id, session);
        let departure = || Departure { reason: LeaveReason::Replaced, text: None };
        self.departing.extend(replaced.into_iter().map(|session| (session, departure())));
    }

    /// Removes the member and notifies it. Returns whether the session was a member.
    pub fn remove_member(&mut self, session: SessionId, reason: LeaveReason, text: Option<Box<str>>) -> bool {
        self.deliver(RoomFrame::left(self.room, reason.as_str()), Audience::One(session));
        let Some(member) = self.state.members.remove(&session) else { return false };
        if let Some((due, id)) = member.hold {
            self.state.held_seats.remove(&(due, id, session));
        }
        self.state.high_seq = self.state.high_seq.max(member.out_seq);
        self.notify_departed(session, &member, Departure { reason, text });
        self.arm_idle_close();
        self.departed = Some(Box::new((session, *member)));
        true
    }

    /// Sets or clears the timer that ends an empty room. Kinds may keep empty rooms. The lobby stays open when it is empty; the
    /// limits of its kind do not change that.
    pub fn arm_idle_close(&mut self) {
        let (now, id, is_lobby) = (self.now(), self.timer_id(), self.is_lobby());
        let state = &mut *self.state;
        let Some(spec) = state.spec.as_ref().filter(|_| !is_lobby) else { return };
        if !state.members.is_empty() {
            state.closes_at = None;
        } else if !spec.keep_when_empty && state.closes_at.is_none() {
            let first_join_ms = if state.joins == 0 { FIRST_JOIN_MS } else { 0 };
            state.closes_at = Some((now.plus(spec.empty_ms.max(first_join_ms)), id));
        }
    }
}

impl State {
    /// The sessions of this player that `newcomer` replaces, the oldest first. The SDK finds the same ones, to hand over
    /// `player.data` (`guests/sdk/events.js`).
    pub(in crate::room) fn replaced_by(&self, player: &str, newcomer: SessionId) -> Vec<SessionId> {
        let limit = self.spec.as_ref().map_or(0, |spec| spec.sessions_per_player as usize);
        if limit == 0 {
            return Vec::new();
        }
        let others =
            self.members.iter().filter(|(session, member)| **session != newcomer && *member.player.id == *player);
        let mut others: Vec<(u64, SessionId)> = others.map(|(session, member)| (member.joined, *session)).collect();
        others.sort_unstable();
        let excess = (others.len() + 1).saturating_sub(limit);
        others.into_iter().take(excess).map(|(_, session)| session).collect()
    }

    /// The member has this identity from here on.
    pub(in crate::room) fn identify(&mut self, session: SessionId, player: Player) {
        if let Some(member) = self.members.get_mut(&session) {
            member.player = player;
        }
    }

    /// Makes the session a member. `view`: its own view, if it has one.
    pub(in crate::room) fn seat(&mut self, joining: &Joining, spectator: bool, view: Option<Json>) {
        let out_seq = self.high_seq.max(self.seq_floor);
        let session = joining.session;
        let member = Member {
            player: joining.player.clone(),
            edge: joining.edge.clone(),
            request: joining.request,
            connected: true,
            spectator,
            joined: self.joins,
            last_message_id: joining.message_id,
            out_seq,
            first_seq: out_seq + 1,
            view,
            hold: None,
            moving: None,
        };
        self.joins += 1;
        self.departures.retain(|(other, _)| *other != session);
        self.members.insert(session, Box::new(member));
        self.closes_at = None;
    }
}
