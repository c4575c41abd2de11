//! How the lobby restarts where another room would end.
//!
//! Every session joins the lobby first and returns to it last, so the service depends on it. What would end another room
//! (faults in a row, a state that cannot be opened, the script's own `end`) therefore ends only one *life* of the lobby. Its
//! members are removed and join again; the script begins again with `create` and no earlier state.
//!
//! All of it is in the channel: the record that ends a life also sets a timer, and that timer's record begins the next life.
//! Joins in between are refused, and clients retry. Two lives share only what prevents confusion: members' sequence numbers
//! continue above the earlier ones, and each output of another room is processed once.
//!
//! The first restart is immediate. Each brief life doubles the wait for the next one, up to [`MOST_WAIT_MS`], so that a script
//! that always fails costs almost nothing. A new component is tried at once.

use serde::{Deserialize, Serialize};

use super::{Cause, Notice, Placed, Room, State, Turn, state::Gone};
use crate::{
    command::{EdgeCommand, LeaveReason, RoomCommand, RoomData},
    effect::Event,
    ids::{Number, Time},
    json::Json,
};

/// A life of at least this many milliseconds is not brief: what ended it does not occur at every start.
pub const STEADY_MS: u64 = 10 * 60_000;

/// The longest time between two lives, in milliseconds: how long an operator who has fixed the script's dependencies waits at
/// most.
pub const MOST_WAIT_MS: u64 = 60_000;

/// The wait after the second brief life in a row, in milliseconds.
const FIRST_WAIT_MS: u64 = 1_000;

/// The lobby's record of earlier lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lives {
    /// The number of brief lives in a row.
    pub brief: u32,
    /// When the present life began, or when the next one begins.
    pub since: Time,
    /// The timer that begins the next life. Until it fires there is no instance, and there are no members.
    pub waits_for: Option<Number>,
}

impl Lives {
    pub(super) fn next(&self) -> Option<(Time, Number)> {
        self.waits_for.map(|timer| (self.since, timer))
    }
}

impl State {
    pub(super) fn is_between_lives(&self) -> bool {
        self.lives.as_ref().is_some_and(|lives| lives.waits_for.is_some())
    }
}

impl Room {
    /// Ends this life and sets the timer of the next one. The members have been removed.
    pub(super) fn begin_anew_later(&mut self, mut turn: Turn, failed: Option<Box<str>>) {
        let old = self.state.take().expect("a room that ends was there");
        let now = turn.moment.now;
        let (before, began) = old.lives.as_ref().map_or((0, old.created), |lives| (lives.brief, lives.since));
        let brief = if now.since(began) < STEADY_MS { before.saturating_add(1) } else { 1 };
        let in_ms = wait_ms(brief);
        let lives = Lives { brief, since: now.plus(in_ms), waits_for: Some(turn.timer_id()) };
        turn.notice(Notice::BeginsAnew { failed, in_ms });
        let used = old.members.values().map(|member| member.out_seq).max().unwrap_or(0);
        let mut state = State {
            clock: old.clock,
            high_seq: used.max(old.high_seq),
            seq_floor: old.seq_floor,
            joins: old.joins,
            sources: old.sources,
            ended_sources: old.ended_sources,
            placed: Placed { until: old.placed.until, ..Placed::default() },
            lives: Some(lives),
            kicks: old.kicks,
            gone: old.gone,
            ..State::new(old.kind, old.component, old.creator, old.secret, old.allowance, old.created, turn.offset)
        };
        for session in old.members.iter().filter(|(_, member)| !member.connected).map(|(session, _)| *session) {
            state.remember_gone(session, Gone { reason: LeaveReason::Ended, text: None });
        }
        self.state = Some(state);
        self.instance = false;
        self.stale = false;
        // A replay need not include the life that has ended.
        self.wants_snapshot = true;
        self.finish(turn);
    }

    /// Applies a record between two lives, without a guest.
    pub(super) fn between_lives(&mut self, mut turn: Turn, command: RoomCommand) {
        let room = self.id;
        let state = self.state.as_mut().expect("begin has looked");
        let lives = state.lives.as_mut().expect("it is between two of them");
        match command {
            RoomCommand::Timer { id, .. } if lives.waits_for == Some(id) => return self.begin_anew(turn),
            RoomCommand::Join { session, edge, question, from, .. } => {
                let seconds = lives.since.since(turn.moment.now).div_ceil(1000);
                let reason = format!("it begins anew, in {seconds} s").into();
                turn.edge(&edge, EdgeCommand::Refused { session, question, room, from, reason });
            }
            RoomCommand::Reconnect { session, edge, question, .. } => {
                turn.edge(&edge, EdgeCommand::Leave { session, question, room, reason: LeaveReason::Ended });
            }
            RoomCommand::Swap { component, .. } if component != state.component => {
                state.component = component;
                *lives = Lives { brief: 0, since: turn.moment.now, ..lives.clone() };
                turn.notice(Notice::Swapped { component });
            }
            RoomCommand::Leave { session, reason: LeaveReason::Kicked } => drop(state.kicks.remove(&session)),
            // Addressed to the life that has ended. A repetition must not reach the next one.
            RoomCommand::RoomMessage { from, number, data } => {
                let ended = matches!(data, RoomData::Ended { .. });
                if state.is_new(from, number) && ended {
                    state.forget_source_later(from);
                }
            }
            _ => {}
        }
        self.finish(turn);
    }

    fn begin_anew(&mut self, mut turn: Turn) {
        let state = self.state.as_mut().expect("begin has looked");
        let lives = state.lives.as_mut().expect("it is between two of them");
        *lives = Lives { since: turn.moment.now, waits_for: None, ..lives.clone() };
        turn.notice(Notice::Created { kind: state.kind.clone(), component: state.component });
        turn.cause = Cause::Create;
        self.call(turn, Event::Create { options: Json::trusted("{}") });
    }
}

fn wait_ms(brief: u32) -> u64 {
    match brief {
        0 | 1 => 0,
        more => FIRST_WAIT_MS.saturating_mul(1 << (more - 2).min(16)).min(MOST_WAIT_MS),
    }
}
