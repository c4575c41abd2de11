//! The room server: reads its partitions' records, runs their rooms in the sandbox, and sends the rooms' outputs.
//!
//! ```text
//! bus ─▶ dispatch ─▶ mailbox ─▶ room task: core::room + a guest instance ─▶ bus (rooms, edges)
//!                                    └─ snapshots ─▶ saver ─▶ store
//! ```
//! Each live room has one task ([`room_task`]). A hibernated room has a snapshot in the store and, if it has a timer, one
//! entry in [`alarms`], and nothing else. No other crate uses wasmtime; here, only [`guest`] does.
//!
//! Bounds: a mailbox holds [`mailbox::CAPACITY`] records, and a room that lags further behind reads the log itself; the
//! engine's pool bounds live instances; [`saver`]'s queue bounds snapshots in flight; the checkpoint, which [`dispatch`]
//! advances as snapshots are stored, bounds the log.

mod alarms;
mod catalogue;
mod components;
mod dispatch;
pub mod guest;
mod inspect;
mod mailbox;
mod meter;
mod metrics;
mod outbox;
mod partitions;
#[cfg(feature = "planted-bugs")]
mod planted;
mod report;
mod request;
mod resources;
mod room_events;
pub use room_events::MODULE_STATE;
mod room_table;
mod room_task;
mod saver;
mod session_end;
mod stored_room;
mod whole;

use std::{
    collections::BTreeSet,
    num::NonZero,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use chorus_bus::{Bus, ReadError};
use chorus_core::{
    command::{Record, RoomCommand},
    effect::LogLevel,
    hosting::Scarcity,
    ids::{Digest, Kind, Offset, RoomId, RoomSecret, Time},
    json::Json,
    room::{self, Notice},
};
use chorus_store::{RoomFilter, RoomStatus, Store, StoreError};
use futures_util::FutureExt as _;
use tokio::{
    sync::{Semaphore, broadcast, mpsc, watch},
    task::JoinHandle,
};

pub use components::Components;
pub use inspect::{Look, Rebuilt};
pub use whole::{Lost, Rooms};

use crate::{
    alarms::Alarms,
    catalogue::Catalogue,
    guest::Engine,
    metrics::{Gauges, Metrics},
    partitions::Partitions,
    resources::RESOURCE_RETRY,
    room_table::RoomTable,
    saver::Saver,
};

/// A host's configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// A room that has been idle for this long hibernates. By default as long as its memory costs about what hibernating and
    /// waking do: see docs/performance.md.
    pub hibernate_after: Duration,
    /// The longest time until a record is in a snapshot of its room.
    pub snapshot_after: Duration,
    /// How often the checkpoint advances and the log is truncated.
    pub checkpoint_every: Duration,
    /// Whether the log is truncated below the checkpoint. If not, it keeps every record, for later checks.
    pub truncate: bool,
    /// Whether to continue without data that the log or the store has lost; see [`Lost`].
    pub accept_loss: bool,
}

impl Default for Options {
    fn default() -> Options {
        let seconds = Duration::from_secs;
        Options {
            hibernate_after: seconds(30),
            snapshot_after: seconds(30),
            checkpoint_every: seconds(5),
            truncate: true,
            accept_loss: false,
        }
    }
}

