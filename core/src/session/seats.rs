//! The rooms that a session is in: the way of their frames to the client, and the moves between them.

use std::collections::VecDeque;

use super::{MAX_ROOMS, MAX_WAITING, Outgoing, Output, Phase, Session, Store};
use crate::{
    command::{Answer, EdgeCommand, Joining, LeaveReason, OutputRef, RequestId, RoomCommand, Target},
    frame::{CloseCode, ErrorCode, FrameTag, Msg, RoomFrame},
    ids::{RoomId, Time},
    json::Json,
    planted::{Bug, planted},
};

/// Former rooms and answered moves that are kept. After a crash a room repeats only recent outputs.
const REMEMBERED: usize = 16;

/// Missing frames are requested again after this long, in milliseconds, while frames arrive that leave a gap.
const ASK_AGAIN_MS: u64 = 1_000;

/// A room that the session is in, joins or leaves. From a join to the leave is one *stay*.
#[derive(Debug)]
pub(super) struct Seat {
    pub room: RoomId,
    pub state: SeatState,
    /// The highest sequence number of this room's frames that the client has, or had at the end of an earlier stay.
    seen: u64,
    /// Whether the client has that very frame, so that the next one continues it. Otherwise only a `room` frame fits.
    synced: bool,
    /// The room's `left` was sent to the client.
    left: bool,
    /// The first request of this stay. What the room sends in answer to an earlier request belongs to an earlier stay, and is
    /// ignored.
    since: u32,
    /// When frames were last requested from the room.
    asked: Time,
    /// The latest request to the room.
    request: u32,
    /// The latest `Join`, and the highest message id sent before it: messages with higher ids follow the join.
    joined: Option<(u32, u64)>,
    /// The highest message id that the room had applied at its latest whole view or `Resumed`.
    pub applied: u64,
    /// Ids of messages that the room has answered although this connection has not sent them: the client may still resend them.
    /// The latest [`MAX_WAITING`].
    crossed: VecDeque<u64>,
    /// Messages up to this id belong to an earlier stay: the room got this id with the join.
    pub begins_after: u64,
    /// Ids of messages without an answer, rising.
    pub waiting: VecDeque<u64>,
    /// The last of these messages, which are not in the log yet because [`WINDOW`](super::WINDOW) others are.
    pub held: VecDeque<Msg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatState {
    /// Until `Admitted` or `Refused`.
    Joining,
    Member,
    /// The room's channel has the `Leave` of a move; until the room confirms it.
    Leaving,
}

/// A room that the session was in. If the session returns, frames that the client has are not sent again.
#[derive(Debug)]
pub(super) struct Past {
    room: RoomId,
    seen: u64,
    crossed: VecDeque<u64>,
}

/// The latest request of a room to move the session.
#[derive(Debug)]
pub(super) struct Move {
    from: OutputRef,
    to: RoomId,
    state: MoveState,
    /// The session has left the source since: a repetition of this request is an echo.
    over: bool,
}

#[derive(Debug)]
enum MoveState {
    /// Until the membership is stored.
    Storing(Json),
    /// Until the target has answered.
    Joining,
    Admitted,
    Refused(Box<str>),
}

impl Move {
    fn is_pending(&self) -> bool {
        matches!(self.state, MoveState::Storing(_) | MoveState::Joining)
    }
}

impl Seat {
    fn new(room: RoomId, state: SeatState, seen: u64, since: u32, now: Time) -> Seat {
        Seat {
            room,
            state,
            seen,
            synced: false,
            left: false,
            since,
            asked: now,
            request: 0,
            joined: None,
            begins_after: 0,
            applied: 0,
            crossed: VecDeque::new(),
            waiting: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// Removes the held messages up to this id, which belong to an earlier stay, and returns their ids.
    fn take_held_up_to(&mut self, last: u64) -> Vec<u64> {
        let taken: Vec<u64> = self.held.iter().map(|msg| msg.id).filter(|id| *id <= last).collect();
        self.held.retain(|msg| msg.id > last);
        self.waiting.retain(|id| !taken.contains(id));
        taken
    }

    /// Messages that are in the log and have no answer.
    pub fn sent(&self) -> usize {
        self.waiting.len() - self.held.len()
    }

    /// Whether the client has this room's frames.
    pub fn is_shown(&self) -> bool {
        self.synced
    }

    /// Answers nearly always arrive in the order of the messages.
    fn on_answer(&mut self, id: u64) {
        self.held.retain(|msg| msg.id != id);
        if self.waiting.front() == Some(&id) {
            self.waiting.pop_front();
        } else if let Some(at) = self.waiting.iter().position(|waiting| *waiting == id) {
            self.waiting.remove(at);
        } else {
            self.crossed.push_back(id);
            if self.crossed.len() > MAX_WAITING {
                self.crossed.pop_front();
            }
        }
    }

    fn fits(&self, seq: u64, tag: FrameTag) -> bool {
        let continues = self.synced && seq == self.seen + 1;
        continues || (tag == FrameTag::Room && seq > self.seen)
    }
}

impl Session {
    pub(super) fn seat(&self, room: RoomId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.room == room)
    }

    pub(super) fn seat_mut(&mut self, room: RoomId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.room == room)
    }

