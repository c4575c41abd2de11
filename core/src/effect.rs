//! The boundary to a guest, in plain types: its calls, and the effects that it returns.
//!
//! The same types as in `wit/room.wit`, where they are documented; `host` translates. They are here so that [`crate::room`]
//! does not depend on WebAssembly.

use std::sync::Arc;

use crate::{
    command::{LeaveReason, Player},
    ids::{HashSeed, Kind, RoomId, Seed, SessionId, Time},
    json::Json,
    room::RequestKind,
};

/// The time and the random seed of one call, those of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallContext {
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

/// The room's data that an instance is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    pub id: RoomId,
    pub kind: Kind,
    pub creator: Option<RoomId>,
    pub context: CallContext,
    pub hash_seed: HashSeed,
    pub members: Vec<MemberInfo>,
    /// Names of the timers that are pending.
    pub timers: Vec<Arc<str>>,
    /// The handlers of the requests that are pending, one for each request.
    pub requests: Vec<Arc<str>>,
    pub locked: bool,
    /// `None` in the lobby, which has other limits.
    pub rooms: Option<RoomsInfo>,
    pub restored: Option<RestoreReason>,
}

/// The limit on the rooms that a room may create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomsInfo {
    /// The allowance that it was given. The component's own limit may be lower.
    pub allowance: u32,
    /// What each living room takes of the allowance, and returns when it ends.
    pub taken: Vec<(RoomId, u32)>,
}

impl RoomsInfo {
    /// How many more rooms it may create, if the component has this limit.
    pub fn left(&self, living: u32) -> u32 {
        let taken = self.taken.iter().fold(0u32, |sum, (_, taken)| sum.saturating_add(*taken));
        self.allowance.min(living).saturating_sub(taken)
    }
}

/// Why an existing room has a new instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreReason {
    Recovered,
    Woken,
    Swapped,
    Faulted,
}

impl RestoreReason {
    /// Its name, for scripts and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RestoreReason::Recovered => "recovered",
            RestoreReason::Woken => "woken",
            RestoreReason::Swapped => "swapped",
            RestoreReason::Faulted => "faulted",
        }
    }
}

/// A guest's own state, as saved by the guest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedState {
    pub version: u32,
    pub state: Json,
}

/// One call of `handle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Create {
        options: Json,
    },
    Join {
        member: MemberInfo,
        options: Json,
        claims: Option<Json>,
        from: Option<RoomId>,
    },
    Drop {
        session: SessionId,
    },
    Reconnect {
        session: SessionId,
    },
    Leave {
        session: SessionId,
        reason: LeaveReason,
    },
    Message {
        session: SessionId,
        msg_type: Arc<str>,
        data: Json,
    },
    Timer {
        name: Arc<str>,
        payload: Json,
    },
    /// The answer of a request, or why there is none.
    Answer {
        handler: Arc<str>,
        payload: Json,
        result: Result<Json, Box<str>>,
    },
    RoomMessage {
        room: RoomId,
        data: Json,
    },
    RoomEnd {
        room: RoomId,
        outcome: Json,
        failed: Option<Box<str>>,
    },
    MoveFailed {
        session: SessionId,
        room: RoomId,
        reason: Box<str>,
    },
    Dispose {
        outcome: Json,
    },
    /// The member, who was `was`, has signed in as `player`.
    Identify {
        session: SessionId,
        was: Arc<str>,
        player: Player,
        claims: Option<Json>,
    },
    /// What the script keeps of this player, who is no member, is to be removed.
    Erase {
        player: Arc<str>,
    },
}

impl Event {
    /// The script's handler for this event, under the name that its author uses.
    pub fn handler(&self) -> Box<str> {
        match self {
            Event::Message { msg_type, .. } => format!("messages.{msg_type}").into(),
            Event::Timer { name, .. } => format!("timers.{name}").into(),
            Event::Answer { handler, .. } => format!("answers.{handler}").into(),
            Event::Create { .. } => "onCreate".into(),
            Event::Join { .. } => "onJoin".into(),
            Event::Drop { .. } => "onDrop".into(),
            Event::Reconnect { .. } => "onReconnect".into(),
            Event::Leave { .. } => "onLeave".into(),
            Event::RoomMessage { .. } => "onRoomMessage".into(),
            Event::RoomEnd { .. } => "onRoomEnd".into(),
            Event::MoveFailed { .. } => "onMoveFailed".into(),
            Event::Dispose { .. } => "onDispose".into(),
            Event::Identify { .. } => "onUpgrade".into(),
            Event::Erase { .. } => "onErase".into(),
        }
    }
}

/// An effect of a call. Effects are carried out in order, once the call has returned.
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
        msg_type: Box<str>,
        data: Json,
    },
    Broadcast {
        msg_type: Box<str>,
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
    /// The spectator is a player from here on.
    Sit {
        session: SessionId,
    },
    /// The player is a spectator from here on.
    Stand {
        session: SessionId,
    },
    /// The member of the `identify` in hand has its new identity from here on.
    Identify,
    /// The host performs this; the answer is an event for `handler`, in `after_ms` milliseconds at the latest.
    Request {
        kind: RequestKind,
        handler: Arc<str>,
        after_ms: u64,
        payload: Json,
        data: Json,
    },
    /// Operators get a report about this player: see [`crate::room::Report`].
    Report {
        session: SessionId,
        reason: Box<str>,
        data: Json,
    },
}

/// The level of a guest's own log line, for its author. To the operator every such line is DEBUG, since it may contain players'
/// text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}
