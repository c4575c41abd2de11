//! The control loop: the shell of [`chorus_core::placement`]. It waits, passes inputs to the machine, and carries out its
//! outputs.

use std::{sync::Arc, time::Duration};

use chorus_bus::Bus;
use chorus_core::{
    ids::{MachineId, millis},
    placement::{Assignment, Dependency, Input, Machine, MachineState, Output, Placement, View},
};
use chorus_store::{Assigned, Lease, MONITOR_LEASE, Store, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior},
};

use crate::{
    MonitorError, Options,
    background::{Background, Ended},
    clock::Clock,
    housekeeping,
    metrics::Metrics,
    notices,
    status::Status,
};

pub(crate) struct ControlLoop {
    options: Options,
    store: Store,
    placement: Placement,
    clock: Clock,
    background: Background,
    /// When the latest query that the broker answered was sent.
    broker: watch::Receiver<Instant>,
    /// As of the latest heartbeat.
    own_state: MachineState,
    /// The holder of the lease, as of the latest request for it.
    holder: Option<MachineId>,
    status: watch::Sender<Status>,
    metrics: Arc<Metrics>,
}

/// Whether a tick was the last.
#[derive(PartialEq, Eq)]
enum Tick {
    Continue,
    /// An operator drains this monitor.
    Last,
}

impl ControlLoop {
    pub fn new(options: &Options, bus: Bus, store: Store) -> (ControlLoop, watch::Receiver<Status>) {
        let metrics = Arc::new(Metrics::default());
        let (status, receiver) = watch::channel(Status::starting(options.id.clone(), metrics.clone()));
        let mut clock = Clock::start();
        let control_loop = ControlLoop {
            placement: Placement::new(options.id.clone(), options.limits, clock.now()),
            broker: bus.probe(Duration::from_millis(options.limits.refresh_ms)),
            background: Background::new(bus, store.clone(), metrics.clone()),
            options: options.clone(),
            store,
            clock,
            own_state: MachineState::Alive,
            holder: None,
            status,
            metrics,
        };
        (control_loop, receiver)
    }

