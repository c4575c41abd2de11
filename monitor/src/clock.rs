//! The clock by which a monitor counts its lease and the silence of machines. It differs from the clock of records: it has to
//! advance while the monitor is suspended.

use std::time::{Duration, Instant};

use chorus_core::ids::{Time, millis};
use chorus_store::wall_clock;

/// Advances by the larger step of two clocks: the monotonic one does not advance while a machine is suspended, and the other
/// one may be set back. So a lease counted by it ends too early, never too late.
#[derive(Debug)]
pub(crate) struct Clock {
    now: Time,
    monotonic: Instant,
    wall: u64,
}

impl Clock {
    pub fn start() -> Clock {
        let now = wall_clock();
        Clock { now, monotonic: Instant::now(), wall: now.0 }
    }

    pub fn now(&mut self) -> Time {
        self.read(Instant::now(), wall_clock().0)
    }

    /// The time before now by this duration, of the monotonic clock.
    pub fn before_now(&mut self, elapsed: Duration) -> Time {
        let now = self.now();
        Time(now.0.saturating_sub(millis(elapsed)))
    }

    fn read(&mut self, monotonic: Instant, wall: u64) -> Time {
        let went = millis(monotonic.saturating_duration_since(self.monotonic)).max(wall.saturating_sub(self.wall));
        // No part of a millisecond is lost: the readings are replaced only when `now` advances.
        if went > 0 {
            (self.now, self.monotonic, self.wall) = (self.now.plus(went), monotonic, wall);
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_clock_went_on_further_counts() {
        let start = Instant::now();
        let mut clock = Clock { now: Time(1_000), monotonic: start, wall: 1_000 };
        let later = |ms| start + Duration::from_millis(ms);
        assert_eq!(clock.read(later(5), 1_005), Time(1_005));
        assert_eq!(clock.read(later(6), 31_005), Time(31_005), "the machine slept");
        assert_eq!(clock.read(later(10), 7), Time(31_009), "somebody set the clock back");
        assert_eq!(clock.read(later(10), 8), Time(31_010));
    }
}
