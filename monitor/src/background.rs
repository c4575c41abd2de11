//! Slow work: the cleanup after dead machines, and housekeeping. Each runs in a task of its own, so that the control loop renews
//! the lease in time.
//!
//! Bounds: [`MAX_CONCURRENT_WORK`](chorus_core::placement::MAX_CONCURRENT_WORK) cleanups, by the machine that orders them, and
//! one housekeeping.

use std::{sync::Arc, time::Duration};

use chorus_bus::Bus;
use chorus_core::{ids::MachineId, placement::Role};
use chorus_store::Store;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::{
    CleanupError, Options,
    cleanup::{clean_up, drop_sessions},
    housekeeping,
    metrics::Metrics,
};

/// How long failed work waits before its result is reported, after which it is repeated.
const RETRY_DELAY: Duration = Duration::from_secs(5);

pub(crate) struct Background {
    bus: Bus,
    store: Store,
    metrics: Arc<Metrics>,
    tasks: JoinSet<Ended>,
    keeps_house: bool,
}

/// A task that has ended.
pub(crate) enum Ended {
    Work { machine: MachineId, succeeded: bool },
    Housekeeping,
}

impl Background {
    pub fn new(bus: Bus, store: Store, metrics: Arc<Metrics>) -> Background {
        Background { bus, store, metrics, tasks: JoinSet::new(), keeps_house: false }
    }

    pub fn drop_sessions_of(&mut self, edge: MachineId) {
        let (bus, store, metrics) = (self.bus.clone(), self.store.clone(), self.metrics.clone());
        let machine = edge.clone();
        self.work_on(edge, async move {
            let sessions = drop_sessions(&machine, &bus, &store).await?;
            metrics.dropped.inc_by(sessions as u64);
            tracing::info!(sessions, "a dead edge's sessions are dropped from their rooms");
            Ok(())
        });
    }

    pub fn clean_up(&mut self, machine: MachineId, role: Role) {
        let (bus, store, metrics) = (self.bus.clone(), self.store.clone(), self.metrics.clone());
        let dead = machine.clone();
        self.work_on(machine, async move {
            clean_up(&dead, role, &bus, &store).await?;
            metrics.cleaned.inc();
            tracing::info!("the row and the channel of a dead machine are deleted");
            Ok(())
        });
    }

    fn work_on(&mut self, machine: MachineId, work: impl Future<Output = Result<(), CleanupError>> + Send + 'static) {
        let span = tracing::info_span!("cleanup", %machine);
        let task = async move {
            let succeeded = match work.await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "the cleanup after a dead machine failed; trying again");
                    tokio::time::sleep(RETRY_DELAY).await;
                    false
                }
            };
            Ended::Work { machine, succeeded }
        };
        self.tasks.spawn(task.instrument(span));
    }

    /// Does nothing while the one before is not complete.
    pub fn keep_house(&mut self, options: &Options) {
        if std::mem::replace(&mut self.keeps_house, true) {
            return;
        }
        let (options, bus, store) = (options.clone(), self.bus.clone(), self.store.clone());
        let metrics = self.metrics.clone();
        let task = async move {
            match housekeeping::run(&options, &bus, &store).await {
                Ok(expired) => drop(metrics.expired.inc_by(expired as u64)),
                Err(error) => tracing::warn!(%error, "housekeeping failed; trying again"),
            }
            Ended::Housekeeping
        };
        self.tasks.spawn(task.in_current_span());
    }

    /// The next task that ends; `None` when there is none. Cancel safe.
    pub async fn next(&mut self) -> Option<Ended> {
        let ended = self.tasks.join_next().await?.unwrap_or_else(|error| {
            // Tasks are cancelled by `shutdown` only.
            std::panic::resume_unwind(error.into_panic())
        });
        if matches!(ended, Ended::Housekeeping) {
            self.keeps_house = false;
        }
        Some(ended)
    }

    /// Cancels all tasks: every step may be repeated by another monitor.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}
