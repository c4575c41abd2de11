//! Carries out the effects of a call that has succeeded, in their order.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Output,
    commands::{close, membership},
    requests::{self, Request},
    roles,
    state::{Audience, Moving, State, Timer},
    step::{CallOrigin, Ending, Next, Step},
};
use crate::{
    command::{Answer, EdgeCommand, Fault, Joining, OutputRef, RoomCommand, RoomData},
    effect::Effect,
    frame::{ErrorCode, RoomFrame},
    ids::{RoomId, SessionId},
    json::Json,
};

/// Checks that all effects can be carried out. If one cannot, the call is a fault and none is carried out.
pub(super) fn check(step: &Step, effects: &[Effect]) -> Result<(), Fault> {
    check_timers(&step.state, effects)?;
    requests::check(&step.state, effects)?;
    roles::check(&step.state, &step.origin, effects)
}

fn check_timers(state: &State, effects: &[Effect]) -> Result<(), Fault> {
    let Some(spec) = &state.spec else { return Ok(()) };
    // The timers that are pending afterwards, by name. A timer that an earlier component has set, and for which this one has
    // no handler, is not counted: the script has no access to it.
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

pub(super) fn carry_out(step: &mut Step, effects: Vec<Effect>) -> Next {
    step.state.faults = 0;
    let effects = admit(step, effects);
    let mut ends = None;
    for effect in effects {
        if let Effect::End { outcome } = effect {
            ends.get_or_insert(outcome);
        } else {
            carry_out_one(step, effect);
        }
    }
    answer_what_is_left(step);
    if matches!(step.origin, CallOrigin::Create) {
        step.arm_idle_close();
    }
    match (std::mem::replace(&mut step.origin, CallOrigin::Other), ends) {
        (CallOrigin::Dispose { outcome }, _) => Next::End(Ending { outcome, failed: None }),
        (CallOrigin::FreeSeat(joining), None) => membership::join_freed_seat(step, *joining),
        (CallOrigin::FreeSeat(joining), Some(outcome)) => {
            step.refuse(&joining, "the room has ended");
            close::dispose(outcome)
        }
        (_, Some(outcome)) => close::dispose(outcome),
        _ => membership::next_departure(step),
    }
}

/// Seats a joining member before the other effects are carried out, so that its first frame is its whole view.
fn admit(step: &mut Step, effects: Vec<Effect>) -> Vec<Effect> {
    let spectator = effects.iter().find_map(|effect| match effect {
        Effect::Admit { spectator } => Some(*spectator),
        _ => None,
    });
    let Some(spectator) = spectator else { return effects };
    let Some(joining) = take_join(step) else { return effects };
    let session = joining.session;
    step.state.seat(&joining, spectator, last_view_of(&effects, session));
    step.replace_older(session);
    step.admitted(&joining);
    step.send_whole_view(session);
    let others = effects.into_iter().filter(|effect| match effect {
        Effect::Admit { .. } => false,
        Effect::ViewOf { session: of, .. } => *of != session,
        _ => true,
    });
    others.collect()
}

/// The join that has no answer yet. The caller answers it.
fn take_join(step: &mut Step) -> Option<Box<Joining>> {
    match std::mem::replace(&mut step.origin, CallOrigin::Other) {
        CallOrigin::Join(joining) => Some(joining),
        origin => {
            step.origin = origin;
            None
        }
    }
}

/// The last view that these effects give to this member alone.
fn last_view_of(effects: &[Effect], session: SessionId) -> Option<Json> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::ViewOf { session: of, view } if *of == session => Some(view.clone()),
        _ => None,
    })
}

