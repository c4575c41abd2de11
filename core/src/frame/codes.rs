//! Why an error is sent, and why a connection is closed.

use serde::{Deserialize, Serialize};

/// The `code` of an `error` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// Not a frame of this protocol.
    BadFrame,
    /// The frame exceeds a limit on its JSON. No room has it, and its id is not used.
    BadData,
    /// The frame is not valid in this state: a message before `hello`, a second `hello`.
    BadOrder,
    /// The id is not above the highest that this session has used.
    StaleId,
    /// The session is not in that room.
    NotInRoom,
    /// More messages than the session may send, or messages that cost too much computing; try again after `retryAfterMs`.
    RateLimited,
    /// The room has no handler for this type.
    UnknownType,
    /// The script refused; the message is its reason.
    Refused,
    /// The script failed; the message had no effect.
    Fault,
    /// The message cost the room more than one may; it had no effect.
    TooCostly,
    /// The message was applied before, and its reply is no longer kept.
    Applied,
    /// The message cannot be accepted now: the log is not reachable, or too many messages are waiting.
    Unavailable,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadFrame => "bad_frame",
            ErrorCode::BadData => "bad_data",
            ErrorCode::BadOrder => "bad_order",
            ErrorCode::StaleId => "stale_id",
            ErrorCode::NotInRoom => "not_in_room",
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::UnknownType => "unknown_type",
            ErrorCode::Refused => "refused",
            ErrorCode::Fault => "fault",
            ErrorCode::TooCostly => "too_costly",
            ErrorCode::Applied => "applied",
            ErrorCode::Unavailable => "unavailable",
        }
    }
}

/// Why a server closes a WebSocket. After 4000–4499 a client should reconnect; after 4500–4999 it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum CloseCode {
    Draining = 4001,
    SlowConsumer = 4008,
    HeartbeatLost = 4009,
    /// The edge could not serve the session: its log or its store failed.
    Unavailable = 4010,
    RateLimited = 4029,
    /// There are too many connections or new sessions, of this address or in all.
    TooMany = 4030,
    Unauthorized = 4501,
    Kicked = 4503,
    Replaced = 4504,
    BadFrame = 4506,
}

impl CloseCode {
    /// The code of a connection that was lost without a close frame. It is never sent.
    pub const ABNORMAL: u16 = 1006;

    pub fn code(self) -> u16 {
        self as u16
    }

    /// Whether the client should connect again.
    pub fn reconnect(self) -> bool {
        self.code() < 4500
    }
}
