//! The open WebSockets of an edge, and their end when it drains.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use chorus_core::{ids::ConnectionId, session::Input};
use tokio::time::Instant;

use crate::{
    address::Address, links::Links, open_session::SessionOpener, session_handle::SessionHandle, sessions::Sessions,
};

#[derive(Debug)]
pub(crate) struct Connections {
    links: Arc<Links>,
    sessions: Arc<Sessions>,
    opener: Arc<SessionOpener>,
    handles: Mutex<HashMap<ConnectionId, Arc<SessionHandle>>>,
    next: AtomicU32,
    draining: AtomicBool,
}

impl Connections {
    pub fn new(links: Arc<Links>, sessions: Arc<Sessions>) -> Connections {
        let opener = Arc::new(SessionOpener::new(links.clone(), sessions.clone()));
        let (handles, next, draining) = (Mutex::default(), AtomicU32::new(1), AtomicBool::new(false));
        Connections { links, sessions, opener, handles, next, draining }
    }

    pub fn links(&self) -> &Links {
        &self.links
    }

    /// A handle for a connection that has been made.
    pub fn open(&self, address: Address) -> Arc<SessionHandle> {
        let connection = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let handle = SessionHandle::new(connection, address, self.links.clone(), self.sessions.clone());
        let handle = Arc::new(handle);
        self.handles().insert(connection, handle.clone());
        self.links.metrics.accepted.inc();
        if self.is_draining() {
            handle.input(Input::Drain);
        }
        handle
    }

    /// Looks up the session of a `hello`, if there is one that waits for it.
    pub fn start_pending_hello(&self, handle: &Arc<SessionHandle>) {
        if let Some(hello) = handle.take_pending_hello() {
            self.opener.start(handle.clone(), *hello);
        }
    }

    /// The connection has ended, and its machine has been notified.
    pub fn close(&self, handle: &SessionHandle) {
        self.handles().remove(&handle.connection);
    }

    pub fn close_all(&self, input: impl Fn() -> Input<'static>) {
        self.all().iter().for_each(|handle| handle.input(input()));
    }

    /// Closes every connection, including those that are just being opened.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.close_all(|| Input::Drain);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Closes the connections that are open now, one after the other over this time, so that the edges that they
    /// reconnect to are not overloaded.
    pub async fn drain_over(&self, time: Duration) {
        let handles = self.all();
        let pause = time.checked_div(u32::try_from(handles.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let began = Instant::now();
        for (handle, n) in handles.iter().zip(0u32..) {
            tokio::time::sleep_until(began + pause * n).await;
            handle.input(Input::Drain);
        }
    }

    pub fn count(&self) -> usize {
        self.handles().len()
    }

    fn all(&self) -> Vec<Arc<SessionHandle>> {
        self.handles().values().cloned().collect()
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<SessionHandle>>> {
        self.handles.lock().expect("nobody panics while holding it")
    }
}
