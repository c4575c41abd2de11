//! A connection's session machine and its outbox, shared by the task of its socket and by the dispatcher.
//!
//! A task with an input takes the lock, hands the input to the machine, and carries out the outputs at once: appends go
//! to the bus under the lock, so that their order in the log is the machine's order. An output that has to wait for the
//! store is carried out by another task, which returns with another input.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Waker},
};

use chorus_core::{
    command::{Record, RoomCommand},
    frame::Hello,
    identity::SessionsOf,
    ids::{ConnectionId, RoomId, SessionId, Time},
    secret::Secret,
    session::{Input, Outgoing, Output, Session, StoreWrite},
};
use tokio_tungstenite::tungstenite::Message;
use tracing::Instrument as _;

use crate::{
    address::Address, answer_times::AnswerTimes, append_tracker::AppendOwner, links::Links, metered_stream::Arrived,
    outbox::Outbox, players::PlayerSlot, standing, store_writer,
};

pub(crate) struct SessionHandle {
    /// Its number among the connections of this edge.
    pub connection: ConnectionId,
    /// The address that it counts for.
    pub address: Address,
    pub links: Arc<Links>,
    sessions: Arc<dyn SessionOwner>,
    inner: Mutex<Inner>,
}

/// The edge's part in the changes of a handle's session, which affect other connections too.
pub(crate) trait SessionOwner: Send + Sync {
    /// The part of a write of this handle that is still to be made when its turn comes.
    fn still_valid(&self, write: StoreWrite, handle: &Arc<SessionHandle>) -> Option<StoreWrite>;

    /// The machine of this handle has ended, with an open session and this debt for computing.
    fn release(&self, session: SessionId, handle: &Arc<SessionHandle>, debt: u64);
}

struct Inner {
    machine: Session,
    outbox: Outbox,
    /// Wakes the socket's task when that is idle.
    waker: Option<Waker>,
    /// Writes to the store that wait for the one before them.
    writes: VecDeque<StoreWrite>,
    is_writing: bool,
    /// A `hello` whose session is not looked up yet.
    pending_hello: Option<Box<Hello>>,
    /// The place of the session's player, until the machine has ended.
    player: Option<PlayerSlot>,
    /// The latest pause in reading.
    paused_until: Option<Time>,
    answer_times: AnswerTimes,
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

/// What follows for the socket's task from what has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    /// Nothing more is to be read before.
    pub paused_until: Option<Time>,
    /// The session's machine has ended.
    pub has_ended: bool,
}

impl SessionHandle {
    pub fn new(
        connection: ConnectionId,
        address: Address,
        links: Arc<Links>,
        sessions: Arc<dyn SessionOwner>,
    ) -> SessionHandle {
        let machine = Session::new(links.edge().clone(), connection, links.options.limits, links.now());
        let inner = Inner {
            machine,
            outbox: Outbox::default(),
            waker: None,
            writes: VecDeque::new(),
            is_writing: false,
            pending_hello: None,
            player: None,
            paused_until: None,
            answer_times: AnswerTimes::default(),
        };
        SessionHandle { connection, address, links, sessions, inner: Mutex::new(inner) }
    }

    /// Hands an input to the machine, and carries out its outputs.
    pub fn input(self: &Arc<Self>, input: Input<'_>) {
        if let Some(waker) = self.input_without_waking(input) {
            waker.wake();
        }
    }

    /// Hands what has arrived from the client to the machine, and charges the session and its player for it.
    pub fn receive(self: &Arc<Self>, input: Input<'_>, Arrived { fragments, bytes }: Arrived) -> Received {
        let now = self.links.now();
        let mut inner = self.lock();
        let session = inner.machine.id();
        self.handle(&mut inner, input, now);
        let frames = fragments.saturating_add(1);
        let player_wait_ms = inner.player.as_ref().map_or(0, |player| player.charge(frames, bytes, now));
        self.handle(&mut inner, Input::Received { bytes, player_wait_ms }, now);
        let paused_until = inner.paused_until.take();
        let has_ended = inner.machine.is_ended();
        if let Some(waker) = self.finish(inner, session, now) {
            waker.wake();
        }
        Received { paused_until, has_ended }
    }

    /// The session that is about to open is this player's.
    pub fn set_player(&self, player: PlayerSlot) {
        self.lock().player = Some(player);
    }

    /// The same, but for waking the socket's task, which the caller does where there is a waker.
    fn input_without_waking(self: &Arc<Self>, input: Input<'_>) -> Option<Waker> {
        let now = self.links.now();
        let mut inner = self.lock();
        let session = inner.machine.id();
        self.handle(&mut inner, input, now);
        self.finish(inner, session, now)
    }

    fn handle(self: &Arc<Self>, inner: &mut Inner, input: Input<'_>, now: Time) {
        inner.machine.handle(input, now);
        while let Some(output) = inner.machine.poll_output() {
            self.carry_out(inner, output, now);
        }
        self.links.metrics.refused_frames.inc_by(inner.machine.take_refused().into());
    }

    /// Releases what an ended machine had. Returns the waker of the socket's task where there is something to write. `session`:
    /// the machine's before its inputs.
    fn finish(
        self: &Arc<Self>,
        mut inner: MutexGuard<'_, Inner>,
        session: Option<SessionId>,
        now: Time,
    ) -> Option<Waker> {
        let has_ended = inner.machine.is_ended();
        if has_ended {
            inner.player = None;
        }
        let debt = inner.machine.owed(now);
        let waker = if inner.outbox.is_empty() { None } else { inner.waker.take() };
        drop(inner);
        if let (true, Some(session)) = (has_ended, session) {
            self.sessions.release(session, self, debt);
        }
        waker
    }

