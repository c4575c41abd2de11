//! What each record does to a room: first the machine's own part, then the guest's call, where there is one.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Account, Call, CallOrigin, Notice, Output, PROBATION_MS, PROBATION_RECORDS, Phase, Room, State, Step, SwappedTo,
    frames::RESYNC_JUMP,
    state::{Gone, Member, Probation, To},
};
use crate::{
    command::{
        Answer, EdgeCommand, Fault, Joining, LeaveReason, OutputRef, Player, Record, RequestId, RoomCommand, RoomData,
    },
    effect::{Effect, Event, MemberInfo, Moment, RestoreReason},
    frame::{ErrorCode, RoomFrame},
    ids::{Digest, MachineId, Offset, OutputId, RoomId, Secret, SessionId, Time},
    json::Json,
    planted::{Bug, planted},
};

/// A room that has had no member waits at least this long before it ends as empty, even if its kind's limit is shorter. It may
/// have been created for members whose joins are still in flight: their edges append them after its creation, and may be slow.
const FIRST_JOIN_MS: u64 = 10_000;

impl Room {
    pub(super) fn begin(&mut self, offset: Offset, record: Record) {
        let Some(state) = &mut self.state else {
            return self.begin_without_room(offset, record);
        };
        state.clock = state.clock.max(record.time);
        let step = Step { client: record.command.client(), ..Step::new(self.id, state.secret, offset, state.clock) };
        if !self.is_replay(offset) {
            self.begin_account(offset, &record.command);
        }
        let state = self.state.as_ref().expect("it was just there");
        if state.awaits_restart() {
            return self.between_lives(step, record.command);
        }
        match record.command {
            RoomCommand::Create { .. } => self.finish(step),
            RoomCommand::Join(joining) => self.join(step, joining),
            RoomCommand::Message { session, message_id, kind, data } => {
                self.message(step, session, message_id, kind, data);
            }
            RoomCommand::Drop { session, edge, .. } => self.drop_member(step, session, edge),
            RoomCommand::Reconnect { session, edge, request, last_seq } => {
                self.reconnect(step, session, (edge, request), last_seq);
            }
            RoomCommand::Leave { session, reason } => self.leave(step, session, reason),
            RoomCommand::Timer { id, .. } => self.timer(step, id),
            RoomCommand::RoomMessage { from, number, data } => self.room_message(step, from, number, data),
            RoomCommand::Answer { request, answer } => self.answer(step, request, answer),
            RoomCommand::Swap { component, .. } => self.swap(step, component),
            RoomCommand::Fault { at, fault } => self.fault(step, at.offset, fault),
            RoomCommand::Close { reason } => self.end(step, Json::null(), Some(reason)),
            RoomCommand::Threw { .. } => self.finish(step),
        }
    }

    /// A `Fault` record is applied on behalf of the client that caused the failed record.
    fn begin_account(&mut self, offset: Offset, command: &RoomCommand) {
        let skipped = self.skips.contains_key(&offset) || self.threw.contains_key(&offset);
        self.takes_back &= skipped && self.account.as_ref().is_some_and(|account| account.offset == offset);
        self.account = match command {
            RoomCommand::Fault { at, .. } => self.accounts.remove(&at.offset),
            command => self.account_of(offset, command),
        };
    }

    fn account_of(&self, offset: Offset, command: &RoomCommand) -> Option<Account> {
        let session = command.client()?;
        let (edge, connection) = match command {
            RoomCommand::Join(Joining { edge, request, .. }) | RoomCommand::Reconnect { edge, request, .. } => {
                (edge.clone(), request.connection)
            }
            _ => {
                let member = self.state.as_ref()?.members.get(&session)?;
                (member.edge.clone(), member.request.connection)
            }
        };
        Some(Account { session, edge, connection, offset })
    }

