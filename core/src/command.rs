//! What travels on channels.
//!
//! A room's channel carries [`Record`]s; whatever can influence a room is one. An edge's channel carries
//! [`EdgeCommand`]s: what its rooms have for its sessions. Both are encoded by [`crate::wire`], which pins their bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    frame::RoomFrame,
    ids::{ConnectionId, Digest, Kind, MachineId, Number, RoomId, Secret, SessionId, Time},
    json::Json,
};

/// One entry of a room's channel. Key: the room. Owner: whoever hosts its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub room: RoomId,
    /// The producer's time. A room's clock follows it, and never goes back.
    pub time: Time,
    pub command: RoomCommand,
}

/// What can happen to a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomCommand {
    /// The room begins. A second one is ignored.
    Create {
        kind: Kind,
        component: Digest,
        options: Json,
        creator: Option<Source>,
        secret: Secret,
        /// How many living rooms it may have created, those that they have created in turn included.
        allowance: u32,
    },
    /// A session asks to be a member. Of one that already is, it is a reconnect.
    Join {
        session: SessionId,
        player: Player,
        edge: MachineId,
        question: Question,
        /// The highest id that the edge has taken from this session: an older one can never be for this room.
        client_seq: u64,
        options: Json,
        /// The move that this is part of: the room left behind, and the number of its request.
        from: Option<Source>,
    },
    /// From a player. `client_seq` rises within a session; one that does not is a duplicate, and dropped.
    Message { session: SessionId, client_seq: u64, kind: Arc<str>, data: Json },
    /// The session's connection at this edge is gone. Ignored when it has come back by another one.
    Drop { session: SessionId, edge: MachineId, code: u16 },
    /// The session is back. `last_seq` is the last frame of this room that it has; `None` asks for a full view.
    Reconnect { session: SessionId, edge: MachineId, question: Question, last_seq: Option<u64> },
    /// The session is a member no longer.
    Leave { session: SessionId, reason: LeaveReason },
    /// The setting of a timer that is due. It fires if that setting is still pending.
    /// `name` is for people: that of the script's timer; a seat that is held or an empty room has none.
    Timer { id: Number, name: Option<Arc<str>> },
    /// From another room. `number` is its output's; one not above the highest seen from that room is dropped.
    RoomMessage { from: RoomId, number: Number, data: RoomData },
    /// What came of a request that this room made under `request`.
    Answer { request: Number, answer: Answer },
    /// From here on the room runs this component.
    Swap { component: Digest, rollout: Option<Box<str>> },
    /// The guest failed on the record at this offset: that record is skipped, now and in every replay. The index is for
    /// records that hold several inputs; none does, so it is 0.
    Fault { at: Number, fault: Fault },
    /// An operator ends the room.
    Close { reason: Box<str> },
    /// The guest threw on the record at `at`. For people: every replay finds that out for itself, so nothing comes of it.
    Threw { at: Number, text: Box<str> },
}

impl RoomCommand {
    /// The session whose client has caused this record; `None` where it was the room itself, another one, or an operator.
    /// A budget that such a record exhausts is charged to the session, and not to the room.
    pub fn client(&self) -> Option<SessionId> {
        match self {
            RoomCommand::Join { session, .. }
            | RoomCommand::Message { session, .. }
            | RoomCommand::Drop { session, .. }
            | RoomCommand::Reconnect { session, .. }
            | RoomCommand::Leave { session, .. } => Some(*session),
            RoomCommand::Create { .. }
            | RoomCommand::Timer { .. }
            | RoomCommand::RoomMessage { .. }
            | RoomCommand::Answer { .. }
            | RoomCommand::Swap { .. }
            | RoomCommand::Fault { .. }
            | RoomCommand::Close { .. }
            | RoomCommand::Threw { .. } => None,
        }
    }
}

/// An output of another room: who made it, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub room: RoomId,
    pub number: Number,
}

