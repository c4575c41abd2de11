//! Rooms and their creators: creation, messages between rooms, and the results of a room's requests.

use crate::{
    command::{Answer, RoomData},
    effect::Event,
    ids::{OutputId, RoomId, SessionId},
    json::Json,
    room::{
        io::Notice,
        requests,
        step::{CallOrigin, Next, Step},
    },
};

/// The room begins, or the lobby restarts: the state is new.
pub(in crate::room) fn create(step: &mut Step, options: Json) -> Next {
    step.notice(Notice::Created { kind: step.state.kind.clone(), component: step.state.component });
    Next::Call(Event::Create { options }, CallOrigin::Create)
}

pub(super) fn room_message(step: &mut Step, from: RoomId, number: OutputId, data: RoomData) -> Next {
    if !step.state.register_output(from, number) {
        return Next::Done;
    }
    match data {
        RoomData::Message(data) => Next::Call(Event::RoomMessage { room: from, data }, CallOrigin::Other),
        RoomData::Ended { outcome, failed } => {
            step.state.retire_source(from);
            child_ended(step, from, outcome, failed)
        }
    }
}

fn child_ended(step: &mut Step, room: RoomId, outcome: Json, failed: Option<Box<str>>) -> Next {
    if step.state.remove_child(room) {
        Next::Call(Event::RoomEnd { room, outcome, failed }, CallOrigin::Other)
    } else {
        Next::Done
    }
}

pub(super) fn answer(step: &mut Step, request: OutputId, answer: Answer) -> Next {
    match answer {
        Answer::CreateFailed { room, reason } => child_ended(step, room, Json::null(), Some(reason)),
        Answer::MoveRefused { session, room, reason } => move_refused(step, request, session, room, reason),
        Answer::Result(result) => requests::answered(step, request, result),
    }
}

fn move_refused(step: &mut Step, request: OutputId, session: SessionId, room: RoomId, reason: Box<str>) -> Next {
    let member = step.state.members.get_mut(&session);
    let is_latest = |moving: &mut crate::room::state::Moving| moving.number == request;
    match member.and_then(|member| member.moving.take_if(is_latest)) {
        Some(_) => Next::Call(Event::MoveFailed { session, room, reason }, CallOrigin::Other),
        None => Next::Done,
    }
}
