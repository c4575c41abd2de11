//! The session machine: everything that an edge decides for one connection. (For all of them together: [`crate::edge`]. The
//! shell of both is the crate `edge`.)
//!
//! There is one machine for each connection. It begins with a client that has sent nothing, becomes a session with `hello`, and
//! ends with the connection. When the session resumes, here or at another edge, a new machine continues it from the store's
//! row. It takes inputs with the time, and returns what to do with [`Session::poll_output`]. It never waits, reads no clock and
//! draws no randomness.
//!
//! Where to look: this file drives the machine and opens sessions; `messages` handles the client's frames; `spending` slows a
//! session that costs too much; `seats` has the rooms that the session is in, passes their frames on, and moves the session
//! between them.
//!
//! What it guarantees:
//! - **`welcome` first**, then frames of rooms. Frames of a room that the session is not in are dropped.
//! - **Numbers without a gap.** Of each room the client gets frame `n + 1` after frame `n`, or a `room` frame with any higher
//!   number. Repetitions are dropped, and missing frames are requested again.
//! - **One answer to each `msg`:** the room's, or an error of the edge's own.
//! - **The store has more memberships, never fewer:** a membership is stored before its room gets the join, and removed once
//!   the room has reported its end. A session that resumes sends a request to every room that may have it.
//! - **Repetitions do no harm:** a room's requests are identified by their numbers, and its answers by the number of the edge's
//!   request.
//! - **Fair channels:** at most [`WINDOW`] messages of a session are in a room's channel without an answer; the others are held
//!   here, in order. A message that is still held when the connection ends was not applied, and its client resends it.
//!
//! Bounds: [`MAX_ROOMS`] seats, [`MAX_WAITING`] messages without an answer in each, [`MAX_HELD_BYTES`] of held data, a few
//! former rooms and moves.

mod messages;
mod seats;
mod spending;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::VecDeque};

use seats::{Move, Past, Seat};
use spending::Spending;

use crate::{
    command::{EdgeCommand, LeaveReason, Player, RoomCommand, Target},
    frame::{BadFrame, ClientFrame, CloseCode, ErrorCode, Hello, RoomFrame, Welcome, edge_error},
    ids::{ConnectionId, MachineId, RoomId, SessionId, Time},
};

/// Rooms that a session can be in at once.
pub const MAX_ROOMS: usize = 8;

/// Messages to one room that may wait for an answer.
pub const MAX_WAITING: usize = 256;

/// Messages of one session that may be in one room's channel without an answer. The others are held here, so that a member that
/// sends many at once does not delay one that sends a single message: a channel is read in order. At the default rate of 50
/// messages a second none is held where an answer takes less than 160 ms.
pub const WINDOW: usize = 8;

/// Bytes of held data, in all rooms together: four of the largest frames. Beyond it a message is answered with `unavailable`,
/// as beyond [`MAX_WAITING`].
pub const MAX_HELD_BYTES: usize = 256 * 1024;

/// A client's limits: its rates, and how long it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames per second, in the long run.
    pub per_second: u32,
    /// Frames at once. As many more are refused one by one; after those the connection is closed.
    pub burst: u32,
    /// Milliseconds of a host's processor that a session's messages may cost per second, in the long run; twice as much
    /// at once. A tenth of a core: 50 moves of tic-tac-toe a second cost 3 to 15 ms.
    pub compute_ms: u32,
    /// How long a client may take for its `hello`, in milliseconds.
    pub hello_ms: u64,
    /// After this long without a frame a client checks whether its connection is alive, in milliseconds. A connection is lost
    /// when the client is silent for twice as long, and answers neither of two pings in that time.
    pub ping_ms: u64,
}

impl Limits {
    /// The default of [`Limits::ping_ms`]. In a turn of 30 seconds, a player whose connection dies silently has more than half
    /// left when the client has reconnected (after 1.5 times this); opponents see the loss within twice this. One small frame
    /// in this time keeps a phone's radio from sleeping (LTE: some 10 s after the last packet), as a visible game does anyway;
    /// a browser slows down a page in the background.
    pub const PING_MS: u64 = 8_000;

    /// Silence after which the edge pings. Longer than a client waits for its own check, so that a client that checks is not
    /// pinged.
    fn silence_ms(&self) -> u64 {
        self.ping_ms.saturating_add(self.ping_ms / 4)
    }

