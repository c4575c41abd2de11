//! The commands in channels.
//!
//! A room's channel carries [`Record`]s; a room has no other input. An edge's channel carries [`EdgeCommand`]s from rooms and
//! other edges to its sessions. Both are encoded by [`crate::wire`], which pins their bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    frame::RoomFrame,
    identity::Ending,
    ids::{ConnectionId, Digest, Kind, MachineId, OutputId, RoomId, RoomSecret, SessionId, Time},
    json::Json,
};

/// The message id of what an author sends in a member's name, from the inspector of `chorus dev`. Clients number their messages from
/// 1, so such a message is no duplicate of theirs, and takes no number from them. It has no answer.
pub const AUTHORS_MESSAGE: u64 = 0;

/// One entry of a room's channel. Key: the room. Owner: the host of its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub room: RoomId,
    /// The producer's time. A room's clock follows it, and never decreases.
    pub time: Time,
    pub command: RoomCommand,
}

/// An input of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomCommand {
    /// The room begins. A second one is ignored.
    Create {
        kind: Kind,
        component: Digest,
        options: Json,
        creator: Option<OutputRef>,
        secret: RoomSecret,
        /// How many living rooms it may have created, including those that they have created in turn.
        allowance: u32,
    },
    /// A session requests to be a member. For a session that already is, this is a reconnect.
    Join(Joining),
    /// From a player. `message_id` rises within a session; a message whose number does not rise is a duplicate, and dropped.
    /// [`AUTHORS_MESSAGE`] is no player's, and never a duplicate.
    Message { session: SessionId, message_id: u64, msg_type: Arc<str>, data: Json },
    /// The session's connection at this edge is lost. Ignored if the session has reconnected elsewhere.
    Drop { session: SessionId, edge: MachineId, code: u16 },
    /// The session has reconnected. `last_seq` is the last frame of this room that the client has; `None` requests a whole
    /// view.
    Reconnect { session: SessionId, edge: MachineId, request: RequestId, last_seq: Option<u64> },
    /// The session is no longer a member.
    Leave { session: SessionId, reason: LeaveReason },
    /// A timer is due, as set under this id. It fires if that setting is still pending. `name` is for people: the name of the
    /// script's timer; the timer of a held seat or an empty room has none.
    Timer { id: OutputId, name: Option<Arc<str>> },
    /// From another room. `number` is that of the output; a number not above the highest received from that room is dropped.
    RoomMessage { from: RoomId, number: OutputId, data: RoomData },
    /// The result of a request that this room made under `request`.
    Answer { request: OutputId, answer: Answer },
    /// The room runs this component from this record on.
    Swap { component: Digest, rollout: Option<Box<str>> },
    /// The guest failed on the record at this offset: that record is skipped, now and in every replay. The index is for
    /// records that hold several inputs; none does, so it is 0.
    Fault { at: OutputId, fault: Fault },
    /// Ends the room: by an operator, or by the room itself when it cannot continue.
    Close { reason: Box<str> },
    /// The guest threw on the record at `at`. For people: it has no effect, since every replay finds the throw itself.
    Threw { at: OutputId, text: Box<str> },
    /// The player of this session, who was `was`, is `player` now: a guest has signed in. The room's script decides whether the
    /// member has the new identity in this room too.
    Identify { session: SessionId, was: Arc<str>, player: Player, claims: Option<Json> },
    /// What the room keeps of this player is removed: its members, and by the script what its state has.
    Erase { player: Arc<str> },
    /// Reserved, and without effect yet: the end of a step, and what has arrived in it.
    Tick { number: u64, inputs: Vec<TickInput> },
}

/// A message that waits for the end of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickInput {
    pub session: SessionId,
    pub msg_type: Arc<str>,
    pub data: Json,
}

impl RoomCommand {
    /// The session whose client has caused this record; `None` where a room or an operator has. A budget that such a record
    /// exhausts is charged to the session, and not to the room.
    pub fn client(&self) -> Option<SessionId> {
        match self {
            // What an author sends is not charged to the member in whose name it is sent.
            RoomCommand::Message { message_id: AUTHORS_MESSAGE, .. } => None,
            RoomCommand::Join(Joining { session, .. })
            | RoomCommand::Message { session, .. }
            | RoomCommand::Drop { session, .. }
            | RoomCommand::Reconnect { session, .. }
            | RoomCommand::Leave { session, .. }
            | RoomCommand::Identify { session, .. } => Some(*session),
            RoomCommand::Create { .. }
            | RoomCommand::Timer { .. }
            | RoomCommand::RoomMessage { .. }
            | RoomCommand::Answer { .. }
            | RoomCommand::Swap { .. }
            | RoomCommand::Fault { .. }
            | RoomCommand::Close { .. }
            | RoomCommand::Threw { .. }
            | RoomCommand::Erase { .. }
            | RoomCommand::Tick { .. } => None,
        }
    }
}