    /// Runs until it is stopped, an operator drains it, or it was declared dead.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), MonitorError> {
        let mut housekeeping = interval(housekeeping::PERIOD);
        loop {
            // A tick is never cancelled, only the wait between ticks.
            let until_tick = self.until_tick();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(ended) = self.background.next() => self.on_ended(ended),
                Ok(()) = self.broker.changed() => self.on_broker_answered(),
                () = tokio::time::sleep(until_tick) => if self.tick().await? == Tick::Last { break },
                _ = housekeeping.tick() => self.keep_house(),
            }
        }
        self.leave().await;
        Ok(())
    }

    fn until_tick(&mut self) -> Duration {
        let now = self.clock.now();
        let due = self.placement.poll_timeout().map_or(u64::MAX, |due| due.since(now));
        Duration::from_millis(due)
    }

    async fn tick(&mut self) -> Result<Tick, MonitorError> {
        self.handle(Input::Tick);
        while self.own_state == MachineState::Alive
            && let Some(output) = self.placement.poll_output()
        {
            match self.carry_out(output).await {
                Ok(Some(answer)) => self.handle(answer),
                Ok(None) => {}
                Err(error) => self.on_store_lost(&error),
            }
        }
        self.publish_status();
        match self.own_state {
            MachineState::Alive => Ok(Tick::Continue),
            MachineState::Draining => Ok(Tick::Last),
            MachineState::Dead => Err(MonitorError::DeclaredDead { id: self.options.id.clone() }),
        }
    }

    /// Returns the answer, if the output has one.
    async fn carry_out(&mut self, output: Output) -> Result<Option<Input>, StoreError> {
        match output {
            Output::Heartbeat => Ok(Some(self.heartbeat().await?)),
            Output::AcquireLease => Ok(Some(self.acquire_lease().await?)),
            Output::ReadTables => Ok(Some(self.read_tables().await?)),
            Output::DeclareDead { machine, silent_ms } => Ok(Some(self.declare_dead(machine, silent_ms).await?)),
            Output::Assign(plan) => Ok(Some(self.assign(plan).await?)),
            Output::MayLeave { host } => {
                // The host reads that in the table itself.
                tracing::info!(%host, "a draining host has no partition left, and may leave");
                Ok(None)
            }
            Output::DropSessionsOf { edge } => {
                self.background.drop_sessions_of(edge);
                Ok(None)
            }
            Output::CleanUp { machine, role } => {
                self.background.clean_up(machine, role);
                Ok(None)
            }
            Output::Notice(notice) => {
                notices::log(notice);
                Ok(None)
            }
        }
    }

    // ---- outputs that have an answer ----

    async fn heartbeat(&mut self) -> Result<Input, StoreError> {
        self.own_state = self.store.heartbeat(&self.options.id).await?;
        Ok(Input::Done)
    }

    async fn acquire_lease(&mut self) -> Result<Input, StoreError> {
        let sent_at = self.clock.now();
        let ttl = Duration::from_millis(self.options.limits.lease_ms);
        let lease = self.store.acquire_lease(MONITOR_LEASE, &self.options.id, ttl).await?;
        let held = matches!(lease, Lease::Held { .. });
        self.holder = Some(match lease {
            Lease::Held { .. } => self.options.id.clone(),
            Lease::HeldBy { holder, .. } => holder,
        });
        Ok(Input::Lease { held, sent_at })
    }

    async fn read_tables(&self) -> Result<Input, StoreError> {
        // In this order: a host that is only in the second table has just registered, and is in the next view.
        let rows = self.store.machines().await?;
        let partitions = self.store.assignments().await?;
        let machines = rows.into_iter().map(|row| Machine {
            silent_ms: millis(row.silent_for),
            age_ms: millis(row.registered_for),
            id: row.id,
            role: row.role,
            state: row.state,
        });
        Ok(Input::View(View { machines: machines.collect(), partitions }))
    }

    async fn declare_dead(&mut self, machine: MachineId, silent_ms: u64) -> Result<Input, StoreError> {
        let limit = Duration::from_millis(self.options.limits.dead_after_ms);
        if !self.store.declare_dead(&machine, limit).await? {
            return Ok(Input::Refused);
        }
        self.metrics.deaths.inc();
        tracing::warn!(%machine, silent_ms, "a machine is declared dead: it has sent no heartbeat for too long");
        Ok(Input::Done)
    }

    async fn assign(&mut self, plan: Vec<Assignment>) -> Result<Input, StoreError> {
        match self.store.assign(&self.options.id, &plan).await? {
            Assigned::Done => {
                self.metrics.moves.inc_by(plan.len() as u64);
                tracing::info!(partitions = plan.len(), "partitions have new hosts");
                Ok(Input::Done)
            }
            Assigned::NotActive => {
                tracing::info!("another monitor holds the lease by now; nothing was assigned");
                Ok(Input::Refused)
            }
            Assigned::Overtaken { partition } => {
                tracing::info!(partition, "another monitor has assigned this partition; reading the tables again");
                Ok(Input::Refused)
            }
        }
    }

    // ---- other events ----

    /// Logs the loss when it begins, not every time.
    fn on_store_lost(&mut self, error: &StoreError) {
        self.metrics.store_lost.inc();
        match self.placement.unreachable() {
            Some(Dependency::Store) => tracing::debug!(%error, "the store is still unreachable"),
            _ => tracing::warn!(%error, "the store is unreachable; trying again"),
        }
        self.handle(Input::StoreLost);
    }

    fn on_broker_answered(&mut self) {
        let sent_at = *self.broker.borrow_and_update();
        let sent_at = self.clock.before_now(sent_at.elapsed());
        self.handle(Input::BrokerAnswered { sent_at });
    }

    fn on_ended(&mut self, ended: Ended) {
        if let Ended::Work { machine, succeeded } = ended {
            self.handle(Input::WorkEnded { machine, succeeded });
        }
    }

    fn keep_house(&mut self) {
        let now = self.clock.now();
        if self.placement.is_active(now) {
            self.background.keep_house(&self.options);
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        self.placement.handle(input, now);
    }

    fn publish_status(&mut self) {
        let unreachable = self.placement.unreachable();
        if unreachable == Some(Dependency::Broker) {
            self.metrics.broker_lost.inc();
        }
        let now = self.clock.now();
        let (active, holder) = (self.placement.is_active(now), self.holder.clone());
        self.status.send_modify(|status| status.update(active, holder, unreachable));
    }

    /// Releases the lease, so that the next holder need not wait.
    async fn leave(self) {
        self.background.shutdown().await;
        let left = async {
            self.store.release_lease(MONITOR_LEASE, &self.options.id).await?;
            self.store.close_machine(&self.options.id).await
        };
        match left.await {
            Ok(()) => tracing::info!("left"),
            Err(error) => tracing::warn!(%error, "left without releasing the lease, which expires by itself"),
        }
        self.status.send_modify(|status| status.active = false);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped, which has the same effect.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Ticks that were missed are not made up for.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use chorus_core::placement::{Limits, Role};
    use chorus_store::{Durability, Registration};

    use super::*;

    #[tokio::test]
    async fn a_lost_broker_is_not_reported_as_a_lost_store() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let bus = chorus_bus::embedded::open(chorus_bus::embedded::Options::new(dir.path())).await.expect("a bus");
        let store = Store::open_embedded(&dir.path().join("store.sqlite"), Durability::default()).await;
        let store = store.expect("a store");
        let id = store.register_machine(&Registration::new(Role::Monitor)).await.expect("registered").id;
        let mut options = Options::new(id, "a-token-that-nobody-guesses".parse().expect("a token"));
        options.limits = Limits { refresh_ms: 1, dead_after_ms: 1_000, ..Limits::default() };
        let (mut control_loop, status) = ControlLoop::new(&options, bus, store);
        assert!(matches!(control_loop.tick().await, Ok(Tick::Continue)));
        assert!(status.borrow().state.is_ok());

        // Its answers are not passed in.
        while control_loop.placement.unreachable().is_none() {
            tokio::time::sleep(control_loop.until_tick()).await;
            assert!(matches!(control_loop.tick().await, Ok(Tick::Continue)));
        }
        assert_eq!(status.borrow().state, Err("the broker does not answer"));
        assert_eq!((control_loop.metrics.store_lost.get(), control_loop.metrics.broker_lost.get()), (0, 1));

        tokio::time::sleep(control_loop.until_tick()).await;
        control_loop.broker.changed().await.expect("it is queried");
        control_loop.on_broker_answered();
        assert!(matches!(control_loop.tick().await, Ok(Tick::Continue)));
        assert!(status.borrow().state.is_ok(), "it works again");
    }
}