    /// How long the edge waits for the answer to each of two pings: the second wait ends at twice [`Limits::ping_ms`].
    fn pong_ms(&self) -> u64 {
        (self.ping_ms / 8 * 3).max(1)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_second: 50, burst: 100, compute_ms: 100, hello_ms: 10_000, ping_ms: Limits::PING_MS }
    }
}

/// One connection and its session.
#[derive(Debug)]
pub struct Session {
    edge: MachineId,
    connection: ConnectionId,
    limits: Limits,
    phase: Phase,
    /// In the order of their latest `room` frames: messages without a room go to the last one.
    seats: Vec<Seat>,
    /// Former rooms, with the frames that the client has of each.
    past: VecDeque<Past>,
    /// Moves that rooms have requested, the latest of each room.
    moves: VecDeque<Move>,
    /// The lobby is joined once the store has the membership.
    wants_lobby: bool,
    /// The number of the latest request to a room.
    requests: u32,
    /// The highest message id that was accepted on this connection.
    high: u64,
    /// The highest message id that a room has applied, by the frames of this connection.
    reached: u64,
    /// Thousandths of frames that are allowed now. Below zero when the client continued after a refusal.
    tokens: i64,
    refilled: Time,
    spending: Spending,
    bad_in_a_row: u32,
    /// The client has not yet confirmed its new resume token.
    unconfirmed: bool,
    /// The session began with this connection, and has only been in the lobby since, without sending a message.
    silent: bool,
    /// When the client last sent anything.
    heard_at: Time,
    /// When `heard_at` is examined. This is postponed only then, not by each frame.
    next_ping: Time,
    unanswered_pings: u32,
    /// Pings that were sent, less the pongs received since. A pong beyond them costs the rate as a ping does.
    awaited_pongs: u32,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Phase {
    /// Until `hello`.
    Greeting {
        deadline: Time,
    },
    /// Until the shell has opened the session.
    Opening {
        last: Vec<(RoomId, u64)>,
    },
    Open(Who),
    Over,
}

#[derive(Debug, Clone)]
struct Who {
    session: SessionId,
    player: Player,
}

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
    /// The answer to [`Output::Hello`].
    Opened(Opened),
    /// The other answer to [`Output::Hello`].
    NotOpened { code: CloseCode, reason: Cow<'static, str> },
    /// The answer to [`Store::Join`]: whether it is stored.
    Stored { room: RoomId, done: bool },
    /// The command of an [`Output::Append`] is not in the log. `id`: as in the output.
    NotAppended { room: RoomId, id: Option<u64> },
    /// A room's frame for this session, under its number, and for the session's latest connection in the room's records.
    Deliver { room: RoomId, target: Target, frame: &'a RoomFrame },
    /// Anything else from a room. Not [`EdgeCommand::Deliver`].
    Command(EdgeCommand),
    /// Too much is queued for the client, or something for it was lost at this edge: the client must resume.
    FellBehind,
    /// The session has another connection now.
    Replaced,
    /// A room has another connection as the latest, but this one is.
    Contested,
    /// The connection is lost. `code`: of its close frame, 1006 when there was none.
    Lost { code: u16 },
    /// The edge drains.
    Drain,
    /// The edge cannot do its work.
    Unavailable,
    /// It is [`Session::poll_timeout`] or later.
    Tick,
}

/// A session that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub session: SessionId,
    pub player: Player,
    /// The token that resumes it, once.
    pub resume: String,
    /// What it owes for computing, by this edge's account: [`Session::owed`] of its connection before.
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
    /// Closes the connection after everything that was sent. Always the last output to the client.
    Close {
        code: CloseCode,
        reason: Cow<'static, str>,
    },
    /// Authenticates the client, and opens or resumes its session: [`Input::Opened`] or [`Input::NotOpened`].
    Hello(Box<Hello>),
    /// Appends to the room's channel. `id`: of the message, if the command is one.
    Append {
        room: RoomId,
        command: RoomCommand,
        id: Option<u64>,
    },
    /// Writes to the store. In order.
    Store(Store),
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
            Outgoing::Room { seq, frame } => frame.with_seq(seq),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It may be a member of this room from now on. The result is [`Input::Stored`].
    Join(SessionId, RoomId),
    /// It is no member of this room.
    Leave(SessionId, RoomId),
    /// The client has its latest resume token.
    Confirm(SessionId),
    /// Its connection is lost. `silent`: it is new, has only been in the lobby and has sent no message that was accepted, so
    /// there is nothing to keep for it.
    Disconnected { session: SessionId, silent: bool },
    /// It has ended.
    End(SessionId),
}

impl Session {
    /// A connection that has just been made to `edge`.
    pub fn new(edge: MachineId, connection: ConnectionId, limits: Limits, now: Time) -> Session {
        Session {
            edge,
            connection,
            limits,
            phase: Phase::Greeting { deadline: now.plus(limits.hello_ms) },
            seats: Vec::new(),
            past: VecDeque::new(),
            moves: VecDeque::new(),
            wants_lobby: false,
            requests: 0,
            high: 0,
            reached: 0,
            tokens: i64::from(limits.burst) * 1000,
            refilled: now,
            spending: Spending::default(),
            bad_in_a_row: 0,
            unconfirmed: false,
            silent: false,
            heard_at: now,
            next_ping: now.plus(limits.silence_ms()),
            unanswered_pings: 0,
            awaited_pongs: 0,
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, input: Input<'_>, now: Time) {
        if self.is_over() {
            return self.handle_late(input);
        }
        match input {
            Input::Frame(frame) => self.on_frame(frame, now),
            Input::Malformed(what) => self.close(CloseCode::BadFrame, what),
            Input::Ping => self.on_ping(now),
            Input::Pong => self.on_pong(now),
            Input::Fragments(count) => self.on_idle_frames(count, now),
            Input::Opened(opened) => self.on_opened(opened, now),
            Input::NotOpened { code, reason } => self.close(code, reason),
            Input::Stored { room, done } => self.on_stored(room, done, now),
            Input::NotAppended { room, id } => self.on_not_appended(room, id),
            Input::Deliver { room, target, frame } => self.on_deliver(room, target, frame, now),
            Input::Command(command) => self.on_command(command, now),
            Input::FellBehind => {
                self.close(CloseCode::SlowConsumer, "too much was waiting for you: come again and resume")
            }
            Input::Replaced => self.on_replaced(),
            Input::Contested => self.on_contested(now),
            Input::Lost { code } => self.depart(code),
            Input::Drain => self.close(CloseCode::Draining, "this server is about to stop: come again"),
            Input::Unavailable => self.close(CloseCode::Unavailable, "this server cannot do its work now"),
            Input::Tick => self.on_tick(now),
        }
        self.send_held();
    }

    /// The next output, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Greeting { deadline } => Some(*deadline),
            Phase::Opening { .. } | Phase::Open(_) => Some(self.next_ping),
            Phase::Over => None,
        }
    }

