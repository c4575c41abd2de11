//! Whether a log and a store belong together, and whether each is complete.
//!
//! Both carry a [`Mark`]: one id, drawn when the two were created, and the number of the process *life* that used them last. At
//! each start the next life is written to the store as *unsettled*, then to the log, then marked as settled in the store. So
//! the two numbers are equal, or a start was interrupted between these steps and the store is one ahead and unsettled. In any
//! other case one of the two was lost, replaced, or restored from an older copy.

use std::fmt;

/// The id that a log and its store share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataId(pub u128);

impl fmt::Display for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The mark of a log or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub id: DataId,
    /// The number of processes that have used it, including the present one.
    pub life: u64,
}

/// A store's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreMark {
    pub mark: Mark,
    /// Whether the log was seen to carry the same life.
    pub settled: bool,
}

/// Why a log and a store cannot be used together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the log is there, and the store is missing or empty")]
    StoreMissing,
    #[error("the store is there, and its log is missing or empty")]
    LogMissing,
    #[error("the log has the id {log} and the store has the id {store}: they were not created together")]
    Foreign { log: DataId, store: DataId },
    #[error("the store was last used in life {store}, and the log in life {log}: the store is an older copy")]
    StoreOlder { log: u64, store: u64 },
    #[error("the log was last used in life {log}, and the store in life {store}: the log is an older copy")]
    LogOlder { log: u64, store: u64 },
}

impl Mismatch {
    /// Whether it is a loss that an operator may accept. A foreign log and store are none: records of one log would be applied
    /// to the rooms of another store.
    pub fn is_loss(&self) -> bool {
        !matches!(self, Mismatch::Foreign { .. })
    }
}

/// The mark of the life that begins. `new_id` is the id for a log and a store that do not exist yet.
pub fn pair(log: Option<Mark>, store: Option<StoreMark>, new_id: DataId) -> Result<Mark, Mismatch> {
    let next = |id, life: u64| Mark { id, life: life.saturating_add(1) };
    match (log, store) {
        (None, None) => Ok(next(new_id, 0)),
        (Some(_), None) => Err(Mismatch::StoreMissing),
        // The first start was interrupted before the log existed.
        (None, Some(StoreMark { mark: Mark { id, life: 1 }, settled: false })) => Ok(next(id, 0)),
        (None, Some(_)) => Err(Mismatch::LogMissing),
        (Some(log), Some(StoreMark { mark, .. })) if log.id != mark.id => {
            Err(Mismatch::Foreign { log: log.id, store: mark.id })
        }
        (Some(log), Some(StoreMark { mark, settled })) => match (log.life, mark.life) {
            (log, store) if log > store => Err(Mismatch::StoreOlder { log, store }),
            (log, store) if log == store || (!settled && log.saturating_add(1) == store) => Ok(next(mark.id, log)),
            (log, store) => Err(Mismatch::LogOlder { log, store }),
        },
    }
}

/// The mark to continue with despite a loss; `None` if the log and the store are foreign to each other.
pub fn pair_despite_loss(log: Option<Mark>, store: Option<StoreMark>, new_id: DataId) -> Option<Mark> {
    let marks = || log.iter().chain(store.iter().map(|store| &store.mark));
    let id = marks().next().map_or(new_id, |mark| mark.id);
    let life = marks().map(|mark| mark.life).max().unwrap_or(0);
    marks().all(|mark| mark.id == id).then_some(Mark { id, life: life.saturating_add(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: DataId = DataId(7);
    const NEW_ID: DataId = DataId(99);

    fn log(life: u64) -> Option<Mark> {
        Some(Mark { id: ID, life })
    }

    fn store(life: u64, settled: bool) -> Option<StoreMark> {
        Some(StoreMark { mark: Mark { id: ID, life }, settled })
    }

    #[test]
    fn a_log_and_a_store_that_were_used_together_are_used_again() {
        assert_eq!(pair(None, None, NEW_ID), Ok(Mark { id: NEW_ID, life: 1 }));
        assert_eq!(pair(log(4), store(4, true), NEW_ID), Ok(Mark { id: ID, life: 5 }));
    }

    #[test]
    fn a_start_may_be_interrupted_at_any_step_any_number_of_times() {
        let (mut log, mut store) = (None, None);
        for stopped_after in [0, 1, 1, 2, 1, 3, 1, 1, 2, 2, 3, 0, 3] {
            let mark = pair(log, store, ID).expect("nothing was lost");
            if stopped_after >= 1 {
                store = Some(StoreMark { mark, settled: false });
            }
            if stopped_after >= 2 {
                log = Some(mark);
            }
            if stopped_after >= 3 {
                store = Some(StoreMark { mark, settled: true });
            }
        }
    }

    #[test]
    fn a_missing_half_is_named() {
        assert_eq!(pair(log(3), None, NEW_ID), Err(Mismatch::StoreMissing));
        assert_eq!(pair(None, store(3, true), NEW_ID), Err(Mismatch::LogMissing));
        assert_eq!(pair(None, store(1, true), NEW_ID), Err(Mismatch::LogMissing), "its first life is no exception");
        assert_eq!(pair(None, store(2, false), NEW_ID), Err(Mismatch::LogMissing), "nor is an interrupted start");
    }

    #[test]
    fn an_older_copy_of_either_half_is_named() {
        for older in 1..5 {
            let store_older = Err(Mismatch::StoreOlder { log: 5, store: older });
            assert_eq!(pair(log(5), store(older, true), NEW_ID), store_older);
            assert_eq!(pair(log(5), store(older, false), NEW_ID), store_older);
            assert_eq!(pair(log(older), store(5, true), NEW_ID), Err(Mismatch::LogOlder { log: older, store: 5 }));
        }
    }

    #[test]
    fn foreign_halves_are_refused_even_where_a_loss_is_accepted() {
        let foreign = Some(StoreMark { mark: Mark { id: NEW_ID, life: 3 }, settled: true });
        let mismatch = pair(log(3), foreign, NEW_ID).expect_err("they are foreign");
        assert!(matches!(mismatch, Mismatch::Foreign { .. }) && !mismatch.is_loss(), "{mismatch}");
        assert_eq!(pair_despite_loss(log(3), foreign, NEW_ID), None);
        assert_eq!(pair_despite_loss(log(3), store(9, true), NEW_ID), Some(Mark { id: ID, life: 10 }));
        assert_eq!(pair_despite_loss(None, store(9, true), NEW_ID), Some(Mark { id: ID, life: 10 }));
        assert_eq!(pair_despite_loss(log(3), None, NEW_ID), Some(Mark { id: ID, life: 4 }));
    }
}
