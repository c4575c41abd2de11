//! The rooms that a session is in: their frames on the way to the client, and the moves between them.

use std::collections::VecDeque;

use super::{MAX_ROOMS, MAX_WAITING, Outgoing, Output, Phase, Session, Store};
use crate::{
    command::{Answer, EdgeCommand, LeaveReason, Question, RoomCommand, Source, Target},
    frame::{CloseCode, ErrorCode, FrameTag, Msg, RoomFrame},
    ids::{RoomId, Time},
    json::Json,
    planted::{Bug, planted},
};

/// Rooms left and moves answered that are remembered. What a room repeats after a crash is recent.
const REMEMBERED: usize = 16;

/// A gap is asked for again after this long, in milliseconds, if frames keep coming that do not fit.
const ASK_AGAIN_MS: u64 = 1_000;

/// A room that the session is in, or joins, or leaves.
#[derive(Debug)]
pub(super) struct Seat {
    pub room: RoomId,
    pub state: SeatState,
    /// The highest number of this room's frames that the client has, or had when it was here before.
    seen: u64,
    /// Whether the client has that very frame, so that the next one continues it. If not, a `room` frame must come.
    synced: bool,
    /// The room's `left` has gone to the client.
    left: bool,
    /// A question up to which nothing is known of this stay: what the room has to say after an earlier one is of a stay before.
    since: u32,
    /// When the room was last asked for frames.
    asked: Time,
    /// The latest question to the room.
    question: u32,
    /// The latest question to let the session in, and the highest id that was on its way then: what is above comes after.
    joined: Option<(u32, u64)>,
    /// The highest id that the room had applied when it last showed the whole view, or had sent again what was missing.
    pub applied: u64,
    /// Ids that the room has answered without having been sent them by this connection: the client may yet send them again.
    /// The latest [`MAX_WAITING`].
    crossed: VecDeque<u64>,
    /// Messages up to this id were for an earlier stay: the room was told so when it let the session in.
    pub begins_after: u64,
    /// Ids of messages without an answer, rising.
    pub waiting: VecDeque<u64>,
    /// The last of them: not in the log yet, since [`WINDOW`](super::WINDOW) others are.
    pub held: VecDeque<Msg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatState {
    /// Until `Admitted` or `Refused`.
    Joining,
    Member,
    /// The room has been told that the session has moved; until it says so too.
    Leaving,
}

/// A room that the session was in. If it comes back, what it has seen is not shown again.
#[derive(Debug)]
pub(super) struct Past {
    room: RoomId,
    seen: u64,
    crossed: VecDeque<u64>,
}

/// The latest request of a room to move the session.
#[derive(Debug)]
pub(super) struct Move {
    from: Source,
    to: RoomId,
    state: MoveState,
    /// The source has been left since: whatever it says of this move again is an echo.
    over: bool,
}

#[derive(Debug)]
enum MoveState {
    /// Until the store knows.
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
            question: 0,
            joined: None,
            begins_after: 0,
            applied: 0,
            crossed: VecDeque::new(),
            waiting: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// Ids of messages that wait here and are for an earlier stay: they wait no more.
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

    /// Whether the client knows of it.
    pub fn is_shown(&self) -> bool {
        self.synced
    }

    /// Answers come in the order of the messages, nearly always.
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

    /// Whether the client has been sent the answer to this message, and has sent it again before that arrived. Ids are the
    /// session's: where the message names no room, the room that has answered it was the current one before.
    pub(super) fn has_crossed(&self, room: Option<RoomId>, id: u64) -> bool {
        let is_meant = |at: RoomId| room.is_none_or(|room| room == at);
        self.seats.iter().any(|seat| is_meant(seat.room) && seat.crossed.contains(&id))
            || self.past.iter().any(|past| is_meant(past.room) && past.crossed.contains(&id))
    }

    fn is_member(&self, room: RoomId) -> bool {
        self.seat(room).is_some_and(|seat| seat.state == SeatState::Member)
    }

    // ---- entering ----

    /// A new session. The store has it as a member of the lobby already.
    pub(super) fn enter_lobby(&mut self, now: Time) {
        self.add_seat(RoomId::LOBBY, now);
        self.join(RoomId::LOBBY, Json::null(), None, now);
    }

    /// A session that has come back: every room that may have it is asked for what the client does not have.
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

    /// A session is always in a room, or on its way into one.
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
        self.questions + 1
    }

    fn question(&mut self) -> Question {
        self.questions += 1;
        Question { connection: self.connection, number: self.questions }
    }