    /// Whether this message was answered while its resend was in flight. Ids belong to the session: where the message names no
    /// room, the room that has answered it may be any former current room.
    pub(super) fn has_crossed(&self, room: Option<RoomId>, id: u64) -> bool {
        let is_meant = |at: RoomId| room.is_none_or(|room| room == at);
        self.seats.iter().any(|seat| is_meant(seat.room) && seat.crossed.contains(&id))
            || self.past.iter().any(|past| is_meant(past.room) && past.crossed.contains(&id))
    }

    fn is_member(&self, room: RoomId) -> bool {
        self.seat(room).is_some_and(|seat| seat.state == SeatState::Member)
    }

    // ---- entering ----

    /// Enters a new session, which the store has as a member of the lobby already.
    pub(super) fn enter_lobby(&mut self, now: Time) {
        self.add_seat(RoomId::LOBBY, now);
        self.join(RoomId::LOBBY, Json::null(), None, now);
    }

    /// Enters a resumed session: every room that it may be in is requested to send the frames that the client lacks.
    pub(super) fn reconnect_to(&mut self, rooms: Vec<RoomId>, last: Vec<(RoomId, u64)>, now: Time) {
        for room in &rooms {
            let has = last.iter().find(|(named, _)| named == room).map(|(_, seq)| *seq);
            let mut seat = Seat::new(*room, SeatState::Member, has.unwrap_or(0), self.next_question(), now);
            seat.synced = has.is_some();
            self.seats.push(seat);
            self.ask_for_frames(*room, now);
        }
        for (room, seq) in last {
            if !rooms.contains(&room) {
                self.send_left(room, seq, LeaveReason::Left);
            }
        }
        self.be_somewhere(now);
    }

    /// Keeps the session in a room or joining one: it joins the lobby if there is none.
    fn be_somewhere(&mut self, now: Time) {
        if self.id().is_some() && self.seats.is_empty() {
            self.wants_lobby = true;
            self.store_join(RoomId::LOBBY, now);
        }
    }

    fn add_seat(&mut self, room: RoomId, now: Time) {
        let past = self.past.iter_mut().find(|past| past.room == room);
        let (seen, crossed) = past.map_or_else(Default::default, |past| (past.seen, std::mem::take(&mut past.crossed)));
        let seat = Seat::new(room, SeatState::Joining, seen, self.next_question(), now);
        self.seats.insert(0, Seat { crossed, ..seat });
    }

    fn next_question(&self) -> u32 {
        self.requests + 1
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId { connection: self.connection, number: self.requests }
    }

    fn join(&mut self, room: RoomId, options: Json, from: Option<OutputRef>, now: Time) {
        let Phase::Open(who) = &self.phase else { return };
        let (session, player, edge) = (who.session, who.player.clone(), self.edge.clone());
        let high = self.high.max(self.reached);
        let request = self.request();
        let command = RoomCommand::Join(Joining { session, player, edge, request, message_id: high, options, from });
        if let Some(seat) = self.seat_mut(room) {
            seat.asked = now;
            seat.request = request.number;
            seat.joined = Some((request.number, high));
        }
        self.append(room, command);
    }

