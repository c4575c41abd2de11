//! Reports about players, for operators.
//!
//! A script reports a player; the room outputs the report under its number, and the host writes it to the store. A host that
//! restores the room repeats the outputs whose confirmation is missing, so a report may be written more than once: the number
//! is its key, and the first one counts.
//!
//! Bounds: [`REPORT_BURST`] reports at once and one more every [`REPORT_INTERVAL_MS`], by the room's time. Reports beyond that
//! are dropped, and the script's author gets a line in the room's log.

use super::{Output, step::Step};
use crate::{
    command::Player,
    effect::LogLevel,
    ids::{OutputId, SessionId, Time},
    json::Json,
};

/// Reports that a room may make at once: a wave of them from a full lobby.
pub const REPORT_BURST: u64 = 100;

/// The interval, in milliseconds, at which a room may make one more: 8,640 a day.
pub const REPORT_INTERVAL_MS: u64 = 10_000;

/// What operators get about a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub number: OutputId,
    /// The room's time.
    pub at: Time,
    pub session: SessionId,
    pub player: Player,
    /// By the script.
    pub reason: Box<str>,
    pub data: Json,
}

impl Step {
    /// Outputs the report, if the session is a member, has just left, or is about to join.
    pub fn report(&mut self, session: SessionId, reason: Box<str>, data: Json) {
        let Some(player) = self.player_of(session) else { return };
        let (number, at) = (self.number(), self.now());
        if !self.state.may_report(at) {
            let text = format!("a report was dropped: this room has made {REPORT_BURST} of them in too short a time");
            return self.out.push(Output::Log { level: LogLevel::Warn, text: text.into() });
        }
        self.out.push(Output::Report(Box::new(Report { number, at, session, player, reason, data })));
    }

    fn player_of(&self, session: SessionId) -> Option<Player> {
        let member = self.state.members.get(&session).map(|member| &member.player);
        let departed =
            || self.departed.as_deref().filter(|(left, _)| *left == session).map(|(_, member)| &member.player);
        let joining =
            || self.origin.joining().filter(|joining| joining.session == session).map(|joining| &joining.player);
        member.or_else(departed).or_else(joining).cloned()
    }
}

impl super::State {
    /// Whether one more report is within the bounds. Counts it.
    fn may_report(&mut self, now: Time) -> bool {
        let from = self.reports_until.max(now);
        let may = from.since(now) < REPORT_BURST * REPORT_INTERVAL_MS;
        if may {
            self.reports_until = from.plus(REPORT_INTERVAL_MS);
        }
        may
    }
}
