//! The debts for computing of sessions without a connection here, so that a new connection does not begin without them.

use std::collections::HashMap;

use chorus_core::{
    ids::{SessionId, Time},
    session::Limits,
};

/// Sessions whose debts are kept. Each has used a host for at least a tenth of a second, and is removed when its debt is
/// paid, at most 20 seconds later, so this number is hardly ever reached. Beyond it the session with the smallest debt is
/// removed.
const MAX_DEBTORS: usize = 4_096;

/// Smaller debts are not kept, in microseconds.
const MIN_DEBT: u64 = 100_000;

#[derive(Debug, Default)]
pub(crate) struct ComputeDebts(HashMap<SessionId, (u64, Time)>);

impl ComputeDebts {
    pub fn keep(&mut self, session: SessionId, owed: u64, now: Time, limits: &Limits) {
        if owed < MIN_DEBT {
            return;
        }
        let left = |(owed, since): (u64, Time)| owed.saturating_sub(limits.paid_in(now.since(since)));
        self.0.insert(session, (owed, now));
        if self.0.len() > MAX_DEBTORS {
            self.0.retain(|_, debt| left(*debt) > 0);
        }
        if self.0.len() > MAX_DEBTORS
            && let Some(least) = self.0.iter().min_by_key(|(_, debt)| left(**debt)).map(|(session, _)| *session)
        {
            self.0.remove(&least);
        }
    }

    pub fn take(&mut self, session: SessionId, now: Time, limits: &Limits) -> u64 {
        let debt = self.0.remove(&session);
        debt.map_or(0, |(owed, since)| owed.saturating_sub(limits.paid_in(now.since(since))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_is_paid_by_time_and_taken_once() {
        let (limits, now) = (Limits::default(), Time(1_000));
        let mut debts = ComputeDebts::default();
        debts.keep(SessionId(1), 500_000, now, &limits);
        debts.keep(SessionId(2), 50_000, now, &limits);
        assert_eq!(debts.take(SessionId(1), now.plus(1_000), &limits), 400_000);
        assert_eq!(debts.take(SessionId(1), now.plus(1_000), &limits), 0);
        assert_eq!(debts.take(SessionId(2), now, &limits), 0, "too small to keep");
    }

    #[test]
    fn of_too_many_debts_the_smallest_is_removed() {
        let (limits, now) = (Limits::default(), Time(1_000));
        let mut debts = ComputeDebts::default();
        debts.keep(SessionId(1), 200_000, now, &limits);
        (0..MAX_DEBTORS).for_each(|n| debts.keep(SessionId(2 + n as u128), 300_000, now, &limits));
        assert_eq!(debts.take(SessionId(1), now, &limits), 0);
        assert_eq!(debts.take(SessionId(2), now, &limits), 300_000);
        assert_eq!(debts.0.len(), MAX_DEBTORS - 1);
        debts.keep(SessionId(1), 200_000, now.plus(60_000), &limits);
        debts.keep(SessionId(2), 200_000, now.plus(60_000), &limits);
        assert_eq!(debts.0.len(), 2, "the others have paid");
    }
}