    /// The room was never created, or has ended.
    fn begin_without_room(&mut self, offset: Offset, record: Record) {
        let room = self.id;
        let secret = match &record.command {
            RoomCommand::Create { secret, .. } => *secret,
            // No random number is drawn here.
            _ => Secret(0),
        };
        let mut step = Step::new(room, secret, offset, record.time);
        match record.command {
            RoomCommand::Create { kind, component, options, creator, secret, allowance } if !self.ended => {
                let state = State::new(kind, component, creator, secret, allowance, step.moment.now, offset);
                return self.create(step, state, options);
            }
            RoomCommand::Join(Joining { session, edge, request, from, .. }) => {
                let reason = if self.ended { "the room has ended" } else { "there is no such room" };
                step.edge(&edge, EdgeCommand::Refused { session, request, room, from, reason: reason.into() });
            }
            RoomCommand::Reconnect { session, edge, request, .. } => {
                let reason = if self.ended { LeaveReason::Ended } else { LeaveReason::Left };
                step.edge(&edge, EdgeCommand::Leave { session, request, room, reason });
            }
            _ => {}
        }
        self.tail.clear();
        self.finish(step);
    }

    fn create(&mut self, mut step: Step, state: State, options: Json) {
        step.notice(Notice::Created { kind: state.kind.clone(), component: state.component });
        step.cause = CallOrigin::Create;
        self.state = Some(state);
        self.call(step, Event::Create { options });
    }

    fn join(&mut self, mut step: Step, joining: Joining) {
        let state = self.state.as_ref().expect("begin has looked");
        if state.members.contains_key(&joining.session) {
            let Joining { session, edge, request, from, .. } = joining;
            step.edge(&edge, EdgeCommand::Admitted { session, request, room: self.id, from });
            return self.reconnect(step, session, (edge, request), None);
        }
        if !state.locked
            && let Some(away) = self.seat_to_free(state)
        {
            return self.make_room(step, away, joining);
        }
        let room_for_players = state.has_room_for_a_player();
        let refused = match () {
            () if state.locked => Some("the room is locked"),
            () if state.members.len() >= super::Spec::MAX_MEMBERS => Some("the room is full"),
            () => None,
        };
        if let Some(reason) = refused {
            step.refuse(self.id, joining, reason);
            return self.finish(step);
        }
        let Joining { session, player, edge, request, message_id, options, from } = joining;
        // A newcomer is a spectator from the start where no seat is free for a player.
        let member = MemberInfo { session, player: player.clone(), connected: true, spectator: !room_for_players };
        step.cause = CallOrigin::Join { session, player, edge, request, message_id, from };
        self.call(step, Event::Join { member, options, from: from.map(|from| from.room) });
    }

    /// The member whose held seat goes to a newcomer: the one that has been away longest. A seat is freed where the room can
    /// have no more members, and in the lobby also where it has its `max_players`, since a member can return to the lobby by
    /// joining again. In other rooms a seat is a player's place in a game, and is held for the full time.
    fn seat_to_free(&self, state: &State) -> Option<SessionId> {
        let mut held = state.holds.iter().map(|(_, _, session)| *session);
        if state.members.len() >= super::Spec::MAX_MEMBERS {
            return held.next();
        }
        // With more players than seats (after a swap), freeing one seat would admit nobody.
        if self.id != RoomId::LOBBY || state.holds.is_empty() || state.free_seats() != Some(0) {
            return None;
        }
        let is_a_player_here = |session: &SessionId| {
            state.members.get(session).is_some_and(|member| !member.spectator && member.moving.is_none())
        };
        held.find(is_a_player_here)
    }

    /// The guest first gets the `leave` of that member, then the newcomer's `join`.
    fn make_room(&mut self, mut step: Step, away: SessionId, joining: Joining) {
        let reason = LeaveReason::TimedOut;
        self.remove_member(&mut step, away, reason, None);
        step.cause = CallOrigin::MakeRoom(Box::new(joining));
        self.call(step, Event::Leave { session: away, reason });
    }

    /// The seat is free, and the guest has processed the `leave`.
    pub(super) fn join_at_last(&mut self, mut step: Step, joining: Joining) {
        step.leaver = None;
        self.join(step, joining);
    }