/// An edge's question to a room, for one connection. Its number rises with each that the connection asks, of any room.
///
/// What the room says of a member it says after the latest question that it has heard, and names that. So an edge can tell
/// the answer to what it asks now from one to what it asked before, late, or said again by a host that has taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub connection: ConnectionId,
    pub number: u32,
}

/// An identity, as the edge has checked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Player {
    pub id: Arc<str>,
    pub name: Arc<str>,
}

/// Why a member is one no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaveReason {
    /// Of its own will.
    Left,
    /// Into another room.
    Moved,
    /// It dropped, and did not come back within the hold.
    TimedOut,
    /// By the room.
    Kicked,
    /// The same player sits here with another session.
    Replaced,
    /// The room has ended. Told to those who were away then.
    Ended,
}

/// What one room sends another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomData {
    /// By the scripts' own will.
    Message(Json),
    /// A created room tells its creator that it has ended: with its outcome, or why it failed.
    Ended { outcome: Json, failed: Option<Box<str>> },
}

/// What came of a room's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A move was refused by its target: the member stays.
    MoveRefused { session: SessionId, room: RoomId, reason: Box<str> },
    /// A room could not be created.
    CreateFailed { room: RoomId, reason: Box<str> },
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
    /// Whether a budget was exhausted. Everything else is a failure of the script's own, whatever it was given.
    pub fn is_exhaustion(&self) -> bool {
        match self {
            Fault::OutOfFuel(_) | Fault::OutOfMemory(_) | Fault::TooMuch(_) => true,
            Fault::Threw(_) | Fault::Trapped(_) | Fault::Garbage(_) => false,
        }
    }
}

/// What a room, or another edge, has for an edge.
///
/// What a room says, it says to one connection, the latest of the session that it has heard of: said again by a host that
/// has taken over, it is an echo to any other. A connection that the room has not heard of yet is told all when it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeCommand {
    /// One frame for several sessions, each under its own sequence number.
    Deliver { room: RoomId, targets: Vec<Target>, frame: RoomFrame },
    /// Move this session on to `room`; `from` is the room that asks, and its number.
    Join { session: SessionId, connection: ConnectionId, room: RoomId, options: Json, from: Source },
    /// The session is not (or no longer) a member of this room: after `question`, the latest that the room has heard of it.
    Leave { session: SessionId, question: Question, room: RoomId, reason: LeaveReason },
    /// Close the session for good.
    Kick { session: SessionId, connection: ConnectionId, room: RoomId, reason: Box<str> },
    /// The room has taken the session in. `question` and `from` as they were in its `Join`.
    Admitted { session: SessionId, question: Question, room: RoomId, from: Option<Source> },
    /// The room has not.
    Refused { session: SessionId, question: Question, room: RoomId, from: Option<Source>, reason: Box<str> },
    /// From another edge, or from a room: the session has a connection elsewhere now. The store knows whether that is so:
    /// what an edge has told a room may have been on its way for long.
    Replaced { session: SessionId },
    /// So much of a host's processor time went into what this session's client has sent, since the last of these. Best
    /// effort: it may be lost, and comes only where it is much.
    Spent { session: SessionId, connection: ConnectionId, micros: u32 },
    /// The end of the room's answer to `question`: all frames that the session has missed have been sent. `applied` is the
    /// highest message id of the session that the room has applied.
    Resumed { session: SessionId, question: Question, room: RoomId, applied: u64 },
}

impl EdgeCommand {
    /// Whom it is for, where that is one connection.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            EdgeCommand::Join { connection, .. }
            | EdgeCommand::Kick { connection, .. }
            | EdgeCommand::Spent { connection, .. } => Some(*connection),
            EdgeCommand::Leave { question, .. }
            | EdgeCommand::Resumed { question, .. }
            | EdgeCommand::Admitted { question, .. }
            | EdgeCommand::Refused { question, .. } => Some(question.connection),
            EdgeCommand::Deliver { .. } | EdgeCommand::Replaced { .. } => None,
        }
    }
}

/// A session that a frame is for, and the frame's number among those of this room to this session: 1, 2, 3, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub session: SessionId,
    pub connection: ConnectionId,
    pub seq: u64,
}
