//! What a session's messages cost the hosts of its rooms. Hosts report the cost ([`EdgeCommand::Spent`]) afterwards and without
//! a guarantee, so it is kept as a debt: time pays it off, and a session that owes too much is slowed here, before the log.
//!
//! [`EdgeCommand::Spent`]: crate::command::EdgeCommand::Spent

use super::{Limits, Session};
use crate::{
    frame::{CloseCode, ErrorCode},
    ids::Time,
};

/// Seconds' worth of the rate that a session may owe. Beyond that its messages are refused. The value is small, since a session
/// that sends only the most expensive messages takes half of a core until it has used this up.
const BURST: u64 = 2;

/// Seconds' worth of the rate at which a session is closed: it continued although its messages were refused, or one message
/// cost the whole amount.
const MAX_DEBT: u64 = 20;

/// A refused message costs this fraction of the difference between [`BURST`] and [`MAX_DEBT`], so that a client that ignores
/// `retryAfterMs` is closed after a hundred of them. A client that waits for `retryAfterMs` is not closed.
const MAX_REFUSED: u64 = 100;

/// The fraction of [`BURST`] that a session has left when it resumes, at most. Its debt at another edge is not available here,
/// and a client that changes edges must not begin with a whole burst at each.
const RESUME_FRACTION: u64 = 10;

#[derive(Debug, Default)]
pub(super) struct Debt {
    /// As of `updated_at`.
    micros: u64,
    updated_at: Time,
}

impl Debt {
    fn add(&mut self, micros: u64, limits: &Limits, now: Time) {
        self.micros = self.owed(limits, now) + micros;
        self.updated_at = now;
    }

    fn owed(&self, limits: &Limits, now: Time) -> u64 {
        self.micros.saturating_sub(limits.paid_in(now.since(self.updated_at)))
    }
}

impl Limits {
    /// The debt that a session pays off in this many milliseconds, in microseconds.
    pub fn paid_in(&self, ms: u64) -> u64 {
        ms.saturating_mul(self.rate_micros())
    }

    /// The rate in microseconds for each millisecond, which is its number of milliseconds for each second.
    fn rate_micros(&self) -> u64 {
        u64::from(self.compute_ms.max(1))
    }

    /// The debt that a session may have, in microseconds.
    fn credit(&self) -> u64 {
        self.rate_micros() * 1_000 * BURST
    }

    /// The debt beyond which a session is closed, in microseconds.
    fn max_debt(&self) -> u64 {
        self.rate_micros() * 1_000 * MAX_DEBT
    }
}

impl Session {
    /// The session's debt in microseconds, which its next connection takes over.
    pub fn owed(&self, now: Time) -> u64 {
        self.debt.owed(&self.limits, now)
    }

    /// Gives a resumed session its earlier debt, as this edge has recorded it: at least the amount that `RESUME_FRACTION` sets,
    /// and at most the amount beyond which the session is closed.
    pub(super) fn resume_debt(&mut self, owed: u64, now: Time) {
        let min = self.limits.credit() - self.limits.credit() / RESUME_FRACTION;
        self.debt.add(owed.clamp(min, self.limits.max_debt()), &self.limits, now);
    }

    /// Takes over the debt of a session whose client has left before the session was opened. Unlike in
    /// [`Session::resume_debt`], there is no least amount: no message can follow on this connection.
    pub(super) fn keep_debt(&mut self, owed: u64, now: Time) {
        self.debt.add(owed, &self.limits, now);
    }

    pub(super) fn on_spent(&mut self, micros: u64, now: Time) {
        self.debt.add(micros, &self.limits, now);
        if self.owed(now) > self.limits.max_debt() {
            self.close(CloseCode::RateLimited, "your messages cost too much computing");
        }
    }

    /// Refuses a message of a session that owes too much. Returns whether it did.
    pub(super) fn refuse_in_debt(&mut self, message_id: u64, now: Time) -> bool {
        let beyond = self.owed(now).saturating_sub(self.limits.credit());
        if beyond == 0 {
            return false;
        }
        let retry_after_ms = beyond / self.limits.rate_micros() + 1;
        let message = "your messages have cost too much computing";
        self.refuse(Some(message_id), ErrorCode::RateLimited, message, Some(retry_after_ms));
        self.on_spent((self.limits.max_debt() - self.limits.credit()) / MAX_REFUSED, now);
        true
    }
}
