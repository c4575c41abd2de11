//! wasmtime's epochs, at whose ends a guest is interrupted that has no safepoints. A thread advances them. [`super::slices`]
//! has what happens at one.
//!
//! Nothing depends on when one ends: the thread may run late where all cores are taken.
//!
//! Bounds: one thread for each engine. It wakes at the end of each epoch while guests run, and sleeps once none has run for
//! [`IDLE_EPOCHS`].

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, Thread},
};

use wasmtime::EngineWeak;

use super::budget;

/// Epochs without a running guest after which the thread sleeps.
const IDLE_EPOCHS: u32 = 100;

/// What the thread and the calls share. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Epochs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether a guest has run since the thread's last check.
    busy: AtomicBool,
    /// Whether the end of an epoch has ended a guest's slice since then.
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
        // Written once an epoch, so that cores share the line.
        if !self.0.busy.load(SeqCst) {
            self.0.busy.store(true, SeqCst);
            if self.0.sleeping.load(SeqCst) {
                self.wake();
            }
        }
    }

    /// At an epoch's end that has ended the slice of a guest, which goes on: the next epochs are short.
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
            thread::sleep(if long { budget::EPOCH } else { budget::FIRST_EPOCH });
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            drop(engine);
            idle = if self.0.busy.swap(false, SeqCst) { 0 } else { idle + 1 };
            if idle >= IDLE_EPOCHS {
                self.sleep();
                idle = 0;
            }
        }
    }

    /// A guest that begins meanwhile either sees `sleeping`, or is seen here. One that was in the middle of a call, on a thread
    /// that did not run, marks itself at its next check, since its epoch is over.
    fn sleep(&self) {
        self.0.sleeping.store(true, SeqCst);
        while !self.0.busy.load(SeqCst) && !self.0.ended.load(SeqCst) {
            thread::park();
        }
        self.0.sleeping.store(false, SeqCst);
    }
}
