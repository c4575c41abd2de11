//! The session machine: how an edge decides. (Its shell is `edge/`; the one machine whose crate has another name.)
//!
//! One machine for each connection. It begins with a client that has said nothing, becomes a session with `hello`, and
//! ends with the connection; when the session comes back, here or at another edge, a new machine takes it up from what
//! the store knows. It is handed inputs with the time, and says what to do with [`Session::poll_output`]. It never
//! waits, reads no clock and draws no randomness.
//!
//! What to read in: this file drives and greets; `messages` takes what the client sends; `spending` slows one that costs too much; `seats` holds the rooms that
//! the session is in, passes their frames on, and moves it between them.
//!
//! What it guarantees:
//! - **`welcome` first**, then frames of rooms. What comes for a room that the session is not in goes nowhere.
//! - **Numbers without a gap.** Of each room the client gets frame `n + 1` after frame `n`, or a `room` frame with any
//!   higher number. Repetitions are dropped, and a gap is asked for again.
//! - **One answer to each `msg`:** the room's, or an error of the edge's own.
//! - **The store knows more, never less:** a membership is stored before its room is told, and removed when the room
//!   has said that it is none. Whoever resumes asks every room that may have it.
//! - **Repetitions do no harm:** requests of a room are told apart by their numbers, and its answers by the number of the
//!   question.
//! - **Fair channels:** at most [`WINDOW`] messages of a session are in a room's channel without an answer; the others wait
//!   here, in their order. One that still waits when the connection ends was not applied, and is sent again by its client.
//!
//! Bounds: [`MAX_ROOMS`] seats, [`MAX_WAITING`] messages without an answer in each, [`MAX_HELD_BYTES`] of data that waits,
//! a few remembered rooms and moves.

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

/// Messages of one session that may be in one room's channel without an answer. The others wait here, so that a member who
/// sends many at once does not go before one who sends one: a channel is read in order. Eight at the default rate of 50 a
/// second wait for nothing where an answer takes less than 160 ms.
pub const WINDOW: usize = 8;

/// Bytes of data that wait here, in all rooms together: four of the largest frames. Beyond it a message is answered with
/// `unavailable`, as beyond [`MAX_WAITING`].
pub const MAX_HELD_BYTES: usize = 256 * 1024;

/// What a client may do, and for how long it may do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames per second, in the long run.
    pub per_second: u32,
    /// Frames at once. As many again are refused one by one; after those the connection is closed.
    pub burst: u32,
    /// Milliseconds of a host's processor that a session's messages may cost per second, in the long run; twice as much
    /// at once. A tenth of a core: 50 moves of tic-tac-toe a second cost 3 to 15 ms.
    pub compute_ms: u32,
    /// How long a client may take for its `hello`, in milliseconds.
    pub hello_ms: u64,
    /// After this long without a frame a client asks whether its connection is alive, in milliseconds. One that is silent
    /// for twice as long, and answers neither of two pings in that time, is lost.
    pub ping_ms: u64,
}

impl Limits {
    /// [`Limits::ping_ms`] unless told. Of a turn of 30 seconds, a player whose connection dies silently has more than half
    /// left when the client is back (1.5 times this); opponents see it within twice this. One small frame in this time keeps
    /// a phone's radio from sleeping (LTE: some 10 s after the last packet), which a game that is looked at does anyway;
    /// a page in the background is slowed down by its browser.
    pub const PING_MS: u64 = 8_000;

    /// Silence after which the edge pings. Later than a client asks, so that a client that does is not pinged at all.
    fn silence_ms(&self) -> u64 {
        self.ping_ms.saturating_add(self.ping_ms / 4)
    }

    /// How long it waits for the answer to each of two pings: both end with twice [`Limits::ping_ms`].
    fn pong_ms(&self) -> u64 {
        (self.ping_ms / 8 * 3).max(1)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_second: 50, burst: 100, compute_ms: 100, hello_ms: 10_000, ping_ms: Limits::PING_MS }
    }
}

