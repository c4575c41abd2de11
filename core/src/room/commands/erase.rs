//! The erasure of a player: what the room keeps of it is removed.
//!
//! The room itself keeps a player in its members, in the frames for members that reconnect, and in what would undo a swap: the
//! state before it, and the records since. The members leave, all kept frames are dropped (those for other members may name the
//! player), and the swap can no longer be undone. What the script has stored is the script's: it gets `onErase`. The machine
//! requests a snapshot at once, so that neither the stored one nor the log is needed any longer.

use std::sync::Arc;

use super::membership;
use crate::{
    command::LeaveReason,
    ids::SessionId,
    room::{
        state::Departure,
        step::{Next, Step},
    },
};

/// What clients of the erased player get as the reason.
pub const ERASED: &str = "this player was erased";

pub(super) fn erase(step: &mut Step, player: Arc<str>) -> Next {
    let state = &mut *step.state;
    state.probation = None;
    let members = state.members.iter().filter(|(_, member)| member.player.id == player);
    let mut members: Vec<(u64, SessionId)> = members.map(|(session, member)| (member.joined, *session)).collect();
    members.sort_unstable();
    let departure = || Departure { reason: LeaveReason::Kicked, text: Some(ERASED.into()) };
    step.departing.extend(members.into_iter().map(|(_, session)| (session, departure())));
    (step.erases, step.is_erasure) = (Some(player), true);
    membership::next_departure(step)
}
