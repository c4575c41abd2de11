//! Moves of the session from one room, the *source*, to another, the *target*.
//!
//! A room requests a move. The edge stores the membership, sends the target a `Join`, and when the target admits the session,
//! sends the source a `Leave`. When the target refuses it, the source gets the reason, and the session stays. The request may
//! be repeated: after a crash, or when the session reconnects. A repeated request gets the same answer, and has no further
//! effect.

use super::{MAX_ROOMS, Session, close_reason, seats::SeatState};
use crate::{
    command::{Answer, LeaveReason, OutputRef, RoomCommand},
    frame::CloseCode,
    ids::{RoomId, Time},
    json::Json,
};

/// Former rooms and answered moves that are kept. After a crash a room repeats only recent outputs.
pub(super) const MAX_REMEMBERED: usize = 16;

/// The latest request of a room to move the session.
#[derive(Debug)]
pub(super) struct Move {
    from: OutputRef,
    to: RoomId,
    state: MoveState,
    /// The session has left the source since: a repetition of this request is an echo.
    source_left: bool,
}

#[derive(Debug)]
enum MoveState {
    /// Until the membership is stored.
    Storing(Json),
    /// Until the target has answered.
    Joining,
    Admitted,
    Refused(Box<str>),
}

impl Move {
    fn is_pending(&self) -> bool {
        matches!(self.state, MoveState::Storing(_) | MoveState::Joining)
    }
}

impl Session {
    /// A room requests to move the session to another.
    pub(super) fn on_move(&mut self, to: RoomId, options: Json, from: OutputRef, now: Time) {
        if !self.is_member(from.room) {
            return;
        }
        match self.moves.iter().find(|mv| mv.from.room == from.room) {
            Some(latest) if from.number < latest.from.number => return,
            Some(latest) if from.number == latest.from.number && latest.source_left => return,
            Some(latest) if from.number == latest.from.number => return self.repeat_answer(from.room),
            _ => {}
        }
        self.record_move(Move { from, to, state: MoveState::Storing(options), source_left: false });
        if to == from.room {
            self.refuse_move(from, "the member is in that room already".into(), now);
        } else if self.seat(to).is_none() && self.seats.len() >= MAX_ROOMS {
            self.refuse_move(from, format!("a session can be in {MAX_ROOMS} rooms at most").into(), now);
        } else {
            self.rejoin(to);
            self.store_join(to, now);
        }
    }

    fn repeat_answer(&mut self, source: RoomId) {
        let Some(mv) = self.moves.iter().find(|mv| mv.from.room == source) else { return };
        match &mv.state {
            MoveState::Storing(_) | MoveState::Joining => {}
            MoveState::Admitted => self.leave_source(source),
            MoveState::Refused(reason) => {
                let (from, to, reason) = (mv.from, mv.to, reason.clone());
                self.answer_refused(from, to, reason);
            }
        }
    }

    fn record_move(&mut self, new: Move) {
        self.moves.retain(|earlier| earlier.from.room != new.from.room);
        if self.moves.len() >= MAX_REMEMBERED {
            let oldest = self.moves.iter().position(|mv| !mv.is_pending()).unwrap_or(0);
            self.moves.remove(oldest);
        }
        self.moves.push_back(new);
    }

    /// If the session is leaving the room, another stay follows: the room gets a `Join` after the `Leave`.
    fn rejoin(&mut self, room: RoomId) {
        let next = self.next_request();
        if let Some(seat) = self.seat_mut(room).filter(|seat| seat.state == SeatState::Leaving) {
            (seat.state, seat.stay.first_request) = (SeatState::Joining, next);
            self.end_moves_from(room);
        }
    }

    /// The membership of a target is stored, or could not be.
    pub(super) fn on_move_stored(&mut self, to: RoomId, done: bool, now: Time) {
        if done && self.is_moving_to(to) {
            // The session left the room meanwhile, and the store has removed the membership.
            if self.seat(to).is_none() {
                return self.store_join(to, now);
            }
            self.rejoin(to);
        }
        for at in 0..self.moves.len() {
            let mv = &mut self.moves[at];
            let MoveState::Storing(options) = &mut mv.state else { continue };
            if mv.to != to {
                continue;
            }
            let (from, options) = (mv.from, std::mem::replace(options, Json::null()));
            if done {
                mv.state = MoveState::Joining;
                self.join(to, options, Some(from), now);
            } else {
                self.refuse_move(from, "the server cannot reach its store now".into(), now);
            }
        }
    }

