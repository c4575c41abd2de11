//! The client's frames: the rate limit, the order of messages, and the choice of the room.

use super::{
    MAX_HELD_BYTES, Outgoing, Output, Phase, Session, close_reason,
    seats::{Seat, SeatState},
};
use crate::{
    command::RoomCommand,
    frame::{BadFrame, ClientFrame, CloseCode, ErrorCode, Msg, PONG},
    ids::{RoomId, Time},
};

/// Consecutive frames that are none of this protocol, after which the connection is closed.
const MAX_BAD: u32 = 10;

/// When a client may retry a message that the edge cannot accept now.
const RETRY_MS: u64 = 1_000;

/// Why a message is sent to no room.
struct Refusal {
    code: ErrorCode,
    message: &'static str,
    retry_after_ms: Option<u64>,
}

impl Session {
    pub(super) fn on_frame(&mut self, frame: Result<ClientFrame, BadFrame>, now: Time) {
        self.on_activity(now);
        if let Err(retry_after_ms) = self.rate.take(&self.limits, now) {
            return self.refuse_frame(message_id(&frame), retry_after_ms);
        }
        match frame {
            Ok(ClientFrame::Hello(hello)) => self.on_hello(hello),
            Ok(ClientFrame::Msg(msg)) => self.on_msg(msg, now),
            Ok(ClientFrame::Renew(token)) => self.on_renew(token),
            Ok(ClientFrame::Ping) => self.on_ping_frame(),
            Err(bad) => return self.on_bad_frame(bad),
        }
        self.bad_in_a_row = 0;
    }

    /// A ping of this protocol: a browser gives its page no access to WebSocket pings.
    fn on_ping_frame(&mut self) {
        match self.phase {
            Phase::Greeting { .. } => self.refuse(None, ErrorCode::BadOrder, "send hello first", None),
            _ => self.outputs.push_back(Output::Send(Outgoing::Text(PONG.to_owned()))),
        }
    }

    /// A client without a valid `hello` would repeat it in vain, so its connection is closed. A client whose data is beyond a
    /// bound implements the protocol: its frames only count towards its rate.
    fn on_bad_frame(&mut self, bad: BadFrame) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            return self.close(CloseCode::BadFrame, close_reason(&format!("no hello: {}", bad.message)));
        }
        self.refuse(bad.message_id, bad.code, &bad.message, None);
        if bad.code != ErrorCode::BadFrame {
            return;
        }
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= MAX_BAD {
            self.close(CloseCode::BadFrame, "too many bad frames in a row");
        }
    }

    fn on_msg(&mut self, msg: Msg, now: Time) {
        let message_id = msg.message_id;
        if message_id > self.max_message_id && self.was_answered_early(msg.room, message_id) {
            // One reply answers one message: a later message under this id is another one.
            self.max_message_id = message_id;
            return;
        }
        match self.target_room(&msg) {
            Ok(_) if self.refuse_in_debt(message_id, now) => {}
            Ok(room) => self.enqueue(room, msg),
            Err(Refusal { code, message, retry_after_ms }) => {
                if code == ErrorCode::NotInRoom && msg.room.is_some_and(|room| self.has_left(room)) {
                    self.max_refused_id = self.max_refused_id.max(message_id);
                }
                self.refuse(Some(message_id), code, message, retry_after_ms);
            }
        }
    }

    /// The message's room, or why it has none. A message that is refused has not used its id.
    fn target_room(&self, msg: &Msg) -> Result<RoomId, Refusal> {
        let refusal = |code, message| Err(Refusal { code, message, retry_after_ms: None });
        if !matches!(self.phase, Phase::Open(_)) {
            return refusal(ErrorCode::BadOrder, "send hello first, and wait for welcome");
        }
        if msg.message_id <= self.max_message_id {
            return refusal(ErrorCode::StaleId, "ids increase within a session; this one is not above the last one");
        }
        let seat = match msg.room {
            Some(room) => self.seat(room),
            None => self.seats.iter().rev().find(|seat| seat.stay.synced).or(self.seats.last()),
        };
        let Some(seat) = seat.filter(|seat| seat.state == SeatState::Member) else {
            return refusal(
                ErrorCode::NotInRoom,
                "the session is not in this room; the latest room frame has the room that it is in",
            );
        };
        if msg.message_id < seat.stay.min_message_id {
            return refusal(
                ErrorCode::NotInRoom,
                "the session has left the room and joined it again since this message was sent",
            );
        }
        if msg.message_id <= seat.stay.max_applied_id {
            return refusal(ErrorCode::Applied, "the room has applied this message; its reply is no longer kept");
        }
        if seat.messages.is_full() || !self.can_hold(seat, msg) {
            let message = "too many messages to this room wait for their answers";
            return Err(Refusal { code: ErrorCode::Unavailable, message, retry_after_ms: Some(RETRY_MS) });
        }
        Ok(seat.room)
    }

    /// Whether the message is appended at once, or there is space to hold it.
    fn can_hold(&self, seat: &Seat, msg: &Msg) -> bool {
        let held_bytes: usize = self.seats.iter().map(|seat| seat.messages.held_bytes()).sum();
        seat.messages.has_window() || held_bytes + msg.data.len() <= MAX_HELD_BYTES
    }

    /// Queues the message for its room's channel, where it is appended at once or in its turn: see [`super::WINDOW`].
    fn enqueue(&mut self, room: RoomId, msg: Msg) {
        self.max_message_id = msg.message_id;
        self.silent = false;
        if let Some(seat) = self.seat_mut(room) {
            seat.messages.push(msg);
        }
    }

    /// Appends held messages, in order, as answers to earlier ones make room.
    pub(super) fn append_held(&mut self) {
        let Some(session) = self.id() else { return };
        for seat in self.seats.iter_mut().filter(|seat| seat.state == SeatState::Member) {
            while let Some(Msg { message_id, msg_type, data, .. }) = seat.messages.pop() {
                let command = RoomCommand::Message { session, message_id, msg_type, data };
                self.outputs.push_back(Output::Append { room: seat.room, command, message_id: Some(message_id) });
            }
        }
    }

    /// A message that was not appended is answered by the edge. Any other command closes the connection; the room gets it when
    /// the session resumes.
    pub(super) fn on_not_appended(&mut self, room: RoomId, message_id: Option<u64>) {
        let Some(message_id) = message_id else {
            return self.close(CloseCode::Unavailable, "this server cannot reach its log now");
        };
        if let Some(seat) = self.seat_mut(room) {
            seat.messages.remove(message_id);
        }
        let message = "the message could not be stored; it had no effect";
        self.refuse(Some(message_id), ErrorCode::Unavailable, message, Some(RETRY_MS));
    }
}

/// The id of the message that a frame is, or was meant to be.
fn message_id(frame: &Result<ClientFrame, BadFrame>) -> Option<u64> {
    match frame {
        Ok(ClientFrame::Msg(msg)) => Some(msg.message_id),
        Ok(ClientFrame::Hello(_) | ClientFrame::Renew(_) | ClientFrame::Ping) => None,
        Err(bad) => bad.message_id,
    }
}
