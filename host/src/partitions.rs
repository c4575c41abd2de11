//! Which partitions this host owns, and how they are taken over and handed over.
//!
//! A partition is *taken over* by bringing its rooms up to the log's end and then following the log; it is *handed over*
//! by hibernating its rooms. Rooms that are not stored in time are given up: the log has all of their records, and the
//! partition's next host produces the same outputs again, under the same numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chorus_bus::ReadError;
use chorus_core::ids::{Offset, RoomId, Time};
use tokio::{sync::watch, task::JoinHandle};

use crate::{HostError, Shared, alarms, dispatch};

/// How often to check whether all rooms have hibernated.
const LOOK: Duration = Duration::from_millis(5);

/// How long to wait before a broker or a store that did not answer is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// The partitions of this host.
#[derive(Debug)]
pub struct Partitions {
    owned: Mutex<BTreeMap<u32, Owned>>,
    /// How far each has been handed to its rooms: one past the last offset.
    positions: Vec<AtomicU64>,
    /// Where each one's log ended at its takeover: records before that may have been applied by another host.
    inherited: Vec<AtomicU64>,
    /// Where each one's log ended when that was last read.
    ends: Vec<AtomicU64>,
    /// When this host took each over, by its clock.
    taken: Vec<AtomicU64>,
}

#[derive(Debug)]
struct Owned {
    /// `true` from the moment that its rooms are to hibernate.
    leaving: watch::Sender<bool>,
    following: JoinHandle<()>,
}

impl Partitions {
    pub fn new(count: u32) -> Partitions {
        let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
        let (positions, inherited, ends, taken) = (zeros(), zeros(), zeros(), zeros());
        Partitions { owned: Mutex::default(), positions, inherited, ends, taken }
    }

    pub fn owned(&self) -> BTreeSet<u32> {
        self.lock().keys().copied().collect()
    }

    /// Whether this partition's rooms are to hibernate. A partition that is not here has left already.
    pub fn is_leaving(&self, partition: u32) -> bool {
        self.lock().get(&partition).is_none_or(|owned| *owned.leaving.borrow())
    }

    pub fn inherit(&self, partition: u32, end: Offset) {
        self.inherited[partition as usize].store(end, Ordering::Release);
    }

    /// The last offset that another host, or an earlier process of this one, may have applied.
    pub fn inherited(&self, partition: u32) -> Option<Offset> {
        self.inherited[partition as usize].load(Ordering::Acquire).checked_sub(1)
    }

    pub fn moved(&self, partition: u32, end: Offset) {
        self.positions[partition as usize].store(end, Ordering::Release);
    }

    /// One past the last offset that was handed to a room.
    pub fn position(&self, partition: u32) -> Offset {
        self.positions[partition as usize].load(Ordering::Acquire)
    }

    pub fn ends(&self, partition: u32, end: Offset) {
        self.ends[partition as usize].store(end, Ordering::Release);
    }

    /// When this host took the partition over. Timers that were due earlier were due while no host had their room, or
    /// just before the takeover.
    pub fn taken(&self, partition: u32) -> Time {
        Time(self.taken[partition as usize].load(Ordering::Acquire))
    }

    fn take_at(&self, partition: u32, now: Time) {
        self.taken[partition as usize].store(now.0, Ordering::Release);
    }

