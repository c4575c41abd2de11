//! `chorus host`: rooms.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use chorus_core::ids::{Kind, MachineId, RoomId};
use chorus_host::{Host, HostError, Lost, guest};
use chorus_store::{MachineState, Registration, Role, Store};
use clap::Args;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Machine, Shared, heartbeat::Heartbeat, status};
use crate::{
    cache,
    seconds::Seconds,
    stop::{CLOSING, Stop},
};

/// Runs rooms
///
/// A monitor says which partitions of the rooms are this host's. On SIGTERM it stores its rooms, hands them over, and
/// leaves; players' sockets stay open.
#[derive(Debug, Args)]
pub struct Options {
    /// The kind of the room that every session joins first
    #[arg(long, env = "CHORUS_LOBBY", value_name = "KIND", default_value = "lobby", value_parser = super::kind)]
    lobby: Kind,
    #[command(flatten)]
    cache: cache::Options,
    /// Rooms with an instance at once; each reserves address space, and no memory
    #[arg(long, env = "CHORUS_MAX_INSTANCES", value_name = "N", default_value_t = guest::Options::MAX_INSTANCES)]
    max_instances: u32,
    /// A room that has been idle for this long hibernates: its snapshot stays, and its instance is dropped
    #[arg(long, env = "CHORUS_HIBERNATE_AFTER", value_name = "SECONDS", default_value_t = Seconds::new(60))]
    hibernate_after: Seconds,
    /// Never cuts the log, and keeps the hashes of all snapshots, so that `chorus audit` can check all that was played;
    /// both grow without bound
    #[arg(long, env = "CHORUS_KEEP_LOG")]
    keep_log: bool,
    /// On SIGTERM, how long to wait for a monitor to give the partitions to other hosts
    #[arg(long, env = "CHORUS_HAND_OVER", value_name = "SECONDS", default_value_t = Seconds::new(15))]
    hand_over: Seconds,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    machine: Machine,
}

/// The interval between two reads of the assignments.
const LOOK: Duration = Duration::from_millis(500);

/// The limit for storing the rooms of a partition that is handed over. Rooms that are not stored are in the log.
const STORE_ROOMS: Duration = Duration::from_secs(10);

/// Serves until SIGTERM, Ctrl-C, an operator's drain or its own death.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let every = options.machine.heartbeat()?;
    let mut stop = Stop::new(options.hand_over.0.saturating_add(STORE_ROOMS + CLOSING))?;
    let cache_dir: PathBuf = options.cache.dir()?;
    let (bus, store) = options.shared.open().await?;
    let registration = Registration { role: Role::Host, name: options.machine.name.clone(), address: None };
    let id = store.register_machine(&registration).await?.id;
    let heartbeat = Heartbeat::start(store.clone(), Some(bus.clone()), id.clone(), every);

    let engine =
        guest::Engine::new(guest::Options { max_instances: options.max_instances, ..guest::Options::new(cache_dir) })?;
    let host_options = chorus_host::Options {
        hibernate_after: options.hibernate_after.0,
        truncate: !options.keep_log,
        accept_loss: options.shared.loss.accept_loss,
        ..chorus_host::Options::default()
    };
    if options.keep_log {
        store.keep_hashes().await?;
    }
    let (host, failed) = chorus_host::join(host_options, bus.clone(), store.clone(), engine).await?;
    let mut metrics = Registry::with_prefix("chorus_host");
    host.register(&mut metrics);
    let ready = {
        let host = host.clone();
        Arc::new(move || if host.owned().is_empty() { Err("no partition is here yet".to_owned()) } else { Ok(()) })
    };
    let status = status::serve(options.machine.status, heartbeat.health(), ready, metrics).await?;
    println!("{id} runs rooms; its status is at http://{}/", status.address);

    let mut serving =
        Serving { id, store, host, heartbeat, lobby: options.lobby, has_lobby: false, refused: None, leaves_by: None };
    let ended = serving.serve(&mut stop, failed, options.hand_over.0).await;
    let Serving { id, store, host, heartbeat, .. } = serving;
    if matches!(ended, Ok(MachineState::Draining)) {
        host.drain(STORE_ROOMS).await;
        store.close_machine(&id).await.context("the store does not know that this host has left")?;
    }
    drop((heartbeat, status));
    let state = ended?;
    anyhow::ensure!(
        state != MachineState::Dead,
        "{id} was declared dead: it was not heard for too long. Restart it; it then has a new id"
    );
    drop(host);
    bus.close().await?;
    store.close().await?;
    Ok(())
}