    fn join(&mut self, room: RoomId, options: Json, from: Option<Source>, now: Time) {
        let Phase::Open(who) = &self.phase else { return };
        let (session, player, edge) = (who.session, who.player.clone(), self.edge.clone());
        let high = self.high.max(self.reached);
        let question = self.question();
        let command = RoomCommand::Join { session, player, edge, question, client_seq: high, options, from };
        if let Some(seat) = self.seat_mut(room) {
            seat.asked = now;
            seat.question = question.number;
            seat.joined = Some((question.number, high));
        }
        self.append(room, command);
    }

    /// The store knows of a room to be: now the room may.
    pub(super) fn on_stored(&mut self, room: RoomId, done: bool, now: Time) {
        if room == RoomId::LOBBY && std::mem::take(&mut self.wants_lobby) {
            match done {
                true => self.join(room, Json::null(), None, now),
                false => return self.close(CloseCode::Unavailable, "this server cannot reach its store now"),
            }
        }
        if done && self.is_moving_to(room) {
            // It was left for good meanwhile, and the store has forgotten it again.
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

    // ---- what rooms say ----

    pub(super) fn on_command(&mut self, command: EdgeCommand, now: Time) {
        if command.connection().is_some_and(|connection| connection != self.connection) {
            return;
        }
        match command {
            EdgeCommand::Join { room, options, from, .. } => self.on_move(room, options, from, now),
            EdgeCommand::Leave { room, question, reason, .. } => self.on_left(room, question.number, reason, now),
            // Whatever the seat is by now: the session is over.
            EdgeCommand::Kick { reason, .. } => self.on_kick(&reason),
            EdgeCommand::Admitted { room, question, from, .. } => self.on_admitted(room, question.number, from),
            EdgeCommand::Refused { room, question, from, reason, .. } => {
                self.on_refused(room, question.number, from, reason, now);
            }
            EdgeCommand::Resumed { room, question, applied, .. } => self.on_resumed(room, question.number, applied),
            EdgeCommand::Replaced { .. } => self.on_replaced(),
            EdgeCommand::Spent { micros, .. } => self.spend(u64::from(micros), now),
            EdgeCommand::Deliver { .. } => {}
        }
    }

    /// Passes a frame on if it continues what the client has. One for an earlier connection is an echo, said again by a
    /// host that has taken over, or the room has not heard of this connection: then it is told once more.
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
            // A stay that this edge has ended by its own word goes on, in the room's: that word has used the number.
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

    /// Frames are missing. The room keeps them, or sends a whole view instead; until then nothing of it fits.
    fn on_gap(&mut self, room: RoomId, now: Time) {
        let overdue = self.seat(room).is_some_and(|seat| now.since(seat.asked) >= ASK_AGAIN_MS);
        if overdue {
            self.ask_for_frames(room, now);
        }
    }

    /// What an earlier connection of the session had to say came later than what this one had: the rooms are asked again,
    /// and then know where it is.
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
        let question = self.question();
        if let Some(seat) = self.seat_mut(room) {
            seat.question = question.number;
        }
        self.append(room, RoomCommand::Reconnect { session, edge, question, last_seq });
    }

    /// The client begins anew with this room, which is the current one now. Replies up to `ack` were in frames that it
    /// does not get.
    fn on_whole_view(&mut self, at: usize, ack: u64) {
        let mut seat = self.seats.remove(at);
        seat.left = false;
        self.seats.push(seat);
        self.answer_applied(self.seats.len() - 1, ack);
    }

    /// The room has sent again all that the client did not have. If it has been asked once more since, that answer counts.
    fn on_resumed(&mut self, room: RoomId, question: u32, applied: u64) {
        let at = self.seats.iter().position(|seat| seat.room == room && seat.synced && seat.question == question);
        if let Some(at) = at {
            self.answer_applied(at, applied);
        }
    }

    /// Replies to all ids up to `applied` have gone to the client, or never will: a room drops an id that it knows.
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

    /// A room wants the session to go on to another. It may say so again: after a crash, or when the session is back.
    fn on_move(&mut self, to: RoomId, options: Json, from: Source, now: Time) {
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

    /// A stay that is being left is followed by another: the room is asked to let the session in after that.
    fn come_back(&mut self, room: RoomId) {
        let next = self.next_question();
        if let Some(seat) = self.seat_mut(room).filter(|seat| seat.state == SeatState::Leaving) {
            (seat.state, seat.since) = (SeatState::Joining, next);
            self.end_moves_from(room);
        }
    }

    /// The store knows first; then the room is asked.
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

    fn on_admitted(&mut self, room: RoomId, question: u32, from: Option<Source>) {
        let Some(seat) = self.seat_mut(room).filter(|seat| question >= seat.since) else { return };
        seat.since = question;
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

    fn on_refused(&mut self, room: RoomId, question: u32, from: Option<Source>, reason: Box<str>, now: Time) {
        let Some(state) = self.state_after(room, question) else { return };
        match from {
            Some(from) if self.expected_answer(from, room).is_some() => {
                // It refuses nobody who is a member.
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

    /// The state of the seat that the room speaks of after this question. If the stay has begun since, that is an echo.
    fn state_after(&self, room: RoomId, question: u32) -> Option<SeatState> {
        self.seat(room).filter(|seat| question >= seat.since).map(|seat| seat.state)
    }

    /// The move that an answer of `to` is about, if it has none yet.
    fn expected_answer(&mut self, from: Source, to: RoomId) -> Option<&mut Move> {
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

    /// What waited here for a room that the session leaves goes there no more.
    fn refuse_unsent(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.refuse(Some(id), ErrorCode::NotInRoom, "you left the room before it took this message", None);
        }
    }

    fn refuse_move(&mut self, from: Source, reason: Box<str>, now: Time) {
        let Some(asked) = self.moves.iter_mut().find(|asked| asked.from == from) else { return };
        asked.state = MoveState::Refused(reason.clone());
        let to = asked.to;
        self.answer_refused(from, to, reason);
        self.give_up_joining(to, now);
    }

    fn answer_refused(&mut self, from: Source, to: RoomId, reason: Box<str>) {
        let Some(session) = self.id() else { return };
        let answer = Answer::MoveRefused { session, room: to, reason };
        self.append(from.room, RoomCommand::Answer { request: from.number, answer });
    }

    /// Takes back a seat that came to nothing, unless something else still waits for it.
    fn give_up_joining(&mut self, room: RoomId, now: Time) {
        let wanted = self.is_moving_to(room);
        let joining = self.seat(room).is_some_and(|seat| seat.state == SeatState::Joining);
        if joining && !wanted && !(room == RoomId::LOBBY && self.wants_lobby) {
            self.remove_seat(room, LeaveReason::Left, now);
        }
    }

    // ---- leaving ----

    /// A room says that the session is no member. Meanwhile another may have moved it there: then it is about to be one.
    fn on_left(&mut self, room: RoomId, question: u32, reason: LeaveReason, now: Time) {
        let Some(state) = self.state_after(room, question) else { return };
        match state {
            // It was asked for frames, and is yet to be asked to let the session in.
            SeatState::Joining => {}
            _ if reason == LeaveReason::Kicked => self.on_other_kick(room),
            _ if self.is_moving_to(room) => self.begin_anew(room, question, reason, now),
            SeatState::Member | SeatState::Leaving => self.remove_seat(room, reason, now),
        }
    }

    /// Some room has ended the session. That one is the last to say so, with its reason, unless the session has left it.
    fn on_other_kick(&mut self, room: RoomId) {
        self.vacate(room, LeaveReason::Kicked);
        if self.seats.is_empty() {
            self.on_kick("a room has removed you");
        }
    }

    fn is_moving_to(&self, room: RoomId) -> bool {
        self.moves.iter().any(|asked| asked.to == room && asked.is_pending())
    }

    /// What was said after the room was asked to let the session in, is for the stay that begins.
    fn begin_anew(&mut self, room: RoomId, question: u32, reason: LeaveReason, now: Time) {
        let Some(seat) = self.seat_mut(room) else { return };
        let joined = seat.joined.filter(|(number, _)| *number > question);
        let later = |id: &u64| joined.is_some_and(|(_, high)| *id > high);
        let (kept, lost) = seat.waiting.drain(..).partition(later);
        let (held, dropped) = seat.held.drain(..).partition(|msg| later(&msg.id));
        (seat.waiting, seat.held) = (lost, dropped);
        self.vacate(room, reason);
        self.add_seat(room, now);
        if let Some(seat) = self.seat_mut(room) {
            (seat.since, seat.waiting, seat.held, seat.joined) = (question + 1, kept, held, joined);
        }
    }

    fn remove_seat(&mut self, room: RoomId, reason: LeaveReason, now: Time) {
        let (Some(session), Some(_)) = (self.id(), self.seat(room)) else { return };
        self.vacate(room, reason);
        self.outputs.push_back(Output::Store(Store::Leave(session, room)));
        self.be_somewhere(now);
    }

    /// The client is out of a room, and what it had to say there is answered.
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
        // What was said before the session left by this edge's word, the room has taken. If its `left` did not come, its
        // replies did not either: it took the connection for lost, and this edge may have been paused.
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

    /// Tells the client in the room's place, which did not get to say it.
    fn send_left(&mut self, room: RoomId, seen: u64, reason: LeaveReason) {
        let frame = RoomFrame::left(room, left_text(reason));
        self.outputs.push_back(Output::Send(Outgoing::Room { seq: seen + 1, frame }));
    }
}

fn left_text(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "left",
        LeaveReason::Moved => "moved",
        LeaveReason::TimedOut => "timed out",
        LeaveReason::Kicked => "kicked",
        LeaveReason::Replaced => "replaced",
        LeaveReason::Ended => "ended",
    }
}
