//! Snapshots on their way to the store: gathered, and written in one transaction. A room hands one over only when the bus
//! has confirmed all that the records in it caused: whoever starts from a stored snapshot owes nobody anything.
//!
//! The queue is bounded by [`QUEUE`]; a room whose snapshot finds no place waits, and only that room. A store that is
//! gone makes them all wait: games go on until their mailboxes are full. That a room is new is told in passing, so that
//! lists have it at once; it waits for nothing, and is left out when the queue is full.

use std::{sync::Arc, time::Duration};

use chorus_core::ids::{Offset, RoomId};
use chorus_store::{RoomRow, RoomUpdate, Store, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::mailbox::Mailbox;

/// Snapshots waiting at a time.
const QUEUE: usize = 1024;

/// Snapshots written in one transaction.
const BATCH: usize = 256;

/// How long to wait when the store fails.
const RETRY: Duration = Duration::from_millis(500);

/// One room's news for the store.
#[derive(Debug)]
pub struct Job {
    pub update: RoomUpdate,
    /// Told when it is stored: all records up to its offset are.
    pub mailbox: Arc<Mailbox>,
}

#[derive(Debug)]
enum Order {
    Save(Box<Job>),
    /// A room that is new, for lists. Of its state, nothing is stored by this.
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
        // It ends only with the process.
        let _ = self.orders.send(Order::Save(Box::new(job))).await;
    }

    /// Lists a new room, unless more waits than has a place: then it is listed with its first snapshot.
    pub fn list(&self, row: RoomRow) {
        let _ = self.orders.try_send(Order::List(Box::new(row)));
    }

    /// Returns when all that was given before is stored.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

async fn run(store: Store, mut queue: mpsc::Receiver<Order>) {
    let mut orders = Vec::new();
    while queue.recv_many(&mut orders, BATCH).await > 0 {
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
        // What has come further in the same breath is listed by that.
        new.retain(|row: &RoomRow| jobs.iter().all(|job: &Job| job.update.row.id != row.id));
        save_all(&store, new, jobs).await;
        for done in flushes {
            let _ = done.send(());
        }
    }
}

async fn save_all(store: &Store, new: Vec<RoomRow>, jobs: Vec<Job>) {
    let told: Vec<_> = jobs.iter().map(|job| (job.mailbox.clone(), job.update.row.id, job.update.row.offset)).collect();
    let updates = jobs.into_iter().map(|job| job.update);
    let updates: Vec<RoomUpdate> =
        new.into_iter().map(|row| RoomUpdate { row, snapshot: None }).chain(updates).collect();
    #[cfg(feature = "planted-bugs")]
    let older = crate::planted::older(&updates);
    let given_up = write(store, updates).await;
    #[cfg(feature = "planted-bugs")]
    write(store, older).await;
    for (mailbox, room, offset) in told {
        match given_up.iter().find(|(id, _)| *id == room) {
            None => mailbox.stored(offset),
            Some((_, Some(offset))) => mailbox.diverged(*offset),
            Some((_, None)) => {}
        }
    }
}

/// Until it is written. Only what cannot be right is given up: which rooms those were, and after which record the store
/// has another state of them.
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