    /// Records that had not been handed to their rooms when the log's end was last read.
    pub fn lag(&self, partition: u32) -> u64 {
        self.ends[partition as usize].load(Ordering::Acquire).saturating_sub(self.position(partition))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Owned>> {
        self.owned.lock().expect("nobody panics while holding it")
    }
}

/// Takes over the wanted partitions that are not here, and hands over the unwanted ones that are, within this time.
pub async fn own(host: &Arc<Shared>, wanted: &BTreeSet<u32>, within: Duration) -> Result<(), HostError> {
    let here = host.partitions.owned();
    let unwanted: Vec<u32> = here.difference(wanted).copied().collect();
    hand_over(host, &unwanted, within).await;
    let mut refused = Ok(());
    for partition in wanted.difference(&here) {
        match take(host, *partition).await {
            // A loss in one partition is no reason to leave the others alone.
            Err(error @ HostError::Lost(_)) => refused = refused.and(Err(error)),
            done => done?,
        }
    }
    refused
}

async fn take(host: &Arc<Shared>, partition: u32) -> Result<(), HostError> {
    let start = dispatch::prepare(host, partition).await?;
    host.partitions.take_at(partition, host.now());
    let (leaving, stop) = watch::channel(false);
    let following = host.supervise(follow(host.clone(), partition, start, stop));
    host.partitions.lock().insert(partition, Owned { leaving, following });
    // Only now: an alarm restores a room, and a room must not live on a host that does not own its partition.
    if let Err(error) = alarms::load(host, partition).await {
        // No other host would fire these rooms' timers, so the partition must not stay here.
        hand_over(host, &[partition], Duration::ZERO).await;
        return Err(error);
    }
    tracing::info!(partition, "this host has a partition");
    Ok(())
}

/// Hands records to rooms, until the partition is to leave. A log that was truncated ahead of this host shows that
/// another host has the partition too, or had it until just now: the rooms begin anew from what that host has stored.
async fn follow(
    host: Arc<Shared>,
    partition: u32,
    mut start: dispatch::Start,
    leaving: watch::Receiver<bool>,
) -> Result<(), HostError> {
    loop {
        match dispatch::run(host.clone(), partition, start, leaving.clone()).await {
            Err(HostError::Read(ReadError::Gone { from, start, .. })) => {
                tracing::warn!(partition, from, start, "the log was cut ahead of this host; its rooms begin anew");
            }
            done => return done,
        }
        give_up(&host, partition);
        start = begin_anew(&host, partition).await?;
    }
}

async fn begin_anew(host: &Arc<Shared>, partition: u32) -> Result<dispatch::Start, HostError> {
    loop {
        let begun = async {
            let start = dispatch::prepare(host, partition).await?;
            host.partitions.take_at(partition, host.now());
            alarms::load(host, partition).await.map(|()| start)
        };
        match begun.await {
            Err(error) if error.may_pass() => {
                tracing::warn!(partition, %error, "this partition's rooms cannot begin anew; trying again");
                tokio::time::sleep(AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Hibernates the rooms of these partitions, and releases the partitions.
pub async fn hand_over(host: &Arc<Shared>, partitions: &[u32], within: Duration) {
    if partitions.is_empty() {
        return;
    }
    for partition in partitions {
        if let Some(owned) = host.partitions.lock().get(partition) {
            owned.leaving.send_replace(true);
        }
    }
    let all_gone = async {
        while wake_all(host, partitions) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(within, all_gone).await.is_err() {
        tracing::warn!(?partitions, "hibernation timed out; the next host replays these rooms from the record log");
    }
    host.saver.flush().await;
    dispatch::move_checkpoints(host, partitions).await;
    for partition in partitions {
        let owned = host.partitions.lock().remove(partition);
        // Before its rooms are given up: this task must not restore one of them.
        if let Some(owned) = owned {
            owned.following.abort();
            let _ = owned.following.await;
        }
        give_up(host, *partition);
        tracing::info!(partition, "this host has handed a partition over");
    }
}

/// Wakes the tasks of the live rooms of these partitions, and counts them.
fn wake_all(host: &Shared, partitions: &[u32]) -> usize {
    let rooms = host.rooms();
    let theirs = rooms.iter().filter(|(room, _)| partitions.contains(&host.partition_of(**room)));
    theirs.map(|(_, room)| room.wake()).count()
}

/// The remaining rooms of a partition must not be found again: they would miss records that another host handles from now
/// on.
fn give_up(host: &Shared, partition: u32) {
    let of_it = |room: RoomId| host.partition_of(room) == partition;
    host.rooms().retain(|room, mailbox| {
        let goes = of_it(*room);
        if goes {
            mailbox.give_up();
        }
        !goes
    });
    host.alarms.forget(of_it);
}