    /// The store has the membership, so the room may be requested to admit the session.
    pub(super) fn on_stored(&mut self, room: RoomId, done: bool, now: Time) {
        if room == RoomId::LOBBY && std::mem::take(&mut self.wants_lobby) {
            match done {
                true => self.join(room, Json::null(), None, now),
                false => return self.close(CloseCode::Unavailable, "this server cannot reach its store now"),
            }
        }
        if done && self.is_moving_to(room) {
            // The session left the room meanwhile, and the store has removed the membership.
            if self.seat(room).is_none() {
                return self.store_join(room, now);
            }
            self.come_back(room);
        }
        for at in 0..self.moves.len() {
            let asked = &mut self.moves[at];
            let MoveState::Storing(options) = &mut asked.state else { continue };
            if asked.to != room {
                continue;
            }
            let (from, options) = (asked.from, std::mem::replace(options, Json::null()));
            if done {
                asked.state = MoveState::Joining;
                self.join(room, options, Some(from), now);
            } else {
                self.refuse_move(from, "the server cannot reach its store now".into(), now);
            }
        }
    }

    // ---- from rooms ----

    pub(super) fn on_command(&mut self, command: EdgeCommand, now: Time) {
        if command.connection().is_some_and(|connection| connection != self.connection) {
            return;
        }
        match command {
            EdgeCommand::Join { room, options, from, .. } => self.on_move(room, options, from, now),
            EdgeCommand::Leave { room, request, reason, .. } => self.on_left(room, request.number, reason, now),
            // In any state of the seat: the session has ended.
            EdgeCommand::Kick { reason, .. } => self.on_kick(&reason),
            EdgeCommand::Admitted { room, request, from, .. } => self.on_admitted(room, request.number, from),
            EdgeCommand::Refused { room, request, from, reason, .. } => {
                self.on_refused(room, request.number, from, reason, now);
            }
            EdgeCommand::Resumed { room, request, applied, .. } => self.on_resumed(room, request.number, applied),
            EdgeCommand::Replaced { .. } => self.on_replaced(),
            EdgeCommand::Spent { micros, .. } => self.spend(u64::from(micros), now),
            EdgeCommand::Deliver { .. } => {}
        }
    }

    /// Sends a frame to the client if it continues the frames that the client has. A frame for an earlier connection is an echo
    /// from a host that has taken over, or the room has not processed this connection's request: then the request is repeated.
    pub(super) fn on_deliver(&mut self, room: RoomId, target: Target, frame: &RoomFrame, now: Time) {
        let Some(at) = self.seats.iter().position(|seat| seat.room == room) else { return };
        if target.connection != self.connection {
            return self.on_gap(room, now);
        }
        let seq = target.seq;
        let seat = &mut self.seats[at];
        if seq <= seat.seen {
            if planted(Bug::EdgeDuplicates) {
                self.outputs.push_back(Output::Send(Outgoing::Room { seq, frame: frame.clone() }));
            }
            // This edge has ended the stay by a `left` of its own, which has used this number, but in the room the stay goes
            // on.
            if seq == seat.seen && frame.tag == FrameTag::Room && !seat.synced {
                self.ask_for_frames(room, now);
            }
            return;
        }
        if !seat.fits(seq, frame.tag) {
            return self.on_gap(room, now);
        }
        seat.seen = seq;
        seat.synced = true;
        self.reached = self.reached.max(frame.answers.unwrap_or(0));
        self.outputs.push_back(Output::Send(Outgoing::Room { seq, frame: frame.clone() }));
        match (frame.tag, frame.answers) {
            (FrameTag::Reply | FrameTag::Error, Some(id)) => seat.on_answer(id),
            (FrameTag::Room, ack) => self.on_whole_view(at, ack.unwrap_or(0)),
            (FrameTag::Left, _) => seat.left = true,
            _ => {}
        }
    }

    /// Frames are missing. The room resends them, or sends a whole view; until then no frame of it fits.
    fn on_gap(&mut self, room: RoomId, now: Time) {
        let overdue = self.seat(room).is_some_and(|seat| now.since(seat.asked) >= ASK_AGAIN_MS);
        if overdue {
            self.ask_for_frames(room, now);
        }
    }

    /// A record of an earlier connection reached a room after those of this connection. A new request to every room makes this
    /// the latest connection again.
    pub(super) fn on_contested(&mut self, now: Time) {
        let members = self.seats.iter().filter(|seat| seat.state == SeatState::Member);
        for room in members.map(|seat| seat.room).collect::<Vec<_>>() {
            self.ask_for_frames(room, now);
        }
    }

