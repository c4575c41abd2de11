//! Slices of time, in which guests that meter themselves run in turn, and the time that a call of theirs has run for.
//!
//! A slice ends at the first safepoint of the guest (`meter` of `wit/room.wit`) after [`budget::SLICE`], or, in code without
//! safepoints, at the end of one of [`super::epochs`]. Then the guest yields to other tasks, and goes on. At a safepoint that
//! takes no other thread: the deadline of the guest's epochs is moved to the present, and the guest's compiled code compares the
//! two at each function and loop.
//!
//! What a call may use is the time in which its thread runs, so a busy machine takes little of it away. A slice counts with the
//! time that has passed, up to [`budget::MOST_OF_SLICE`]; one that follows an epoch's end counts with the processor time of the
//! thread, which takes longer to read.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{StoreContextMut, UpdateDeadline, component::Linker};

use super::{budget, store_data::StoreData};

/// The import of a guest that meters itself, with the version of the contract.
pub(super) const METER: &str = "chorus:room/meter";

/// A call has run for all the time that it may use, which is so much.
#[derive(Debug, thiserror::Error)]
#[error("out of time ({0:?})")]
pub(crate) struct OutOfTime(pub(crate) Duration);

/// The slices of the current call.
pub(crate) struct Slices {
    limit: Duration,
    used: Duration,
    /// The begin of the call.
    begun: Instant,
    current: Arc<Slice>,
    /// A safepoint has found the current slice to be over.
    over: bool,
}

/// The current slice. Shared with the future that begins the next one.
#[derive(Default)]
struct Slice {
    /// Its begin, in nanoseconds of the call.
    begun: AtomicU64,
    /// The processor time of the thread at its begin, in nanoseconds, or 0 if that was not read.
    clock: AtomicU64,
}

/// What ended a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Safepoint,
    Epoch,
}

/// Serves the import.
pub(super) fn link(linker: &mut Linker<StoreData>, version: &str) -> wasmtime::Result<()> {
    linker.instance(&format!("{METER}@{version}"))?.func_wrap("safepoint", |mut store, (): ()| {
        if store.data_mut().slices.is_over() {
            yield_soon(&mut store);
        }
        Ok(())
    })
}

/// The guest checks its deadline when it enters a function, and calls back (see [`Slices::turn`]).
fn yield_soon(store: &mut StoreContextMut<'_, StoreData>) {
    store.set_epoch_deadline(0);
}

impl Default for Slices {
    fn default() -> Slices {
        let limit = Duration::ZERO;
        Slices { limit, used: Duration::ZERO, begun: Instant::now(), current: Arc::default(), over: false }
    }
}

impl Slices {
    /// Before a call that may use so much time.
    pub(super) fn begin(&mut self, limit: Duration) {
        self.current.begin(0, 0);
        (self.limit, self.used, self.over) = (limit, Duration::ZERO, false);
        self.begun = Instant::now();
    }

    /// At a safepoint: whether the slice ends here.
    fn is_over(&mut self) -> bool {
        self.over = self.elapsed() >= budget::SLICE;
        self.over
    }

    /// The time since the current slice began.
    fn elapsed(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_nanos(self.current.begun.load(Relaxed)))
    }

    /// At the deadline of the guest's epoch: what wasmtime does next, and what has ended the slice if it has ended.
    pub(super) fn turn(&mut self) -> wasmtime::Result<(UpdateDeadline, Option<End>)> {
        let elapsed = self.elapsed();
        if elapsed < budget::SLICE {
            return Ok((UpdateDeadline::Continue(1), None));
        }
        self.used += self.current.time().unwrap_or(elapsed.min(budget::MOST_OF_SLICE));
        if self.used > self.limit {
            return Err(OutOfTime(self.limit).into());
        }
        let end = if std::mem::take(&mut self.over) { End::Safepoint } else { End::Epoch };
        let others_first = others_first(self.begun, self.current.clone(), end == End::Epoch);
        Ok((UpdateDeadline::YieldCustom(1, others_first), Some(end)))
    }
}

impl Slice {
    fn begin(&self, nanos: u64, clock: u64) {
        self.begun.store(nanos, Relaxed);
        self.clock.store(clock, Relaxed);
    }

    /// The processor time since its begin, if that was read then.
    fn time(&self) -> Option<Duration> {
        match self.clock.load(Relaxed) {
            0 => None,
            begun => Some(Duration::from_nanos(thread_clock().saturating_sub(begun))),
        }
    }
}

/// Yields once, and then begins the next slice, on the thread on which the guest goes on.
fn others_first(call: Instant, slice: Arc<Slice>, timed: bool) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let mut has_yielded = false;
    Box::pin(poll_fn(move |_| {
        if !std::mem::replace(&mut has_yielded, true) {
            return Poll::Pending;
        }
        let clock = if timed { thread_clock() } else { 0 };
        slice.begin(call.elapsed().as_nanos() as u64, clock);
        Poll::Ready(())
    }))
}

/// The processor time of this thread, in nanoseconds.
fn thread_clock() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    (used.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(used.tv_nsec as u64)
}