/// A session that asks to be a member of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    pub session: SessionId,
    pub player: Player,
    /// What the player's token claims, as a JSON object: for the script's join handlers. Not kept in the member.
    pub claims: Option<Json>,
    pub edge: MachineId,
    pub request: RequestId,
    /// The highest message id that the edge has accepted from this session: a message with this id or a lower one is never
    /// for this room.
    pub message_id: u64,
    pub options: Json,
    /// The move that this is part of: the room left behind, and the number of its request.
    pub from: Option<OutputRef>,
}

/// An output of another room: that room, and the output's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRef {
    pub room: RoomId,
    pub number: OutputId,
}

/// An edge's request to a room, for one connection. Its number rises with each request of the connection, to any room.
///
/// What a room sends about a member, it sends in answer to the latest request that it has processed, and names that request. So
/// an edge can tell the answer to its present request from an answer to an earlier one, which may be late or repeated by a host
/// that has taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId {
    pub connection: ConnectionId,
    pub number: u32,
}

/// An identity, as the edge has checked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Player {
    pub id: Arc<str>,
    pub name: Arc<str>,
}

/// Why a session is no longer a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaveReason {
    /// It left by itself.
    Left,
    /// It moved to another room.
    Moved,
    /// It dropped, and did not reconnect while its seat was held.
    TimedOut,
    /// The room kicked it.
    Kicked,
    /// The same player is a member by another session.
    Replaced,
    /// The room has ended. Sent to sessions that were away then.
    Ended,
}

impl LeaveReason {
    /// Its name, for clients, scripts and operators.
    pub fn as_str(self) -> &'static str {
        match self {
            LeaveReason::Left => "left",
            LeaveReason::Moved => "moved",
            LeaveReason::TimedOut => "timed-out",
            LeaveReason::Kicked => "kicked",
            LeaveReason::Replaced => "replaced",
            LeaveReason::Ended => "ended",
        }
    }
}

/// What one room sends another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomData {
    /// A message from script to script.
    Message(Json),
    /// A created room has ended: its outcome for its creator, or why it failed.
    Ended { outcome: Json, failed: Option<Box<str>> },
}

/// The result of a room's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The target has refused a move: the member stays.
    MoveRefused { session: SessionId, room: RoomId, reason: Box<str> },
    /// A room could not be created.
    CreateFailed { room: RoomId, reason: Box<str> },
    /// The result of a request of any other kind, or why there is none.
    Result(Result<Json, Box<str>>),
}

/// How a guest failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    #[error("threw: {0}")]
    Threw(Box<str>),
    #[error("trapped: {0}")]
    Trapped(Box<str>),
    #[error("ran out of fuel ({0} units for one record)")]
    OutOfFuel(u64),
    #[error("grew past its memory ({0} bytes)")]
    OutOfMemory(u64),
    #[error("asked for too much: {0}")]
    TooMuch(Box<str>),
    #[error("returned what is not allowed: {0}")]
    Garbage(Box<str>),
}

impl Fault {
    /// Its name, for operators and metrics. `Display` has the details.
    pub fn as_str(&self) -> &'static str {
        match self {
            Fault::Threw(_) => "threw",
            Fault::Trapped(_) => "trapped",
            Fault::OutOfFuel(_) => "out-of-fuel",
            Fault::OutOfMemory(_) => "out-of-memory",
            Fault::TooMuch(_) => "too-much",
            Fault::Garbage(_) => "garbage",
        }
    }

    /// Whether a budget was exhausted. Every other fault is the script's own failure.
    pub fn is_exhaustion(&self) -> bool {
        match self {
            Fault::OutOfFuel(_) | Fault::OutOfMemory(_) | Fault::TooMuch(_) => true,
            Fault::Threw(_) | Fault::Trapped(_) | Fault::Garbage(_) => false,
        }
    }
}

