//! The client's frames: the rate limit, the order of messages, and the choice of the room.

use super::{MAX_HELD_BYTES, MAX_WAITING, Outgoing, Output, Phase, Session, WINDOW, close_reason, seats::SeatState};
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
        self.heard(now);
        let id = match &frame {
            Ok(ClientFrame::Msg(msg)) => Some(msg.id),
            Ok(ClientFrame::Hello(_) | ClientFrame::Ping) => None,
            Err(bad) => bad.id,
        };
        if let Err(retry_after_ms) = self.take_token(now) {
            return self.too_fast(id, retry_after_ms);
        }
        match frame {
            Ok(ClientFrame::Hello(hello)) => self.on_hello(hello),
            Ok(ClientFrame::Msg(msg)) => self.on_msg(msg, now),
            Ok(ClientFrame::Ping) => self.on_ping_frame(),
            Err(bad) => return self.on_bad_frame(bad),
        }
        self.bad_in_a_row = 0;
    }

    pub(super) fn on_ping(&mut self, now: Time) {
        self.heard(now);
        self.on_idle_frames(1, now);
    }

    pub(super) fn on_pong(&mut self, now: Time) {
        self.heard(now);
        match self.awaited_pongs.checked_sub(1) {
            Some(awaited) => self.awaited_pongs = awaited,
            None => self.on_idle_frames(1, now),
        }
    }

    /// Frames that are no messages count towards the rate too. They get no answer; the last one closes the connection.
    pub(super) fn on_idle_frames(&mut self, count: u32, now: Time) {
        for _ in 0..count {
            if self.take_token(now).is_err() && self.is_far_too_fast() {
                return self.close(CloseCode::RateLimited, "too many pings, pongs or fragments");
            }
        }
    }

    /// A ping of this protocol: a browser gives its page no access to WebSocket pings.
    fn on_ping_frame(&mut self) {
        match self.phase {
            Phase::Greeting { .. } => self.refuse(None, ErrorCode::BadOrder, "say hello first", None),
            _ => self.outputs.push_back(Output::Send(Outgoing::Text(PONG.to_owned()))),
        }
    }

    /// A client without a valid `hello` would repeat it in vain, so its connection is closed. A client whose data is beyond a
    /// bound speaks the protocol: its frames only count towards its rate.
    fn on_bad_frame(&mut self, bad: BadFrame) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            return self.close(CloseCode::BadFrame, close_reason(&format!("no hello: {}", bad.message)));
        }
        self.refuse(bad.id, bad.code, &bad.message, None);
        if bad.code != ErrorCode::BadFrame {
            return;
        }
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= MAX_BAD {
            self.close(CloseCode::BadFrame, "too many bad frames in a row");
        }
    }

    fn on_msg(&mut self, msg: Msg, now: Time) {
        if msg.id > self.high && self.has_crossed(msg.room, msg.id) {
            // One reply answers one message: a later message under this id is another one.
            self.high = msg.id;
            return;
        }
        match self.room_for(&msg) {
            Ok(_) if self.slow_down(msg.id, now) => {}
            Ok(room) => self.pass_on(room, msg),
            Err(Refusal { code, message, retry_after_ms }) => self.refuse(Some(msg.id), code, message, retry_after_ms),
        }
    }

    /// The message's room, or why it has none. A message that is refused has not used its id.
    fn room_for(&self, msg: &Msg) -> Result<RoomId, Refusal> {
        let refusal = |code, message| Err(Refusal { code, message, retry_after_ms: None });
        if !matches!(self.phase, Phase::Open(_)) {
            return refusal(ErrorCode::BadOrder, "say hello first, and wait for welcome");
        }
        if msg.id <= self.high {
            return refusal(ErrorCode::StaleId, "ids rise within a session; this one is not above the last one");
        }
        let seat = match msg.room {
            Some(room) => self.seat(room),
            None => self.seats.iter().rev().find(|seat| seat.is_shown()).or(self.seats.last()),
        };
        let Some(seat) = seat.filter(|seat| seat.state == SeatState::Member) else {
            return refusal(ErrorCode::NotInRoom, "you are not in that room; the last room frame says where you are");
        };
        if msg.id <= seat.begins_after {
            return refusal(ErrorCode::NotInRoom, "you have left that room since, and come back to it");
        }
        if msg.id <= seat.applied {
            return refusal(ErrorCode::Applied, "the room has applied this message; its reply is no longer kept");
        }
        let behind = seat.sent() >= WINDOW && self.held_bytes() + msg.data.len() > MAX_HELD_BYTES;
        if behind || seat.waiting.len() >= MAX_WAITING {
            let message = "too many messages wait for this room's answers";
            return Err(Refusal { code: ErrorCode::Unavailable, message, retry_after_ms: Some(RETRY_MS) });
        }
        Ok(seat.room)
    }

    /// Queues the message for its room's channel, where it is appended at once or in its turn: see [`WINDOW`].
    fn pass_on(&mut self, room: RoomId, msg: Msg) {
        self.high = msg.id;
        self.silent = false;
        if let Some(seat) = self.seat_mut(room) {
            seat.waiting.push_back(msg.id);
            seat.held.push_back(msg);
        }
    }

    /// Appends held messages, in order, as answers to earlier ones make room.
    pub(super) fn send_held(&mut self) {
        let Some(session) = self.id() else { return };
        for at in 0..self.seats.len() {
            let seat = &mut self.seats[at];
            while seat.state == SeatState::Member
                && seat.sent() < WINDOW
                && let Some(msg) = seat.held.pop_front()
            {
                let command = RoomCommand::Message { session, message_id: msg.id, kind: msg.kind, data: msg.data };
                self.outputs.push_back(Output::Append { room: seat.room, command, id: Some(msg.id) });
            }
        }
    }

    fn held_bytes(&self) -> usize {
        self.seats.iter().flat_map(|seat| &seat.held).map(|msg| msg.data.len()).sum()
    }

    /// A message that was not appended is answered by the edge. Any other command closes the connection; the room gets it when
    /// the session resumes.
    pub(super) fn on_not_appended(&mut self, room: RoomId, id: Option<u64>) {
        let Some(id) = id else {
            return self.close(CloseCode::Unavailable, "this server cannot reach its log now");
        };
        if let Some(seat) = self.seat_mut(room) {
            seat.waiting.retain(|waiting| *waiting != id);
            seat.held.retain(|msg| msg.id != id);
        }
        let message = "the message could not be taken; it had no effect";
        self.refuse(Some(id), ErrorCode::Unavailable, message, Some(RETRY_MS));
    }

    // ---- the rate ----

    /// Takes one frame's worth of the rate; if there is none, returns when there is, in milliseconds. A refused frame costs as
    /// much, so a client that does not wait goes into debt.
    fn take_token(&mut self, now: Time) -> Result<(), u64> {
        let (rate, full) = (i64::from(self.limits.per_second.max(1)), i64::from(self.limits.burst) * 1000);
        let passed = now.since(self.refilled).min(3_600_000) as i64;
        self.refilled = now;
        let before = (self.tokens + passed * rate).min(full);
        self.tokens = before - 1000;
        if before >= 1000 { Ok(()) } else { Err(((1000 - before) / rate + 1).unsigned_abs()) }
    }

    fn too_fast(&mut self, id: Option<u64>, retry_after_ms: u64) {
        let message = format!("at most {} messages a second", self.limits.per_second);
        self.refuse(id, ErrorCode::RateLimited, &message, Some(retry_after_ms));
        if self.is_far_too_fast() {
            self.close(CloseCode::RateLimited, "too many messages, and they went on");
        }
    }

    fn is_far_too_fast(&self) -> bool {
        self.tokens <= -1000 * i64::from(self.limits.burst)
    }
}
