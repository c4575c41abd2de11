//! When the keys of tokens are fetched, and how long fetched ones are used.
//!
//! An issuer rotates its keys: it publishes the next one beside the present one, and signs with it later. So keys are fetched
//! again from time to time, and at once when a token names a key that is not known, at most every [`MIN_FETCH_INTERVAL_MS`]: a
//! client that invents names of keys costs the issuer one request in that time. While the keys cannot be fetched, the last ones are
//! used for [`KEYS_STALE_MS`]; a key that the issuer has withdrawn meanwhile is accepted for as long.

use crate::ids::Time;

/// How old keys are when they are fetched again.
pub const REFRESH_MS: u64 = 5 * 60_000;

/// The least time between two attempts to fetch.
pub const MIN_FETCH_INTERVAL_MS: u64 = 10_000;

/// How long keys are used that cannot be fetched again: a weekend, in which nobody mends the issuer.
pub const KEYS_STALE_MS: u64 = 3 * 24 * 3_600_000;

/// What is known of the fetched keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refresh {
    fetched: Option<Time>,
    attempted: Option<Time>,
}

impl Refresh {
    /// Whether to fetch now. `unknown`: a token names a key that is not among those that were fetched.
    pub fn is_due(&self, unknown: bool, now: Time) -> bool {
        let long_ago = |at: Option<Time>, ms| at.is_none_or(|at| now.since(at) >= ms);
        (unknown || long_ago(self.fetched, REFRESH_MS)) && long_ago(self.attempted, MIN_FETCH_INTERVAL_MS)
    }

    /// An attempt to fetch begins.
    pub fn begin(&mut self, now: Time) {
        self.attempted = Some(now);
    }

    /// The keys have been fetched.
    pub fn succeed(&mut self, now: Time) {
        self.fetched = Some(now);
    }

    /// Whether the last attempt has failed, or has no result yet.
    pub fn is_failing(&self) -> bool {
        self.fetched < self.attempted
    }

    /// Whether the keys that were fetched last are still used.
    pub fn is_usable(&self, now: Time) -> bool {
        self.fetched.is_some_and(|at| now.since(at) < KEYS_STALE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_000_000);

    #[test]
    fn keys_are_fetched_first_then_from_time_to_time() {
        let mut refresh = Refresh::default();
        assert!(refresh.is_due(false, START) && !refresh.is_usable(START));
        refresh.begin(START);
        refresh.succeed(START);
        assert!(refresh.is_usable(START));
        assert!(!refresh.is_due(false, START.plus(REFRESH_MS - 1)));
        assert!(refresh.is_due(false, START.plus(REFRESH_MS)));
    }

    #[test]
    fn unknown_keys_cause_one_fetch_in_a_while() {
        let mut refresh = Refresh::default();
        refresh.begin(START);
        refresh.succeed(START);
        assert!(!refresh.is_due(true, START.plus(MIN_FETCH_INTERVAL_MS - 1)));
        assert!(refresh.is_due(true, START.plus(MIN_FETCH_INTERVAL_MS)));
    }

    #[test]
    fn a_failed_fetch_is_repeated_and_the_last_keys_stay_valid_for_long() {
        let mut refresh = Refresh::default();
        refresh.begin(START);
        refresh.succeed(START);
        let later = START.plus(REFRESH_MS);
        refresh.begin(later);
        assert!(refresh.is_failing());
        assert!(!refresh.is_due(false, later.plus(MIN_FETCH_INTERVAL_MS - 1)));
        assert!(refresh.is_due(false, later.plus(MIN_FETCH_INTERVAL_MS)));
        assert!(refresh.is_usable(START.plus(KEYS_STALE_MS - 1)));
        assert!(!refresh.is_usable(START.plus(KEYS_STALE_MS)));
    }
}