/// One connection, and the session that it carries.
#[derive(Debug)]
pub struct Session {
    edge: MachineId,
    connection: ConnectionId,
    limits: Limits,
    phase: Phase,
    /// In the order of their latest `room` frames: messages without a room go to the last one.
    seats: Vec<Seat>,
    /// Rooms that it was in, and how far it has seen them.
    past: VecDeque<Past>,
    /// What rooms have asked for, the latest of each.
    moves: VecDeque<Move>,
    /// The lobby is to be joined, when the store knows.
    wants_lobby: bool,
    /// The number of the latest question to a room.
    questions: u32,
    /// The highest id that was taken on this connection.
    high: u64,
    /// The highest id that a room has applied, as far as this connection was told.
    reached: u64,
    /// Thousandths of frames that may come now. Below zero when the client went on after it was told to wait.
    tokens: i64,
    refilled: Time,
    spending: Spending,
    bad_in_a_row: u32,
    /// The client has not yet shown that it knows its new resume token.
    unconfirmed: bool,
    /// The session has begun with this connection, and has done nothing but stay in the lobby since.
    silent: bool,
    /// When the client last sent anything.
    heard_at: Time,
    /// When that is looked at. It is put off only then, not by each frame.
    next_ping: Time,
    unanswered_pings: u32,
    /// Pings that were sent, less the pongs that have come since. A pong beyond them costs what a ping costs.
    awaited_pongs: u32,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Phase {
    /// Until `hello`.
    Greeting {
        deadline: Time,
    },
    /// Until the shell knows whose session it is.
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
    /// A text frame from the client, as far as it could be read.
    Frame(Result<ClientFrame, BadFrame>),
    /// Something from the client that is no text frame of this protocol. The text says what.
    Malformed(&'static str),
    /// The client's own ping. The shell has answered it.
    Ping,
    /// The answer to a ping, or one that nobody asked for.
    Pong,
    /// So many WebSocket frames have come that made no message of their own.
    Fragments(u32),
    /// The answer to [`Output::Hello`].
    Opened(Opened),
    /// The other answer to [`Output::Hello`].
    NotOpened { code: CloseCode, reason: Cow<'static, str> },
    /// The answer to [`Store::Join`]: whether it is stored.
    Stored { room: RoomId, done: bool },
    /// What [`Output::Append`] wanted is not in the log. `id`: as it was there.
    NotAppended { room: RoomId, id: Option<u64> },
    /// A room's frame for this session, under its number, and for the connection that the room knows of.
    Deliver { room: RoomId, target: Target, frame: &'a RoomFrame },
    /// Anything else from a room. Not [`EdgeCommand::Deliver`].
    Command(EdgeCommand),
    /// Too much waits for the client, or something for it was lost at this edge: it has to resume.
    FellBehind,
    /// The session has another connection now.
    Replaced,
    /// A room takes another connection for the latest, and it is this one.
    Contested,
    /// The connection is gone. `code`: of its close frame, 1006 when there was none.
    Lost { code: u16 },
    /// The edge is about to leave.
    Drain,
    /// The edge cannot do its work.
    Unavailable,
    /// It is [`Session::poll_timeout`] or later.
    Tick,
}

/// A session that the store knows now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub session: SessionId,
    pub player: Player,
    /// The token that takes it up again, once.
    pub resume: String,
    /// What it owes for computing, as far as this edge knows: [`Session::owed`] of its connection before.
    pub owed: u64,
    /// The rooms that it may be in, in the order of joining, when it was taken up. A new one is stored as a member of
    /// the lobby, and nowhere told.
    pub recovered: Option<Vec<RoomId>>,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Send(Outgoing),
    /// Sends a WebSocket ping.
    Ping,
    /// Closes the connection, after what was sent. Always the last word to the client.
    Close {
        code: CloseCode,
        reason: Cow<'static, str>,
    },
    /// Finds out who this is, and opens or resumes its session: [`Input::Opened`] or [`Input::NotOpened`].
    Hello(Box<Hello>),
    /// Appends to the room's channel. `id`: of the message that it is.
    Append {
        room: RoomId,
        command: RoomCommand,
        id: Option<u64>,
    },
    /// Writes to the store. In order.
    Store(Store),
}

/// A text frame for the client. A room's is kept as it is shared by all who get it.
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

    /// Bytes that it takes, about.
    pub fn size(&self) -> usize {
        match self {
            Outgoing::Text(text) => text.len(),
            Outgoing::Room { frame, .. } => frame.size(),
        }
    }
}

/// What the store has to know of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It may be a member of this room from now on. Answered by [`Input::Stored`].
    Join(SessionId, RoomId),
    /// It is no member of this room.
    Leave(SessionId, RoomId),
    /// Its latest resume token has arrived.
    Confirm(SessionId),
    /// Its connection is gone. `silent`: it is new, has never been elsewhere than in the lobby and has sent no message that
    /// was taken, so there is nothing to keep for it.
    Disconnected { session: SessionId, silent: bool },
    /// It is over for good.
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
            questions: 0,
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

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When it wants [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Greeting { deadline } => Some(*deadline),
            Phase::Opening { .. } | Phase::Open(_) => Some(self.next_ping),
            Phase::Over => None,
        }
    }

