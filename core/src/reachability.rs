//! Whether a service is reachable, by the times of its answers to queries that are sent periodically.
//!
//! One late answer proves nothing: a service is lost when no query of the last [`Reachability::new`]`(patience_ms)` was answered.

use crate::ids::Time;

#[derive(Clone, Debug)]
pub struct Reachability {
    patience_ms: u64,
    /// When the latest query that was answered was sent.
    last_answer: Time,
    lost: bool,
}

/// A change of a service's reachability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// No query of the last `silent_ms` was answered.
    Lost {
        silent_ms: u64,
    },
    Recovered,
}

impl Reachability {
    /// A service that counts as reachable at first.
    pub fn new(patience_ms: u64, now: Time) -> Reachability {
        Reachability { patience_ms, last_answer: now, lost: false }
    }

    /// The service has answered a query that was sent at `sent_at`. Returns whether it was lost until then, which a check may not
    /// have seen.
    pub fn answered(&mut self, sent_at: Time) -> bool {
        let was_lost = sent_at.since(self.last_answer) > self.patience_ms;
        self.last_answer = self.last_answer.max(sent_at);
        was_lost
    }

    /// Whether that has changed since the last check.
    pub fn check(&mut self, now: Time) -> Option<Change> {
        let silent_ms = now.since(self.last_answer);
        let was_lost = std::mem::replace(&mut self.lost, silent_ms > self.patience_ms);
        match (was_lost, self.lost) {
            (false, true) => Some(Change::Lost { silent_ms }),
            (true, false) => Some(Change::Recovered),
            _ => None,
        }
    }

    /// As of the last check.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_lost_once_and_recovers_once() {
        let mut broker = Reachability::new(5_000, Time(1_000));
        assert_eq!(broker.check(Time(6_000)), None, "it may be slow for a moment");
        assert_eq!(broker.check(Time(6_001)), Some(Change::Lost { silent_ms: 5_001 }));
        assert_eq!((broker.check(Time(7_000)), broker.is_lost()), (None, true));
        assert!(broker.answered(Time(6_500)));
        assert_eq!((broker.check(Time(7_000)), broker.is_lost()), (Some(Change::Recovered), false));
        assert_eq!(broker.check(Time(7_500)), None);
    }

    #[test]
    fn an_answer_to_an_older_query_changes_nothing() {
        let mut broker = Reachability::new(5_000, Time(1_000));
        assert!(!broker.answered(Time(4_000)));
        assert!(!broker.answered(Time(2_000)));
        assert_eq!(broker.check(Time(9_000)), None);
    }
}
