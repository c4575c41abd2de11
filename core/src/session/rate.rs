//! How many frames a client may send: a token bucket.

use super::{Limits, Session};
use crate::{
    frame::{CloseCode, ErrorCode},
    ids::Time,
};

#[derive(Debug)]
pub(super) struct Rate {
    /// Thousandths of frames that are allowed now. Below zero when the client continued after a refusal.
    pub tokens: i64,
    refilled: Time,
}

impl Rate {
    pub fn new(limits: &Limits, now: Time) -> Rate {
        Rate { tokens: full(limits), refilled: now }
    }

    /// Takes one frame's worth of tokens; if there is none, returns when there is, in milliseconds. A refused frame costs as
    /// much, so a client that does not wait goes into debt.
    pub fn take(&mut self, limits: &Limits, now: Time) -> Result<(), u64> {
        let rate = i64::from(limits.per_second.max(1));
        let passed = now.since(self.refilled).min(3_600_000) as i64;
        self.refilled = now;
        let before = (self.tokens + passed * rate).min(full(limits));
        self.tokens = before - 1000;
        if before >= 1000 { Ok(()) } else { Err(((1000 - before) / rate + 1).unsigned_abs()) }
    }

    /// Whether as many frames were refused as are allowed at once.
    fn is_overdrawn(&self, limits: &Limits) -> bool {
        self.tokens <= -full(limits)
    }
}

fn full(limits: &Limits) -> i64 {
    1000 * i64::from(limits.burst)
}

impl Session {
    /// Charges the rate for frames that are no messages of this protocol. They get no answer; the last one closes the
    /// connection.
    pub(super) fn charge_frames(&mut self, count: u32, now: Time) {
        for _ in 0..count {
            if self.rate.take(&self.limits, now).is_err() && self.rate.is_overdrawn(&self.limits) {
                return self.close(CloseCode::RateLimited, "too many pings, pongs or fragments");
            }
        }
    }

    pub(super) fn refuse_frame(&mut self, message_id: Option<u64>, retry_after_ms: u64) {
        let message = format!("at most {} messages a second", self.limits.per_second);
        self.refuse(message_id, ErrorCode::RateLimited, &message, Some(retry_after_ms));
        if self.rate.is_overdrawn(&self.limits) {
            self.close(CloseCode::RateLimited, "too many messages after the limit was reached");
        }
    }
}