    /// Whether the machine has ended. Only [`Input::Opened`] still has an effect then.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// The session, once it is open.
    pub fn id(&self) -> Option<SessionId> {
        match &self.phase {
            Phase::Open(who) => Some(who.session),
            _ => None,
        }
    }

    // ---- greeting ----

    fn on_hello(&mut self, mut hello: Hello) {
        match self.phase {
            Phase::Greeting { .. } => {
                self.phase = Phase::Opening { last: std::mem::take(&mut hello.last) };
                self.outputs.push_back(Output::Hello(Box::new(hello)));
            }
            _ => self.refuse(None, ErrorCode::BadOrder, "hello comes once, as the first frame", None),
        }
    }

    fn on_opened(&mut self, opened: Opened, now: Time) {
        let last = match &mut self.phase {
            Phase::Opening { last } => std::mem::take(last),
            _ => Vec::new(),
        };
        let Opened { session, player, resume, owed, recovered } = opened;
        if recovered.is_some() {
            self.resume_owing(owed, now);
        }
        let welcome = Welcome {
            session: session.to_string(),
            resume: &resume,
            recovered: recovered.is_some(),
            ping_ms: self.limits.ping_ms,
            player: &player.id,
            name: &player.name,
        };
        self.outputs.push_back(Output::Send(Outgoing::Text(welcome.text())));
        self.unconfirmed = recovered.is_some();
        self.silent = recovered.is_none();
        if self.unconfirmed {
            // The pong makes the old token void. Until then that token can still take the session over (in an earlier `hello`
            // of this client that a stalled edge has yet to process), and the new token would be worthless.
            self.send_ping();
        }
        self.phase = Phase::Open(Who { session, player });
        match recovered {
            Some(rooms) => self.reconnect_to(rooms, last, now),
            None => self.enter_lobby(now),
        }
    }

