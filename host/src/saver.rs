//! Snapshots in flight to the store, written in batches of one transaction. A room hands a snapshot over only when the
//! bus has confirmed all that the records in it caused, so a host that restores from a stored snapshot has nothing to
//! send again.
//!
//! The queue is bounded by [`QUEUE`]; a room whose snapshot finds no place waits, and only that room. While the store is down
//! all such rooms wait, and games continue until their mailboxes are full. A new room is also reported at once, for lists;
//! nothing waits for that, and it is left out when the queue is full.

use std::{sync::Arc, time::Duration};

use chorus_core::{
    hosting::{Save, Summary},
    ids::{Offset, RoomId},
    json::Json,
};
use chorus_store::{RoomRow, RoomStatus, RoomUpdate, Snapshot, Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::mailbox::Mailbox;

/// Snapshots waiting at a time.
const QUEUE: usize = 1024;

/// Snapshots written in one transaction.
const BATCH: usize = 256;

/// The longest delay of an update for the sake of those after it: a transaction costs as much as several updates. No player
/// waits for a snapshot or for a list.
const LINGER: Duration = Duration::from_millis(10);

/// How long to wait when the store fails.
const RETRY: Duration = Duration::from_millis(500);

/// One room's update for the store.
#[derive(Debug)]
pub struct Job {
    pub update: RoomUpdate,
    /// Notified when the update is stored, and with it all records up to its offset.
    pub mailbox: Arc<Mailbox>,
}

#[derive(Debug)]
enum Order {
    Save(Box<Job>),
    /// A new room, for lists. Stores nothing of its state.
    List(Box<RoomRow>),
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
pub struct Saver {
    orders: mpsc::Sender<Order>,
}

impl Saver {
    pub fn start(store: Store) -> Saver {
        let (orders, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(store, queue));
        Saver { orders }
    }

    pub async fn save(&self, job: Job) {
        // The receiver ends only with the process.
        let _ = self.orders.send(Order::Save(Box::new(job))).await;
    }

    /// Lists a new room, unless the queue is full: then the room is listed with its first snapshot.
    pub fn list(&self, row: RoomRow) {
        let _ = self.orders.try_send(Order::List(Box::new(row)));
    }

    /// Returns when all orders before it are stored.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

/// A save of the hosting machine, in the store's terms.
pub fn update_of(save: Save) -> RoomUpdate {
    let Save { offset, summary, snapshot, ended } = save;
    let component = summary.component;
    let mut row = row(offset, summary);
    if let Some(ended) = ended {
        row.status = if ended.failed.is_some() { RoomStatus::Failed } else { RoomStatus::Ended };
        row.ended_at = Some(ended.at);
        row.outcome = Some(ended.failed.map_or(ended.outcome, |reason| Json::of(&reason)));
    }
    let state = |bytes| Snapshot { offset, component, state: bytes::Bytes::from_owner(bytes) };
    RoomUpdate { row, snapshot: snapshot.map(state) }
}

/// The row of a new room. It has no timer: until the room has a snapshot, the log restores it.
pub fn listed(offset: Offset, summary: Summary) -> RoomRow {
    RoomRow { next_timer_at: None, ..row(offset, summary) }
}

fn row(offset: Offset, summary: Summary) -> RoomRow {
    let Summary { id, kind, component, creator, created, next_timer, clock, metadata, members } = summary;
    RoomRow {
        id,
        offset,
        kind,
        component,
        status: RoomStatus::Live,
        creator,
        created_at: created,
        ended_at: None,
        outcome: None,
        next_timer_at: next_timer,
        clock,
        metadata,
        members,
    }
}

async fn run(store: Store, mut queue: mpsc::Receiver<Order>) {
    let mut orders = Vec::new();
    while queue.recv_many(&mut orders, BATCH).await > 0 {
        linger(&mut orders, &mut queue).await;
        let mut jobs = Vec::new();
        let mut new = Vec::new();
        let mut flushes = Vec::new();
        for order in orders.drain(..) {
            match order {
                Order::Save(job) => jobs.push(*job),
                Order::List(row) => new.push(*row),
                Order::Flush(done) => flushes.push(done),
            }
        }
        // A room whose snapshot is in the same batch is listed by that snapshot.
        new.retain(|row: &RoomRow| jobs.iter().all(|job: &Job| job.update.row.id != row.id));
        save_all(&store, new, jobs).await;
        for done in flushes {
            let _ = done.send(());
        }
    }
}

/// Collects what arrives until a batch is full or [`LINGER`] is over. Somebody waits for a flush.
async fn linger(orders: &mut Vec<Order>, queue: &mut mpsc::Receiver<Order>) {
    let until = Instant::now() + LINGER;
    while orders.len() < BATCH && !orders.iter().any(|order| matches!(order, Order::Flush(_))) {
        match timeout_at(until, queue.recv_many(orders, BATCH - orders.len())).await {
            Ok(1..) => {}
            // The time is over, or the process ends.
            Ok(0) | Err(_) => return,
        }
    }
}

async fn save_all(store: &Store, new: Vec<RoomRow>, jobs: Vec<Job>) {
    let notified: Vec<_> =
        jobs.iter().map(|job| (job.mailbox.clone(), job.update.row.id, job.update.row.offset)).collect();
    let updates = jobs.into_iter().map(|job| job.update);
    let updates: Vec<RoomUpdate> =
        new.into_iter().map(|row| RoomUpdate { row, snapshot: None }).chain(updates).collect();
    #[cfg(feature = "planted-bugs")]
    let older = crate::planted::older(&updates);
    let given_up = write(store, updates).await;
    #[cfg(feature = "planted-bugs")]
    write(store, older).await;
    for (mailbox, room, offset) in notified {
        match given_up.iter().find(|(id, _)| *id == room) {
            None => mailbox.stored(offset),
            Some((_, Some(offset))) => mailbox.diverged(*offset),
            Some((_, None)) => {}
        }
    }
}

/// Retries until the updates are written. Gives up the updates of a room of which the store has another state, and all of them
/// when the store is closed. Returns the rooms whose updates were given up, each with the record after which the store has
/// another state, if it has one.
async fn write(store: &Store, mut updates: Vec<RoomUpdate>) -> Vec<(RoomId, Option<Offset>)> {
    let mut given_up = Vec::new();
    loop {
        match store.write_rooms(updates.clone()).await {
            Ok(()) => return given_up,
            Err(StoreError::Diverged { room, offset }) => {
                updates.retain(|update| update.row.id != room);
                given_up.push((room, Some(offset)));
            }
            Err(StoreError::Closed) => {
                given_up.extend(updates.iter().map(|update| (update.row.id, None)));
                return given_up;
            }
            Err(error) => {
                tracing::warn!(%error, "snapshots are not stored; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
