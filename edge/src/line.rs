//! A connection's session machine and its outbox, shared by the task of its socket and by the dispatcher.
//!
//! A task with an input takes the lock, hands the input to the machine, and carries out the outputs at once: appends go
//! to the bus under the lock, so that their order in the log is the machine's order. An output that has to wait for the
//! store is handed to another task, which returns with another input.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Waker},
    time::Instant,
};

use chorus_core::{
    command::Record,
    frame::Hello,
    ids::{ConnectionId, RoomId, SessionId, Time},
    session::{Input, Outgoing, Output, Session, Store as Write},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{address::Address, hub::Hub, metrics::Code, open_session, outbox::Outbox, store_writer};

#[derive(Debug)]
pub(crate) struct Line {
    /// Its number among the connections of this edge.
    pub number: ConnectionId,
    /// The address that it counts for.
    pub address: Address,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Session,
    outbox: Outbox,
    /// Wakes the socket's task when that is idle.
    waker: Option<Waker>,
    /// Writes to the store that wait for the one before them.
    writes: VecDeque<Write>,
    writing: bool,
    /// A `hello` whose session is not looked up yet.
    hello: Option<Box<Hello>>,
    /// Messages whose answers are timed, oldest first; the others are not.
    asked: VecDeque<(u64, Instant)>,
}

/// Messages of one connection that are timed at once. Of a client that sends more without waiting, only some messages are
/// timed.
const TIMED: usize = 8;

impl Inner {
    fn ask(&mut self, id: u64) {
        if self.asked.len() < TIMED {
            self.asked.push_back((id, Instant::now()));
        }
    }

    fn count(&mut self, hub: &Hub, frame: &Outgoing) {
        let Outgoing::Room { frame, .. } = frame else { return };
        hub.metrics.deliveries.inc();
        let Some(answered) = frame.answers else { return };
        while let Some((_, since)) = self.asked.pop_front_if(|(id, _)| *id <= answered) {
            hub.metrics.answers.observe(since.elapsed().as_secs_f64());
        }
    }
}

/// What the socket's task needs before it waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parked {
    /// The connection is closing, whether or not anything can be written.
    pub closing: bool,
    /// There is more to write, and the socket can take it.
    pub more: bool,
    /// When the machine needs its next tick.
    pub next_tick: Option<Time>,
}

impl Line {
    pub fn new(number: ConnectionId, address: Address, hub: &Hub) -> Line {
        let session = Session::new(hub.options.id.clone(), number, hub.options.limits, hub.now());
        let inner = Inner {
            session,
            outbox: Outbox::default(),
            waker: None,
            writes: VecDeque::new(),
            writing: false,
            hello: None,
            asked: VecDeque::new(),
        };
        Line { number, address, inner: Mutex::new(inner) }
    }

    /// Hands an input to the machine, and carries out its outputs.
    pub fn input(self: &Arc<Self>, hub: &Arc<Hub>, input: Input<'_>) {
        let now = hub.now();
        let mut inner = self.lock();
        let session = inner.session.id();
        inner.session.handle(input, now);
        while let Some(output) = inner.session.poll_output() {
            self.carry_out(&mut inner, hub, output, now);
        }
        let over = inner.session.is_over();
        let owed = inner.session.owed(now);
        let waker = if inner.outbox.is_empty() { None } else { inner.waker.take() };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        if let (true, Some(session)) = (over, session) {
            hub.leave_debt(session, owed);
            hub.unregister(session, self);
        }
    }

    fn carry_out(self: &Arc<Self>, inner: &mut Inner, hub: &Arc<Hub>, output: Output, now: Time) {
        match output {
            Output::Send(frame) => {
                inner.count(hub, &frame);
                if inner.outbox.push(frame).is_err() {
                    inner.session.handle(Input::FellBehind, now);
                }
            }
            Output::Ping => inner.outbox.ping(),
            Output::Close { code, reason } => {
                hub.metrics.closes.get_or_create(&Code { code: code.code() }).inc();
                inner.outbox.close(code, reason);
            }
            Output::Hello(hello) => inner.hello = Some(hello),
            Output::Append { room, command, id } => {
                if let Some(id) = id {
                    hub.metrics.messages.inc();
                    inner.ask(id);
                }
                let record = Record { room, time: now, command };
                if !hub.append(self, record, id) {
                    inner.session.handle(Input::NotAppended { room, id }, now);
                }
            }
            Output::Store(write) => {
                inner.writes.push_back(write);
                if !std::mem::replace(&mut inner.writing, true) {
                    store_writer::run(hub.clone(), self.clone());
                }
            }
        }
    }

    /// Looks up the session of the `hello`, once all input has been read and the client has not left. A client that has
    /// left may have resumed through another edge since, and this edge would take the session away from there.
    pub fn greet(self: &Arc<Self>, hub: &Arc<Hub>) {
        let mut inner = self.lock();
        let hello = inner.hello.take().filter(|_| !inner.session.is_over());
        drop(inner);
        if let Some(hello) = hello {
            open_session::open(hub.clone(), self.clone(), *hello);
        }
    }

    /// The next frame to write.
    pub fn pop(&self) -> Option<Message> {
        self.lock().outbox.pop()
    }

    /// Registers the socket's task, which is woken when there is something to write.
    pub fn park(&self, context: &Context<'_>, blocked: bool) -> Parked {
        let mut inner = self.lock();
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            inner.waker = Some(context.waker().clone());
        }
        let more = !blocked && !inner.outbox.is_empty();
        Parked { closing: inner.outbox.is_closing(), more, next_tick: inner.session.poll_timeout() }
    }

    /// The next write to the store; `None` ends the caller.
    pub fn next_write(&self) -> Option<Write> {
        let mut inner = self.lock();
        let write = inner.writes.pop_front();
        inner.writing = write.is_some();
        write
    }

    pub fn session(&self) -> Option<SessionId> {
        self.lock().session.id()
    }

    /// The session's debt for computing.
    pub fn owed(&self, now: Time) -> u64 {
        self.lock().session.owed(now)
    }

    pub fn not_appended(self: &Arc<Self>, hub: &Arc<Hub>, room: RoomId, id: Option<u64>) {
        self.input(hub, Input::NotAppended { room, id });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding it")
    }
}
