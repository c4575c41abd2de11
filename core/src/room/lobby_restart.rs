//! How the lobby continues where another room ends.
//!
//! Every session joins the lobby first and returns to it last: without a lobby no session can do anything. So what would end
//! the lobby (faults in a row, a state that cannot be opened, `end` by its script) restarts it instead. Its members are sent
//! out and join again, and the script begins with `create`, with no state from before.
//!
//! The restart is in the channel: the record that ends the script also sets a timer, and the record of that timer restarts the
//! script. Joins in between are refused, and the sessions try again. What is kept across a restart keeps receivers consistent:
//! members' frames are numbered above the earlier ones, and the outputs of other rooms are applied once.
//!
//! The first restart is immediate. Each failure in a row doubles the delay before the next restart, up to
//! [`MAX_RESTART_DELAY_MS`], so that a script that always fails costs little; another component starts at once.

use std::mem;

use serde::{Deserialize, Serialize};

use super::{
    allowance::LobbyRooms,
    commands::rooms,
    io::Notice,
    state::{Departure, State},
    step::{Next, Step},
};
use crate::{
    command::{EdgeCommand, Joining, LeaveReason, RoomCommand, RoomData},
    ids::{Digest, OutputId, RoomId, SessionId, Time},
    json::Json,
};

/// A run of this length, in milliseconds, ends a series of failures: the cause of its end does not occur at every start.
pub const STEADY_RUN_MS: u64 = 10 * 60_000;

/// The longest delay of a restart, in milliseconds: an operator who has fixed the cause waits no longer than this.
pub const MAX_RESTART_DELAY_MS: u64 = 60_000;

/// The delay after the second failure in a row, in milliseconds.
const FIRST_RESTART_DELAY_MS: u64 = 1_000;

/// What the lobby keeps of its earlier starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LobbyRestart {
    /// Starts in a row that ended before [`STEADY_RUN_MS`].
    pub consecutive_failures: u32,
    /// When the script started, or when it is to start.
    pub since: Time,
    /// The timer that restarts the script. Until the timer fires, there is no script and no member.
    pub timer: Option<OutputId>,
}

impl LobbyRestart {
    pub(super) fn next(&self) -> Option<(Time, OutputId)> {
        self.timer.map(|timer| (self.since, timer))
    }

    /// The restart after a script of this state has ended.
    fn after(state: &State, now: Time, timer: OutputId) -> LobbyRestart {
        let (before, began) = match &state.restart {
            Some(restart) => (restart.consecutive_failures, restart.since),
            None => (0, state.created),
        };
        let consecutive_failures = if now.since(began) < STEADY_RUN_MS { before.saturating_add(1) } else { 1 };
        let since = now.plus(delay_ms(consecutive_failures));
        LobbyRestart { consecutive_failures, since, timer: Some(timer) }
    }
}

fn delay_ms(consecutive_failures: u32) -> u64 {
    match consecutive_failures {
        0 | 1 => 0,
        more => FIRST_RESTART_DELAY_MS.saturating_mul(1 << (more - 2).min(16)).min(MAX_RESTART_DELAY_MS),
    }
}

impl State {
    pub(super) fn awaits_restart(&self) -> bool {
        self.next_restart().is_some()
    }

    /// When a lobby that has ended restarts.
    pub(super) fn next_restart(&self) -> Option<(Time, OutputId)> {
        self.restart.as_ref().and_then(LobbyRestart::next)
    }
}

/// The script has ended, and the members have been notified. The state becomes that of a lobby that awaits its restart.
pub(super) fn schedule(step: &mut Step, failed: Option<Box<str>>) {
    let (now, timer) = (step.now(), step.timer_id());
    let old = &mut *step.state;
    let restart = LobbyRestart::after(old, now, timer);
    let in_ms = restart.since.since(now);
    let used = old.members.values().map(|member| member.out_seq).max().unwrap_or(0);
    let away = old.members.iter().filter(|(_, member)| !member.connected);
    let away: Vec<SessionId> = away.map(|(session, _)| *session).collect();
    let (kind, offset) = (old.kind.clone(), step.offset);
    let lobby_rooms = LobbyRooms { rate_used: old.lobby_rooms.rate_used, ..LobbyRooms::default() };
    let mut state = State {
        clock: old.clock,
        high_seq: used.max(old.high_seq),
        seq_floor: old.seq_floor,
        joins: old.joins,
        sources: mem::take(&mut old.sources),
        ended_sources: mem::take(&mut old.ended_sources),
        lobby_rooms,
        restart: Some(restart),
        kicks: mem::take(&mut old.kicks),
        departures: mem::take(&mut old.departures),
        reports_until: old.reports_until,
        ..State::new(kind, old.component, old.creator, old.secret, old.allowance, old.created, offset)
    };
    for session in away {
        state.record_departure(session, Departure { reason: LeaveReason::Ended, text: None });
    }
    *step.state = state;
    step.notice(Notice::RestartScheduled { failed, in_ms });
}

/// Applies a record while there is no script.
pub(super) fn apply(step: &mut Step, command: RoomCommand) -> Next {
    match command {
        RoomCommand::Timer { id, .. } => return restart(step, id),
        RoomCommand::Join(joining) => refuse(step, &joining),
        RoomCommand::Reconnect { session, edge, request, .. } => {
            let (room, reason) = (step.room, LeaveReason::Ended);
            step.edge(&edge, EdgeCommand::Left { session, request, room, reason });
        }
        RoomCommand::Swap { component, .. } => swap(step, component),
        RoomCommand::Leave { session, reason: LeaveReason::Kicked } => drop(step.state.kicks.remove(&session)),
        RoomCommand::RoomMessage { from, number, data } => drop_room_message(&mut step.state, from, number, &data),
        _ => {}
    }
    Next::Done
}

fn restart(step: &mut Step, id: OutputId) -> Next {
    let now = step.now();
    match &mut step.state.restart {
        Some(restart) if restart.timer == Some(id) => {
            *restart = LobbyRestart { since: now, timer: None, ..restart.clone() };
            rooms::create(step, Json::trusted("{}"))
        }
        _ => Next::Done,
    }
}

fn refuse(step: &mut Step, joining: &Joining) {
    let due = step.state.next_restart().map_or(step.now(), |(due, _)| due);
    let seconds = due.since(step.now()).div_ceil(1000);
    step.refuse(joining, format!("the lobby restarts in {seconds} s"));
}

/// Another component starts at once.
fn swap(step: &mut Step, component: Digest) {
    let now = step.now();
    if step.state.component == component {
        return;
    }
    step.state.component = component;
    if let Some(restart) = &mut step.state.restart {
        *restart = LobbyRestart { consecutive_failures: 0, since: now, ..restart.clone() };
    }
    step.notice(Notice::Swapped { component });
}

/// The message is for the script that has ended. A repetition of it must not reach the next script.
fn drop_room_message(state: &mut State, from: RoomId, number: OutputId, data: &RoomData) {
    if state.register_output(from, number) && matches!(data, RoomData::Ended { .. }) {
        state.retire_source(from);
    }
}