/// Why a host cannot start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the log cannot be written: {0}")]
    Append(#[from] chorus_bus::AppendError),
    #[error("the log does not say how far it goes: {0}")]
    Bounds(#[from] chorus_bus::BoundsError),
    #[error("an edge's channel cannot be written: {0}")]
    Send(#[from] chorus_bus::SendError),
    #[error("a part of the host has panicked; the lines before this one say where")]
    Panicked,
    #[error("the log cannot be set to go on after the store: {0}")]
    Skip(#[from] chorus_bus::SkipError),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error("the rooms of this store cannot be continued: {0}")]
    Format(chorus_core::wire::DecodeError),
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(String),
    #[error("there is no component for the kind {kind}: publish one")]
    NoComponent { kind: Kind },
    #[error("the room {room} is of kind {has}, not {wanted}")]
    OtherKind { room: RoomId, has: Kind, wanted: Kind },
    #[error("component {digest} of kind {kind} cannot be used: {reason}")]
    Component { kind: Kind, digest: Digest, reason: String },
}

impl HostError {
    /// Whether the store or the broker did not answer. The same operation may succeed a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, HostError::Store(_) | HostError::Bounds(_) | HostError::Append(_) | HostError::Skip(_))
    }
}

/// What happened in a room, for watchers: the author's terminal and page, the operator's events.
#[derive(Clone, Debug)]
pub struct HostEvent {
    pub room: RoomId,
    pub kind: Option<Kind>,
    pub what: HostEventKind,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum HostEventKind {
    Notice(Notice),
    /// A script's own log line. May hold players' words.
    Log(LogLevel, Arc<str>),
    Ended {
        failed: Option<Arc<str>>,
    },
    /// A call failed: the handler, and the reason, at the author's lines. May hold players' words.
    Failed {
        offset: Offset,
        handler: Arc<str>,
        text: Arc<str>,
    },
}

/// How many events a watcher may lag behind. A slower watcher loses the oldest events, and never delays a room.
const EVENTS: usize = 1024;

/// A running host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub options: Options,
    pub bus: Bus,
    pub store: Store,
    pub catalogue: Catalogue,
    pub saver: Saver,
    pub alarms: Alarms,
    pub events: broadcast::Sender<HostEvent>,
    pub partitions: Partitions,
    rooms: Mutex<RoomTable>,
    /// When instances were last reclaimed.
    reclaimed: Mutex<Option<Instant>>,
    /// `true` from the moment that the host is to end; its tasks other than rooms end then.
    pub stopping: watch::Sender<bool>,
    /// The first failure ends the host.
    failures: mpsc::UnboundedSender<HostError>,
    /// Permits to perform a room's request: see [`request`].
    pub requests: Semaphore,
    pub metrics: Metrics,
}

/// Starts a host that owns all partitions of `bus`. It runs until [`Host::drain`], or until the future that comes with it
/// resolves: then the host has failed, and nothing that it had confirmed is lost.
pub async fn start(
    options: Options,
    bus: Bus,
    store: Store,
    engine: Engine,
) -> Result<(Host, impl Future<Output = HostError> + Send), HostError> {
    let all = (0..bus.partitions()).collect();
    let (host, failed) = join(options, bus, store, engine).await?;
    if let Err(error) = host.own(&all, Duration::ZERO).await {
        // The host's own tasks end, and release the log.
        host.drain(Duration::ZERO).await;
        return Err(error);
    }
    Ok((host, failed))
}

/// Starts a host without partitions: one of several, whose partitions are set by [`Host::own`].
pub async fn join(
    options: Options,
    bus: Bus,
    store: Store,
    engine: Engine,
) -> Result<(Host, impl Future<Output = HostError> + Send), HostError> {
    stored_room::check_format(&store).await?;
    let (events, _) = broadcast::channel(EVENTS);
    let (failures, mut failed) = mpsc::unbounded_channel();
    let (stopping, _) = watch::channel(false);
    let catalogue = Catalogue::open(engine, store.clone()).await?;
    let saver = Saver::start(store.clone());
    let alarms = Alarms::default();
    let partitions = Partitions::new(bus.partitions());
    // Restores in the background use at most half of the cores: the others are free for the rooms that players wait for.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rooms = Mutex::new(RoomTable::new(cores / 2));
    let metrics = Metrics::default();
    let shared = Arc::new(Shared {
        options,
        bus,
        store,
        catalogue,
        saver,
        alarms,
        events,
        partitions,
        rooms,
        reclaimed: Mutex::default(),
        stopping,
        failures,
        requests: Semaphore::new(request::PARALLEL),
        metrics,
    });
    shared.supervise(alarms::run(shared.clone()));
    shared.supervise(dispatch::keep_checkpoints(shared.clone()));
    let failed = async move {
        match failed.recv().await {
            Some(error) => error,
            // The host itself holds the sender.
            None => std::future::pending().await,
        }
    };
    Ok((Host(shared), failed))
}

impl Host {
    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.0.events.subscribe()
    }

    /// Rooms that have a task, and maybe an instance.
    pub fn live_rooms(&self) -> usize {
        self.0.rooms().live.len()
    }

    /// Creates this room with the active component of `kind`, if it does not exist yet.
    ///
    /// # Errors
    /// When the kind has no component, or the log cannot be written.
    pub async fn ensure(&self, room: RoomId, kind: &Kind) -> Result<(), HostError> {
        let host = &self.0;
        let known = host.store.room(room).await?.filter(|row| row.status == RoomStatus::Live);
        if let Some(row) = known.filter(|row| row.kind != *kind) {
            return Err(HostError::OtherKind { room, has: row.kind, wanted: kind.clone() });
        }
        if host.is_stored(room).await? {
            return Ok(());
        }
        let component = host.catalogue.active(kind).ok_or_else(|| HostError::NoComponent { kind: kind.clone() })?;
        let options = Json::trusted("{}");
        // A second `Create`, of a room that is not in the store yet, is ignored.
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| HostError::NoRandomness(error.to_string()))?;
        let secret = RoomSecret(u128::from_be_bytes(secret));
        let (kind, creator, allowance) = (kind.clone(), None, room::MAX_ALLOWANCE);
        let create = RoomCommand::Create { kind, component, options, creator, secret, allowance };
        host.append(room, create).await?.await?;
        Ok(())
    }

    /// Makes `digest` the component of all rooms of its kind, future and existing: each room that may run another
    /// component gets a `Swap` in its channel. Returns the number of those rooms.
    ///
    /// # Errors
    /// When the component cannot be loaded; then nothing has changed.
    pub async fn activate(&self, kind: &Kind, digest: Digest) -> Result<usize, HostError> {
        let host = &self.0;
        host.catalogue.activate(kind, digest).await?;
        let mut rooms = host.stored_behind(kind, digest).await?;
        rooms
            .extend(host.rooms().live.iter().filter(|(_, room)| room.kind().as_ref() == Some(kind)).map(|(id, _)| *id));
        rooms.sort_unstable();
        rooms.dedup();
        host.order_swaps(&rooms, digest).await?;
        Ok(rooms.len())
    }

    /// Completes an [`Host::activate`] that a kill interrupted: each room that runs another component, according to the store, gets a
    /// `Swap`. Loads nothing, so that a start takes no longer for it. Returns the number of those rooms.
    pub async fn complete_activation(&self, kind: &Kind, digest: Digest) -> Result<usize, HostError> {
        let rooms = self.0.stored_behind(kind, digest).await?;
        self.0.order_swaps(&rooms, digest).await?;
        Ok(rooms.len())
    }

    /// Loads a component ahead of its first room.
    pub async fn load(&self, digest: Digest) -> Result<(), guest::CannotLoad> {
        self.0.catalogue.load(digest).await.map(drop)
    }

    /// Makes these partitions this host's, and no others. Rooms of partitions that are handed over have `within` to be
    /// stored.
    ///
    /// # Errors
    /// When a partition cannot be taken over; then it is not owned, and may be requested again.
    pub async fn own(&self, partitions: &BTreeSet<u32>, within: Duration) -> Result<(), HostError> {
        partitions::assign(&self.0, partitions, within).await
    }

    /// The partitions that are this host's.
    pub fn owned(&self) -> BTreeSet<u32> {
        self.0.partitions.owned()
    }

    /// Registers this host's metrics.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        let host = self.0.clone();
        self.0.metrics.register(move || Gauges::of(&host), registry);
    }

    /// Reads the active component of each kind again. For a host whose operators use another machine.
    pub async fn refresh_kinds(&self) -> Result<(), HostError> {
        self.0.refresh_kinds().await
    }

    /// Snapshots all rooms, stores them, and stops. Records of rooms that are not stored after `within` are in the log.
    pub async fn drain(&self, within: Duration) {
        if let Err(error) = partitions::assign(&self.0, &BTreeSet::new(), within).await {
            tracing::warn!(%error, "a partition could not be handed over in good order");
        }
        self.0.stopping.send_replace(true);
    }
}

