//! The rooms that a session is in: how it enters and leaves them.

use std::collections::VecDeque;

use super::{
    Departure, Outgoing, Output, Owner, Phase, Session, StoreWrite,
    moves::MAX_REMEMBERED,
    queue::MessageQueue,
    stay::{JoinRequest, Stay},
};
use crate::{
    command::{Joining, LeaveReason, OutputRef, RequestId, RoomCommand},
    frame::{CloseCode, ErrorCode, RoomFrame},
    identity::Identity,
    ids::{RoomId, Time},
    json::Json,
};

/// A room that the session is in, joins or leaves.
#[derive(Debug)]
pub(super) struct Seat {
    pub room: RoomId,
    pub state: SeatState,
    pub stay: Stay,
    pub messages: MessageQueue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatState {
    /// Until `Admitted` or `Refused`.
    Joining,
    Member,
    /// The room's channel has the `Leave` of a move; until the room confirms it.
    Leaving,
}

/// A room that the session was in. If the session returns, frames that the client has are not sent again.
#[derive(Debug)]
pub(super) struct FormerStay {
    room: RoomId,
    last_seq: u64,
    answered_early: VecDeque<u64>,
}

impl Session {
    pub(super) fn seat(&self, room: RoomId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.room == room)
    }

    pub(super) fn seat_mut(&mut self, room: RoomId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.room == room)
    }

    pub(super) fn is_member(&self, room: RoomId) -> bool {
        self.seat(room).is_some_and(|seat| seat.state == SeatState::Member)
    }

    /// The state of the seat, if an answer to this request concerns the present stay.
    pub(super) fn state_for(&self, room: RoomId, request: u32) -> Option<SeatState> {
        self.seat(room).filter(|seat| seat.stay.has_request(request)).map(|seat| seat.state)
    }

    /// Whether this message was answered while its resend was in flight. Ids belong to the session: where the message names no
    /// room, any room that was the current one may have answered it.
    pub(super) fn was_answered_early(&self, room: Option<RoomId>, message_id: u64) -> bool {
        let is_meant = |at: RoomId| room.is_none_or(|room| room == at);
        let is_in = |ids: &VecDeque<u64>| ids.contains(&message_id);
        self.seats.iter().any(|seat| is_meant(seat.room) && is_in(&seat.messages.answered_early))
            || self.former.iter().any(|former| is_meant(former.room) && is_in(&former.answered_early))
    }

    // ---- entering ----

    /// Enters a new session, which the store has as a member of the lobby already.
    pub(super) fn enter_lobby(&mut self, now: Time) {
        self.add_seat(RoomId::LOBBY, now);
        self.join(RoomId::LOBBY, Json::null(), None, now);
    }

    /// Enters a resumed session: every room that it may be in is requested to send the frames that the client lacks. `last` has
    /// the client's last frame of each room.
    pub(super) fn reconnect_to(&mut self, rooms: Vec<RoomId>, last: Vec<(RoomId, u64)>, now: Time) {
        for room in &rooms {
            let last_seq = last.iter().find(|(named, _)| named == room).map(|(_, seq)| *seq);
            let mut stay = Stay::new(self.next_request(), last_seq.unwrap_or(0), now);
            stay.synced = last_seq.is_some();
            let messages = MessageQueue::default();
            self.seats.push(Seat { room: *room, state: SeatState::Member, stay, messages });
            self.request_frames(*room, now);
        }
        for (room, seq) in last {
            if !rooms.contains(&room) {
                self.send_left(room, seq, LeaveReason::Left);
            }
        }
        self.join_lobby_if_roomless(now);
    }

    /// A session is always in a room or joining one.
    fn join_lobby_if_roomless(&mut self, now: Time) {
        if self.id().is_some() && self.seats.is_empty() {
            self.wants_lobby = true;
            self.store_join(RoomId::LOBBY, now);
        }
    }

    /// The membership is stored first; then the room gets the `Join`.
    pub(super) fn store_join(&mut self, room: RoomId, now: Time) {
        let Some(session) = self.id() else { return };
        self.silent &= room == RoomId::LOBBY;
        if self.seat(room).is_none() {
            self.add_seat(room, now);
        }
        let write = match self.departure.take() {
            Some(Departure { room: left, .. }) => StoreWrite::Move { session, left, room },
            None => StoreWrite::Join(session, room),
        };
        self.outputs.push_back(Output::Store(write));
    }

    fn add_seat(&mut self, room: RoomId, now: Time) {
        let former = self.former.iter_mut().find(|former| former.room == room);
        let (last_seq, answered_early) = former
            .map_or_else(Default::default, |former| (former.last_seq, std::mem::take(&mut former.answered_early)));
        let stay = Stay::new(self.next_request(), last_seq, now);
        let messages = MessageQueue::new(answered_early);
        self.seats.insert(0, Seat { room, state: SeatState::Joining, stay, messages });
    }

    /// The store has the membership, so the room may be requested to admit the session.
    pub(super) fn on_stored(&mut self, room: RoomId, done: bool, now: Time) {
        if room == RoomId::LOBBY && std::mem::take(&mut self.wants_lobby) {
            match done {
                true => self.join(room, Json::null(), None, now),
                false => return self.close(CloseCode::Unavailable, "this server cannot reach its store now"),
            }
        }
        self.on_move_stored(room, done, now);
    }

    pub(super) fn join(&mut self, room: RoomId, options: Json, from: Option<OutputRef>, now: Time) {
        let Phase::Open(Owner { session, identity: Identity { player, claims, .. } }) = self.phase.clone() else {
            return;
        };
        let edge = self.edge.clone();
        let message_id = self.max_message_id.max(self.max_applied_id).max(self.max_refused_id);
        let request = self.request();
        if let Some(seat) = self.seat_mut(room) {
            seat.stay.on_join_request(JoinRequest { number: request.number, message_id }, now);
        }
        self.append(
            room,
            RoomCommand::Join(Joining { session, player, claims, edge, request, message_id, options, from }),
        );
    }

    /// Whether the session was in this room.
    pub(super) fn has_left(&self, room: RoomId) -> bool {
        self.former.iter().any(|former| former.room == room)
    }

    pub(super) fn next_request(&self) -> u32 {
        self.latest_request + 1
    }

    pub(super) fn request(&mut self) -> RequestId {
        self.latest_request += 1;
        RequestId { connection: self.connection, number: self.latest_request }
    }

    // ---- leaving ----

    /// The room reports that the session is no member. If another room is moving the session there, it is about to become one.
    pub(super) fn on_left(&mut self, room: RoomId, request: u32, reason: LeaveReason, now: Time) {
        let Some(state) = self.state_for(room, request) else { return };
        match state {
            // This answers a request for frames. The `Join` has yet to be answered.
            SeatState::Joining => {}
            _ if reason == LeaveReason::Kicked => self.on_other_kick(room),
            _ if room == RoomId::LOBBY && reason == LeaveReason::Replaced => self.on_replaced_in_lobby(),
            _ if self.is_moving_to(room) => self.replace_stay(room, request, reason, now),
            SeatState::Member | SeatState::Leaving => self.remove_seat(room, reason, now),
        }
    }

    /// The lobby has a further session of this player in the place of this one, which would otherwise join it again, and replace
    /// that session in turn. If the session is in no other room, its connection ends.
    fn on_replaced_in_lobby(&mut self) {
        let Some(session) = self.id() else { return };
        self.vacate(RoomId::LOBBY, LeaveReason::Replaced);
        self.outputs.push_back(Output::Store(StoreWrite::Leave(session, RoomId::LOBBY)));
        if self.seats.is_empty() {
            self.close(CloseCode::Replaced, "this player continues in another session");
        }
    }

    /// Some room has kicked the session. That room's `Kick`, with the reason, arrives last, unless the session has left it. A room
    /// that the session is leaving may have ended without the `Leave`, so the kick does not wait for its answer.
    fn on_other_kick(&mut self, room: RoomId) {
        self.vacate(room, LeaveReason::Kicked);
        if self.seats.iter().all(|seat| matches!(seat.state, SeatState::Leaving)) {
            self.on_kick("a room has removed you");
        }
    }

    /// Replaces the seat by one for the stay that begins. Messages that were sent after its `Join` belong to that stay.
    fn replace_stay(&mut self, room: RoomId, request: u32, reason: LeaveReason, now: Time) {
        let Some(seat) = self.seat_mut(room) else { return };
        let join_request = seat.stay.join_request.filter(|join| join.number > request);
        let mut later = join_request.map(|join| seat.messages.split_above(join.message_id)).unwrap_or_default();
        self.vacate(room, reason);
        self.add_seat(room, now);
        if let Some(Seat { stay, messages, .. }) = self.seat_mut(room) {
            (stay.first_request, stay.join_request) = (request + 1, join_request);
            later.answered_early = std::mem::take(&mut messages.answered_early);
            *messages = later;
        }
    }

    pub(super) fn remove_seat(&mut self, room: RoomId, reason: LeaveReason, now: Time) {
        let (Some(_), Some(_)) = (self.id(), self.seat(room)) else { return };
        self.vacate(room, reason);
        self.depart(room, now);
        self.join_lobby_if_roomless(now);
    }

    /// Removes a seat: the client gets a `left`, and its messages there get their answers.
    fn vacate(&mut self, room: RoomId, reason: LeaveReason) {
        let Some(at) = self.seats.iter().position(|seat| seat.room == room) else { return };
        let Seat { state, mut stay, mut messages, .. } = self.seats.remove(at);
        self.end_moves_from(room);
        let unsent = messages.remove_held();
        if stay.synced && !stay.left_sent {
            self.send_left(room, stay.last_seq, reason);
            stay.last_seq += 1;
        }
        // The room has applied the messages that precede this edge's `Leave` in its channel. If the room's `left` is missing,
        // so are its replies: the room took the connection for lost, perhaps because this edge was paused.
        let moved = matches!(reason, LeaveReason::Moved | LeaveReason::Left);
        let applied = state == SeatState::Leaving && moved && !stay.left_sent;
        let (code, message) = match applied {
            true => (ErrorCode::Applied, "the room has applied this message; its reply is lost"),
            false => (ErrorCode::NotInRoom, "the session left the room before the room applied this message"),
        };
        for message_id in messages.unanswered {
            self.refuse(Some(message_id), code, message, None);
        }
        self.refuse_unsent(unsent);
        self.former.retain(|former| former.room != room);
        self.former.push_back(FormerStay { room, last_seq: stay.last_seq, answered_early: messages.answered_early });
        if self.former.len() > MAX_REMEMBERED {
            self.former.pop_front();
        }
    }

    /// Answers messages that were held here for a room that the session leaves: they are not sent there.
    pub(super) fn refuse_unsent(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.refuse(
                Some(id),
                ErrorCode::NotInRoom,
                "the session left the room before the room applied this message",
                None,
            );
        }
    }

    /// Sends the client a `left` in place of the room, which has not sent one.
    fn send_left(&mut self, room: RoomId, last_seq: u64, reason: LeaveReason) {
        let frame = RoomFrame::left(room, reason.as_str());
        self.outputs.push_back(Output::Send(Outgoing::Room { seq: last_seq + 1, frame }));
    }
}
