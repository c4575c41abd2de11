//! How much sooner idle rooms hibernate while a host has few instances left.
//!
//! The time shrinks step by step as the last tenth of the instances is used up, so that only the rooms that have been idle for
//! longest hibernate, and no more of them than are needed. With one short time for all rooms, a host with slightly too many
//! rooms would put all of them to sleep between two moves, and would spend its cores on waking them.

use std::num::NonZero;

/// The steps between "enough" and "none left".
const STEPS: u64 = 10;

/// An idle room hibernates after this many milliseconds where no instance is left.
const SHORTEST_MS: u64 = 1_000;

/// How scarce a host's instances are, in steps. The default is that there are enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scarcity(u8);

impl Scarcity {
    /// With `rooms` that have an instance or wait for one, at a host with so many `instances`: nothing up to nine tenths, and
    /// then a step for each hundredth.
    pub fn of(rooms: u64, instances: NonZero<u64>) -> Scarcity {
        let hundredths = (100 * u128::from(rooms)).div_ceil(u128::from(instances.get()));
        let steps = hundredths.saturating_sub(u128::from(100 - STEPS)).min(u128::from(STEPS));
        Scarcity(steps as u8)
    }

    /// The time after which an idle room hibernates, in milliseconds, instead of this one.
    pub(super) fn shortened(self, hibernate_after_ms: u64) -> u64 {
        let most = hibernate_after_ms.saturating_sub(SHORTEST_MS);
        hibernate_after_ms - most / STEPS * u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rooms: u64, instances: u64) -> Scarcity {
        Scarcity::of(rooms, NonZero::new(instances).expect("some"))
    }

    #[test]
    fn up_to_nine_tenths_instances_are_not_scarce() {
        assert_eq!([of(0, 1), of(9, 10), of(3_600, 4_000)], [Scarcity::default(); 3]);
        assert_eq!([of(901, 1_000), of(1_000, 1_000), of(u64::MAX, 1)], [Scarcity(1), Scarcity(10), Scarcity(10)]);
    }

    #[test]
    fn the_fewer_are_left_the_sooner_rooms_hibernate() {
        let after = |hundredths| of(hundredths, 100).shortened(31_000);
        assert_eq!([90, 91, 95, 99, 100].map(after), [31_000, 28_000, 16_000, 4_000, 1_000]);
        assert_eq!(of(100, 100).shortened(500), 500, "never later than without it");
    }
}
