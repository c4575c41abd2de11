//! How many new sessions each address may open. A session that is resumed is not counted.
//!
//! A session costs a row, a seat in the lobby and a call of the lobby's script, even if its client leaves at once. Each
//! address has a bucket that fills with time; only buckets that are not full are kept.

use std::collections::HashMap;

use chorus_core::ids::Time;

use crate::address::Address;

/// Addresses whose buckets are kept. A bucket that lacks one session is full again within a second, so it takes tens of
/// thousands of new sessions a second to reach this number.
const MAX_BUCKETS: usize = 1 << 16;

/// How often full buckets are removed, in milliseconds, since a sweep takes a while.
const SWEEP_INTERVAL_MS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct NewSessions {
    per_minute: u64,
    buckets: HashMap<Address, Bucket>,
    /// One bucket for all addresses without a place: no address gets a new bucket by displacing others.
    overflow: Bucket,
    swept: Time,
}

/// In units of 1/60,000 of a session, so that a millisecond adds the rate per minute.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    missing: u64,
    since: Time,
}

/// One session, in these units.
const ONE_SESSION: u64 = 60_000;

impl Bucket {
    fn missing(&self, per_minute: u64, now: Time) -> u64 {
        self.missing.saturating_sub(now.since(self.since).saturating_mul(per_minute))
    }

    /// The error is the number of milliseconds until the bucket has a session.
    fn take(&mut self, per_minute: u64, now: Time) -> Result<(), u64> {
        // A full bucket has two minutes' worth.
        let full = 2 * per_minute * ONE_SESSION;
        let missing = self.missing(per_minute, now);
        if missing + ONE_SESSION > full {
            return Err((missing + ONE_SESSION - full).div_ceil(per_minute));
        }
        *self = Bucket { missing: missing + ONE_SESSION, since: now };
        Ok(())
    }
}

impl NewSessions {
    pub fn new(per_minute: u32) -> NewSessions {
        let per_minute = u64::from(per_minute.max(1));
        NewSessions { per_minute, buckets: HashMap::new(), overflow: Bucket::default(), swept: Time::default() }
    }

    /// Whether this address may open a session now; the error is the number of milliseconds until it may.
    pub fn admit(&mut self, address: Address, now: Time) -> Result<(), u64> {
        if self.buckets.len() >= MAX_BUCKETS && now.since(self.swept) >= SWEEP_INTERVAL_MS {
            self.swept = now;
            self.buckets.retain(|_, bucket| bucket.missing(self.per_minute, now) > 0);
        }
        let has_place = self.buckets.len() < MAX_BUCKETS || self.buckets.contains_key(&address);
        let bucket = match has_place {
            true => self.buckets.entry(address).or_default(),
            false => &mut self.overflow,
        };
        bucket.take(self.per_minute, now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(n: u32) -> Address {
        IpAddr::from(Ipv4Addr::from_bits(n)).into()
    }

    #[test]
    fn an_address_opens_two_minutes_worth_at_once_and_then_as_many_as_come() {
        let mut new_sessions = NewSessions::new(120);
        let now = Time(1_000_000);
        (0..240).for_each(|_| new_sessions.admit(address(1), now).expect("there are some"));
        assert_eq!(new_sessions.admit(address(1), now), Err(500));
        assert_eq!(new_sessions.admit(address(2), now), Ok(()), "another address");
        assert_eq!(new_sessions.admit(address(1), now.plus(499)), Err(1));
        assert_eq!(new_sessions.admit(address(1), now.plus(500)), Ok(()));
        assert_eq!(new_sessions.admit(address(1), now.plus(500)), Err(500));
        (0..240).for_each(|_| new_sessions.admit(address(1), now.plus(3_600_000)).expect("it is full again"));
        assert!(new_sessions.admit(address(1), now.plus(3_600_000)).is_err());
    }

    #[test]
    fn addresses_beyond_the_table_share_a_bucket_until_others_are_full_again() {
        let mut new_sessions = NewSessions::new(120);
        let now = Time(1_000_000);
        let first = address(0);
        (0..240).for_each(|_| new_sessions.admit(first, now).expect("there are some"));
        (1..MAX_BUCKETS as u32).for_each(|n| new_sessions.admit(address(n), now).expect("there is a place"));
        let beyond = |n: u32| address(MAX_BUCKETS as u32 + n);
        (0..240).for_each(|n| new_sessions.admit(beyond(n), now).expect("they share one"));
        assert_eq!(new_sessions.admit(beyond(240), now), Err(500));
        assert!(new_sessions.admit(first, now).is_err(), "it was not pushed out");
        assert_eq!(new_sessions.buckets.len(), MAX_BUCKETS);
        assert_eq!(new_sessions.admit(beyond(240), now.plus(1_000)), Ok(()), "most have been dropped");
        assert_eq!(new_sessions.buckets.len(), 2);
        assert_eq!(new_sessions.admit(first, now.plus(1_000)), Ok(()));
        assert_eq!(new_sessions.admit(first, now.plus(1_000)), Ok(()));
        assert!(new_sessions.admit(first, now.plus(1_000)).is_err());
    }
}