struct Serving {
    id: MachineId,
    store: Store,
    host: Host,
    heartbeat: Heartbeat,
    lobby: Kind,
    /// Whether the lobby is known to exist.
    has_lobby: bool,
    /// Why an assigned partition is refused, as logged last.
    refused: Option<Lost>,
    /// Set when it leaves: the deadline.
    leaves_by: Option<Instant>,
}

impl Serving {
    /// Serves until it has handed over all partitions, or is dead.
    async fn serve(
        &mut self,
        stop: &mut Stop,
        failed: impl Future<Output = HostError>,
        hand_over: Duration,
    ) -> anyhow::Result<MachineState> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(failed);
        loop {
            tokio::select! {
                () = stop.asked(), if self.leaves_by.is_none() => self.begin_to_leave(hand_over).await,
                state = self.heartbeat.leaves(), if self.leaves_by.is_none() => match state {
                    MachineState::Dead => return Ok(state),
                    _ => self.begin_to_leave(hand_over).await,
                },
                error = &mut failed => return Err(error).context("the rooms had to stop"),
                _ = looks.tick() => self.look().await?,
            }
            let Some(leaves_by) = self.leaves_by else { continue };
            if self.heartbeat.health().borrow().state == MachineState::Dead {
                return Ok(MachineState::Dead);
            }
            if self.host.owned().is_empty() || Instant::now() >= leaves_by {
                return Ok(MachineState::Draining);
            }
        }
    }

    /// A monitor reads the state in the store, and assigns the partitions to other hosts.
    async fn begin_to_leave(&mut self, hand_over: Duration) {
        self.leaves_by = Some(Instant::now() + hand_over);
        if let Err(error) = self.store.drain_machine(&self.id).await {
            tracing::warn!(%error, "the store was not told of the drain");
        }
    }

    /// Reads the store: the partitions of this host, the active version of each kind.
    async fn look(&mut self) -> Result<(), HostError> {
        let looked = async {
            let assignments = self.store.assignments().await?;
            self.host.refresh_kinds().await?;
            Ok::<_, HostError>(assignments)
        };
        let assignments = match looked.await {
            Ok(assignments) => assignments,
            // Games continue with the present partitions and versions.
            Err(HostError::Store(error)) => {
                tracing::warn!(%error, "this host cannot see which partitions are its own");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mine = assignments.iter().filter(|one| one.host.as_ref() == Some(&self.id));
        let mine: BTreeSet<u32> = mine.map(|one| one.partition).collect();
        match self.host.own(&mine, STORE_ROOMS).await {
            // The present partitions stay, and the others are taken; the next turn tries this one again.
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "this host cannot take a partition that is its own; trying again");
            }
            Err(HostError::Lost(lost)) => self.refuse(lost),
            done => {
                self.refused = None;
                done?;
            }
        }
        self.ensure_lobby(&self.host.owned(), assignments.len() as u32).await;
        Ok(())
    }

    /// Its rooms stall rather than begin anew; those of other partitions continue. Logged once, not every time.
    fn refuse(&mut self, lost: Lost) {
        if self.refused.as_ref() != Some(&lost) {
            tracing::error!("this host does not serve a partition that is its own: {lost}");
            self.refused = Some(lost);
        }
    }

    /// The host with the lobby's partition creates the lobby, once its kind has a component.
    async fn ensure_lobby(&mut self, mine: &BTreeSet<u32>, partitions: u32) {
        if self.has_lobby || !mine.contains(&RoomId::LOBBY.partition(partitions)) {
            return;
        }
        match self.host.ensure(RoomId::LOBBY, &self.lobby).await {
            Ok(()) => self.has_lobby = true,
            Err(HostError::NoComponent { .. }) => {}
            Err(HostError::OtherKind { has, .. }) => {
                self.has_lobby = true;
                tracing::warn!(lobby = %has, asked = %self.lobby, "this cluster has a lobby of another kind: --lobby has no effect");
            }
            Err(error) => tracing::warn!(%error, "the lobby could not be made; trying again"),
        }
    }
}
