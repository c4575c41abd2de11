//! A token bucket for what can only be charged after it has arrived, such as bytes: it may go into debt, which time pays off. Who
//! is in debt waits until it is paid.

use crate::ids::Time;

/// Seconds' worth of the rate that may be used at once.
pub const BURST_SECONDS: u64 = 2;

/// What was used of a rate, in thousandths of its unit. The default has used nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    used: u64,
    at: Time,
}

impl Pace {
    /// Uses this amount, and returns how many milliseconds to wait until the next one: 0 within the burst.
    pub fn take(&mut self, amount: u64, per_second: u32, now: Time) -> u64 {
        let rate = u64::from(per_second.max(1));
        self.used = self.used(rate, now).saturating_add(amount.saturating_mul(1_000));
        self.at = now;
        self.used.saturating_sub(BURST_SECONDS * 1_000 * rate).div_ceil(rate)
    }

    /// Whether the whole burst is available.
    pub fn is_full(&self, per_second: u32, now: Time) -> bool {
        self.used(u64::from(per_second.max(1)), now) == 0
    }

    fn used(&self, rate: u64, now: Time) -> u64 {
        self.used.saturating_sub(now.since(self.at).saturating_mul(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_worth_are_free_and_a_debt_is_waited_for() {
        let (mut pace, now) = (Pace::default(), Time(1_000_000));
        assert_eq!(pace.take(200, 100, now), 0);
        assert_eq!(pace.take(1, 100, now), 10);
        assert_eq!(pace.take(49, 100, now), 500);
        assert_eq!(pace.take(0, 100, now.plus(499)), 1);
        assert_eq!(pace.take(1, 100, now.plus(500)), 10);
        assert!(!pace.is_full(100, now.plus(2_509)));
        assert!(pace.is_full(100, now.plus(2_510)));
    }

    #[test]
    fn no_amount_and_no_rate_overflows() {
        let (mut pace, now) = (Pace::default(), Time(1));
        assert!(pace.take(u64::MAX, u32::MAX, now) > 0);
        assert!(pace.take(u64::MAX, 0, now) > 0);
    }
}
