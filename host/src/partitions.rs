//! The partitions of this host: carries out what `core::hosting::ownership` decides.
//!
//! That machine holds the state of each partition. This module follows the partitions' logs, and hibernates or gives up their
//! rooms.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chorus_bus::ReadError;
use chorus_core::{
    hosting::ownership::{Input, Output, Ownership},
    ids::{Offset, RoomId, Time},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{HostError, Shared, alarms, dispatch};

/// How often to check whether all rooms have hibernated.
const HIBERNATION_POLL: Duration = Duration::from_millis(5);

/// How many partitions are taken over at a time.
const TAKEN_AT_ONCE: usize = 8;

/// How long to wait before a broker or a store that did not answer is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The partitions of this host.
#[derive(Debug)]
pub struct Partitions {
    ownership: Mutex<Ownership>,
    /// Held while outputs of the machine are carried out.
    driving: tokio::sync::Mutex<()>,
    following: Mutex<BTreeMap<u32, Following>>,
    /// How far each has been handed to its rooms: one past the last offset.
    positions: Vec<AtomicU64>,
    /// Where each one's log ended at its takeover: records before that may have been applied by another host.
    inherited: Vec<AtomicU64>,
    /// Where each one's log ended when that was last read.
    ends: Vec<AtomicU64>,
    /// Below which offset this host has truncated each one's log since it took the partition over.
    truncated: Vec<AtomicU64>,
    /// When this host took each over, by its clock.
    taken: Vec<AtomicU64>,
}

/// The task that hands the records of a partition to its rooms.
#[derive(Debug)]
struct Following {
    /// Set to `true` when the log is no longer to be followed.
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Partitions {
    pub fn new(count: u32) -> Partitions {
        let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
        let (positions, inherited, ends, truncated, taken) = (zeros(), zeros(), zeros(), zeros(), zeros());
        let (ownership, driving, following) = (Mutex::default(), tokio::sync::Mutex::default(), Mutex::default());
        Partitions { ownership, driving, following, positions, inherited, ends, truncated, taken }
    }

    pub fn owned(&self) -> BTreeSet<u32> {
        lock(&self.ownership).owned()
    }

    /// Whether this partition's rooms are to hibernate. Also true of a partition that this host does not have.
    pub fn is_leaving(&self, partition: u32) -> bool {
        lock(&self.ownership).is_leaving(partition)
    }

    pub fn inherit(&self, partition: u32, end: Offset) {
        self.inherited[partition as usize].store(end, Ordering::Release);
    }

    /// The last offset that another host, or an earlier process of this one, may have applied.
    pub fn inherited(&self, partition: u32) -> Option<Offset> {
        self.inherited[partition as usize].load(Ordering::Acquire).checked_sub(1)
    }

    pub fn set_position(&self, partition: u32, end: Offset) {
        self.positions[partition as usize].store(end, Ordering::Release);
    }

    /// One past the last offset that was handed to a room.
    pub fn position(&self, partition: u32) -> Offset {
        self.positions[partition as usize].load(Ordering::Acquire)
    }

    pub fn set_end(&self, partition: u32, end: Offset) {
        self.ends[partition as usize].store(end, Ordering::Release);
    }

    pub fn set_truncated(&self, partition: u32, before: Offset) {
        self.truncated[partition as usize].store(before, Ordering::Release);
    }

    pub fn truncated(&self, partition: u32) -> Offset {
        self.truncated[partition as usize].load(Ordering::Acquire)
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

    fn handle(&self, input: Input, now: Time) {
        lock(&self.ownership).handle(input, now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

/// Hands over this host's partitions that are not assigned, within this time, and takes over the assigned ones that it does not
/// have.
pub async fn assign(host: &Arc<Shared>, assigned: &BTreeSet<u32>, within: Duration) -> Result<(), HostError> {
    let _driving = host.partitions.driving.lock().await;
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    host.partitions.handle(Input::Assigned { partitions: assigned.clone(), within_ms }, host.now());
    let mut result = Ok(());
    let (mut taking, mut hibernating) = (Vec::new(), BTreeSet::new());
    loop {
        let output = lock(&host.partitions.ownership).poll_output();
        match output {
            Some(output) => carry_out(host, output, &mut taking, &mut hibernating).await,
            None if !taking.is_empty() => take_all(host, std::mem::take(&mut taking), &mut result).await,
            None if lock(&host.partitions.ownership).is_settled() => return result,
            None => await_hibernation(host, &mut hibernating).await,
        }
    }
}

async fn carry_out(host: &Arc<Shared>, output: Output, taking: &mut Vec<u32>, hibernating: &mut BTreeSet<u32>) {
    let input = match output {
        Output::Take(partition) => return taking.push(partition),
        Output::Hibernate(partition) => {
            // No record reaches its rooms any longer, so each of them hibernates once it is stored.
            if let Some(following) = lock(&host.partitions.following).get(&partition) {
                following.stop.send_replace(true);
            }
            host.rooms().restore_no_longer(|room| host.partition_of(room) == partition);
            hibernating.insert(partition);
            return;
        }
        Output::Store(partition) => {
            hibernating.remove(&partition);
            host.saver.flush().await;
            dispatch::move_checkpoints(host, &[partition]).await;
            Input::Stored(partition)
        }
        Output::Release(partition) => {
            stop_following(host, partition).await;
            tracing::info!(partition, "this host has handed a partition over");
            return;
        }
    };
    host.partitions.handle(input, host.now());
}

/// Reports the partitions without live rooms, and that time has passed.
async fn await_hibernation(host: &Arc<Shared>, hibernating: &mut BTreeSet<u32>) {
    let (now, deadline) = (host.now(), lock(&host.partitions.ownership).poll_timeout());
    if deadline.is_some_and(|deadline| deadline <= now) {
        tracing::warn!(?hibernating, "hibernation timed out; the next host replays these rooms from the record log");
        return host.partitions.handle(Input::Tick, now);
    }
    let live = wake_all(host, hibernating);
    for partition in hibernating.difference(&live) {
        host.partitions.handle(Input::Hibernated(*partition), now);
    }
    if live == *hibernating {
        tokio::time::sleep(HIBERNATION_POLL).await;
    }
}

/// Takes partitions over, some at a time: most of a takeover is waiting for the broker and the store. After a loss in one
/// partition the others are still taken over. Any other failure concerns all of them: the rest wait for the next assignment.
async fn take_all(host: &Arc<Shared>, partitions: Vec<u32>, result: &mut Result<(), HostError>) {
    for some in partitions.chunks(TAKEN_AT_ONCE) {
        let failed = matches!(result, Err(error) if !matches!(error, HostError::Lost(_)));
        let taken = match failed {
            true => Vec::new(),
            false => futures_util::future::join_all(some.iter().map(|partition| take(host, *partition))).await,
        };
        let mut done = taken.iter().map(Result::is_ok).collect::<Vec<bool>>().into_iter();
        for partition in some {
            let done = done.next().unwrap_or(false);
            host.partitions.handle(Input::Taken { partition: *partition, done }, host.now());
        }
        for taken in taken {
            if result.is_ok() || !matches!(taken, Err(HostError::Lost(_)) | Ok(())) {
                *result = taken;
            }
        }
    }
}

async fn take(host: &Arc<Shared>, partition: u32) -> Result<(), HostError> {
    let start = dispatch::prepare(host, partition).await?;
    host.partitions.take_at(partition, host.now());
    host.partitions.set_truncated(partition, 0);
    let (stop, stopped) = watch::channel(false);
    let task = host.supervise(follow(host.clone(), partition, start, stopped));
    lock(&host.partitions.following).insert(partition, Following { stop, task });
    // Only now: an alarm restores a room, and a room must not be live on a host that does not own its partition.
    if let Err(error) = alarms::load(host, partition).await {
        // No other host would fire these rooms' timers, so the partition must not stay here.
        stop_following(host, partition).await;
        return Err(error);
    }
    tracing::info!(partition, "this host has a partition");
    Ok(())
}

/// Stops following the partition's log, and gives up the rooms that are still live.
async fn stop_following(host: &Shared, partition: u32) {
    let following = lock(&host.partitions.following).remove(&partition);
    // Before the rooms are given up: this task must not restore one of them.
    if let Some(following) = following {
        following.stop.send_replace(true);
        following.task.abort();
        let _ = following.task.await;
    }
    give_up(host, partition);
}

/// Hands records to rooms, until the partition is to be handed over. A log that was truncated ahead of this host shows that
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
                tokio::time::sleep(RETRY_DELAY).await;
            }
            done => return done,
        }
    }
}

/// Wakes the tasks of the live rooms of these partitions. Returns the partitions that have some.
fn wake_all(host: &Shared, partitions: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut live = BTreeSet::new();
    for (room, mailbox) in &host.rooms().live {
        let partition = host.partition_of(*room);
        if partitions.contains(&partition) {
            mailbox.wake();
            live.insert(partition);
        }
    }
    live
}

/// Gives up the remaining rooms of a partition.
fn give_up(host: &Shared, partition: u32) {
    let of_it = |room: RoomId| host.partition_of(room) == partition;
    host.rooms().give_up(of_it);
    host.alarms.forget(of_it);
}
