//! The work that a drain waits for: open connections, and tasks that finish the work of closed ones.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub(crate) struct DrainTracker(Arc<State>);

#[derive(Debug, Default)]
struct State {
    guards: AtomicUsize,
    /// Notified when the last guard is dropped.
    idle: Notify,
}

/// Work that a drain waits for, until this is dropped.
#[derive(Debug)]
pub(crate) struct DrainGuard(Arc<State>);

impl DrainTracker {
    pub fn guard(&self) -> DrainGuard {
        self.0.guards.fetch_add(1, Ordering::SeqCst);
        DrainGuard(self.0.clone())
    }

    /// Returns when there is no guard.
    pub async fn idle(&self) {
        loop {
            let idle = self.0.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.0.guards.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for DrainGuard {
    fn drop(&mut self) {
        if self.0.guards.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
