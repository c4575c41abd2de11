//! How the lobby goes on where another room ends.
//!
//! Every session comes to the lobby first and comes back to it last: without one nobody can do anything. So whatever would
//! be its end (faults in a row, a state that cannot be opened, its script's own word) is the end of one *life*. Its
//! members are told that they are out, and join again; the script begins with `create`, knowing nothing of before.
//!
//! It is all in the channel: the end is the record that ends it, and sets a timer; the record of that timer is the next
//! life's beginning. In between whoever asks to be let in is refused, and comes again. What two lives share is what keeps
//! others from being confused: members' frames go on to be numbered above those of before, and other rooms' words count
//! once.
//!
//! The first time it begins anew at once. A life that was brief makes the next one wait twice as long, up to
//! [`MOST_WAIT_MS`], so that a script that always fails costs next to nothing; another component is tried at once.

use serde::{Deserialize, Serialize};

use super::{Cause, Notice, Placed, Room, State, Turn, state::Gone};
use crate::{
    command::{EdgeCommand, LeaveReason, RoomCommand, RoomData},
    effect::Event,
    ids::{Number, Time},
    json::Json,
};

/// A life that was this long, in milliseconds, was no brief one: what ended it is not there at every beginning.
pub const STEADY_MS: u64 = 10 * 60_000;

/// The longest time between two lives, in milliseconds: an operator who mends what the script needs waits no longer.
pub const MOST_WAIT_MS: u64 = 60_000;

/// The second brief life in a row is waited for this long, in milliseconds.
const FIRST_WAIT_MS: u64 = 1_000;

/// What is known of earlier lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lives {
    /// Brief ones in a row, up to now.
    pub brief: u32,
    /// When the present one began, or the next one is to.
    pub since: Time,
    /// The timer that begins the next one. Until it fires there is no script, and nobody is in.
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
    /// The members have been told that they are out.
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
        // The life that is over need not be gone through again.
        self.wants_snapshot = true;
        self.finish(turn);
    }

    /// A record, while there is no script to hear of it.
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
            // For the life that is over. A repetition must not reach the next one.
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
