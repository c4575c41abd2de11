//! How the lobby continues where another room ends.
//!
//! Every session joins the lobby first and returns to it last: without a lobby no session can do anything. So what would end
//! the lobby (faults in a row, a state that cannot be opened, `end` by its script) restarts it instead. Its members are sent
//! out and join again, and the script begins with `create`, with no state from before.
//!
//! All of it is in the channel: the record that ends the script also sets a timer, and the record of that timer restarts it.
//! Joins in between are refused, and the sessions try again. What is kept across a restart keeps receivers consistent:
//! members' frames are numbered above the earlier ones, and the outputs of other rooms are applied once.
//!
//! The first restart is immediate. Each failure in a row doubles the delay before the next restart, up to [`MOST_WAIT_MS`], so
//! that a script that always fails costs little; another component is tried at once.

use serde::{Deserialize, Serialize};

use super::{CallOrigin, Notice, Placed, Room, State, Step, state::Gone};
use crate::{
    command::{EdgeCommand, Joining, LeaveReason, RoomCommand, RoomData},
    effect::Event,
    ids::{OutputId, Time},
    json::Json,
};

/// A script that ran for this long, in milliseconds, ends a series of failures: what ended it does not happen at every start.
pub const STEADY_MS: u64 = 10 * 60_000;

/// The longest delay of a restart, in milliseconds: an operator who repairs what the script needs waits no longer.
pub const MOST_WAIT_MS: u64 = 60_000;

/// The delay after the second failure in a row, in milliseconds.
const FIRST_WAIT_MS: u64 = 1_000;

/// What the lobby keeps of its earlier starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LobbyRestart {
    /// Starts in a row that ended before [`STEADY_MS`].
    pub consecutive_failures: u32,
    /// When the script started, or when it is to start.
    pub since: Time,
    /// The timer that restarts it. Until that fires, there is no script and no member.
    pub timer: Option<OutputId>,
}

impl LobbyRestart {
    pub(super) fn next(&self) -> Option<(Time, OutputId)> {
        self.timer.map(|timer| (self.since, timer))
    }
}

impl State {
    pub(super) fn awaits_restart(&self) -> bool {
        self.restart.as_ref().is_some_and(|restart| restart.timer.is_some())
    }
}

impl Room {
    /// The members have been sent out.
    pub(super) fn restart_lobby_later(&mut self, mut step: Step, failed: Option<Box<str>>) {
        let old = self.state.take().expect("a room that ends was there");
        let now = step.moment.now;
        let (before, began) =
            old.restart.as_ref().map_or((0, old.created), |restart| (restart.consecutive_failures, restart.since));
        let consecutive_failures = if now.since(began) < STEADY_MS { before.saturating_add(1) } else { 1 };
        let in_ms = wait_ms(consecutive_failures);
        let restart = LobbyRestart { consecutive_failures, since: now.plus(in_ms), timer: Some(step.timer_id()) };
        step.notice(Notice::BeginsAnew { failed, in_ms });
        let used = old.members.values().map(|member| member.out_seq).max().unwrap_or(0);
        let mut state = State {
            clock: old.clock,
            high_seq: used.max(old.high_seq),
            seq_floor: old.seq_floor,
            joins: old.joins,
            sources: old.sources,
            ended_sources: old.ended_sources,
            placed: Placed { until: old.placed.until, ..Placed::default() },
            restart: Some(restart),
            kicks: old.kicks,
            gone: old.gone,
            ..State::new(old.kind, old.component, old.creator, old.secret, old.allowance, old.created, step.offset)
        };
        for session in old.members.iter().filter(|(_, member)| !member.connected).map(|(session, _)| *session) {
            state.remember_gone(session, Gone { reason: LeaveReason::Ended, text: None });
        }
        self.state = Some(state);
        self.instance = false;
        self.stale = false;
        // The life that is over need not be gone through again.
        self.wants_snapshot = true;
        self.finish(step);
    }

    /// A record, while there is no script to hear of it.
    pub(super) fn between_lives(&mut self, mut step: Step, command: RoomCommand) {
        let room = self.id;
        let state = self.state.as_mut().expect("begin has looked");
        let restart = state.restart.as_mut().expect("it is between two of them");
        match command {
            RoomCommand::Timer { id, .. } if restart.timer == Some(id) => return self.restart_lobby(step),
            RoomCommand::Join(Joining { session, edge, request, from, .. }) => {
                let seconds = restart.since.since(step.moment.now).div_ceil(1000);
                let reason = format!("it begins anew, in {seconds} s").into();
                step.edge(&edge, EdgeCommand::Refused { session, request, room, from, reason });
            }
            RoomCommand::Reconnect { session, edge, request, .. } => {
                step.edge(&edge, EdgeCommand::Leave { session, request, room, reason: LeaveReason::Ended });
            }
            RoomCommand::Swap { component, .. } if component != state.component => {
                state.component = component;
                *restart = LobbyRestart { consecutive_failures: 0, since: step.moment.now, ..restart.clone() };
                step.notice(Notice::Swapped { component });
            }
            RoomCommand::Leave { session, reason: LeaveReason::Kicked } => drop(state.kicks.remove(&session)),
            // For the life that is over. A repetition must not reach the next one.
            RoomCommand::RoomMessage { from, number, data } => {
                let ended = matches!(data, RoomData::Ended { .. });
                if state.is_new(from, number) && ended {
                    state.forget_source_later(from);
                }
            }
            _ => {}
        }
        self.finish(step);
    }

    fn restart_lobby(&mut self, mut step: Step) {
        let state = self.state.as_mut().expect("begin has looked");
        let restart = state.restart.as_mut().expect("it is between two of them");
        *restart = LobbyRestart { since: step.moment.now, timer: None, ..restart.clone() };
        step.notice(Notice::Created { kind: state.kind.clone(), component: state.component });
        step.cause = CallOrigin::Create;
        self.call(step, Event::Create { options: Json::trusted("{}") });
    }
}

fn wait_ms(consecutive_failures: u32) -> u64 {
    match consecutive_failures {
        0 | 1 => 0,
        more => FIRST_WAIT_MS.saturating_mul(1 << (more - 2).min(16)).min(MOST_WAIT_MS),
    }
}