    /// A room has admitted the session.
    pub(super) fn on_admitted(&mut self, room: RoomId, request: u32, from: Option<OutputRef>) {
        let Some(seat) = self.seat_mut(room).filter(|seat| seat.stay.has_request(request)) else { return };
        seat.stay.first_request = request;
        if seat.state == SeatState::Joining {
            seat.state = SeatState::Member;
            seat.stay.min_message_id = seat.stay.join_request.map_or(0, |join| join.message_id + 1);
            let earlier = seat.messages.remove_held_below(seat.stay.min_message_id);
            self.refuse_unsent(earlier);
        }
        let Some(from) = from else { return };
        if let Some(mv) = self.pending_move(from, room) {
            mv.state = MoveState::Admitted;
            self.leave_source(from.room);
        }
    }

    fn leave_source(&mut self, source: RoomId) {
        let Some(session) = self.id() else { return };
        let Some(seat) = self.seat_mut(source) else { return };
        seat.state = SeatState::Leaving;
        let unsent = seat.messages.remove_held();
        self.append(source, RoomCommand::Leave { session, reason: LeaveReason::Moved });
        self.refuse_unsent(unsent);
    }

    /// A room has refused the session.
    pub(super) fn on_refused(
        &mut self,
        room: RoomId,
        request: u32,
        from: Option<OutputRef>,
        reason: Box<str>,
        now: Time,
    ) {
        let Some(state) = self.state_for(room, request) else { return };
        match from {
            Some(from) if self.pending_move(from, room).is_some() => {
                // A room refuses no member, so the session is not a member.
                if let (SeatState::Member, Some(seat)) = (state, self.seat_mut(room)) {
                    seat.state = SeatState::Joining;
                }
                self.refuse_move(from, reason, now);
            }
            None if state == SeatState::Joining => {
                let text = close_reason(&format!("the lobby refused the session: {reason}"));
                self.close(CloseCode::Unavailable, text);
            }
            _ => {}
        }
    }

    /// The pending move that an answer of `to` belongs to.
    fn pending_move(&mut self, from: OutputRef, to: RoomId) -> Option<&mut Move> {
        self.moves.iter_mut().find(|mv| mv.from == from && mv.to == to && mv.is_pending())
    }

    fn refuse_move(&mut self, from: OutputRef, reason: Box<str>, now: Time) {
        let Some(mv) = self.moves.iter_mut().find(|mv| mv.from == from) else { return };
        mv.state = MoveState::Refused(reason.clone());
        let to = mv.to;
        self.answer_refused(from, to, reason);
        self.give_up_joining(to, now);
    }

    fn answer_refused(&mut self, from: OutputRef, to: RoomId, reason: Box<str>) {
        let Some(session) = self.id() else { return };
        let answer = Answer::MoveRefused { session, room: to, reason };
        self.append(from.room, RoomCommand::Answer { request: from.number, answer });
    }

    /// Removes a seat whose join has failed, unless another move or the lobby's join still waits for it.
    fn give_up_joining(&mut self, room: RoomId, now: Time) {
        let wanted = self.is_moving_to(room) || (room == RoomId::LOBBY && self.wants_lobby);
        let joining = self.seat(room).is_some_and(|seat| seat.state == SeatState::Joining);
        if joining && !wanted {
            self.remove_seat(room, LeaveReason::Left, now);
        }
    }

    pub(super) fn is_moving_to(&self, room: RoomId) -> bool {
        self.moves.iter().any(|mv| mv.to == room && mv.is_pending())
    }

    /// The session leaves the source of these moves.
    pub(super) fn end_moves_from(&mut self, room: RoomId) {
        for mv in self.moves.iter_mut().filter(|mv| mv.from.room == room) {
            mv.source_left = true;
        }
    }
}
