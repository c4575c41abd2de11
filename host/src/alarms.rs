//! Timers of rooms that have no task: one entry for each room, which restores the room when it is due.
//!
//! A live room watches its own timers, and appends the `Timer` records for them. An entry is due by this host's clock: at
//! the time that `chorus_core::room::RoomClock` computed for a room that hibernated here, and at the time of `wakes_at`
//! for a room found in the store.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chorus_core::{
    hosting::Hibernation,
    ids::{RoomId, Time},
    room::{RoomClock, wakes_at},
};
use tokio::sync::Notify;

use crate::{HostError, Shared, dispatch};

#[derive(Debug, Default)]
pub struct Alarms {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    by_time: BTreeSet<(Time, RoomId)>,
    by_room: HashMap<RoomId, Time>,
    /// Clocks of rooms that hibernated while they were ahead of this host's clock.
    clocks: HashMap<RoomId, RoomClock>,
}

impl Alarms {
    /// The room is restored at `due`.
    pub fn set(&self, room: RoomId, due: Time) {
        let mut inner = self.lock();
        inner.remove(room);
        inner.by_time.insert((due, room));
        inner.by_room.insert(room, due);
        let is_first = inner.by_time.first() == Some(&(due, room));
        drop(inner);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// Keeps the alarm and the clock of a room that hibernates, until the room is restored here.
    pub fn hibernated(&self, room: RoomId, hibernation: Hibernation) {
        hibernation.alarm.into_iter().for_each(|due| self.set(room, due));
        if let Some(clock) = hibernation.clock {
            self.lock().clocks.insert(room, clock);
        }
    }

    pub fn take_clock(&self, room: RoomId) -> Option<RoomClock> {
        self.lock().clocks.remove(&room)
    }

    /// Sets an entry from the store, unless the room is live: a live room has newer timers than the store.
    fn set_unless_awake(&self, host: &Shared, room: RoomId, due: Time) {
        // Under the map's lock, as when a room hibernates or is restored.
        let rooms = host.rooms();
        if !rooms.live.contains_key(&room) {
            self.set(room, due);
        }
    }

    /// The room is live, and watches its timers itself.
    pub fn clear(&self, room: RoomId) {
        self.lock().remove(room);
    }

    /// Drops the entries of these rooms: another host has the rooms now.
    pub fn forget(&self, which: impl Fn(RoomId) -> bool) {
        let mut inner = self.lock();
        let theirs: Vec<RoomId> = inner.by_room.keys().copied().filter(|room| which(*room)).collect();
        theirs.into_iter().for_each(|room| inner.remove(room));
        inner.clocks.retain(|room, _| !which(*room));
    }

    fn next(&self) -> Option<Time> {
        self.lock().by_time.first().map(|(due, _)| *due)
    }

    fn take_due(&self, now: Time) -> Vec<RoomId> {
        let mut inner = self.lock();
        let mut due = Vec::new();
        while let Some((_, room)) = inner.by_time.first().copied().filter(|(time, _)| *time <= now) {
            inner.remove(room);
            due.push(room);
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding it")
    }
}

impl Inner {
    fn remove(&mut self, room: RoomId) {
        if let Some(due) = self.by_room.remove(&room) {
            self.by_time.remove(&(due, room));
        }
    }
}

/// Sets entries for the timers of a partition's rooms at its takeover.
pub async fn load(host: &Shared, partition: u32) -> Result<(), HostError> {
    let mut after = None;
    loop {
        let timers = host.store.timers(&[partition], after, PAGE).await?;
        after = timers.last().map(|(due, room, _)| (*due, *room));
        if after.is_none() {
            return Ok(());
        }
        let taken = host.partitions.taken(partition);
        for (due, room, clock) in timers {
            host.alarms.set_unless_awake(host, room, wakes_at(due, clock, taken));
        }
    }
}

/// Restores rooms as their timers come due, until the host is to end.
pub async fn run(host: Arc<Shared>) -> Result<(), HostError> {
    let mut stopping = host.stopping.subscribe();
    loop {
        let wait = host.alarms.next().map_or(LONG, |due| Duration::from_millis(due.since(host.now())).min(LONG));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = host.alarms.changed.notified() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
        }
        for room in host.alarms.take_due(host.now()) {
            dispatch::wake(&host, room);
        }
    }
}

/// Timers read from the store at a time.
const PAGE: u32 = 10_000;

/// How soon to look again when there is no entry.
const LONG: Duration = Duration::from_secs(30);
