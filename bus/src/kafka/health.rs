//! The state that all clients of one bus share: whether appends are accepted, whether the bus has stopped for good, and whether
//! the broker answers, logged once per change.

use std::{
    future::Future,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use crate::Stopped;

#[derive(Debug)]
pub(super) struct Health {
    state: watch::Sender<State>,
    is_unreachable: AtomicBool,
    last_error: Mutex<Option<String>>,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Open,
    /// New appends are refused; accepted ones are in flight.
    Closing,
    Closed,
    Stopped(Stopped),
}

impl Health {
    pub fn new() -> Health {
        Health {
            state: watch::Sender::new(State::Open),
            is_unreachable: AtomicBool::new(false),
            last_error: Mutex::default(),
        }
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub fn is_open(&self) -> bool {
        matches!(*self.state.borrow(), State::Open)
    }

    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub fn refuse_appends(&self) {
        self.state.send_if_modified(|state| match state {
            State::Open => {
                *state = State::Closing;
                true
            }
            _ => false,
        });
    }

    pub fn close(&self) {
        self.state.send_if_modified(|state| match state {
            State::Open | State::Closing => {
                *state = State::Closed;
                true
            }
            _ => false,
        });
    }

    /// Stops the bus for good. The first reason is kept.
    pub fn stop(&self, what: &'static str, reason: &str) -> Stopped {
        let mut stopped = Stopped::Broker { what, reason: reason.into() };
        self.state.send_if_modified(|state| match state {
            State::Stopped(first) => {
                stopped = first.clone();
                false
            }
            _ => {
                tracing::error!("{stopped}");
                *state = State::Stopped(stopped.clone());
                true
            }
        });
        stopped
    }

    pub fn is_stopped(&self) -> Option<Stopped> {
        match &*self.state.borrow() {
            State::Stopped(stopped) => Some(stopped.clone()),
            _ => None,
        }
    }

    /// Resolves when the bus has stopped for good; never when it is closed in order.
    pub fn stopped(&self) -> impl Future<Output = Stopped> + Send + use<> {
        let mut state = self.watch();
        async move {
            loop {
                if let State::Stopped(stopped) = &*state.borrow_and_update() {
                    return stopped.clone();
                }
                if state.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// No broker can be reached.
    pub fn unreachable(&self, reason: &str) {
        if !self.is_unreachable.swap(true, Ordering::Relaxed) && self.is_open() {
            tracing::warn!(reason, "no broker can be reached; appends and reads wait until one answers");
        }
    }

    /// A broker has answered.
    pub fn reachable(&self) {
        if self.is_unreachable.load(Ordering::Relaxed) && self.is_unreachable.swap(false, Ordering::Relaxed) {
            tracing::info!("the broker answers again");
        }
    }

    pub fn note_error(&self, reason: &str) {
        *self.last_error.lock().expect("nothing panics under this lock") = Some(reason.to_owned());
    }

    /// The client's last error: it explains more than a timeout does.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().expect("nothing panics under this lock").clone()
    }
}