impl Shared {
    /// Whether the store has a state of this room, or its end. A row in the list proves less: a power cut may have lost
    /// the room's records in the log.
    /// The live rooms of a kind that run another component than this one, according to the store.
    async fn stored_behind(&self, kind: &Kind, digest: Digest) -> Result<Vec<RoomId>, StoreError> {
        let (kind, status) = (Some(kind.clone()), Some(RoomStatus::Live));
        let behind = RoomFilter { kind, status, other_than: Some(digest) };
        Ok(self.store.rooms(&behind, None, u32::MAX).await?.into_iter().map(|row| row.id).collect())
    }

    async fn order_swaps(self: &Arc<Self>, rooms: &[RoomId], digest: Digest) -> Result<(), HostError> {
        for room in rooms {
            #[cfg(feature = "planted-bugs")]
            if chorus_core::planted::planted(chorus_core::planted::Bug::SwapOutsideTheLog) {
                planted::outside_the_log(self, *room, RoomCommand::Swap { component: digest, rollout: None }).await;
                continue;
            }
            self.append(*room, RoomCommand::Swap { component: digest, rollout: None }).await?;
        }
        Ok(())
    }

    async fn is_stored(&self, room: RoomId) -> Result<bool, StoreError> {
        match self.store.room(room).await? {
            Some(row) if row.status == RoomStatus::Live => Ok(self.store.snapshot(room).await?.is_some()),
            row => Ok(row.is_some()),
        }
    }

