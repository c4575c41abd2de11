//! The session machine: everything that an edge decides for one connection. (For all of them together: [`crate::edge`]. The
//! shell of both is the crate `edge`.)
//!
//! There is one machine for each connection. It begins with a client that has sent nothing, becomes a session with `hello`, and
//! ends with the connection. When the session resumes, here or at another edge, a new machine continues it from the store's
//! row. The machine takes inputs with the time, and [`Session::poll_output`] returns what is to be done. It never waits, reads
//! no clock and draws no randomness.
//!
//! Where to look: this file dispatches inputs. `opening` opens or resumes the session; `messages` handles the client's frames,
//! within its `rate`, its `flow` of bytes and its `debt` for computing, and `queue` holds its messages to one room; `seats` enters and leaves rooms,
//! by the numbers of each `stay`; `moves` moves the session from room to room; `deliveries` passes frames of rooms on;
//! `liveness` pings; `renewal` has the client's token renewed; `closing` ends the connection.
//!
//! What it guarantees:
//! - **`welcome` first**, then frames of rooms. Frames of a room that the session is not in are dropped.
//! - **Numbers without a gap.** Of each room the client gets frame `n + 1` after frame `n`, or a `room` frame with any higher
//!   number. Repetitions are dropped, and missing frames are requested again.
//! - **No session outlives its token:** before the token ends its client is asked for the next one, which must be of the same
//!   player.
//! - **One answer to each `msg`:** the room's, or an error of the edge's own.
//! - **The store may have too many memberships, never too few:** a membership is stored before its room gets the join, and
//!   removed once the room has reported its end. A session that resumes sends a request to every room that may have it.
//! - **Repetitions do no harm:** a room's requests are identified by their numbers, and its answers by the number of the edge's
//!   request.
//! - **Fair channels:** at most [`WINDOW`] messages of a session are in a room's channel without an answer; the others are held
//!   here, in order. A message that is still held when the connection ends was not applied, and its client resends it.
//!
//! Bounds: [`MAX_ROOMS`] seats, [`MAX_UNANSWERED`] messages without an answer in each, [`MAX_HELD_BYTES`] of held data, a few
//! former rooms and moves.

mod closing;
mod debt;
mod deliveries;
mod departure;
mod flow;
mod io;
mod limits;
mod liveness;
mod messages;
mod moves;
mod opening;
mod queue;
mod rate;
mod renewal;
mod seats;
mod stay;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, net::IpAddr};

pub use closing::close_reason;
use debt::Debt;
use departure::Departure;
use flow::Flow;
pub use io::{Input, Opened, Outgoing, Output, Slowed, StoreWrite};
pub use limits::Limits;
use liveness::Liveness;
use moves::Move;
use opening::Owner;
use rate::Rate;
use renewal::Renewal;
use seats::{FormerStay, Seat};

use crate::{
    command::{EdgeCommand, RoomCommand},
    frame::{CloseCode, ErrorCode, edge_error},
    identity::{Ending, SessionsOf},
    ids::{ConnectionId, MachineId, RoomId, SessionId, Time},
    secret::Secret,
};

/// Rooms that a session can be in at once.
pub const MAX_ROOMS: usize = 8;

/// Messages to one room that may wait for an answer.
pub const MAX_UNANSWERED: usize = 256;

/// Messages of one session that may be in one room's channel without an answer. The others are held here, so that a member that
/// sends many at once does not delay one that sends a single message: a channel is read in order. At the default rate of 50
/// messages a second none is held where an answer takes less than 160 ms.
pub const WINDOW: usize = 8;

/// Bytes of held data, in all rooms together: four of the largest frames. Beyond it a message is answered with `unavailable`,
/// as beyond [`MAX_UNANSWERED`].
pub const MAX_HELD_BYTES: usize = 256 * 1024;

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
    former: VecDeque<FormerStay>,
    /// Moves that rooms have requested, the latest of each room.
    moves: VecDeque<Move>,
    /// The lobby is joined once the store has the membership.
    wants_lobby: bool,
    departure: Option<Departure>,
    /// The number of the latest request to a room.
    latest_request: u32,
    /// The highest message id that was accepted on this connection.
    max_message_id: u64,
    /// The highest message id that a room has applied, by the frames of this connection.
    max_applied_id: u64,
    /// The highest id of a message to a former room. It was refused, but a stalled edge may have yet to append it.
    max_refused_id: u64,
    rate: Rate,
    flow: Flow,
    debt: Debt,
    bad_in_a_row: u32,
    liveness: Liveness,
    renewal: Renewal,
    /// The new resume token, until the client has confirmed it.
    unconfirmed: Option<Secret>,
    /// The session began with this connection, and has only been in the lobby since, without sending a message.
    silent: bool,
    /// Frames that were answered with `rate_limited` since [`Session::take_refused`].
    refused: u32,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone)]
