//! How fast each address may connect. A connection beyond the rate waits for its turn; one that would wait for too long is refused.
//!
//! A connection costs a handshake, perhaps of TLS, and mostly a session, even if its client leaves at once. Only addresses that have
//! used a part of their rate are kept, [`MAX_ADDRESSES`] at most; further ones share one rate until others have paid.

use std::collections::BTreeMap;

use crate::{ids::Time, pace::Pace};

/// Addresses that are kept: each for at most two seconds after its last connection, or as long as its connections wait.
pub const MAX_ADDRESSES: usize = 1 << 16;

/// The longest wait, in milliseconds. Clients give up after 10 seconds or later.
pub const MAX_WAIT_MS: u64 = 5_000;

/// How often addresses that have paid are removed, in milliseconds, since a sweep takes a while.
const SWEEP_INTERVAL_MS: u64 = 1_000;

/// The address has more connections waiting than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFast;

#[derive(Debug)]
pub struct Arrivals<A> {
    per_second: u32,
    paces: BTreeMap<A, Pace>,
    /// One for all addresses without a place.
    overflow: Pace,
    swept: Time,
}

impl<A: Ord> Arrivals<A> {
    pub fn new(per_second: u32) -> Arrivals<A> {
        Arrivals { per_second, paces: BTreeMap::new(), overflow: Pace::default(), swept: Time::default() }
    }

    /// How many milliseconds one more connection of this address is to wait. One that is refused is not counted.
    pub fn admit(&mut self, address: A, now: Time) -> Result<u64, TooFast> {
        if self.paces.len() >= MAX_ADDRESSES && now.since(self.swept) >= SWEEP_INTERVAL_MS {
            self.swept = now;
            self.paces.retain(|_, pace| !pace.is_full(self.per_second, now));
        }
        let has_place = self.paces.len() < MAX_ADDRESSES || self.paces.contains_key(&address);
        let pace = match has_place {
            true => self.paces.entry(address).or_default(),
            false => &mut self.overflow,
        };
        let mut next = *pace;
        let wait_ms = next.take(1, self.per_second, now);
        if wait_ms > MAX_WAIT_MS {
            return Err(TooFast);
        }
        *pace = next;
        Ok(wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000);

    #[test]
    fn connections_beyond_the_rate_wait_for_their_turn_and_too_many_are_refused() {
        let mut arrivals = Arrivals::new(100);
        assert!((0..200).all(|_| arrivals.admit(1, NOW) == Ok(0)));
        assert_eq!(arrivals.admit(1, NOW), Ok(10));
        assert_eq!(arrivals.admit(1, NOW), Ok(20));
        assert_eq!(arrivals.admit(2, NOW), Ok(0), "another address");
        assert!((3..=500).all(|n| arrivals.admit(1, NOW) == Ok(10 * n)));
        assert_eq!(arrivals.admit(1, NOW), Err(TooFast));
        assert_eq!(arrivals.admit(1, NOW.plus(10)), Ok(MAX_WAIT_MS), "the refused one has cost nothing");
        assert_eq!(arrivals.admit(1, NOW.plus(60_000)), Ok(0));
    }

    #[test]
    fn addresses_beyond_the_table_share_a_rate_until_others_have_paid() {
        let mut arrivals = Arrivals::new(100);
        for address in 0..MAX_ADDRESSES {
            assert_eq!(arrivals.admit(address, NOW), Ok(0));
        }
        assert!((0..200).all(|n| arrivals.admit(MAX_ADDRESSES + n, NOW) == Ok(0)));
        assert_eq!(arrivals.admit(MAX_ADDRESSES + 200, NOW), Ok(10));
        assert_eq!(arrivals.admit(7, NOW), Ok(0), "it keeps its place");
        assert_eq!(arrivals.paces.len(), MAX_ADDRESSES);
        assert_eq!(arrivals.admit(MAX_ADDRESSES + 200, NOW.plus(1_000)), Ok(0));
        assert_eq!(arrivals.paces.len(), 1);
    }
}
