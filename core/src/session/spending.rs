//! What a session's messages cost the hosts of its rooms. They report it ([`EdgeCommand::Spent`]), after the fact and without a
//! promise, so it is a debt: it is paid off by time, and a session that owes too much is slowed here, before the log.
//!
//! [`EdgeCommand::Spent`]: crate::command::EdgeCommand::Spent

use super::{Limits, Session};
use crate::{
    frame::{CloseCode, ErrorCode},
    ids::Time,
};

/// Seconds' worth of the rate that a session may owe. Beyond it its messages are refused; beyond twice that, since it
/// went on all the same, it is closed.
const BURST: u64 = 10;

/// A message that is refused costs this part of [`BURST`], so that a client that ignores `retryAfterMs` is closed after a
/// hundred of them, and one that heeds it never.
const TRIES: u64 = 100;

#[derive(Debug, Default)]
pub(super) struct Spending {
    /// Owed at `since`.
    micros: u64,
    since: Time,
}

impl Spending {
    fn add(&mut self, micros: u64, limits: &Limits, now: Time) {
        self.micros = self.owed(limits, now) + micros;
        self.since = now;
    }

    fn owed(&self, limits: &Limits, now: Time) -> u64 {
        self.micros.saturating_sub(limits.paid_in(now.since(self.since)))
    }
}

impl Limits {
    /// What a session pays off in so many milliseconds, in microseconds.
    pub fn paid_in(&self, ms: u64) -> u64 {
        ms.saturating_mul(self.rate_micros())
    }

    /// As many microseconds for a millisecond as it has milliseconds for a second.
    fn rate_micros(&self) -> u64 {
        u64::from(self.compute_ms.max(1))
    }

    /// What a session may owe, in microseconds.
    fn credit(&self) -> u64 {
        self.rate_micros() * 1_000 * BURST
    }
}

impl Session {
    /// What it owes, in microseconds: the connection that it comes back by begins with it.
    pub fn owed(&self, now: Time) -> u64 {
        self.spending.owed(&self.limits, now)
    }

    /// It comes with what it owed before: at most so much that its next tries close it.
    pub(super) fn bring(&mut self, owed: u64, now: Time) {
        self.spending.add(owed.min(2 * self.limits.credit()), &self.limits, now);
    }

    pub(super) fn spend(&mut self, micros: u64, now: Time) {
        self.spending.add(micros, &self.limits, now);
        if self.owed(now) > 2 * self.limits.credit() {
            self.close(CloseCode::RateLimited, "your messages cost too much computing");
        }
    }

    /// Whether a message was refused because the session owes too much.
    pub(super) fn slow_down(&mut self, id: u64, now: Time) -> bool {
        let beyond = self.owed(now).saturating_sub(self.limits.credit());
        if beyond == 0 {
            return false;
        }
        let retry_after_ms = beyond / self.limits.rate_micros() + 1;
        let message = "your messages have cost too much computing";
        self.refuse(Some(id), ErrorCode::RateLimited, message, Some(retry_after_ms));
        self.spend(self.limits.credit() / TRIES, now);
        true
    }
}