/// A command of a room, or of another edge, to an edge.
///
/// A room addresses one connection, the session's latest in the room's records. If a host that has taken over repeats a
/// command, it is an echo to any other connection. A connection that the room has no record of yet gets everything once it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeCommand {
    /// Frames of one record, or of one resume.
    Deliver(Deliveries),
    /// Moves this session to `room`; `from` is the room that requests the move, and the request's number.
    Move { session: SessionId, connection: ConnectionId, room: RoomId, options: Json, from: OutputRef },
    /// The session is not (or no longer) a member of this room: as of `request`, the latest request of it that the room has
    /// processed.
    Left { session: SessionId, request: RequestId, room: RoomId, reason: LeaveReason },
    /// Ends the session.
    Kick { session: SessionId, connection: ConnectionId, room: RoomId, reason: Box<str> },
    /// The room has admitted the session. `request` and `from` as in its `Join`.
    Admitted { session: SessionId, request: RequestId, room: RoomId, from: Option<OutputRef> },
    /// The room has refused the session.
    Refused { session: SessionId, request: RequestId, room: RoomId, from: Option<OutputRef>, reason: Box<str> },
    /// From another edge, or from a room: the session has a connection elsewhere now. The receiver checks that in the store,
    /// because an edge's record to a room may have been in flight for long.
    Replaced { session: SessionId },
    /// The processor time that a host has spent on the input of this session's client since the last of these. Best effort: it
    /// may be lost, and is sent only for larger amounts.
    Spent { session: SessionId, connection: ConnectionId, micros: u32 },
    /// The end of the room's answer to `request`: all frames that the client lacked have been sent. `applied` is the highest
    /// message id of the session that the room has applied.
    Resumed { session: SessionId, request: RequestId, room: RoomId, applied: u64 },
    /// From an operator, to every edge: ends the sessions that it is for. Their rows are written before it is sent.
    End(Ending),
}

impl EdgeCommand {
    /// The connection that it is addressed to, if it is one.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            EdgeCommand::Move { connection, .. }
            | EdgeCommand::Kick { connection, .. }
            | EdgeCommand::Spent { connection, .. } => Some(*connection),
            EdgeCommand::Left { request, .. }
            | EdgeCommand::Resumed { request, .. }
            | EdgeCommand::Admitted { request, .. }
            | EdgeCommand::Refused { request, .. } => Some(request.connection),
            EdgeCommand::Deliver(_) | EdgeCommand::Replaced { .. } | EdgeCommand::End(_) => None,
        }
    }
}

/// Frames of one room for sessions of one edge, in the order in which they are delivered. A frame for several sessions is held
/// once, and each session gets it under its own sequence number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deliveries {
    frames: Vec<RoomFrame>,
    /// Each has the index of its frame. They are counted while the command is made, and an index without a frame in bytes of
    /// another process is no delivery.
    targets: Vec<(u32, Target)>,
    /// Of the frames, while the command is made. Not sent.
    #[serde(skip)]
    bytes: usize,
}

impl PartialEq for Deliveries {
    fn eq(&self, other: &Deliveries) -> bool {
        (&self.frames, &self.targets) == (&other.frames, &other.targets)
    }
}

impl Eq for Deliveries {}

/// Bytes of frames and of their receivers from which on a command takes no further frame. A record with more frames for one edge
/// takes several commands.
pub const MAX_DELIVERED: usize = 64 * 1024;

impl Deliveries {
    /// One frame for one session.
    pub fn one(frame: RoomFrame, target: Target) -> Deliveries {
        Deliveries { bytes: frame.size(), frames: vec![frame], targets: vec![(0, target)] }
    }

    /// Adds a frame, unless it is the last one already: then the receivers that follow share it. Returns whether there was a place
    /// for it.
    #[must_use = "a frame without a place begins another command"]
    pub fn add_frame(&mut self, frame: &RoomFrame) -> bool {
        if self.frames.last().is_some_and(|last| last.is_shared_with(frame)) {
            return true;
        }
        let has_place = self.bytes + self.targets.len() * size_of::<Target>() < MAX_DELIVERED;
        if has_place {
            self.bytes += frame.size();
            self.frames.push(frame.clone());
        }
        has_place
    }

    /// Adds a receiver of the frame that was added last.
    pub fn add_target(&mut self, target: Target) {
        self.targets.push((self.frames.len() as u32 - 1, target));
    }

    /// The receivers and their frames, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Target, &RoomFrame)> {
        self.targets.iter().filter_map(|(frame, target)| Some((*target, self.frames.get(*frame as usize)?)))
    }

    /// The number of deliveries.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}

/// A receiver of a frame, and the frame's number among those of this room to this session: 1, 2, 3, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub session: SessionId,
    pub connection: ConnectionId,
    pub seq: u64,
}
