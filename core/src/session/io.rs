//! What the machine takes and what it returns.

use std::{borrow::Cow, sync::Arc};

use crate::{
    command::{EdgeCommand, RoomCommand, Target},
    frame::{BadFrame, ClientFrame, CloseCode, Hello, RoomFrame},
    identity::{Account, Identity},
    ids::{RoomId, SessionId, Time},
    json::Json,
    secret::Secret,
};

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A text frame from the client, or why it could not be read.
    Frame(Result<ClientFrame, BadFrame>),
    /// Something from the client that is no text frame of this protocol; the text describes it.
    Malformed(&'static str),
    /// The client's own ping, which the shell has answered.
    Ping,
    /// The answer to a ping, or an unsolicited pong.
    Pong,
    /// This many WebSocket frames have arrived that made no message of their own.
    Fragments(u32),
    /// This many bytes have arrived, with the input before this one. `player_wait_ms`: how long this session is to wait by the
    /// limits of its player, as [`crate::edge::Players`] has decided.
    Received { bytes: u32, player_wait_ms: u64 },
    /// The answer to [`Output::Hello`].
    Opened(Opened),
    /// The other answer to [`Output::Hello`].
    NotOpened { code: CloseCode, reason: Cow<'static, str> },
    /// The answer to [`Output::Renew`]: the player by the token, or why it is refused. A refusal after which clients reconnect is
    /// one of the edge's: it could not check the token.
    Renewed(Result<Account, (CloseCode, Cow<'static, str>)>),
    /// The answer to [`StoreWrite::Join`] and [`StoreWrite::Move`]: whether it is stored.
    Stored { room: RoomId, done: bool },
    /// The command of an [`Output::Append`] is not in the log. `message_id`: as in the output.
    NotAppended { room: RoomId, message_id: Option<u64> },
    /// A room's frame for this session, under its number, and for the session's latest connection in the room's records.
    Deliver { target: Target, frame: &'a RoomFrame },
    /// Anything else from a room. Not [`EdgeCommand::Deliver`].
    Command(EdgeCommand),
    /// Too much is queued for the client, or something for it was lost at this edge: the client must resume.
    FellBehind,
    /// The session has another connection now.
    Replaced,
    /// A room has recorded another connection as the latest, although this one is the latest.
    Contested,
    /// The connection is lost. `code`: of its close frame, or [`CloseCode::ABNORMAL`].
    Lost { code: u16 },
    /// The edge drains.
    Drain,
    /// The edge cannot do its work.
    Unavailable,
    /// It is [`Session::poll_timeout`](super::Session::poll_timeout) or later.
    Tick,
}

/// A session that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub session: SessionId,
    pub identity: Identity,
    /// The guest that the player was, if it has signed in since: the rooms are notified.
    pub was: Option<Arc<str>>,
    /// The token that resumes it, once.
    pub resume: Secret,
    /// The token of a guest.
    pub guest: Option<Secret>,
    /// What it owes for computing, as this edge has recorded it: [`Session::owed`](super::Session::owed) of its connection
    /// before.
    pub owed: u64,
    /// The rooms that a resumed session may be in, in the order of joining. A new session is stored as a member of the lobby,
    /// and no room has a record of it.
    pub recovered: Option<Vec<RoomId>>,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Send(Outgoing),
    /// Sends a WebSocket ping.
    Ping,
    /// Nothing more is read from the client before this time.
    Pause {
        until: Time,
        by: Slowed,
    },
    /// Closes the connection after everything that was sent. Always the last output to the client.
    Close {
        code: CloseCode,
        reason: Cow<'static, str>,
    },
    /// Authenticates the client, and opens or resumes its session: [`Input::Opened`] or [`Input::NotOpened`].
    Hello(Box<Hello>),
    /// Checks the next token of the session's player: [`Input::Renewed`].
    Renew(Secret),
    /// Appends to the room's channel. `message_id`: of the message, if the command is one.
    Append {
        room: RoomId,
        command: RoomCommand,
        message_id: Option<u64>,
    },
    /// Writes to the store. In order.
    Store(StoreWrite),
}

/// Whose limit a client has exceeded when it is slowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slowed {
    /// Bytes of the session.
    Session,
    /// Frames or bytes of the player, by all of its sessions.
    Player,
}

/// A text frame for the client. A room's frame is kept in the form that all its receivers share.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    Text(String),
    Room { seq: u64, frame: RoomFrame },
}

impl Outgoing {
    pub fn into_text(self) -> String {
        match self {
            Outgoing::Text(text) => text,
            Outgoing::Room { seq, frame } => frame.into_text(seq),
        }
    }

    /// Its approximate size in bytes.
    pub fn size(&self) -> usize {
        match self {
            Outgoing::Text(text) => text.len(),
            Outgoing::Room { frame, .. } => frame.size(),
        }
    }
}

/// A change to a session's row in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreWrite {
    /// It may be a member of this room from now on. The result is [`Input::Stored`].
    Join(SessionId, RoomId),
    /// It is no member of this room.
    Leave(SessionId, RoomId),
    /// It is no member of the room `left`, and may be one of `room` from now on. The result is [`Input::Stored`].
    Move { session: SessionId, left: RoomId, room: RoomId },
    /// The client has this resume token.
    Confirm { session: SessionId, token: Secret },
    /// Its player has another token, with this end, these claims and this id.
    Renew { session: SessionId, claims: Option<Json>, expires: Time, token_id: Option<Arc<str>> },
    /// An operator has ended it, for this reason. Its row has that already, unless the session was opened meanwhile.
    Kick { session: SessionId, reason: Box<str> },
    /// Its connection is lost. `silent`: it is new, has only been in the lobby and has sent no message that was accepted, so
    /// there is nothing to keep for it.
    Disconnected { session: SessionId, silent: bool },
    /// It has ended.
    End(SessionId),
}
