//! `chorus host`: rooms.

use std::{collections::BTreeSet, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use chorus_core::ids::{Kind, MachineId, RoomId};
use chorus_host::{Host, HostError, Lost, guest};
use chorus_store::{MachineState, Store};
use clap::Args;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{
    process::{self, Process, Role},
    status::{self, Ready},
};
use crate::{groups::RoomOptions, seconds::Seconds};

/// Runs rooms
///
/// A monitor assigns partitions of the rooms to this host. On SIGTERM it stores its rooms, hands over its partitions, and
/// leaves; players stay connected.
#[derive(Debug, Args)]
pub struct Options {
    /// The kind of the room that every session joins first
    #[arg(long, env = "CHORUS_LOBBY", value_name = "KIND", default_value_t = Kind::lobby(), value_parser = Kind::new)]
    lobby: Kind,
    #[command(flatten)]
    rooms: RoomOptions,
    /// On SIGTERM, how long to wait for a monitor to give the partitions to other hosts
    #[arg(long, env = "CHORUS_HAND_OVER", value_name = "SECONDS", default_value_t = Seconds::new(15))]
    hand_over: Seconds,
    #[command(flatten)]
    status: status::Options,
    #[command(flatten)]
    process: process::Options,
}

/// The interval between two reads of the assignments.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The limit for storing the rooms of a partition that is handed over. Rooms that are not stored are in the log.
const STORE_ROOMS: Duration = Duration::from_secs(10);

/// A running host.
pub struct Serving {
    id: MachineId,
    store: Store,
    host: Host,
    failed: Pin<Box<dyn Future<Output = HostError>>>,
    polls: Interval,
    lobby: Kind,
    /// Whether the lobby is known to exist.
    has_lobby: bool,
    /// Why an assigned partition is refused, as logged last.
    refused: Option<Lost>,
    hand_over: Duration,
}

impl Role for Serving {
    type Options = Options;

    const ROLE: chorus_store::Role = chorus_store::Role::Host;

    fn process(options: &Options) -> &process::Options {
        &options.process
    }

    fn address(_: &Options) -> Option<SocketAddr> {
        None
    }

    fn status(options: &Options) -> Option<SocketAddr> {
        Some(options.status.status)
    }

    fn leaves_within(options: &Options) -> Duration {
        options.hand_over.0.saturating_add(STORE_ROOMS)
    }

    async fn start(options: Options, process: &Process) -> anyhow::Result<Serving> {
        let (id, store) = (process.id.clone(), process.store.clone());
        let engine = guest::Engine::new(options.rooms.engine()?)?;
        let rooms = options.rooms.host(options.process.connection.loss);
        if options.rooms.keep_log {
            store.keep_hashes().await?;
        }
        let (host, failed) = chorus_host::join(rooms, process.bus.clone(), store.clone(), engine).await?;
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Serving {
            id,
            store,
            host,
            failed: Box::pin(failed),
            polls,
            lobby: options.lobby,
            has_lobby: false,
            refused: None,
            hand_over: options.hand_over.0,
        })
    }

    fn register(&self, registry: &mut Registry) {
        self.host.register(registry.sub_registry_with_prefix("chorus_host"));
    }

    fn ready(&self) -> Ready {
        let host = self.host.clone();
        Arc::new(move || if host.owned().is_empty() { Err("it has no partition yet".to_owned()) } else { Ok(()) })
    }

    fn announcement(&self) -> String {
        "runs rooms".to_owned()
    }

    async fn serve(&mut self, process: &mut Process) -> anyhow::Result<MachineState> {
        loop {
            tokio::select! {
                why = process.leaves() => return Ok(why),
                error = &mut self.failed => return Err(stopped(error)),
                _ = self.polls.tick() => self.poll().await?,
            }
        }
    }

    /// A monitor reads in the store that this host drains, and assigns its partitions to other hosts.
    async fn leave(&mut self, why: MachineState, process: &mut Process) -> anyhow::Result<MachineState> {
        if why == MachineState::Dead {
            return Ok(why);
        }
        let deadline = Instant::now() + self.hand_over;
        while !self.host.owned().is_empty() && Instant::now() < deadline {
            tokio::select! {
                error = &mut self.failed => return Err(stopped(error)),
                _ = self.polls.tick() => self.poll().await?,
            }
            if process.is_dead() {
                return Ok(MachineState::Dead);
            }
        }
        self.host.drain(STORE_ROOMS).await;
        Ok(why)
    }
}

fn stopped(error: HostError) -> anyhow::Error {
    anyhow::Error::new(error).context("the rooms had to stop")
}

impl Serving {
    /// Reads the store: the partitions of this host, and the active version of each kind.
    async fn poll(&mut self) -> Result<(), HostError> {
        let read = async {
            let assignments = self.store.assignments().await?;
            self.host.refresh_kinds().await?;
            Ok::<_, HostError>(assignments)
        };
        let assignments = match read.await {
            Ok(assignments) => assignments,
            // Games continue with the present partitions and versions.
            Err(HostError::Store(error)) => {
                tracing::warn!(%error, "the assignments of partitions to this host cannot be read; trying again");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mine = assignments.iter().filter(|one| one.host.as_ref() == Some(&self.id));
        let mine: BTreeSet<u32> = mine.map(|one| one.partition).collect();
        match self.host.own(&mine, STORE_ROOMS).await {
            // The present partitions stay, and the others are taken; the next turn tries this one again.
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "a partition that is assigned to this host cannot be taken; trying again");
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
                tracing::warn!(lobby = %has, flag = %self.lobby, "this cluster has a lobby of another kind: --lobby has no effect");
            }
            Err(error) => tracing::warn!(%error, "the lobby could not be created; trying again"),
        }
    }
}
