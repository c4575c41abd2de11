//! What a session's messages cost the hosts of its rooms. They report it ([`EdgeCommand::Spent`]), after the fact and without a
//! promise, so it is a debt: it is paid off by time, and a session that owes too much is slowed here, before the log.
//!
//! [`EdgeCommand::Spent`]: crate::command::EdgeCommand::Spent

use super::{Limits, Session};
use crate::{
    frame::{CloseCode, ErrorCode},
    ids::Time,
};

/// Seconds' worth of the rate that a session may owe. Beyond it its messages are refused. It is small, since a session
/// that sends nothing but the dearest messages takes half of a core until it is spent.
const BURST: u64 = 2;

/// Seconds' worth of the rate at which a session is closed: it went on although its messages were refused, or one message
/// cost as much as all that.
const CLOSED_AT: u64 = 20;

/// A message that is refused costs this part of what lies between [`BURST`] and [`CLOSED_AT`], so that a client that ignores
/// `retryAfterMs` is closed after a hundred of them, and one that heeds it never.
const TRIES: u64 = 100;

/// The part of [`BURST`] that a session has left when it resumes, at most. What it owed at another edge is not known here,
/// and a client that goes from edge to edge must not begin with a whole burst at each of them.
const RESUMES_WITH: u64 = 10;

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

    /// With a larger debt than this a session is closed, in microseconds.
    fn most(&self) -> u64 {
        self.rate_micros() * 1_000 * CLOSED_AT
    }
}

impl Session {
    /// What it owes, in microseconds: the connection that it comes back by begins with it.
    pub fn owed(&self, now: Time) -> u64 {
        self.spending.owed(&self.limits, now)
    }

    /// A resumed session comes with what it owed before, as far as this edge knows: at most so much that its next tries
    /// close it.
    pub(super) fn resume_owing(&mut self, owed: u64, now: Time) {
        let least = self.limits.credit() - self.limits.credit() / RESUMES_WITH;
        self.spending.add(owed.clamp(least, self.limits.most()), &self.limits, now);
    }

    pub(super) fn spend(&mut self, micros: u64, now: Time) {
        self.spending.add(micros, &self.limits, now);
        if self.owed(now) > self.limits.most() {
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
        self.spend((self.limits.most() - self.limits.credit()) / TRIES, now);
        true
    }
}
