//! Slices of time, in which guests run in turn: wasmtime's epochs, which a thread advances.
//!
//! A guest that has run for a slice yields to other tasks and goes on; after as many slices as its call may have, the call ends.
//! A slice begins anew when the guest goes on, so the time in which it waits for others is not counted, and neither is all of the
//! time in which its thread does not run: at most one slice each time.
//!
//! Bounds: one thread for each engine. It wakes at the end of each slice while guests run, and sleeps once none has run for
//! [`IDLE_SLICES`].

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, Thread},
};

use wasmtime::{EngineWeak, UpdateDeadline};

use super::budget;

/// Slices without a running guest after which the thread sleeps.
const IDLE_SLICES: u32 = 100;

/// What the thread and the calls share. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Epochs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether a guest has run since the thread's last check.
    busy: AtomicBool,
    /// Whether a guest has run past the end of a slice since then.
    long: AtomicBool,
    sleeping: AtomicBool,
    ended: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Ends the thread when it is dropped.
pub(super) struct EpochThread(Epochs);

impl EpochThread {
    /// Advances the epochs of `engine` from now on.
    pub(super) fn start(engine: EngineWeak) -> io::Result<EpochThread> {
        let epochs = Epochs::default();
        let own = epochs.clone();
        let thread = thread::Builder::new().name("epochs".into()).spawn(move || own.run(&engine))?;
        epochs.0.thread.set(thread.thread().clone()).expect("it is started once");
        Ok(EpochThread(epochs))
    }

    pub(super) fn epochs(&self) -> Epochs {
        self.0.clone()
    }
}

impl Drop for EpochThread {
    fn drop(&mut self) {
        self.0.0.ended.store(true, SeqCst);
        self.0.wake();
    }
}

impl Epochs {
    /// A guest runs now. Called before each call, and again at the end of each of its slices.
    pub(super) fn mark_busy(&self) {
        // Written once a slice, so that cores share the line.
        if !self.0.busy.load(SeqCst) {
            self.0.busy.store(true, SeqCst);
            if self.0.sleeping.load(SeqCst) {
                self.wake();
            }
        }
    }

    /// At the end of a slice, in a guest that goes on: the next ones are short.
    pub(super) fn mark_long(&self) {
        self.0.long.store(true, SeqCst);
        self.mark_busy();
    }

    fn wake(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }

    fn run(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.0.ended.load(SeqCst) {
            let long = self.0.long.swap(false, SeqCst);
            thread::sleep(if long { budget::SLICE } else { budget::FIRST_SLICE });
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            drop(engine);
            idle = if self.0.busy.swap(false, SeqCst) { 0 } else { idle + 1 };
            if idle >= IDLE_SLICES {
                self.sleep();
                idle = 0;
            }
        }
    }

    /// A guest that begins meanwhile either sees `sleeping`, or is seen here. One that was in the middle of a slice, on a thread
    /// that did not run, marks itself at its next check, since its epoch is over.
    fn sleep(&self) {
        self.0.sleeping.store(true, SeqCst);
        while !self.0.busy.load(SeqCst) && !self.0.ended.load(SeqCst) {
            thread::park();
        }
        self.0.sleeping.store(false, SeqCst);
    }
}

/// A call has run for all the slices that it may have, so many.
#[derive(Debug, thiserror::Error)]
#[error("out of time ({0} slices)")]
pub(crate) struct OutOfTime(pub(crate) u64);

/// The slices of the current call.
#[derive(Default)]
pub(crate) struct Slices {
    limit: u64,
    used: u64,
}

impl Slices {
    pub(super) fn new(limit: u64) -> Slices {
        Slices { limit, used: 0 }
    }

    /// At the end of a slice: what wasmtime does next.
    pub(super) fn turn(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if self.used >= self.limit {
            return Err(OutOfTime(self.limit).into());
        }
        self.used += 1;
        Ok(UpdateDeadline::Yield(1))
    }
}