    fn message(&mut self, mut step: Step, session: SessionId, id: u64, kind: Arc<str>, data: Json) {
        let state = self.state.as_mut().expect("begin has looked");
        // The sender has left: its edge answers the message once it receives that.
        let Some(member) = state.members.get_mut(&session) else { return self.finish(step) };
        // Messages of a session that is being kicked are dropped: its edge closes the connection without an answer.
        if state.kicks.contains_key(&session) {
            return self.finish(step);
        }
        if id <= member.last_client_seq && !planted(Bug::MessageDuplicates) {
            return self.finish(step);
        }
        member.last_client_seq = id;
        let known = state.spec.as_ref().is_none_or(|spec| spec.messages.contains(&*kind));
        if !known {
            let known = state.spec.iter().flat_map(|spec| &spec.messages).map(|name| &**name).collect::<Vec<_>>();
            let text = format!("this room has no message {kind:?}; it has {}", known.join(", "));
            let frame = RoomFrame::error(self.id, Some(id), ErrorCode::UnknownType, &text);
            self.deliver(&mut step, frame, To::One(session));
            return self.finish(step);
        }
        step.cause = CallOrigin::Message { session, id };
        self.call(step, Event::Message { session, kind, data });
    }

    fn drop_member(&mut self, step: Step, session: SessionId, edge: MachineId) {
        let state = self.state.as_mut().expect("begin has looked");
        let hold_ms = state.spec.as_ref().map_or(0, |spec| spec.hold_ms);
        match state.members.get_mut(&session) {
            // A member that has sent no message has no state here to return to, so its seat in the lobby is not held.
            Some(member)
                if self.id == RoomId::LOBBY
                    && member.connected
                    && member.edge == edge
                    && member.last_client_seq == 0
                    && member.moving.is_none()
                    && !state.kicks.contains_key(&session) =>
            {
                self.leave(step, session, LeaveReason::TimedOut);
            }
            Some(member) if member.connected && member.edge == edge => {
                member.connected = false;
                // A member that is being kicked leaves by its kick, not by a timer.
                if !state.kicks.contains_key(&session) {
                    let hold = (step.moment.now.plus(hold_ms), step.timer_id());
                    member.hold = Some(hold);
                    state.holds.insert((hold.0, hold.1, session));
                }
                self.call(step, Event::Drop { session });
            }
            // The member has reconnected elsewhere, or is none.
            _ => self.finish(step),
        }
    }

    fn reconnect(
        &mut self,
        mut step: Step,
        session: SessionId,
        (edge, request): (MachineId, RequestId),
        last_seq: Option<u64>,
    ) {
        let state = self.state.as_mut().expect("begin has looked");
        let Some(member) = state.members.get_mut(&session) else {
            self.tell_why(&mut step, session, (edge, request));
            return self.finish(step);
        };
        let was_away = !std::mem::replace(&mut member.connected, true);
        let before = std::mem::replace(&mut member.edge, edge.clone());
        member.request = request;
        // Records of two edges may arrive in another order than the client's connections were made, so the previous edge may
        // still have the client: it is notified.
        if before != edge && !was_away {
            step.edge(&before, EdgeCommand::Replaced { session });
        }
        if let Some((due, id)) = member.hold.take() {
            state.holds.remove(&(due, id, session));
        }
        self.resume(&mut step, session, last_seq);
        self.end_resume(&mut step, session);
        self.ask_again(&mut step, session);
        if was_away { self.call(step, Event::Reconnect { session }) } else { self.finish(step) }
    }

    /// Repeats the room's request to this member's edge that has no answer yet.
    fn ask_again(&mut self, step: &mut Step, session: SessionId) {
        let state = self.state.as_ref().expect("the member is in it");
        let Some(member) = state.members.get(&session) else { return };
        let connection = member.request.connection;
        if let Some(moving) = &member.moving {
            let from = OutputRef { room: self.id, number: moving.number };
            let options = moving.options.clone();
            step.edge(&member.edge, EdgeCommand::Join { session, connection, room: moving.room, options, from });
        }
    }

    fn leave(&mut self, mut step: Step, session: SessionId, reason: LeaveReason) {
        let words = if reason == LeaveReason::Kicked { self.end_kick(session) } else { None };
        if self.remove_member(&mut step, session, reason, words) {
            self.call(step, Event::Leave { session, reason });
        } else {
            self.finish(step);
        }
    }

