//! What a room costs on behalf of each client, for the edges: they slow and close the sessions that cost too much.
//!
//! The cost is time by this host's clock, so it decides nothing in a room, is in no record, and may be lost. Only expensive
//! records count, and an edge gets a report only when the cost of several has added up: an ordinary player's messages are never
//! reported. Bounded by [`SESSIONS`]; beyond that, the entry of the session with the lowest id is dropped.

use std::{collections::BTreeMap, time::Duration};

use chorus_core::{
    ids::{Offset, SessionId},
    room::Account,
};

/// A record that costs less is not counted. A move of tic-tac-toe costs 0.02 ms, a message that loops up to its limit 0.5 to 10.
const DEAR: Duration = Duration::from_micros(250);

/// An edge gets a report once this much has added up: at most 200 times a second for a core that does nothing else.
const WORTH_TELLING: Duration = Duration::from_millis(5);

/// Sessions with a cost that is not reported yet. A room hands over expensive records alone, so few sessions are expensive at
/// once.
const SESSIONS: usize = 256;

#[derive(Debug, Default)]
pub struct Meter {
    /// The current record, and what it has cost so far.
    record: Option<(Offset, Duration)>,
    untold: BTreeMap<SessionId, Duration>,
}

impl Meter {
    /// Adds `spent` on behalf of `account`. Returns the microseconds to report to its edge, when a report is due.
    pub fn add(&mut self, account: &Account, spent: Duration) -> Option<u32> {
        let before =
            self.record.filter(|(offset, _)| *offset == account.offset).map_or(Duration::ZERO, |(_, cost)| cost);
        let cost = before + spent;
        self.record = Some((account.offset, cost));
        if cost < DEAR {
            return None;
        }
        let untold = self.untold.entry(account.session).or_default();
        *untold += if before < DEAR { cost } else { spent };
        if *untold >= WORTH_TELLING {
            let micros = u32::try_from(untold.as_micros()).unwrap_or(u32::MAX);
            self.untold.remove(&account.session);
            return Some(micros);
        }
        if self.untold.len() > SESSIONS {
            self.untold.pop_first();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use chorus_core::ids::{ConnectionId, MachineId};

    use super::*;

    #[test]
    fn cheap_records_are_never_reported() {
        let mut meter = Meter::default();
        for offset in 0..10_000 {
            assert_eq!(meter.add(&account(1, offset), Duration::from_micros(150)), None);
        }
    }

    #[test]
    fn dear_records_are_reported_with_their_whole_cost() {
        let mut meter = Meter::default();
        let (cheap, dear) = (Duration::from_micros(200), Duration::from_micros(2_400));
        assert_eq!(meter.add(&account(1, 1), dear), None);
        assert_eq!(meter.add(&account(2, 2), dear), None, "another session's");
        // In parts, as when a room runs several calls for one record.
        assert_eq!(meter.add(&account(1, 3), cheap), None);
        assert_eq!(meter.add(&account(1, 3), cheap), None);
        assert_eq!(meter.add(&account(1, 3), dear), Some(5_200));
        assert_eq!(meter.add(&account(1, 3), dear), None, "each is reported once");
        assert_eq!(meter.add(&account(1, 4), 2 * dear), Some(7_200));
    }

    #[test]
    fn sessions_beyond_the_bound_are_dropped() {
        let mut meter = Meter::default();
        for n in 0..2_000 {
            assert_eq!(meter.add(&account(u128::from(n), n), Duration::from_millis(2)), None);
            assert!(meter.untold.len() <= SESSIONS);
        }
    }

    fn account(session: u128, offset: Offset) -> Account {
        let (edge, connection) = (MachineId("edge-1".into()), ConnectionId(1));
        Account { session: SessionId(session), edge, connection, offset }
    }
}