    /// Nothing more comes of it.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whose it is, once that is known.
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
            // Its answer makes the old token void. Until then whoever still has that (an edge that stood still, with this
            // client's earlier `hello` before it) takes the session away from here, and the new token is worth nothing.
            self.send_ping();
        }
        self.phase = Phase::Open(Who { session, player });
        match recovered {
            Some(rooms) => self.reconnect_to(rooms, last, now),
            None => self.enter_lobby(now),
        }
    }

    /// What still matters when the connection is gone.
    fn handle_late(&mut self, input: Input<'_>) {
        let Input::Opened(opened) = input else { return };
        let session = opened.session;
        match opened.recovered {
            // The connection before may have been replaced by this one, so nobody else tells the rooms.
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

    /// The client lives, and what it was sent has arrived.
    fn heard(&mut self, now: Time) {
        self.heard_at = now;
        self.unanswered_pings = 0;
        if let (true, Some(session)) = (self.unconfirmed, self.id()) {
            self.unconfirmed = false;
            self.outputs.push_back(Output::Store(Store::Confirm(session)));
        }
    }

    // ---- the end ----

    /// Says why, and leaves.
    fn close(&mut self, code: CloseCode, reason: impl Into<Cow<'static, str>>) {
        self.outputs.push_back(Output::Close { code, reason: reason.into() });
        self.depart(code.code());
    }

    /// The session has no connection any more: its rooms hold its seats for a while.
    fn depart(&mut self, code: u16) {
        if let Some(session) = self.id() {
            for room in self.end() {
                self.drop_from(session, room, code);
            }
            self.outputs.push_back(Output::Store(Store::Disconnected { session, silent: self.silent }));
        }
        self.end();
    }

    /// Its rooms hear of the new connection, not of the end of this one.
    fn on_replaced(&mut self) {
        let reason = "this session has another connection";
        self.outputs.push_back(Output::Close { code: CloseCode::Replaced, reason: reason.into() });
        self.end();
    }

    /// A room has ended the session. The store knows, and so do the rooms that it knew of: those that were joined meanwhile
    /// hear of it from here.
    fn on_kick(&mut self, reason: &str) {
        let Some(session) = self.id() else { return };
        self.outputs.push_back(Output::Close { code: CloseCode::Kicked, reason: close_reason(reason).into() });
        for room in self.end() {
            self.append(room, RoomCommand::Leave { session, reason: LeaveReason::Kicked });
        }
    }

    /// Forgets everything. Which rooms it was in, or was about to be.
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

/// The close code of a connection that was gone without one.
const GONE: u16 = 1006;

/// A close frame holds 123 bytes of text.
pub fn close_reason(text: &str) -> String {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