    /// Removes the member and notifies it. Returns whether it was one.
    fn remove_member(
        &mut self,
        step: &mut Step,
        session: SessionId,
        reason: LeaveReason,
        words: Option<Box<str>>,
    ) -> bool {
        let known = self.state.as_ref().is_some_and(|state| state.members.contains_key(&session));
        if !known {
            return false;
        }
        self.deliver(step, RoomFrame::left(self.id, reason.as_str()), To::One(session));
        let state = self.state.as_mut().expect("it is known");
        let member = state.members.remove(&session).expect("it is known");
        if let Some((due, id)) = member.hold {
            state.holds.remove(&(due, id, session));
        }
        state.high_seq = state.high_seq.max(member.out_seq);
        self.tell_left(step, session, &member, Gone { reason, text: words });
        // The lobby stays open when it is empty; the limits of its kind do not change that.
        if self.id != RoomId::LOBBY {
            self.state_mut().watch_emptiness(step);
        }
        step.leaver = Some(Box::new((session, member)));
        true
    }

    fn timer(&mut self, mut step: Step, id: OutputId) {
        let state = self.state.as_mut().expect("begin has looked");
        let named = state.timers.iter().find(|(_, timer)| timer.id == id).map(|(name, _)| name.clone());
        if let Some(name) = named {
            let timer = state.timers.remove(&name).expect("it was just found");
            return self.call(step, Event::Timer { name, payload: timer.payload });
        }
        if state.empty.is_some_and(|(_, empty)| empty == id) {
            return self.end(step, Json::null(), None);
        }
        let held = state.holds.iter().find(|(_, hold, _)| *hold == id).map(|(_, _, session)| *session);
        let Some(session) = held else { return self.finish(step) };
        let reason = LeaveReason::TimedOut;
        self.remove_member(&mut step, session, reason, None);
        self.call(step, Event::Leave { session, reason });
    }

    fn room_message(&mut self, step: Step, from: RoomId, number: OutputId, data: RoomData) {
        let state = self.state.as_mut().expect("begin has looked");
        if !state.is_new(from, number) {
            return self.finish(step);
        }
        match data {
            RoomData::Message(data) => self.call(step, Event::RoomMessage { room: from, data }),
            RoomData::Ended { outcome, failed } => {
                state.forget_source_later(from);
                self.child_ended(step, from, outcome, failed);
            }
        }
    }

    fn child_ended(&mut self, step: Step, room: RoomId, outcome: Json, failed: Option<Box<str>>) {
        let state = self.state.as_mut().expect("begin has looked");
        if state.forget_child(room) {
            self.call(step, Event::RoomEnd { room, outcome, failed });
        } else {
            self.finish(step);
        }
    }

    fn answer(&mut self, step: Step, request: OutputId, answer: Answer) {
        match answer {
            Answer::CreateFailed { room, reason } => self.child_ended(step, room, Json::null(), Some(reason)),
            Answer::MoveRefused { session, room, reason } => {
                let state = self.state.as_mut().expect("begin has looked");
                let member = state.members.get_mut(&session);
                match member {
                    Some(member) if member.moving.as_ref().is_some_and(|moving| moving.number == request) => {
                        member.moving = None;
                        self.call(step, Event::MoveFailed { session, room, reason });
                    }
                    _ => self.finish(step),
                }
            }
        }
    }

    fn swap(&mut self, step: Step, component: Digest) {
        let state = self.state.as_ref().expect("begin has looked");
        if state.component == component {
            return self.finish(step);
        }
        let info = Box::new(self.room_info(state, step.moment, Some(RestoreReason::Swapped)));
        if !self.instance {
            // A hibernating room is opened with its old component first: only that can read the saved state.
            let (why, state) = (self.why, self.state.as_ref().expect("begin has looked"));
            let old = Box::new(self.room_info(state, step.moment, Some(why)));
            let open = Call::Open { component: state.component, info: old, saved: state.saved.clone() };
            self.outputs.push_back(Output::Guest(open));
            self.phase = Phase::OpeningToSwap(Box::new(step), component);
            return;
        }
        self.outputs.push_back(Output::Guest(Call::Swap { component, info }));
        self.phase = Phase::Swapping(Box::new(step), component);
    }

    pub(super) fn on_opened_to_swap(&mut self, step: Step, component: Digest, result: Result<Arc<super::Spec>, Fault>) {
        match result {
            Ok(_) => {
                self.instance = true;
                self.swap(step, component);
            }
            Err(fault) => self.give_up(format!("its script cannot be opened: {fault}")),
        }
    }