    fn ask_for_frames(&mut self, room: RoomId, now: Time) {
        let (Some(session), edge) = (self.id(), self.edge.clone()) else { return };
        let Some(seat) = self.seat_mut(room) else { return };
        seat.asked = now;
        let last_seq = seat.synced.then_some(seat.seen);
        let request = self.request();
        if let Some(seat) = self.seat_mut(room) {
            seat.request = request.number;
        }
        self.append(room, RoomCommand::Reconnect { session, edge, request, last_seq });
    }

    /// The client replaces its copy of this room, which becomes the current one. Replies up to `ack` were in frames that the
    /// client does not get.
    fn on_whole_view(&mut self, at: usize, ack: u64) {
        let mut seat = self.seats.remove(at);
        seat.left = false;
        self.seats.push(seat);
        self.answer_applied(self.seats.len() - 1, ack);
    }

    /// The room has resent all frames that the client lacked. If it has got another request since, only the answer to that
    /// counts.
    fn on_resumed(&mut self, room: RoomId, request: u32, applied: u64) {
        let at = self.seats.iter().position(|seat| seat.room == room && seat.synced && seat.request == request);
        if let Some(at) = at {
            self.answer_applied(at, applied);
        }
    }

    /// Replies to all ids up to `applied` were sent to the client, or never will be: a room drops a message whose id it has
    /// applied.
    fn answer_applied(&mut self, at: usize, applied: u64) {
        let seat = &mut self.seats[at];
        seat.applied = seat.applied.max(applied);
        let lost: Vec<u64> = seat.waiting.iter().copied().filter(|id| *id <= applied).collect();
        seat.waiting.retain(|id| *id > applied);
        seat.held.retain(|msg| msg.id > applied);
        for id in lost {
            let message = "the room has applied this message; its reply is no longer kept";
            self.refuse(Some(id), ErrorCode::Applied, message, None);
        }
    }

    // ---- moving ----

    /// A room moves the session to another. The request may be repeated: after a crash, or when the session reconnects.
    fn on_move(&mut self, to: RoomId, options: Json, from: OutputRef, now: Time) {
        if !self.is_member(from.room) {
            return;
        }
        match self.moves.iter().find(|asked| asked.from.room == from.room) {
            Some(latest) if from.number < latest.from.number => return,
            Some(latest) if from.number == latest.from.number && latest.over => return,
            Some(latest) if from.number == latest.from.number => return self.answer_again(from.room),
            _ => {}
        }
        self.remember_move(Move { from, to, state: MoveState::Storing(options), over: false });
        let known = self.seat(to).is_some();
        if to == from.room {
            self.refuse_move(from, "the member is in that room already".into(), now);
        } else if !known && self.seats.len() >= MAX_ROOMS {
            self.refuse_move(from, format!("a session can be in {MAX_ROOMS} rooms at most").into(), now);
        } else {
            self.come_back(to);
            self.store_join(to, now);
        }
    }

    /// If the session is leaving the room, another stay follows: the room gets a `Join` after the `Leave`.
    fn come_back(&mut self, room: RoomId) {
        let next = self.next_question();
        if let Some(seat) = self.seat_mut(room).filter(|seat| seat.state == SeatState::Leaving) {
            (seat.state, seat.since) = (SeatState::Joining, next);
            self.end_moves_from(room);
        }
    }

    /// The membership is stored first; then the room gets the `Join`.
    fn store_join(&mut self, room: RoomId, now: Time) {
        let Some(session) = self.id() else { return };
        self.silent &= room == RoomId::LOBBY;
        if self.seat(room).is_none() {
            self.add_seat(room, now);
        }
        self.outputs.push_back(Output::Store(Store::Join(session, room)));
    }

    fn remember_move(&mut self, asked: Move) {
        self.moves.retain(|earlier| earlier.from.room != asked.from.room);
        if self.moves.len() >= REMEMBERED {
            let answered = |asked: &Move| matches!(asked.state, MoveState::Admitted | MoveState::Refused(_));
            let oldest = self.moves.iter().position(answered).unwrap_or(0);
            self.moves.remove(oldest);
        }
        self.moves.push_back(asked);
    }

