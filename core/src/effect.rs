//! The boundary to a guest, in plain types: what it is called with, and what it asks for in return.
//!
//! The same shapes as `wit/room.wit`, where they are documented; `host` translates. Here so that [`crate::room`] can
//! decide without knowing wasm.

use std::sync::Arc;

use crate::{
    command::{LeaveReason, Player},
    ids::{Kind, RoomId, Seed, SessionId, Time},
    json::Json,
};

/// The instant of one record, as its guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub now: Time,
    pub seed: Seed,
}

/// A member, as its guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    pub session: SessionId,
    pub player: Player,
    pub connected: bool,
    pub spectator: bool,
}

/// What an instance is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    pub id: RoomId,
    pub kind: Kind,
    pub creator: Option<RoomId>,
    pub at: Moment,
    pub members: Vec<MemberInfo>,
    /// Names of the timers that are pending.
    pub timers: Vec<Arc<str>>,
    pub locked: bool,
    /// `None` in the lobby, whose bounds are others.
    pub rooms: Option<RoomsInfo>,
    pub restored: Option<RestoreReason>,
}

/// How many rooms a room may create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomsInfo {
    /// As it was handed down. The component's own bound may be lower.
    pub allowance: u32,
    /// What each living one has taken, and gives back when it ends.
    pub taken: Vec<(RoomId, u32)>,
}

impl RoomsInfo {
    /// How many more, when the component has this bound.
    pub fn left(&self, living: u32) -> u32 {
        let taken = self.taken.iter().fold(0u32, |sum, (_, taken)| sum.saturating_add(*taken));
        self.allowance.min(living).saturating_sub(taken)
    }
}

/// Why there is a new instance of a room that has lived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreReason {
    Recovered,
    Woken,
    Swapped,
    Faulted,
}

/// A guest's own state, as it wrote it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Saved {
    pub version: u32,
    pub state: Json,
}

/// One call of `handle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Create { options: Json },
    Join { member: MemberInfo, options: Json, from: Option<RoomId> },
    Drop { session: SessionId },
    Reconnect { session: SessionId },
    Leave { session: SessionId, reason: LeaveReason },
    Message { session: SessionId, kind: Arc<str>, data: Json },
    Timer { name: Arc<str>, payload: Json },
    RoomMessage { room: RoomId, data: Json },
    RoomEnd { room: RoomId, outcome: Json, failed: Option<Box<str>> },
    MoveFailed { session: SessionId, room: RoomId, reason: Box<str> },
    Dispose { outcome: Json },
}

impl Event {
    /// What of the script it runs, as its author calls it.
    pub fn handler(&self) -> Box<str> {
        match self {
            Event::Message { kind, .. } => format!("messages.{kind}").into(),
            Event::Timer { name, .. } => format!("timers.{name}").into(),
            Event::Create { .. } => "onCreate".into(),
            Event::Join { .. } => "onJoin".into(),
            Event::Drop { .. } => "onDrop".into(),
            Event::Reconnect { .. } => "onReconnect".into(),
            Event::Leave { .. } => "onLeave".into(),
            Event::RoomMessage { .. } => "onRoomMessage".into(),
            Event::RoomEnd { .. } => "onRoomEnd".into(),
            Event::MoveFailed { .. } => "onMoveFailed".into(),
            Event::Dispose { .. } => "onDispose".into(),
        }
    }
}

/// What a guest asks for. Carried out in order, once its call has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Admit {
        spectator: bool,
    },
    Reply {
        data: Json,
    },
    Refuse {
        reason: Box<str>,
    },
    Send {
        session: SessionId,
        kind: Box<str>,
        data: Json,
    },
    Broadcast {
        kind: Box<str>,
        data: Json,
        except: Vec<SessionId>,
    },
    View {
        view: Json,
    },
    ViewOf {
        session: SessionId,
        view: Json,
    },
    MoveTo {
        session: SessionId,
        room: RoomId,
        options: Json,
    },
    Kick {
        session: SessionId,
        reason: Box<str>,
    },
    /// `allowance`: how many of the rooms that this one may still create the new one may.
    CreateRoom {
        kind: Kind,
        options: Json,
        allowance: u32,
    },
    SendRoom {
        room: RoomId,
        data: Json,
    },
    SetTimer {
        name: Arc<str>,
        after_ms: u64,
        payload: Json,
    },
    CancelTimer {
        name: Arc<str>,
    },
    Lock,
    Unlock,
    Metadata {
        data: Json,
    },
    End {
        outcome: Json,
    },
    Log {
        level: LogLevel,
        text: Box<str>,
    },
}

/// How loud a guest's own log line is, to its author. All of it is DEBUG to the operator: it may hold players' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}