fn carry_out_one(step: &mut Step, effect: Effect) {
    match effect {
        Effect::Reply { data } => reply(step, Ok(data)),
        Effect::Refuse { reason } => refuse(step, reason),
        Effect::Send { session, msg_type, data } => {
            step.deliver(RoomFrame::event(step.room, msg_type, &data), Audience::One(session));
        }
        Effect::Broadcast { msg_type, data, except } => {
            step.deliver(RoomFrame::event(step.room, msg_type, &data), Audience::Except(except));
        }
        Effect::View { view } => change_shared_view(step, view),
        Effect::ViewOf { session, view } => change_view_of(step, session, view),
        Effect::MoveTo { session, room, options } => move_member(step, session, room, options),
        Effect::Kick { session, reason } => step.state.kick(session, reason),
        Effect::CreateRoom { kind, options, allowance } => step.create_room(kind, options, allowance),
        Effect::SendRoom { room, data } => {
            let number = step.number();
            let data = RoomData::Message(data);
            step.append(room, RoomCommand::RoomMessage { from: step.room, number, data });
        }
        Effect::SetTimer { name, after_ms, payload } => {
            let timer = Timer { id: step.number(), due: step.now().plus(after_ms), delay_ms: after_ms, payload };
            step.state.timers.insert(name, timer);
        }
        Effect::CancelTimer { name } => drop(step.state.timers.remove(&name)),
        Effect::Lock => step.state.locked = true,
        Effect::Unlock => step.state.locked = false,
        Effect::Metadata { data } => step.state.metadata = Some(data),
        Effect::Log { level, text } => step.out.push(Output::Log { level, text }),
        Effect::Sit { session } => step.state.set_spectator(session, false),
        Effect::Stand { session } => step.state.set_spectator(session, true),
        Effect::Identify => identify(step),
        Effect::Report { session, reason, data } => step.report(session, reason, data),
        Effect::Request { kind, handler, after_ms, payload, data } => {
            let due = step.now().plus(after_ms);
            let request = Request { kind, handler, due, delay_ms: after_ms, payload, data };
            let number = step.number();
            step.state.requests.insert(number, request);
        }
        // An `admit` outside of a join has no effect; an `end` was removed before.
        Effect::Admit { .. } | Effect::End { .. } => {}
    }
}

/// Outside of an `identify` it has no effect.
fn identify(step: &mut Step) {
    if let CallOrigin::Identify { session, player } = &step.origin {
        let (session, player) = (*session, player.clone());
        step.state.identify(session, player);
        step.replace_older(session);
    }
}

/// Answers the message, unless it has an answer.
fn reply(step: &mut Step, answer: Result<Json, &str>) {
    let CallOrigin::Message { session, message_id } = step.origin else { return };
    step.origin = CallOrigin::Other;
    let frame = match answer {
        Ok(data) => RoomFrame::reply(step.room, message_id, &data),
        Err(reason) => RoomFrame::error(step.room, Some(message_id), ErrorCode::Refused, reason),
    };
    step.deliver(frame, Audience::One(session));
}

fn refuse(step: &mut Step, reason: Box<str>) {
    match take_join(step) {
        Some(joining) => step.refuse(&joining, reason),
        None => reply(step, Err(&reason)),
    }
}

/// Answers the message or join that the guest has left unanswered, so that each has exactly one answer.
fn answer_what_is_left(step: &mut Step) {
    match &step.origin {
        CallOrigin::Message { .. } => reply(step, Ok(Json::null())),
        CallOrigin::Join(_) => refuse(step, "the room did not let you in".into()),
        _ => {}
    }
}

fn change_shared_view(step: &mut Step, view: Json) {
    let state = &mut *step.state;
    let old = state.view.replace(view.clone()).unwrap_or_else(Json::null);
    if old == view {
        return;
    }
    let own = state.members.iter().filter(|(_, member)| member.view.is_some());
    let own: Vec<SessionId> = own.map(|(session, _)| *session).collect();
    let frame = step.patch(old, view);
    step.deliver(frame, Audience::Except(own));
}

fn change_view_of(step: &mut Step, session: SessionId, view: Json) {
    let old = step.state.view_of(session);
    let Some(member) = step.state.members.get_mut(&session) else { return };
    if old == view {
        return;
    }
    member.view = Some(view.clone());
    let frame = step.patch(old, view);
    step.deliver(frame, Audience::One(session));
}

fn move_member(step: &mut Step, session: SessionId, room: RoomId, options: Json) {
    let from = step.output_ref();
    let is_refused = step.state.is_refused(room);
    let Some(member) = step.state.members.get_mut(&session) else { return };
    // One move at a time: two would seat the session twice.
    if member.moving.is_some() {
        return;
    }
    member.moving = Some(Moving { number: from.number, room, options: options.clone() });
    if is_refused {
        refuse_move(step, session, room, from);
    } else if member.connected {
        let (edge, connection) = (member.edge.clone(), member.request.connection);
        step.edge(&edge, EdgeCommand::Move { session, connection, room, options, from });
    }
}

/// The target could not be created: the room itself gives the answer that the target would have given.
fn refuse_move(step: &mut Step, session: SessionId, room: RoomId, from: OutputRef) {
    let answer = Answer::MoveRefused { session, room, reason: "the room could not be created".into() };
    step.append(from.room, RoomCommand::Answer { request: from.number, answer });
}