    fn answer_again(&mut self, room: RoomId) {
        let Some(asked) = self.moves.iter().find(|asked| asked.from.room == room) else { return };
        match &asked.state {
            MoveState::Storing(_) | MoveState::Joining => {}
            MoveState::Admitted => self.leave_source(room),
            MoveState::Refused(reason) => {
                let (from, to, reason) = (asked.from, asked.to, reason.clone());
                self.answer_refused(from, to, reason);
            }
        }
    }

    fn on_admitted(&mut self, room: RoomId, request: u32, from: Option<OutputRef>) {
        let Some(seat) = self.seat_mut(room).filter(|seat| request >= seat.since) else { return };
        seat.since = request;
        if seat.state == SeatState::Joining {
            seat.state = SeatState::Member;
            seat.begins_after = seat.joined.map_or(0, |(_, high)| high);
            let earlier = seat.take_held_up_to(seat.begins_after);
            self.refuse_unsent(earlier);
        }
        let Some(from) = from else { return };
        if let Some(asked) = self.expected_answer(from, room) {
            asked.state = MoveState::Admitted;
            self.leave_source(from.room);
        }
    }

    fn on_refused(&mut self, room: RoomId, request: u32, from: Option<OutputRef>, reason: Box<str>, now: Time) {
        let Some(state) = self.state_after(room, request) else { return };
        match from {
            Some(from) if self.expected_answer(from, room).is_some() => {
                // A room refuses no member, so the session is none.
                if let (SeatState::Member, Some(seat)) = (state, self.seat_mut(room)) {
                    seat.state = SeatState::Joining;
                }
                self.refuse_move(from, reason, now);
            }
            None if state == SeatState::Joining => {
                let text = super::close_reason(&format!("the lobby did not let you in: {reason}"));
                self.close(CloseCode::Unavailable, text);
            }
            _ => {}
        }
    }

    /// The state of the seat, if an answer to this request concerns the present stay. Otherwise the answer is an echo.
    fn state_after(&self, room: RoomId, request: u32) -> Option<SeatState> {
        self.seat(room).filter(|seat| request >= seat.since).map(|seat| seat.state)
    }

    /// The pending move that an answer of `to` belongs to.
    fn expected_answer(&mut self, from: OutputRef, to: RoomId) -> Option<&mut Move> {
        self.moves.iter_mut().find(|asked| asked.from == from && asked.to == to && asked.is_pending())
    }

    fn leave_source(&mut self, room: RoomId) {
        let Some(session) = self.id() else { return };
        let Some(seat) = self.seat_mut(room) else { return };
        seat.state = SeatState::Leaving;
        let unsent = seat.held.len();
        let unsent = seat.waiting.split_off(seat.waiting.len() - unsent);
        seat.held = VecDeque::new();
        self.append(room, RoomCommand::Leave { session, reason: LeaveReason::Moved });
        self.refuse_unsent(unsent);
    }

    /// Answers messages that were held here for a room that the session leaves: they are not sent there.
    fn refuse_unsent(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.refuse(Some(id), ErrorCode::NotInRoom, "you left the room before it took this message", None);
        }
    }

    fn refuse_move(&mut self, from: OutputRef, reason: Box<str>, now: Time) {
        let Some(asked) = self.moves.iter_mut().find(|asked| asked.from == from) else { return };
        asked.state = MoveState::Refused(reason.clone());
        let to = asked.to;
        self.answer_refused(from, to, reason);
        self.give_up_joining(to, now);
    }

    fn answer_refused(&mut self, from: OutputRef, to: RoomId, reason: Box<str>) {
        let Some(session) = self.id() else { return };
        let answer = Answer::MoveRefused { session, room: to, reason };
        self.append(from.room, RoomCommand::Answer { request: from.number, answer });
    }

    /// Removes a seat whose join has failed, unless another move or the lobby's join still waits for it.
    fn give_up_joining(&mut self, room: RoomId, now: Time) {
        let wanted = self.is_moving_to(room);
        let joining = self.seat(room).is_some_and(|seat| seat.state == SeatState::Joining);
        if joining && !wanted && !(room == RoomId::LOBBY && self.wants_lobby) {
            self.remove_seat(room, LeaveReason::Left, now);
        }
    }

