//! The delivery of a room's frames to the client: in order, without a gap and without a repetition.

use super::{
    Outgoing, Output, Session,
    seats::{Seat, SeatState},
    stay::Stay,
};
use crate::{
    command::{RoomCommand, Target},
    frame::{ErrorCode, FrameTag, RoomFrame},
    ids::{RoomId, Time},
    planted::{Bug, planted},
};

impl Session {
    /// Sends a frame to the client if it continues the frames that the client has. A frame for an earlier connection is an echo
    /// from a host that has taken over, or the room has not processed this connection's request: in both cases the request is
    /// repeated.
    pub(super) fn on_deliver(&mut self, target: Target, frame: &RoomFrame, now: Time) {
        let room = frame.room_id();
        let Some(at) = self.seats.iter().position(|seat| seat.room == room) else { return };
        if target.connection != self.connection {
            return self.on_gap(room, now);
        }
        let (seq, stay) = (target.seq, &self.seats[at].stay);
        if seq <= stay.last_seq {
            return self.on_repeated(at, seq, frame, now);
        }
        if !stay.fits(seq, frame.tag()) {
            return self.on_gap(room, now);
        }
        self.on_next(at, seq, frame);
    }

    fn on_next(&mut self, at: usize, seq: u64, frame: &RoomFrame) {
        self.max_applied_id = self.max_applied_id.max(frame.message_id().unwrap_or(0));
        self.outputs.push_back(Output::Send(Outgoing::Room { seq, frame: frame.clone() }));
        let seat = &mut self.seats[at];
        seat.stay.on_frame(seq);
        match (frame.tag(), frame.message_id()) {
            (FrameTag::Reply | FrameTag::Error, Some(message_id)) => seat.messages.on_answer(message_id),
            (FrameTag::Room, ack) => self.on_whole_view(at, ack.unwrap_or(0)),
            (FrameTag::Left, _) => seat.stay.left_sent = true,
            _ => {}
        }
    }

    fn on_repeated(&mut self, at: usize, seq: u64, frame: &RoomFrame, now: Time) {
        if planted(Bug::EdgeDuplicates) {
            self.outputs.push_back(Output::Send(Outgoing::Room { seq, frame: frame.clone() }));
        }
        let (room, stay) = (self.seats[at].room, &self.seats[at].stay);
        // This edge has ended the stay by a `left` of its own, which has used this number, but in the room the stay continues.
        if seq == stay.last_seq && frame.tag() == FrameTag::Room && !stay.synced {
            self.request_frames(room, now);
        }
    }

    /// Frames are missing. The room resends them, or sends a whole view; until then no frame of that room fits.
    fn on_gap(&mut self, room: RoomId, now: Time) {
        if self.seat(room).is_some_and(|seat| seat.stay.is_request_overdue(now)) {
            self.request_frames(room, now);
        }
    }

    /// A record of an earlier connection reached a room after those of this connection. A new request to every room makes this
    /// the latest connection again.
    pub(super) fn on_contested(&mut self, now: Time) {
        let members = self.seats.iter().filter(|seat| seat.state == SeatState::Member);
        for room in members.map(|seat| seat.room).collect::<Vec<_>>() {
            self.request_frames(room, now);
        }
    }

    /// Requests the frames that the client lacks.
    pub(super) fn request_frames(&mut self, room: RoomId, now: Time) {
        let (Some(session), edge) = (self.id(), self.edge.clone()) else { return };
        if self.seat(room).is_none() {
            return;
        }
        let request = self.request();
        let Some(seat) = self.seat_mut(room) else { return };
        seat.stay.on_request(request.number, now);
        let last_seq = seat.stay.synced.then_some(seat.stay.last_seq);
        self.append(room, RoomCommand::Reconnect { session, edge, request, last_seq });
    }

    /// The client replaces its copy of this room, and the room becomes the current one. Replies up to `ack` were in frames that
    /// the client does not get.
    fn on_whole_view(&mut self, at: usize, ack: u64) {
        let mut seat = self.seats.remove(at);
        seat.stay.left_sent = false;
        self.seats.push(seat);
        self.on_applied(self.seats.len() - 1, ack);
    }

    /// The room has resent all frames that the client lacked. If the room has received another request since, only the answer
    /// to that one has an effect.
    pub(super) fn on_resumed(&mut self, room: RoomId, request: u32, applied: u64) {
        let has_all = |stay: &Stay| stay.synced && stay.latest_request == request;
        if let Some(at) = self.seats.iter().position(|seat| seat.room == room && has_all(&seat.stay)) {
            self.on_applied(at, applied);
        }
    }

    /// Replies to all ids up to `applied` were sent to the client, or never will be: a room drops a message whose id it has
    /// applied.
    fn on_applied(&mut self, at: usize, applied: u64) {
        let Seat { stay, messages, .. } = &mut self.seats[at];
        stay.max_applied_id = stay.max_applied_id.max(applied);
        for message_id in messages.remove_through(applied) {
            let message = "the room has applied this message; its reply is no longer kept";
            self.refuse(Some(message_id), ErrorCode::Applied, message, None);
        }
    }
}
