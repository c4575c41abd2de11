//! What each record does to a room: the machine's own part, then the guest's call, where there is one.

pub(super) mod close;
pub(super) mod erase;
pub(super) mod fault;
pub(super) mod membership;
mod message;
pub(super) mod rooms;
pub(super) mod swap;
mod timer;

use super::{
    lobby_restart,
    step::{Ending, Next, Step},
};
use crate::command::RoomCommand;

/// Applies a record to a room that exists.
pub(super) fn apply(step: &mut Step, command: RoomCommand) -> Next {
    if step.state.awaits_restart() {
        return lobby_restart::apply(step, command);
    }
    match command {
        RoomCommand::Join(joining) => membership::join(step, joining),
        RoomCommand::Message { session, message_id, msg_type, data } => {
            message::message(step, session, message_id, msg_type, data)
        }
        RoomCommand::Drop { session, edge, .. } => membership::drop_member(step, session, edge),
        RoomCommand::Reconnect { session, edge, request, last_seq } => {
            membership::reconnect(step, session, edge, request, last_seq)
        }
        RoomCommand::Leave { session, reason } => membership::leave(step, session, reason),
        RoomCommand::Timer { id, .. } => timer::timer(step, id),
        RoomCommand::RoomMessage { from, number, data } => rooms::room_message(step, from, number, data),
        RoomCommand::Answer { request, answer } => rooms::answer(step, request, answer),
        RoomCommand::Swap { component, .. } => swap::swap(step, component),
        RoomCommand::Fault { at, fault } => fault::fault(step, at.offset, fault),
        RoomCommand::Close { reason } => Next::End(Ending::failed(reason)),
        // The room exists already; a throw has its effect when the record that it names is applied.
        RoomCommand::Create { .. } | RoomCommand::Threw { .. } => Next::Done,
        RoomCommand::Identify { session, was, player, claims } => {
            membership::identify(step, session, was, player, claims)
        }
        RoomCommand::Erase { player } => erase::erase(step, player),
        // Reserved, and without effect: nothing appends it yet.
        RoomCommand::Tick { .. } => Next::Done,
    }
}
