//! The state that the tasks of an edge share: its connections, its sessions, its bus and its store.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use chorus_bus::Bus;
use chorus_core::{
    command::Record,
    ids::{ConnectionId, SessionId, Time},
    session::Input,
};
use chorus_gate::Hosts;
use chorus_store::Store;
use tokio::{sync::Notify, time::Instant};

use crate::{
    Options,
    address::{Address, Proxies},
    append_tracker::AppendTracker,
    debts::Debts,
    line::Line,
    metrics::Metrics,
    newcomers::Newcomers,
};

#[derive(Debug)]
pub(crate) struct Hub {
    pub options: Options,
    pub bus: Bus,
    pub store: Store,
    pub metrics: Metrics,
    pub hosts: Hosts,
    pub proxies: Proxies,
    newcomers: Mutex<Newcomers>,
    appends: AppendTracker,
    places: Mutex<Places>,
    lines: Mutex<HashMap<ConnectionId, Arc<Line>>>,
    sessions: Mutex<HashMap<SessionId, Arc<Line>>>,
    debts: Mutex<Debts>,
    next: AtomicU32,
    draining: AtomicBool,
    /// Notified when a connection is gone, or when a task has finished its work.
    gone: Notify,
}

#[derive(Debug, Default)]
struct Places {
    all: usize,
    from: HashMap<Address, usize>,
    /// Tasks that finish the work of connections.
    working: usize,
}

/// A connection's place among those that are allowed at once.
#[derive(Debug)]
pub(crate) struct Place {
    hub: Arc<Hub>,
    /// `None` until a trusted proxy names the client.
    address: Option<Address>,
    /// There was no place left.
    pub over: bool,
}

/// A task that a drain waits for.
#[derive(Debug)]
pub(crate) struct Work(Arc<Hub>);

impl Hub {
    pub fn new(options: Options, bus: Bus, store: Store) -> Arc<Hub> {
        Arc::new_cyclic(|hub| Hub {
            hosts: Hosts::new(options.listen.ip(), options.host_names.clone()),
            proxies: Proxies::new(options.trusted_proxies.clone()),
            newcomers: Mutex::new(Newcomers::new(options.new_sessions)),
            options,
            bus,
            store,
            appends: AppendTracker::start(hub.clone()),
            metrics: Metrics::default(),
            places: Mutex::default(),
            lines: Mutex::default(),
            sessions: Mutex::default(),
            debts: Mutex::default(),
            next: AtomicU32::new(1),
            draining: AtomicBool::new(false),
            gone: Notify::new(),
        })
    }

    /// This edge's clock. The machines have none.
    pub fn now(&self) -> Time {
        self.store.clock().now()
    }

    // ---- connections ----

    /// `None` when the excess is so large that even a refusal costs too much.
    pub fn place(self: &Arc<Self>, address: Option<Address>) -> Option<Place> {
        let mut counts = lock(&self.places);
        let from = address.map_or(0, |address| counts.from.get(&address).copied().unwrap_or(0));
        let (max, max_from) = (self.options.max_connections, self.options.max_per_address);
        let refusals = 64 + max / 64;
        if counts.all >= max + refusals || from >= max_from.saturating_add(64) {
            return None;
        }
        let over = counts.all >= max || from >= max_from;
        counts.all += 1;
        if let Some(address) = address {
            *counts.from.entry(address).or_default() += 1;
        }
        Some(Place { hub: self.clone(), address, over })
    }

    pub fn open_line(self: &Arc<Self>, address: Address) -> Arc<Line> {
        let number = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let line = Arc::new(Line::new(number, address, self));
        lock(&self.lines).insert(number, line.clone());
        self.metrics.accepted.inc();
        if self.draining.load(Ordering::SeqCst) {
            line.input(self, Input::Drain);
        }
        line
    }

