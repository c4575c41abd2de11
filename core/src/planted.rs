//! Bugs on purpose, to test the tests.
//!
//! A checker that has never found anything may be blind. So every promise that the torture and `chorus audit` look after
//! is broken once in the real system, a line at a time, and must be found broken: `chorus/tests/torture/planted.mjs`
//! does that. A mock of a broken system would only show that the checker finds what its author had in mind.
//!
//! The feature `planted-bugs` is off by default, and nothing of the normal build turns it on. Without it [`planted`] is a
//! constant, and no bug is left in the binary. With it a binary has all of them, and shows the one that
//! `CHORUS_PLANT` names when it starts; it says so, loudly.

/// What can be broken. Each is told where it is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Records are shown, and their appends confirmed, before they are in the file.
    EarlyAck,
    /// An edge passes on what its client has seen already.
    EdgeDuplicates,
    /// A room applies a message again whose id it has applied.
    MessageDuplicates,
    /// A timer fires in the host that watches it, and nowhere else.
    TimerOutsideTheLog,
    /// A room changes its component without a record that says so.
    SwapOutsideTheLog,
    /// A snapshot takes the place of a newer one.
    OlderSnapshot,
}

impl Bug {
    pub const ALL: [(&'static str, Bug); 6] = [
        ("early-ack", Bug::EarlyAck),
        ("edge-duplicates", Bug::EdgeDuplicates),
        ("message-duplicates", Bug::MessageDuplicates),
        ("timer-outside-the-log", Bug::TimerOutsideTheLog),
        ("swap-outside-the-log", Bug::SwapOutsideTheLog),
        ("older-snapshot", Bug::OlderSnapshot),
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

    /// Lets a bug show, for the life of the process.
    ///
    /// # Panics
    /// When there is none of that name: a test that plants nothing would find nothing, and be content.
    pub fn plant(name: &str) {
        let bug = Bug::ALL.iter().find(|(known, _)| *known == name);
        let (_, bug) = bug.unwrap_or_else(|| panic!("no planted bug is called {name:?}; there are {:?}", Bug::ALL));
        CHOSEN.get_or_init(|| *bug);
    }
}
