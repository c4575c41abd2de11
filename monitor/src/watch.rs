//! The loop: acquires the lease, reads the tables, and carries out the outputs of [`placement`].
//!
//! Slow work (the cleanup after dead machines, housekeeping) runs in tasks of its own, so that the lease is renewed in time: at
//! most [`placement::WORK_AT_ONCE`] cleanups, and one housekeeping.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chorus_bus::Bus;
use chorus_core::{
    ids::MachineId,
    placement::{self, Blind, Input, Notice, Output, Placement, Role},
};
use chorus_store::{Assigned, Lease, MONITOR_LEASE, MachineState, Store, StoreError};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Interval, MissedTickBehavior},
};

use crate::{
    MonitorError, Options,
    cleanup::{clean_up, drop_sessions},
    clock::Clock,
    counters::Counters,
    housekeeping::{self, keep_house},
    tables,
};

/// How long failed work waits before its result is reported.
const WORK_RETRY: Duration = Duration::from_secs(5);

/// A monitor's standing, for its API.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: MachineId,
    pub in_charge: bool,
    /// The holder of the lease, as of the last turn.
    pub holder: Option<MachineId>,
    /// When its loop last turned with the store and the broker reachable; otherwise, why it cannot work.
    pub state: Result<Instant, &'static str>,
    pub(crate) counters: Arc<Counters>,
}

pub(crate) struct Watch {
    options: Options,
    bus: Bus,
    store: Store,
    placement: Placement,
    clock: Clock,
    work: JoinSet<Done>,
    keeps_house: bool,
    /// Whether the loss of the store was logged.
    store_is_lost: bool,
    /// When the broker last received a query that it answered.
    broker: watch::Receiver<Instant>,
    broker_is_lost: bool,
    standing: watch::Sender<Standing>,
    counters: Arc<Counters>,
}

/// A task that has ended.
enum Done {
    Worked { machine: MachineId, done: bool },
    KeptHouse,
}

/// Whether a turn was the last.
enum Turn {
    Next,
    /// An operator drains it.
    Last,
}