    /// Handles the one input that matters after the connection has ended.
    fn handle_late(&mut self, input: Input<'_>) {
        let Input::Opened(opened) = input else { return };
        let session = opened.session;
        match opened.recovered {
            // The earlier connection may have been replaced by this one, so no other edge notifies the rooms.
            Some(rooms) => {
                rooms.into_iter().for_each(|room| self.drop_from(session, room, GONE));
                self.outputs.push_back(Output::Store(Store::Disconnected { session, silent: false }));
            }
            None => self.outputs.push_back(Output::Store(Store::End(session))),
        }
    }

    // ---- time ----

    fn on_tick(&mut self, now: Time) {
        match self.phase {
            Phase::Greeting { deadline } if now >= deadline => {
                self.close(CloseCode::HeartbeatLost, "no hello came in time");
            }
            Phase::Opening { .. } | Phase::Open(_) if now >= self.next_ping => self.ping(now),
            _ => {}
        }
    }

    fn ping(&mut self, now: Time) {
        let due = self.heard_at.plus(self.limits.silence_ms());
        if self.unanswered_pings == 0 && now < due {
            self.next_ping = due;
            return;
        }
        if self.unanswered_pings >= 2 {
            return self.close(CloseCode::HeartbeatLost, "two pings were not answered");
        }
        self.unanswered_pings += 1;
        self.next_ping = now.plus(self.limits.pong_ms());
        self.send_ping();
    }

    fn send_ping(&mut self) {
        self.awaited_pongs += 1;
        self.outputs.push_back(Output::Ping);
    }

    /// The client is alive, and has received what it was sent.
    fn heard(&mut self, now: Time) {
        self.heard_at = now;
        self.unanswered_pings = 0;
        if let (true, Some(session)) = (self.unconfirmed, self.id()) {
            self.unconfirmed = false;
            self.outputs.push_back(Output::Store(Store::Confirm(session)));
        }
    }

    // ---- the end ----

    /// Closes the connection with a reason.
    fn close(&mut self, code: CloseCode, reason: impl Into<Cow<'static, str>>) {
        self.outputs.push_back(Output::Close { code, reason: reason.into() });
        self.depart(code.code());
    }

    /// The session has no connection any more: its rooms hold its seats for some time.
    fn depart(&mut self, code: u16) {
        if let Some(session) = self.id() {
            for room in self.end() {
                self.drop_from(session, room, code);
            }
            self.outputs.push_back(Output::Store(Store::Disconnected { session, silent: self.silent }));
        }
        self.end();
    }

    /// Its rooms get the request of the new connection, and no `Drop` for this one.
    fn on_replaced(&mut self) {
        let reason = "this session has another connection";
        self.outputs.push_back(Output::Close { code: CloseCode::Replaced, reason: reason.into() });
        self.end();
    }

    /// A room has ended the session. The store's row and the rooms in it have the kick; rooms that were joined meanwhile get it
    /// from here.
    fn on_kick(&mut self, reason: &str) {
        let Some(session) = self.id() else { return };
        self.outputs.push_back(Output::Close { code: CloseCode::Kicked, reason: close_reason(reason).into() });
        for room in self.end() {
            self.append(room, RoomCommand::Leave { session, reason: LeaveReason::Kicked });
        }
    }

    /// Drops all state. Returns the rooms that the session was in or was joining.
    fn end(&mut self) -> Vec<RoomId> {
        self.phase = Phase::Over;
        self.moves = VecDeque::new();
        self.past = VecDeque::new();
        std::mem::take(&mut self.seats).into_iter().map(|seat| seat.room).collect()
    }

    // ---- helpers ----

    fn append(&mut self, room: RoomId, command: RoomCommand) {
        self.outputs.push_back(Output::Append { room, command, id: None });
    }

    fn drop_from(&mut self, session: SessionId, room: RoomId, code: u16) {
        let edge = self.edge.clone();
        self.append(room, RoomCommand::Drop { session, edge, code });
    }

    /// An error of the edge's own.
    fn refuse(&mut self, id: Option<u64>, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) {
        let text = edge_error(id, code, message, retry_after_ms);
        self.outputs.push_back(Output::Send(Outgoing::Text(text)));
    }
}

/// The close code of a connection that was lost without one.
const GONE: u16 = 1006;

/// A close frame holds 123 bytes of text.
pub fn close_reason(text: &str) -> String {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
