//! Carries out the effects of a call that has succeeded, in their order.

use std::{collections::BTreeSet, sync::Arc};

use super::{CallOrigin, Output, Room, Step, state::Moving, state::Timer, state::To};
use crate::{
    command::{Answer, EdgeCommand, Fault, OutputRef, RoomCommand, RoomData},
    effect::Effect,
    frame::{ErrorCode, RoomFrame},
    ids::{RoomId, SessionId},
    json::Json,
};

impl Room {
    /// Checks that all effects can be carried out. If one cannot, the call is a fault and none is carried out.
    pub(super) fn check_effects(&self, effects: &[Effect]) -> Result<(), Fault> {
        let Some((state, spec)) = self.state.as_ref().and_then(|state| Some((state, state.spec.as_ref()?))) else {
            return Ok(());
        };
        // The timers that are pending afterwards, by name. A timer that an earlier component has set, and for which this one
        // has no handler, is not counted: the script cannot see it.
        let mut pending: BTreeSet<&Arc<str>> = state.timers.keys().filter(|name| spec.timers.contains(*name)).collect();
        for effect in effects {
            match effect {
                Effect::SetTimer { name, .. } => pending.insert(name),
                Effect::CancelTimer { name } => pending.remove(name),
                _ => continue,
            };
        }
        let timers = pending.len();
        if timers > spec.max_timers {
            return Err(Fault::TooMuch(format!("{timers} timers; it may have {}", spec.max_timers).into()));
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, mut step: Step, effects: Vec<Effect>) {
        if let Some(state) = &mut self.state {
            state.faults = 0;
        }
        let effects = self.admit(&mut step, effects);
        let mut ends = None;
        for effect in effects {
            if let Effect::End { outcome } = effect {
                ends.get_or_insert(outcome);
            } else {
                self.carry_out_one(&mut step, effect);
            }
        }
        self.answer_what_is_left(&mut step);
        if matches!(step.cause, CallOrigin::Create) && self.id != RoomId::LOBBY {
            self.state.as_mut().expect("it was just created").watch_emptiness(&step);
        }
        match (std::mem::replace(&mut step.cause, CallOrigin::Other), ends) {
            (CallOrigin::Dispose { outcome, failed }, _) => self.conclude(step, outcome, failed),
            (CallOrigin::MakeRoom(joining), None) => self.join_at_last(step, *joining),
            (CallOrigin::MakeRoom(joining), Some(outcome)) => {
                step.refuse(self.id, *joining, "the room has ended");
                self.end(step, outcome, None);
            }
            (_, Some(outcome)) => self.end(step, outcome, None),
            _ => self.finish(step),
        }
    }

    /// Seats a joining member before the other effects, so that its first frame is its whole view.
    fn admit(&mut self, step: &mut Step, effects: Vec<Effect>) -> Vec<Effect> {
        let CallOrigin::Join { session, player, edge, request, message_id, from } = &step.cause else { return effects };
        let Some(spectator) = effects.iter().find_map(|effect| match effect {
            Effect::Admit { spectator } => Some(*spectator),
            _ => None,
        }) else {
            return effects;
        };
        let (session, player, message_id, from) = (*session, player.clone(), *message_id, *from);
        let (edge, request) = (edge.clone(), *request);
        let state = self.state.as_mut().expect("a join needs a room");
        state.seat(session, player, (edge.clone(), request), message_id, spectator);
        state.members.get_mut(&session).expect("just seated").view = last_view_of(&effects, session);
        let others = effects.into_iter().filter(|effect| match effect {
            Effect::Admit { .. } => false,
            Effect::ViewOf { session: whose, .. } => *whose != session,
            _ => true,
        });
        let others = others.collect();
        step.cause = CallOrigin::Other;
        step.edge(&edge, EdgeCommand::Admitted { session, request, room: self.id, from });
        self.send_whole_view(step, session);
        others
    }

    fn carry_out_one(&mut self, step: &mut Step, effect: Effect) {
        match effect {
            Effect::Reply { data } => self.reply(step, Ok(data)),
            Effect::Refuse { reason } => self.refuse(step, reason),
            Effect::Send { session, kind, data } => {
                self.deliver(step, RoomFrame::event(self.id, &kind, &data), To::One(session));
            }
            Effect::Broadcast { kind, data, except } => {
                self.deliver(step, RoomFrame::event(self.id, &kind, &data), To::Except(except));
            }
            Effect::View { view } => self.change_shared_view(step, view),
            Effect::ViewOf { session, view } => self.change_view_of(step, session, view),
            Effect::MoveTo { session, room, options } => {
                let number = step.number();
                self.move_member(step, session, Moving { number, room, options });
            }
            Effect::Kick { session, reason } => self.kick(session, reason),
            Effect::CreateRoom { kind, options, allowance } => self.create_room(step, kind, options, allowance),
            Effect::SendRoom { room, data } => {
                let number = step.number();
                let command = RoomCommand::RoomMessage { from: self.id, number, data: RoomData::Message(data) };
                step.out.push(Output::Append(room, command));
            }
            Effect::SetTimer { name, after_ms, payload } => {
                let due = step.moment.now.plus(after_ms);
                let timer = Timer { id: step.number(), due, delay_ms: after_ms, payload };
                self.state_mut().timers.insert(name, timer);
            }
            Effect::CancelTimer { name } => {
                self.state_mut().timers.remove(&name);
            }
            Effect::Lock => self.state_mut().locked = true,
            Effect::Unlock => self.state_mut().locked = false,
            Effect::Metadata { data } => self.state_mut().metadata = Some(data),
            Effect::Log { level, text } => step.out.push(Output::Log { level, text }),
            // An `admit` outside of a join has no effect; an `end` was removed before.
            Effect::Admit { .. } | Effect::End { .. } => {}
        }
    }

    fn reply(&mut self, step: &mut Step, answer: Result<Json, &str>) {
        let CallOrigin::Message { session, id } = step.cause else { return };
        step.cause = CallOrigin::Other;
        let frame = match answer {
            Ok(data) => RoomFrame::reply(self.id, id, &data),
            Err(reason) => RoomFrame::error(self.id, Some(id), ErrorCode::Refused, reason),
        };
        self.deliver(step, frame, To::One(session));
    }

    fn refuse(&mut self, step: &mut Step, reason: Box<str>) {
        match &step.cause {
            CallOrigin::Join { session, edge, request, from, .. } => {
                let (session, edge, request, from) = (*session, edge.clone(), *request, *from);
                step.cause = CallOrigin::Other;
                step.edge(&edge, EdgeCommand::Refused { session, request, room: self.id, from, reason });
            }
            _ => self.reply(step, Err(&reason)),
        }
    }

    /// Answers the message or join that the guest has left unanswered, so that each has exactly one answer.
    fn answer_what_is_left(&mut self, step: &mut Step) {
        match &step.cause {
            CallOrigin::Message { .. } => self.reply(step, Ok(Json::null())),
            CallOrigin::Join { .. } => self.refuse(step, "the room did not let you in".into()),
            _ => {}
        }
    }

    fn change_shared_view(&mut self, step: &mut Step, view: Json) {
        let state = self.state_mut();
        let old = state.view.replace(view.clone()).unwrap_or_else(Json::null);
        if old == view {
            return;
        }
        let own = state.members.iter().filter(|(_, member)| member.view.is_some());
        let own: Vec<SessionId> = own.map(|(session, _)| *session).collect();
        let frame = self.patch(step, old, view);
        self.deliver(step, frame, To::Except(own));
    }

    fn change_view_of(&mut self, step: &mut Step, session: SessionId, view: Json) {
        let state = self.state_mut();
        let old = state.view_of(session);
        let Some(member) = state.members.get_mut(&session) else { return };
        if old == view {
            return;
        }
        member.view = Some(view.clone());
        let frame = self.patch(step, old, view);
        self.deliver(step, frame, To::One(session));
    }

    fn move_member(&mut self, step: &mut Step, session: SessionId, moving: Moving) {
        let from = OutputRef { room: self.id, number: moving.number };
        let is_refused = self.state_mut().is_refused(moving.room);
        let Some(member) = self.state_mut().members.get_mut(&session) else { return };
        // One move at a time: two would seat the session twice.
        if member.moving.is_some() {
            return;
        }
        if is_refused {
            let reason = "the room could not be created".into();
            let answer = Answer::MoveRefused { session, room: moving.room, reason };
            step.out.push(Output::Append(from.room, RoomCommand::Answer { request: moving.number, answer }));
            member.moving = Some(moving);
            return;
        }
        let (edge, connection) = (member.edge.clone(), member.request.connection);
        let options = moving.options.clone();
        let command = EdgeCommand::Join { session, connection, room: moving.room, options, from };
        member.moving = Some(moving);
        if member.connected {
            step.edge(&edge, command);
        }
    }

    pub(super) fn state_mut(&mut self) -> &mut super::State {
        self.state.as_mut().expect("only a room that exists has a guest that asks")
    }
}

/// The last view that these effects give to this member alone.
fn last_view_of(effects: &[Effect], session: SessionId) -> Option<Json> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::ViewOf { session: whose, view } if *whose == session => Some(view.clone()),
        _ => None,
    })
}