    pub(super) fn on_swapped(&mut self, mut step: Step, component: Digest, result: Result<SwappedTo, Box<str>>) {
        let swapped = match result {
            Ok(swapped) => swapped,
            Err(reason) => {
                step.notice(Notice::SwapRefused { component, reason });
                return self.finish(step);
            }
        };
        let state = self.state.as_mut().expect("only a room that exists is swapped");
        state.saved = Some(swapped.before);
        state.probation = None;
        let before = state.encode();
        let until = state.clock.plus(PROBATION_MS);
        let probation =
            Probation { before, swap: step.offset, records: vec![], skips: [].into(), until, exhausted: None };
        state.probation = Some(Box::new(probation));
        state.component = component;
        state.spec = Some(swapped.spec);
        state.faults = 0;
        step.notice(Notice::Swapped { component });
        if swapped.effects.iter().any(|effect| matches!(effect, Effect::View { .. })) {
            self.forget_own_views(&mut step);
        }
        // From here on the state depends on the new component, so it is saved at once.
        self.wants_snapshot = true;
        self.carry_out(step, swapped.effects);
    }

    /// Drops members' own views: the old component gave each member its own view, the new one gives all members the same.
    fn forget_own_views(&mut self, step: &mut Step) {
        let Some(state) = &mut self.state else { return };
        let shared = state.view.clone().unwrap_or_else(Json::null);
        let own = state.members.iter_mut().filter_map(|(session, member)| Some((*session, member.view.take()?)));
        for (session, view) in own.collect::<Vec<_>>() {
            let frame = self.patch(step, view, shared.clone());
            self.deliver(step, frame, To::One(session));
        }
    }

    pub(super) fn keep_for_probation(&mut self, offset: Offset, record: &Record) {
        let Some(state) = &mut self.state else { return };
        let Some(probation) = &mut state.probation else { return };
        let over = record.time >= probation.until || probation.records.len() >= PROBATION_RECORDS;
        if over && !matches!(record.command, RoomCommand::Fault { .. }) {
            state.probation = None;
        } else {
            probation.records.push((offset, record.clone()));
        }
    }

    /// The log takes a record back. Every member gets a whole view, because some may have been sent effects of that record.
    fn fault(&mut self, mut step: Step, offset: Offset, fault: Fault) {
        let state = self.state.as_mut().expect("begin has looked");
        let counts = |probation: &mut Box<Probation>| offset > probation.swap && probation.counts(offset, &fault);
        if let Some(probation) = state.probation.take_if(counts) {
            return self.undo_swap(step, *probation, fault);
        }
        let sessions: Vec<SessionId> = state.members.keys().copied().collect();
        for session in sessions {
            self.resync(&mut step, session);
        }
        self.finish(step);
    }

    /// Rolls back to the old component and replays the probation's records with outputs suppressed. The current record is then
    /// applied again; since the probation is over, it resyncs every member's view.
    fn undo_swap(&mut self, mut step: Step, mut probation: Probation, fault: Fault) {
        let state = self.state.as_ref().expect("begin has looked");
        let used = state.members.values().map(|member| member.out_seq).max().unwrap_or(0).max(state.high_seq);
        let component = state.component;
        step.notice(Notice::SwapUndone { component, fault });
        let mut old = State::decode(&probation.before).expect("we encoded it");
        old.seq_floor = used.max(state.seq_floor) + RESYNC_JUMP;
        self.base = Some(super::Base { offset: old.offset, bytes: old.encode().into() });
        self.skips.append(&mut probation.skips);
        self.tail = probation.records;
        self.outputs.extend(step.out);
        self.said = step.offset.checked_sub(1).max(self.said);
        self.rebuild();
    }