    pub fn rooms(&self) -> MutexGuard<'_, RoomTable> {
        self.rooms.lock().expect("nobody panics while holding it")
    }

    /// Reads the active component of each kind again. An activation appends a `Swap` to the rooms that are in the store; a room
    /// that is not stored yet appends its own.
    pub async fn refresh_kinds(&self) -> Result<(), HostError> {
        for (kind, component) in self.catalogue.refresh().await? {
            let rooms = self.rooms();
            let of_kind = rooms.live.values().filter(|room| room.kind().as_ref() == Some(&kind));
            of_kind.for_each(|room| room.set_active_component(component));
        }
        Ok(())
    }

    /// This process's clock, which never goes back.
    pub fn now(&self) -> Time {
        self.store.clock().now()
    }

    pub fn partition_of(&self, room: RoomId) -> u32 {
        room.partition(self.bus.partitions())
    }

    /// Runs a task that the host cannot do without: its error or panic is the host's failure.
    pub fn supervise(&self, task: impl Future<Output = Result<(), HostError>> + Send + 'static) -> JoinHandle<()> {
        let failures = self.failures.clone();
        tokio::spawn(async move {
            let failure = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => HostError::Panicked,
            };
            // The receiver is gone when the host is already ending.
            let _ = failures.send(failure);
        })
    }

    /// Appends to a room's channel, and retries while the bus is full. The record's place in the log is fixed when this
    /// returns.
    pub async fn append(&self, room: RoomId, command: RoomCommand) -> Result<chorus_bus::Append, HostError> {
        self.append_at(self.now(), room, command).await
    }

    /// The same, with a time that is not from this host's clock.
    pub async fn append_at(
        &self,
        time: Time,
        room: RoomId,
        command: RoomCommand,
    ) -> Result<chorus_bus::Append, HostError> {
        let append = self.bus.append_retrying(&Record { room, time, command }).await?;
        // No client waits for a room's append, and the room must not continue without it.
        Ok(append.without_deadline())
    }
}

impl Shared {
    /// How much sooner idle rooms are to hibernate.
    fn scarcity(&self) -> Scarcity {
        NonZero::new(self.catalogue.places())
            .map_or_else(Scarcity::default, |places| Scarcity::of(self.catalogue.instances(), places))
    }

    /// An instance is needed: every room checks whether it may hibernate. Once in a while for all that need one: many may wait,
    /// and to wake all rooms for each of them would leave no time to hibernate.
    fn reclaim_instances(&self) {
        let mut reclaimed = self.reclaimed.lock().expect("nobody panics while holding it");
        if reclaimed.is_some_and(|at| at.elapsed() < RESOURCE_RETRY) {
            return;
        }
        *reclaimed = Some(Instant::now());
        for room in self.rooms().live.values() {
            room.wake();
        }
    }
}
