//! Deliberate bugs, to test the tests.
//!
//! A checker that has never found anything may be blind. So every promise that the torture test and `chorus audit` check is
//! broken once in the real system, by a single line, and the violation must be found: `chorus/tests/torture/planted.mjs` does
//! that. A mock of a broken system would only show that the checker finds what its author expected.
//!
//! The feature `planted-bugs` is off by default, and no normal build enables it. Without it [`planted`] is a constant, and the
//! binary contains no bug. A binary with it contains all of them, and activates the one that `CHORUS_PLANT` names at its start,
//! and logs an error about it.

/// The bugs. Each is described where it is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Records are delivered, and their appends confirmed, before they are in the file.
    EarlyAck,
    /// An edge sends frames that its client has received already.
    EdgeDuplicates,
    /// A room applies a message although it has applied its id.
    MessageDuplicates,
    /// A timer fires in its host without a record.
    TimerOutsideTheLog,
    /// A room changes its component without a record.
    SwapOutsideTheLog,
    /// A snapshot replaces a newer one.
    OlderSnapshot,
    /// A snapshot is stored before the outputs of its records have arrived.
    EarlySnapshot,
    /// A host appends a timer again while its record is in flight.
    TimerTwice,
    /// The alarm for the next timer of a hibernated room is lost.
    LostAlarm,
    /// A connection's late write to the store counts although its session has another connection.
    LateWrite,
    /// A host hands over all partitions but one.
    KeptPartition,
    /// A kick is lost with the host that was to carry it out.
    LostKick,
}

impl Bug {
    pub const ALL: [(&'static str, Bug); 12] = [
        ("early-ack", Bug::EarlyAck),
        ("edge-duplicates", Bug::EdgeDuplicates),
        ("message-duplicates", Bug::MessageDuplicates),
        ("timer-outside-the-log", Bug::TimerOutsideTheLog),
        ("swap-outside-the-log", Bug::SwapOutsideTheLog),
        ("older-snapshot", Bug::OlderSnapshot),
        ("early-snapshot", Bug::EarlySnapshot),
        ("timer-twice", Bug::TimerTwice),
        ("lost-alarm", Bug::LostAlarm),
        ("late-write", Bug::LateWrite),
        ("kept-partition", Bug::KeptPartition),
        ("lost-kick", Bug::LostKick),
    ];
}

/// Whether this bug is to show.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use chosen::{plant, planted};

#[cfg(feature = "planted-bugs")]
mod chosen {
    use std::sync::OnceLock;

    use super::Bug;

    static CHOSEN: OnceLock<Bug> = OnceLock::new();

    /// Whether this bug is to show.
    pub fn planted(bug: Bug) -> bool {
        CHOSEN.get() == Some(&bug)
    }

    /// Activates a bug, for the life of the process.
    ///
    /// # Panics
    /// When no bug has that name: a test without a bug would find nothing, and succeed.
    pub fn plant(name: &str) {
        let bug = Bug::ALL.iter().find(|(known, _)| *known == name);
        let (_, bug) = bug.unwrap_or_else(|| panic!("no planted bug is called {name:?}; there are {:?}", Bug::ALL));
        CHOSEN.get_or_init(|| *bug);
    }
}