    /// Applies the record without the guest, whose call failed by a fault in the log or by its own throw.
    pub(super) fn skip_call(&mut self, mut step: Step, handler: Box<str>, fault: Fault) {
        let offset = step.offset;
        let threw = matches!(fault, Fault::Threw(_));
        let ends = matches!(step.cause, CallOrigin::Create | CallOrigin::Dispose { .. });
        let charged = step.client.filter(|_| fault.is_exhaustion() && !ends);
        let blamed = !threw && charged.is_none();
        if let Some(state) = &mut self.state {
            state.faults += u32::from(blamed);
            if let Some(probation) = state.probation.as_mut().filter(|_| !threw) {
                probation.skips.insert(offset, fault.clone());
            }
        }
        match &fault {
            Fault::Threw(text) => step.notice(Notice::Threw { offset, handler, text: text.clone() }),
            fault => step.notice(Notice::Faulted { offset, handler, fault: fault.clone(), charged }),
        }
        if let Some(account) =
            self.account.clone().filter(|_| !threw && step.client.is_some() && !self.is_replay(offset))
        {
            self.accounts.insert(offset, account);
        }
        // With a new base the next failure that a client causes costs one instance, not a replay of the tail.
        self.wants_snapshot = true;
        match std::mem::replace(&mut step.cause, CallOrigin::Other) {
            CallOrigin::Create => return self.end(step, Json::null(), Some(format!("its script {fault}").into())),
            CallOrigin::Dispose { outcome, failed } => return self.conclude(step, outcome, failed),
            CallOrigin::Join { session, edge, request, from, .. } => {
                let reason = match charged {
                    Some(_) => "to let you in costs the room more than it may".into(),
                    None => self.failure("the room's script failed", &fault),
                };
                step.edge(&edge, EdgeCommand::Refused { session, request, room: self.id, from, reason });
            }
            // The join is refused likewise. The machine has removed the other member, which the instance has not processed.
            CallOrigin::MakeRoom(joining) => {
                step.refuse(self.id, *joining, "the room's script failed");
                self.stale = true;
                self.wants_snapshot = true;
            }
            CallOrigin::Message { session, id } => {
                let (code, text): (_, Box<str>) = match charged {
                    Some(_) => {
                        let text = "this message costs the room more than one may; it had no effect";
                        (ErrorCode::TooCostly, text.into())
                    }
                    None => {
                        let text = "the room's script failed on this message; it had no effect";
                        (ErrorCode::Fault, self.failure(text, &fault))
                    }
                };
                let frame = RoomFrame::error(self.id, Some(id), code, &text);
                self.deliver(&mut step, frame, To::One(session));
            }
            // The machine has applied its part, which the instance has not processed.
            CallOrigin::Other => self.stale = true,
        }
        let limit = self.state.as_ref().and_then(|state| state.spec.as_ref()).map_or(5, |spec| spec.max_faults);
        match &self.state {
            Some(state) if blamed && state.faults >= limit => {
                let reason = format!("its script failed {} times in a row; the last time it {fault}", state.faults);
                self.end(step, Json::null(), Some(reason.into()));
            }
            _ => self.finish(step),
        }
    }

    /// The error text of a failure; with the failure's first line where the client's author is also the script's.
    fn failure(&self, text: &str, fault: &Fault) -> Box<str> {
        let shows = self.state.as_ref().and_then(|state| state.spec.as_ref()).is_some_and(|spec| spec.shows_failures);
        let why = fault.to_string();
        match why.lines().next() {
            Some(why) if shows => format!("{text}: it {why}").into(),
            _ => text.into(),
        }
    }

    /// Ends the room. Unless it has failed, the guest is called first; its result cannot prevent the end.
    pub(super) fn end(&mut self, mut step: Step, outcome: Json, failed: Option<Box<str>>) {
        if failed.is_some() {
            return self.conclude(step, outcome, failed);
        }
        step.cause = CallOrigin::Dispose { outcome: outcome.clone(), failed };
        self.call(step, Event::Dispose { outcome });
    }

