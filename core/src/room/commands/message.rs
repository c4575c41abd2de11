//! Messages of members.

use std::sync::Arc;

use crate::{
    command::AUTHORS_MESSAGE,
    effect::{Event, LogLevel},
    frame::{ErrorCode, RoomFrame},
    ids::SessionId,
    json::Json,
    planted::{Bug, planted},
    room::{
        ComponentSpec, Output,
        state::Audience,
        step::{CallOrigin, Next, Step},
    },
};

pub(super) fn message(step: &mut Step, session: SessionId, message_id: u64, msg_type: Arc<str>, data: Json) -> Next {
    // Messages of a session that is being kicked are dropped: its edge closes the connection without an answer.
    let is_kicked = step.state.kicks.contains_key(&session);
    // The sender may have left: its edge answers the message when it is notified of that.
    let Some(member) = step.state.members.get_mut(&session).filter(|_| !is_kicked) else { return Next::Done };
    if message_id == AUTHORS_MESSAGE {
        return authors(step, session, msg_type, data);
    }
    if message_id <= member.last_message_id && !planted(Bug::MessageDuplicates) {
        return Next::Done;
    }
    member.last_message_id = message_id;
    if let Some(spec) = step.state.spec.as_ref().filter(|spec| !spec.messages.contains(&*msg_type)) {
        let text = unknown_type(spec, &msg_type);
        let frame = RoomFrame::error(step.room, Some(message_id), ErrorCode::UnknownType, &text);
        step.deliver(frame, Audience::One(session));
        return Next::Done;
    }
    Next::Call(Event::Message { session, msg_type, data }, CallOrigin::Message { session, message_id })
}

/// In the member's name. The member gets no answer, since its client has sent nothing; the author reads the log.
fn authors(step: &mut Step, session: SessionId, msg_type: Arc<str>, data: Json) -> Next {
    if let Some(spec) = step.state.spec.as_ref().filter(|spec| !spec.messages.contains(&*msg_type)) {
        let text = unknown_type(spec, &msg_type).into();
        step.out.push(Output::Log { level: LogLevel::Warn, text });
        return Next::Done;
    }
    Next::Call(Event::Message { session, msg_type, data }, CallOrigin::Other)
}

fn unknown_type(spec: &ComponentSpec, msg_type: &str) -> String {
    let known = spec.messages.iter().map(|name| &**name).collect::<Vec<_>>();
    format!("this room has no message {msg_type:?}; it has {}", known.join(", "))
}