enum Phase {
    /// Until `hello`.
    Greeting {
        deadline: Time,
    },
    /// Until the shell has opened the session.
    Opening {
        last: Vec<(RoomId, u64)>,
    },
    Open(Owner),
    Ended,
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
            former: VecDeque::new(),
            moves: VecDeque::new(),
            wants_lobby: false,
            departure: None,
            latest_request: 0,
            max_message_id: 0,
            max_applied_id: 0,
            max_refused_id: 0,
            rate: Rate::new(&limits, now),
            flow: Flow::default(),
            debt: Debt::default(),
            bad_in_a_row: 0,
            liveness: Liveness::new(&limits, now),
            renewal: Renewal::default(),
            unconfirmed: None,
            silent: false,
            refused: 0,
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, input: Input<'_>, now: Time) {
        if self.is_ended() {
            return self.handle_late(input, now);
        }
        match input {
            Input::Frame(frame) => self.on_frame(frame, now),
            Input::Malformed(what) => self.close(CloseCode::BadFrame, what),
            Input::Ping => self.on_ping(now),
            Input::Pong => self.on_pong(now),
            Input::Fragments(count) => self.charge_frames(count, now),
            Input::Received { bytes, player_wait_ms } => self.on_received(bytes, player_wait_ms, now),
            Input::Opened(opened) => self.on_opened(opened, now),
            Input::NotOpened { code, reason } => self.close(code, reason),
            Input::Renewed(checked) => self.on_renewed(checked, now),
            Input::Stored { room, done } => self.on_stored(room, done, now),
            Input::NotAppended { room, message_id } => self.on_not_appended(room, message_id),
            Input::Deliver { target, frame } => self.on_deliver(target, frame, now),
            Input::Command(command) => self.on_command(command, now),
            Input::FellBehind => {
                self.close(CloseCode::SlowConsumer, "too much is queued for you: reconnect and resume")
            }
            Input::Replaced => self.on_replaced(),
            Input::Contested => self.on_contested(now),
            Input::Lost { code } => self.on_lost(code),
            Input::Drain => self.close(CloseCode::Draining, "this server is about to stop: reconnect"),
            Input::Unavailable => self.close(CloseCode::Unavailable, "this server is unavailable now"),
            Input::Tick => self.on_tick(now),
        }
        self.append_held();
    }

    /// A room, or another edge, addresses the session.
    fn on_command(&mut self, command: EdgeCommand, now: Time) {
        if command.connection().is_some_and(|connection| connection != self.connection) {
            return;
        }
        match command {
            EdgeCommand::Move { room, options, from, .. } => self.on_move(room, options, from, now),
            EdgeCommand::Admitted { room, request, from, .. } => self.on_admitted(room, request.number, from),
            EdgeCommand::Refused { room, request, from, reason, .. } => {
                self.on_refused(room, request.number, from, reason, now);
            }
            EdgeCommand::Left { room, request, reason, .. } => self.on_left(room, request.number, reason, now),
            EdgeCommand::Resumed { room, request, applied, .. } => self.on_resumed(room, request.number, applied),
            // In any state of the seat: the session has ended.
            EdgeCommand::Kick { reason, .. } => self.on_kick(&reason),
            EdgeCommand::Replaced { .. } => self.on_replaced(),
            EdgeCommand::Spent { micros, .. } => self.on_spent(u64::from(micros), now),
            EdgeCommand::End(Ending { code, reason, .. }) => self.on_ending(code, &reason),
            EdgeCommand::Deliver(_) => {}
        }
    }

    /// The next output, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Greeting { deadline } => Some(*deadline),
            Phase::Opening { .. } => Some(self.liveness.next_check),
            Phase::Open(_) => {
                let departure = self.departure.map(|departure| departure.due);
                Some(self.liveness.next_check).into_iter().chain(self.renewal.next()).chain(departure).min()
            }
            Phase::Ended => None,
        }
    }

    /// Whether the machine has ended. Only [`Input::Opened`] still has an effect then.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The session, once it is open.
    pub fn id(&self) -> Option<SessionId> {
        match &self.phase {
            Phase::Open(owner) => Some(owner.session),
            _ => None,
        }
    }

    /// Whether the session is among these, by its identity and by the address of its connection.
    pub fn is_among(&self, sessions: &SessionsOf, address: IpAddr) -> bool {
        matches!(&self.phase, Phase::Open(owner) if sessions.has(&owner.identity, address))
    }

    fn append(&mut self, room: RoomId, command: RoomCommand) {
        self.outputs.push_back(Output::Append { room, command, message_id: None });
    }

    fn drop_from(&mut self, session: SessionId, room: RoomId, code: u16) {
        let edge = self.edge.clone();
        self.append(room, RoomCommand::Drop { session, edge, code });
    }

    /// How many frames were answered with `rate_limited` since the last call.
    pub fn take_refused(&mut self) -> u32 {
        std::mem::take(&mut self.refused)
    }

    /// An error of the edge's own.
    fn refuse(&mut self, message_id: Option<u64>, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) {
        self.refused += u32::from(code == ErrorCode::RateLimited);
        let text = edge_error(message_id, code, message, retry_after_ms);
        self.outputs.push_back(Output::Send(Outgoing::Text(text)));
    }
}
