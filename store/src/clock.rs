//! The one clock of a process.
//!
//! It takes its offset once, from the store's clock, and then runs by the machine's monotonic clock. So a change of the wall
//! clock, by NTP or an operator, changes nothing while a process runs: set back, it would extend turns and held seats; set
//! forward, it would end all of them at once. The monotonic clock does not advance while a machine is suspended, and neither
//! does this one.
//!
//! The store's clock is Postgres's `now()` in a cluster. Embedded it is the wall clock, but never behind the latest time in the
//! store.

use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use chorus_core::ids::Time;

use crate::{Backend, Store};

/// A clock. Cheap to clone; all clones return the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// A clock that starts at `time` now.
    pub fn starting_at(time: Time) -> Clock {
        let began = Instant::now();
        Clock::of(move || time.plus(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }

    /// A clock under the caller's control, for tests.
    pub fn of(now: impl Fn() -> Time + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl Store {
    /// The clock of this process, and its only source of time.
    pub fn clock(&self) -> &Clock {
        match &self.0 {
            Backend::Sqlite(db) => db.clock(),
            Backend::Postgres(db) => db.clock(),
        }
    }
}

/// The wall clock, the only place that reads it. It may be set back or forward at any time: [`Clock`] serves for what a process
/// decides, and this one for the start of that clock and for what is shown to people.
pub fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