    pub(super) fn conclude(&mut self, mut step: Step, outcome: Json, failed: Option<Box<str>>) {
        let state = self.state.as_ref().expect("a room that ends was there");
        let sessions: Vec<SessionId> = state.members.keys().copied().collect();
        let creator = state.creator;
        let text = failed.as_deref().map_or("ended".to_owned(), |reason| format!("ended: {reason}"));
        for session in sessions {
            self.deliver(&mut step, RoomFrame::left(self.id, &text), To::One(session));
            let member = &self.state.as_ref().expect("as above").members[&session];
            let (edge, request) = (member.edge.clone(), member.request);
            let reason = LeaveReason::Left;
            step.edge(&edge, EdgeCommand::Leave { session, request, room: self.id, reason });
        }
        if let Some(creator) = creator {
            let number = step.number();
            let data = RoomData::Ended { outcome: outcome.clone(), failed: failed.clone() };
            step.out.push(Output::Append(creator.room, RoomCommand::RoomMessage { from: self.id, number, data }));
        }
        if self.id == RoomId::LOBBY {
            return self.restart_lobby_later(step, failed);
        }
        // An ended room cannot repeat them, so they come before the end.
        for (session, reason) in &self.state_mut().kicks {
            step.out.push(Output::Kick { session: *session, reason: reason.clone() });
        }
        step.out.push(Output::Ended { outcome, failed });
        self.finish(step);
        let (outputs, inbox) = (std::mem::take(&mut self.outputs), std::mem::take(&mut self.inbox));
        *self = Room { outputs, inbox, said: self.said, reached: self.reached, ..Room::ended(self.id) };
    }
}

impl Joining {
    /// The receiver of the answer to this join.
    pub(super) fn asker(&self) -> (&MachineId, SessionId, RequestId, Option<OutputRef>) {
        (&self.edge, self.session, self.request, self.from)
    }
}

impl Step {
    pub(super) fn new(room: RoomId, secret: Secret, offset: Offset, now: Time) -> Step {
        Step {
            offset,
            out: Vec::new(),
            patches: BTreeMap::new(),
            index: 1,
            created: 0,
            moment: Moment::of(room, secret, offset, now),
            client: None,
            cause: CallOrigin::Other,
            leaver: None,
        }
    }

    /// The number of the next output.
    pub(super) fn number(&mut self) -> OutputId {
        let index = self.index;
        self.index += 1;
        OutputId { offset: self.offset, index }
    }

    /// The id of the one timer that a record can set without its guest. Guests' timers begin at 1.
    pub(super) fn timer_id(&self) -> OutputId {
        OutputId { offset: self.offset, index: 0 }
    }

    pub(super) fn edge(&mut self, edge: &MachineId, command: EdgeCommand) {
        self.out.push(Output::Edge(edge.clone(), command));
    }

    /// Refuses a join.
    pub(super) fn refuse(&mut self, room: RoomId, joining: Joining, reason: &str) {
        let Joining { session, edge, request, from, .. } = joining;
        self.edge(&edge, EdgeCommand::Refused { session, request, room, from, reason: reason.into() });
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.out.push(Output::Notice(notice));
    }
}

impl State {
    pub(super) fn has_room_for_a_player(&self) -> bool {
        self.free_seats().is_none_or(|seats| seats > 0)
    }

    /// `None`: as many as there are members. Below zero after a swap to a version with fewer seats.
    fn free_seats(&self) -> Option<i64> {
        let max = self.spec.as_ref().map_or(0, |spec| spec.max_players);
        let players = || self.members.values().filter(|member| !member.spectator).count() as i64;
        (max > 0).then(|| i64::from(max) - players())
    }

    /// Sets or clears the timer that ends an empty room. Kinds may keep empty rooms.
    pub(super) fn watch_emptiness(&mut self, step: &Step) {
        let Some(spec) = &self.spec else { return };
        if !self.members.is_empty() {
            self.empty = None;
        } else if !spec.keep_when_empty && self.empty.is_none() {
            let awaited = if self.joins == 0 { FIRST_JOIN_MS } else { 0 };
            self.empty = Some((step.moment.now.plus(spec.empty_ms.max(awaited)), step.timer_id()));
        }
    }

    pub(super) fn seat(
        &mut self,
        session: SessionId,
        player: Player,
        (edge, request): (MachineId, RequestId),
        message_id: u64,
        spectator: bool,
    ) {
        let out_seq = self.high_seq.max(self.seq_floor);
        let member = Member {
            player,
            edge,
            request,
            connected: true,
            spectator,
            joined: self.joins,
            last_client_seq: message_id,
            out_seq,
            first_seq: out_seq + 1,
            view: None,
            hold: None,
            moving: None,
        };
        self.joins += 1;
        self.gone.retain(|(other, _)| *other != session);
        self.members.insert(session, member);
        self.empty = None;
    }
}