impl Watch {
    pub fn new(options: &Options, bus: Bus, store: Store) -> (Watch, watch::Receiver<Standing>) {
        let counters = Arc::new(Counters::default());
        let (standing, standings) = watch::channel(Standing {
            id: options.id.clone(),
            in_charge: false,
            holder: None,
            state: Err("it has not reached the store yet"),
            counters: counters.clone(),
        });
        let watch = Watch {
            placement: Placement::new(options.id.clone(), options.limits),
            options: options.clone(),
            bus: bus.clone(),
            store,
            clock: Clock::start(),
            work: JoinSet::new(),
            keeps_house: false,
            store_is_lost: false,
            broker: listen(bus, options.every),
            broker_is_lost: false,
            standing,
            counters,
        };
        (watch, standings)
    }

    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), MonitorError> {
        let mut turns = every(self.options.every);
        let mut rounds = every(housekeeping::EVERY);
        loop {
            // A turn is never cancelled, only the wait between turns.
            tokio::select! {
                biased;
                () = asked_to(&mut stop) => break,
                Some(done) = self.work.join_next() => self.on_done(done),
                _ = turns.tick() => match self.turn().await? {
                    Turn::Next => {}
                    Turn::Last => break,
                },
                _ = rounds.tick() => self.round(),
            }
        }
        self.leave().await;
        Ok(())
    }

    // ---- one turn ----

    /// The heartbeat is first: it is the only one of this machine, and does not depend on the broker.
    async fn turn(&mut self) -> Result<Turn, MonitorError> {
        let state = match self.store.heartbeat(&self.options.id).await {
            Ok(state) => state,
            Err(error) => return Ok(self.store_lost(error)),
        };
        match state {
            MachineState::Alive => {}
            MachineState::Draining => return Ok(Turn::Last),
            MachineState::Dead => return Err(MonitorError::DeclaredDead { id: self.options.id.clone() }),
        }
        if let Some(silent) = self.broker_is_silent() {
            return Ok(self.broker_lost(silent));
        }
        match self.look().await {
            Ok(()) => self.act().await,
            Err(error) => return Ok(self.store_lost(error)),
        }
        Ok(Turn::Next)
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let asked = self.clock.now();
        let ttl = Duration::from_millis(self.options.limits.lease_ms);
        let lease = self.store.acquire_lease(MONITOR_LEASE, &self.options.id, ttl).await?;
        let held = matches!(lease, Lease::Held { .. });
        self.tell(Input::Lease { held, asked });
        let holder = match lease {
            Lease::Held { .. } => self.options.id.clone(),
            Lease::HeldBy { holder, .. } => holder,
        };
        let view = tables::view(&self.store).await?;
        self.tell(Input::View(view));
        // A notice of the placement machine reports their return.
        (self.store_is_lost, self.broker_is_lost) = (false, false);
        let in_charge = self.is_in_charge();
        self.standing.send_modify(|standing| {
            (standing.in_charge, standing.holder, standing.state) = (in_charge, Some(holder), Ok(Instant::now()));
        });
        Ok(())
    }

    /// Carries out the outputs, one after the other.
    async fn act(&mut self) {
        loop {
            let now = self.clock.now();
            let Some(output) = self.placement.poll_output(now) else { return };
            match self.carry_out(output).await {
                Ok(true) => {}
                Ok(false) => self.tell(Input::Refused),
                Err(error) => drop(self.store_lost(error)),
            }
        }
    }

    /// `false`: the store has refused.
    async fn carry_out(&mut self, output: Output) -> Result<bool, StoreError> {
        match output {
            Output::DeclareDead { machine, silent_ms } => self.declare_dead(machine, silent_ms).await,
            Output::Assign(plan) => self.assign(plan).await,
            Output::MayLeave { host } => {
                // The host reads that in the table itself.
                tracing::info!(%host, "nothing is left with this draining host; it may leave");
                Ok(true)
            }
            Output::DropSessionsOf { edge } => {
                self.drop_sessions_of(edge);
                Ok(true)
            }
            Output::CleanUp { machine, role } => {
                self.clean_up(machine, role);
                Ok(true)
            }
            Output::Notice(notice) => {
                self.notice(notice);
                Ok(true)
            }
        }
    }

    async fn declare_dead(&mut self, machine: MachineId, silent_ms: u64) -> Result<bool, StoreError> {
        let limit = Duration::from_millis(self.options.limits.dead_after_ms);
        let dead = self.store.declare_dead(&machine, limit).await?;
        if dead {
            self.counters.deaths.inc();
            tracing::warn!(%machine, silent_ms, "a machine is dead: it was not heard for too long");
        }
        Ok(dead)
    }

    async fn assign(&mut self, plan: Vec<placement::Assignment>) -> Result<bool, StoreError> {
        let partitions = plan.len();
        match self.store.assign(&self.options.id, &tables::plan(plan)).await? {
            Assigned::Done => {
                self.counters.moves.inc_by(partitions as u64);
                tracing::info!(partitions, "partitions have new hosts");
                Ok(true)
            }
            Assigned::NotActive => {
                tracing::info!("the lease is another monitor's by now; nothing was assigned");
                Ok(false)
            }
            Assigned::Overtaken { partition } => {
                tracing::info!(partition, "somebody else has assigned this partition; looking again");
                Ok(false)
            }
        }
    }

    // ---- background work ----

    fn drop_sessions_of(&mut self, machine: MachineId) {
        let (bus, store, counters) = (self.bus.clone(), self.store.clone(), self.counters.clone());
        self.work.spawn(async move {
            let dropped = drop_sessions(&machine, &bus, &store).await;
            let done = match dropped {
                Ok(sessions) => {
                    counters.dropped.inc_by(sessions as u64);
                    tracing::info!(edge = %machine, sessions, "the rooms of a dead edge's sessions are told");
                    true
                }
                Err(error) => failed(&machine, &error).await,
            };
            Done::Worked { machine, done }
        });
    }

    fn clean_up(&mut self, machine: MachineId, role: Role) {
        let (bus, store, counters) = (self.bus.clone(), self.store.clone(), self.counters.clone());
        self.work.spawn(async move {
            let done = match clean_up(&machine, role, &bus, &store).await {
                Ok(()) => {
                    counters.cleaned.inc();
                    tracing::info!(%machine, "nothing is left of a machine that was long dead");
                    true
                }
                Err(error) => failed(&machine, &error).await,
            };
            Done::Worked { machine, done }
        });
    }

    fn round(&mut self) {
        if self.keeps_house || !self.is_in_charge() {
            return;
        }
        self.keeps_house = true;
        let (options, bus, store) = (self.options.clone(), self.bus.clone(), self.store.clone());
        let counters = self.counters.clone();
        self.work.spawn(async move {
            match keep_house(&options, &bus, &store).await {
                Ok(expired) => {
                    counters.expired.inc_by(expired as u64);
                }
                Err(error) => {
                    tracing::warn!(%error, "sessions and rooms that are over could not be put away; trying again")
                }
            }
            Done::KeptHouse
        });
    }

    fn on_done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Worked { machine, done }) => self.tell(Input::Worked { machine, done }),
            Ok(Done::KeptHouse) => self.keeps_house = false,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => tracing::debug!("work was cut off"),
            },
        }
    }

    // ---- reporting ----

    fn notice(&self, notice: Notice) {
        match notice {
            Notice::InCharge => tracing::info!("in charge"),
            Notice::Standby => tracing::info!("on standby"),
            Notice::Patient { after, for_ms } => {
                tracing::info!(
                    for_ms,
                    "{}; no machine is declared dead until all had time for a heartbeat",
                    seen(after)
                );
            }
            Notice::NoHosts { partitions } => {
                tracing::error!(partitions, "no host lives: these partitions' rooms stand still; start a host");
            }
            Notice::HostsAgain => tracing::info!("there are hosts again"),
        }
    }

    /// How long the broker has not answered, if that is long enough to explain machines' silence.
    fn broker_is_silent(&self) -> Option<Duration> {
        let silent = self.broker.borrow().elapsed();
        let patience = Duration::from_millis(self.options.limits.dead_after_ms / 2);
        (silent > patience).then_some(silent)
    }

    /// A machine that cannot reach the broker sends no heartbeats. If this one cannot reach it either, their silence proves
    /// nothing: no machine is declared dead until all had time for a heartbeat.
    fn broker_lost(&mut self, silent: Duration) -> Turn {
        self.tell(Input::BrokerLost);
        self.counters.broker_lost.inc();
        self.cannot_work("the broker does not answer");
        if !std::mem::replace(&mut self.broker_is_lost, true) {
            tracing::warn!(?silent, "the broker does not answer; no machine is declared dead meanwhile");
        }
        Turn::Next
    }

    /// Logs the loss when it begins, not every time.
    fn store_lost(&mut self, error: StoreError) -> Turn {
        self.tell(Input::StoreLost);
        self.counters.store_lost.inc();
        self.cannot_work("the store cannot be reached");
        match std::mem::replace(&mut self.store_is_lost, true) {
            false => tracing::warn!(%error, "the store is out of reach; trying again"),
            true => tracing::debug!(%error, "the store is still out of reach"),
        }
        Turn::Next
    }

    fn cannot_work(&mut self, why: &'static str) {
        let in_charge = self.is_in_charge();
        self.standing.send_modify(|standing| (standing.state, standing.in_charge) = (Err(why), in_charge));
    }

    fn tell(&mut self, input: Input) {
        let now = self.clock.now();
        self.placement.handle(input, now);
    }

    fn is_in_charge(&mut self) -> bool {
        let now = self.clock.now();
        self.placement.is_in_charge(now)
    }

    // ---- the end ----

    /// Releases the lease, so that the next holder need not wait.
    async fn leave(mut self) {
        self.work.shutdown().await;
        let left = async {
            self.store.release_lease(MONITOR_LEASE, &self.options.id).await?;
            self.store.close_machine(&self.options.id).await
        };
        match left.await {
            Ok(()) => tracing::info!(monitor = %self.options.id, "left"),
            Err(error) => tracing::warn!(%error, "left without giving up the lease; it runs out by itself"),
        }
        self.standing.send_modify(|standing| standing.in_charge = false);
    }
}

