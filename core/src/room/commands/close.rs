//! The end of a room.

use crate::{
    command::RequestId,
    command::{EdgeCommand, LeaveReason, RoomCommand, RoomData},
    effect::Event,
    frame::RoomFrame,
    ids::{MachineId, SessionId},
    json::Json,
    room::{
        Output,
        state::Audience,
        step::{CallOrigin, Ending, Next, Step},
    },
};

/// Ends a room that has not failed. The guest is called first; its result cannot prevent the end.
pub(in crate::room) fn dispose(outcome: Json) -> Next {
    Next::Call(Event::Dispose { outcome: outcome.clone() }, CallOrigin::Dispose { outcome })
}

/// Notifies the members and the creator.
pub(in crate::room) fn notify(step: &mut Step, ending: &Ending) {
    let text = ending.failed.as_deref().map_or("ended".to_owned(), |reason| format!("ended: {reason}"));
    for (session, edge, request) in members(step) {
        step.deliver(RoomFrame::left(step.room, &text), Audience::One(session));
        let reason = LeaveReason::Left;
        step.edge(&edge, EdgeCommand::Left { session, request, room: step.room, reason });
    }
    if let Some(creator) = step.state.creator {
        let number = step.number();
        let data = RoomData::Ended { outcome: ending.outcome.clone(), failed: ending.failed.clone() };
        step.append(creator.room, RoomCommand::RoomMessage { from: step.room, number, data });
    }
}

fn members(step: &Step) -> Vec<(SessionId, MachineId, RequestId)> {
    let members = step.state.members.iter();
    members.map(|(session, member)| (*session, member.edge.clone(), member.request)).collect()
}

/// Reports the end to the shell. An ended room cannot repeat its kicks, so they come before the end.
pub(in crate::room) fn report(step: &mut Step, ending: Ending) {
    for (session, reason) in &step.state.kicks {
        step.out.push(Output::Kick { session: *session, reason: reason.clone() });
    }
    step.out.push(Output::Ended { outcome: ending.outcome, failed: ending.failed });
}