    // ---- leaving ----

    /// The room reports that the session is no member. If another room is moving the session there, it is about to become one.
    fn on_left(&mut self, room: RoomId, request: u32, reason: LeaveReason, now: Time) {
        let Some(state) = self.state_after(room, request) else { return };
        match state {
            // This answers a request for frames. The `Join` has yet to be answered.
            SeatState::Joining => {}
            _ if reason == LeaveReason::Kicked => self.on_other_kick(room),
            _ if self.is_moving_to(room) => self.begin_anew(room, request, reason, now),
            SeatState::Member | SeatState::Leaving => self.remove_seat(room, reason, now),
        }
    }

    /// Some room has kicked the session. That room's `Kick`, with the reason, comes last, unless the session has left it.
    fn on_other_kick(&mut self, room: RoomId) {
        self.vacate(room, LeaveReason::Kicked);
        if self.seats.is_empty() {
            self.on_kick("a room has removed you");
        }
    }

    fn is_moving_to(&self, room: RoomId) -> bool {
        self.moves.iter().any(|asked| asked.to == room && asked.is_pending())
    }

    /// Replaces the seat by one for the stay that begins. Messages that were sent after its `Join` belong to that stay.
    fn begin_anew(&mut self, room: RoomId, request: u32, reason: LeaveReason, now: Time) {
        let Some(seat) = self.seat_mut(room) else { return };
        let joined = seat.joined.filter(|(number, _)| *number > request);
        let later = |id: &u64| joined.is_some_and(|(_, high)| *id > high);
        let (kept, lost) = seat.waiting.drain(..).partition(later);
        let (held, dropped) = seat.held.drain(..).partition(|msg| later(&msg.id));
        (seat.waiting, seat.held) = (lost, dropped);
        self.vacate(room, reason);
        self.add_seat(room, now);
        if let Some(seat) = self.seat_mut(room) {
            (seat.since, seat.waiting, seat.held, seat.joined) = (request + 1, kept, held, joined);
        }
    }

    fn remove_seat(&mut self, room: RoomId, reason: LeaveReason, now: Time) {
        let (Some(session), Some(_)) = (self.id(), self.seat(room)) else { return };
        self.vacate(room, reason);
        self.outputs.push_back(Output::Store(Store::Leave(session, room)));
        self.be_somewhere(now);
    }

    /// Removes a seat: the client gets a `left`, and its messages there get their answers.
    fn vacate(&mut self, room: RoomId, reason: LeaveReason) {
        let Some(at) = self.seats.iter().position(|seat| seat.room == room) else { return };
        let mut seat = self.seats.remove(at);
        self.end_moves_from(room);
        let unsent = seat.waiting.split_off(seat.sent());
        let mut seen = seat.seen;
        if seat.synced && !seat.left {
            self.send_left(room, seen, reason);
            seen += 1;
        }
        // The room has applied the messages that precede this edge's `Leave` in its channel. If the room's `left` is missing,
        // so are its replies: the room took the connection for lost, perhaps because this edge was paused.
        let moved = matches!(reason, LeaveReason::Moved | LeaveReason::Left);
        let taken = seat.state == SeatState::Leaving && moved && !seat.left;
        let (code, message) = match taken {
            true => (ErrorCode::Applied, "the room has applied this message; its reply is lost"),
            false => (ErrorCode::NotInRoom, "you left the room before it took this message"),
        };
        for id in seat.waiting {
            self.refuse(Some(id), code, message, None);
        }
        self.refuse_unsent(unsent);
        self.past.retain(|past| past.room != room);
        self.past.push_back(Past { room, seen, crossed: seat.crossed });
        if self.past.len() > REMEMBERED {
            self.past.pop_front();
        }
    }

    fn end_moves_from(&mut self, room: RoomId) {
        for asked in self.moves.iter_mut().filter(|asked| asked.from.room == room) {
            asked.over = true;
        }
    }

    /// Sends the client a `left` in place of the room, which has not sent one.
    fn send_left(&mut self, room: RoomId, seen: u64, reason: LeaveReason) {
        let frame = RoomFrame::left(room, reason.as_str());
        self.outputs.push_back(Output::Send(Outgoing::Room { seq: seen + 1, frame }));
    }
}