    fn carry_out(self: &Arc<Self>, inner: &mut Inner, output: Output, now: Time) {
        match output {
            Output::Send(frame) => self.send(inner, frame, now),
            Output::Ping => inner.outbox.ping(),
            Output::Pause { until, by } => {
                self.links.metrics.count_slowed(by);
                inner.paused_until = Some(until);
            }
            Output::Close { code, reason } => {
                self.links.metrics.count_close(code);
                inner.outbox.close(code, reason);
            }
            Output::Hello(hello) => inner.pending_hello = Some(hello),
            Output::Renew(token) => self.renew(token, now),
            Output::Append { room, command, message_id } => self.append(inner, (room, command, message_id), now),
            Output::Store(write) => self.write(inner, write),
        }
    }

    fn send(&self, inner: &mut Inner, frame: Outgoing, now: Time) {
        if let Outgoing::Room { frame, .. } = &frame {
            self.links.metrics.deliveries.inc();
            if let Some(message_id) = frame.message_id() {
                inner.answer_times.observe(message_id, &self.links.metrics.answers);
            }
        }
        if inner.outbox.push(frame).is_err() {
            inner.machine.handle(Input::FellBehind, now);
        }
    }

    fn append(self: &Arc<Self>, inner: &mut Inner, (room, command, id): (RoomId, RoomCommand, Option<u64>), now: Time) {
        if let Some(id) = id {
            self.links.metrics.messages.inc();
            inner.answer_times.start(id);
        }
        if !self.links.appends.append(self, Record { room, time: now, command }, id) {
            inner.machine.handle(Input::NotAppended { room, message_id: id }, now);
        }
    }

    /// Checks a client's next token, which may take a fetch of keys.
    fn renew(self: &Arc<Self>, token: Secret, now: Time) {
        let (this, guard) = (self.clone(), self.links.drain.guard());
        let span = tracing::info_span!("renew", connection = self.connection.0);
        let checking = async move {
            let checked = match this.links.identities.account(&token, now).await {
                Ok(account) => standing::check_renewal(&this.links, account, this.address).await,
                refused => refused,
            };
            this.input(Input::Renewed(checked));
            drop(guard);
        };
        tokio::spawn(checking.instrument(span));
    }

    /// Writes are made by one task, one after the other, in the machine's order. It ends when there are no more.
    fn write(self: &Arc<Self>, inner: &mut Inner, write: StoreWrite) {
        inner.writes.push_back(write);
        if std::mem::replace(&mut inner.is_writing, true) {
            return;
        }
        let (this, guard) = (self.clone(), self.links.drain.guard());
        let span = tracing::info_span!("store_writes", connection = self.connection.0);
        let writing = async move {
            while let Some(write) = this.next_write() {
                let Some(write) = this.sessions.still_valid(write, &this) else { continue };
                if let Some(input) = store_writer::write(&this.links, write).await {
                    this.input(input);
                }
            }
            drop(guard);
        };
        tokio::spawn(writing.instrument(span));
    }

    /// `None` ends the task that writes.
    fn next_write(&self) -> Option<StoreWrite> {
        let mut inner = self.lock();
        let write = inner.writes.pop_front();
        inner.is_writing = write.is_some();
        write
    }

    /// The `hello` whose session is to be looked up. To be called when all input has been read: if the client has left by
    /// then, there is none. The client may have resumed through another edge since, and a lookup would take the session
    /// from that edge.
    pub fn take_pending_hello(&self) -> Option<Box<Hello>> {
        let mut inner = self.lock();
        let hello = inner.pending_hello.take();
        hello.filter(|_| !inner.machine.is_ended())
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
        Parked { closing: inner.outbox.is_closing(), more, next_tick: inner.machine.poll_timeout() }
    }

    /// Whether its session is among these.
    pub fn is_among(&self, sessions: &SessionsOf) -> bool {
        self.lock().machine.is_among(sessions, self.address.ip())
    }

    pub fn session(&self) -> Option<SessionId> {
        self.lock().machine.id()
    }

    /// The session's debt for computing.
    pub fn debt(&self, now: Time) -> u64 {
        self.lock().machine.owed(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding it")
    }
}

/// A handle that gets several inputs, after which its socket's task is woken: the task writes all of their frames together.
pub(crate) struct Awaiting {
    handle: Arc<SessionHandle>,
    waker: Option<Waker>,
}

impl Awaiting {
    pub fn new(handle: Arc<SessionHandle>) -> Awaiting {
        Awaiting { handle, waker: None }
    }

    pub fn handle(&self) -> Arc<SessionHandle> {
        self.handle.clone()
    }

    pub fn input(&mut self, input: Input<'_>) {
        if let Some(waker) = self.handle.input_without_waking(input) {
            self.waker = Some(waker);
        }
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl AppendOwner for SessionHandle {
    fn not_appended(self: Arc<Self>, room: RoomId, id: Option<u64>) {
        self.input(Input::NotAppended { room, message_id: id });
    }
}

/// A connection has one handle.
impl PartialEq for SessionHandle {
    fn eq(&self, other: &SessionHandle) -> bool {
        self.connection == other.connection
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("connection", &self.connection).finish_non_exhaustive()
    }
}