/// Why a monitor was blind to heartbeats until now.
fn seen(after: Blind) -> &'static str {
    match after {
        Blind::Started => "started",
        Blind::Store => "the store is reachable again",
        Blind::Broker => "the broker is reachable again",
        Blind::Paused => "this monitor's loop was paused",
        Blind::Leap => "the database's clock was set forward",
    }
}

async fn failed(machine: &MachineId, error: &crate::CleanupError) -> bool {
    tracing::warn!(%machine, %error, "what a dead machine left is not put away; trying again");
    tokio::time::sleep(WORK_RETRY).await;
    false
}

/// Queries the broker repeatedly, until the receiver is dropped.
fn listen(bus: Bus, every: Duration) -> watch::Receiver<Instant> {
    let (heard, receiver) = watch::channel(Instant::now());
    tokio::spawn(async move {
        while !heard.is_closed() {
            let asked = Instant::now();
            if bus.reach().await.is_ok() {
                heard.send_replace(asked);
            }
            tokio::time::sleep(every).await;
        }
    });
    receiver
}

async fn asked_to(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped, which has the same effect.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A turn that took too long is not made up for.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use chorus_core::placement::Limits;
    use chorus_store::{Durability, Registration, Role as MachineRole};

    use super::*;

    #[tokio::test]
    async fn a_lost_broker_is_not_reported_as_a_lost_store() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let bus = chorus_bus::embedded::open(chorus_bus::embedded::Options::new(dir.path())).await.expect("a bus");
        let store = Store::open_embedded(&dir.path().join("store.sqlite"), Durability::default()).await;
        let store = store.expect("a store");
        let id = store.register_machine(&Registration::new(MachineRole::Monitor)).await.expect("registered").id;
        let options = Options::new(id, "a-token-that-nobody-guesses".parse().expect("a token"));
        let (mut watch, standing) = Watch::new(&options, bus, store);
        watch.turn().await.expect("a turn");
        assert!(standing.borrow().state.is_ok());

        let silent = Duration::from_millis(Limits::default().dead_after_ms);
        let answered = Instant::now().checked_sub(silent).expect("this machine has been up for longer");
        let (_broker, silent_broker) = watch::channel(answered);
        let broker = std::mem::replace(&mut watch.broker, silent_broker);
        watch.turn().await.expect("a turn");
        assert_eq!(standing.borrow().state, Err("the broker does not answer"));
        assert_eq!((watch.counters.store_lost.get(), watch.counters.broker_lost.get()), (0, 1));

        watch.broker = broker;
        watch.turn().await.expect("a turn");
        assert!(standing.borrow().state.is_ok(), "it works again");
    }
}