    /// Closes every connection, including those that are just being opened.
    pub fn drain(self: &Arc<Self>) {
        self.draining.store(true, Ordering::SeqCst);
        self.close_all(|| Input::Drain);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Closes the connections that are open now, one after the other over this time, so that the edges that they
    /// reconnect to are not overrun.
    pub async fn drain_over(self: &Arc<Self>, time: Duration) {
        let lines: Vec<Arc<Line>> = lock(&self.lines).values().cloned().collect();
        let pause = time.checked_div(u32::try_from(lines.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let began = Instant::now();
        for (line, n) in lines.iter().zip(0u32..) {
            tokio::time::sleep_until(began + pause * n).await;
            line.input(self, Input::Drain);
        }
    }

    /// The line's connection is gone, and its machine has been notified.
    pub fn close_line(&self, line: &Line) {
        lock(&self.lines).remove(&line.number);
        self.gone.notify_waiters();
    }

    pub fn close_all(self: &Arc<Self>, input: impl Fn() -> Input<'static>) {
        let lines: Vec<Arc<Line>> = lock(&self.lines).values().cloned().collect();
        lines.iter().for_each(|line| line.input(self, input()));
    }

    pub fn connections(&self) -> usize {
        lock(&self.lines).len()
    }

    /// Returns when there is no connection, and no unfinished work of one.
    pub async fn all_gone(&self) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.connections() == 0 && lock(&self.places).working == 0 {
                return;
            }
            gone.await;
        }
    }

    pub fn work(self: &Arc<Self>) -> Work {
        lock(&self.places).working += 1;
        Work(self.clone())
    }

    // ---- sessions ----

    /// Assigns the session to this line. Returns the line that it was assigned to before.
    pub fn register(&self, session: SessionId, line: &Arc<Line>) -> Option<Arc<Line>> {
        lock(&self.sessions).insert(session, line.clone())
    }

    /// Removes the session if it is assigned to this line.
    pub fn unregister(&self, session: SessionId, line: &Arc<Line>) {
        let mut sessions = lock(&self.sessions);
        if sessions.get(&session).is_some_and(|current| Arc::ptr_eq(current, line)) {
            sessions.remove(&session);
        }
    }

    pub fn line_of(&self, session: SessionId) -> Option<Arc<Line>> {
        lock(&self.sessions).get(&session).cloned()
    }

    pub fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Whether this address may open one more session.
    pub fn admits(&self, address: Address) -> bool {
        lock(&self.newcomers).admit(address, self.now()).is_ok()
    }

    /// The debt of a session that resumes: that of its current connection, or of its last one.
    pub fn debt(&self, session: SessionId) -> u64 {
        let now = self.now();
        let left = lock(&self.debts).take(session, now, &self.options.limits);
        self.line_of(session).map_or(left, |line| line.owed(now))
    }

    /// Keeps the debt of a session whose connection is gone.
    pub fn leave_debt(&self, session: SessionId, owed: u64) {
        lock(&self.debts).leave(session, owed, self.now(), &self.options.limits);
    }

    // ---- the log ----

    /// Appends for a line, which is notified if the append fails later. Returns whether the record was taken.
    pub fn append(&self, line: &Arc<Line>, record: Record, id: Option<u64>) -> bool {
        self.appends.append(&self.bus, line, record, id)
    }
}

impl Place {
    /// Counts the place for this address, unless it counts for one already. Returns the address that it counts for.
    pub fn settle(&mut self, address: Address) -> Address {
        if let Some(known) = self.address {
            return known;
        }
        self.address = Some(address);
        let mut counts = lock(&self.hub.places);
        let from = counts.from.entry(address).or_default();
        self.over |= *from >= self.hub.options.max_per_address;
        *from += 1;
        address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.hub.places);
        counts.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(from) = counts.from.get_mut(&address) {
            *from -= 1;
            if *from == 0 {
                counts.from.remove(&address);
            }
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        lock(&self.0.places).working -= 1;
        self.0.gone.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}
