//! What the tasks of an edge share: its connections, its sessions, its bus and its store.

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
    counts::Counts,
    debts::Debts,
    line::Line,
    newcomers::Newcomers,
    watch::Watch,
};

#[derive(Debug)]
pub(crate) struct Hub {
    pub options: Options,
    pub bus: Bus,
    pub store: Store,
    pub counts: Counts,
    pub hosts: Hosts,
    pub proxies: Proxies,
    newcomers: Mutex<Newcomers>,
    watch: Watch,
    places: Mutex<Places>,
    lines: Mutex<HashMap<ConnectionId, Arc<Line>>>,
    sessions: Mutex<HashMap<SessionId, Arc<Line>>>,
    debts: Mutex<Debts>,
    next: AtomicU32,
    draining: AtomicBool,
    /// A connection is gone, or a task that finishes its work.
    gone: Notify,
}

#[derive(Debug, Default)]
struct Places {
    all: usize,
    from: HashMap<Address, usize>,
    /// Tasks that write what connections left behind.
    working: usize,
}

/// A connection's place among those that are allowed at once.
#[derive(Debug)]
pub(crate) struct Place {
    hub: Arc<Hub>,
    /// None while a trusted proxy has yet to name the client.
    address: Option<Address>,
    /// There was none any more.
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
            watch: Watch::start(hub.clone()),
            counts: Counts::default(),
            places: Mutex::default(),
            lines: Mutex::default(),
            sessions: Mutex::default(),
            debts: Mutex::default(),
            next: AtomicU32::new(1),
            draining: AtomicBool::new(false),
            gone: Notify::new(),
        })
    }

    /// The clock of this edge. The machines have none.
    pub fn now(&self) -> Time {
        self.store.clock().now()
    }

    // ---- connections ----

    /// `None` when there are so many too many that even a refusal costs too much.
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
        self.counts.accepted.inc();
        if self.draining.load(Ordering::SeqCst) {
            line.input(self, Input::Drain);
        }
        line
    }

    /// Closes every connection, also those that are just being made.
    pub fn drain(self: &Arc<Self>) {
        self.draining.store(true, Ordering::SeqCst);
        self.close_all(|| Input::Drain);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Closes the connections that are open now, one after the other over this time: whoever takes them on is not
    /// overrun.
    pub async fn drain_over(self: &Arc<Self>, time: Duration) {
        let lines: Vec<Arc<Line>> = lock(&self.lines).values().cloned().collect();
        let pause = time.checked_div(u32::try_from(lines.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let began = Instant::now();
        for (line, n) in lines.iter().zip(0u32..) {
            tokio::time::sleep_until(began + pause * n).await;
            line.input(self, Input::Drain);
        }
    }

    /// The line's connection is gone, and the machine knows.
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

    /// Returns when there is no connection, and nothing that one has left to do.
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

    /// From now on the session is this line's. Returns the line that had it.
    pub fn register(&self, session: SessionId, line: &Arc<Line>) -> Option<Arc<Line>> {
        lock(&self.sessions).insert(session, line.clone())
    }

    /// The session is this line's no longer, if it was.
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

    /// Whether this address may open one more.
    pub fn admits(&self, address: Address) -> bool {
        lock(&self.newcomers).admit(address, self.now()).is_ok()
    }

    /// What a session owes that comes back: by its connection of now, or by its last.
    pub fn debt(&self, session: SessionId) -> u64 {
        let now = self.now();
        let left = lock(&self.debts).take(session, now, &self.options.limits);
        self.line_of(session).map_or(left, |line| line.owed(now))
    }

    /// A session's connection is gone, and it owes this.
    pub fn leave_debt(&self, session: SessionId, owed: u64) {
        lock(&self.debts).leave(session, owed, self.now(), &self.options.limits);
    }

    // ---- the log ----

    /// Appends for a line, which hears of it if that fails later. Whether it was taken.
    pub fn append(&self, line: &Arc<Line>, record: Record, id: Option<u64>) -> bool {
        self.watch.append(&self.bus, line, record, id)
    }
}

impl Place {
    /// It counts for this address, unless it counts for one already. Returns the one that it counts for.
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
