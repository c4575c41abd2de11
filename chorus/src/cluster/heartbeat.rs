//! A machine's heartbeat: it writes to the store periodically, and reads its own state there.
//!
//! An edge or a host that cannot reach the broker can do no work, so it sends no heartbeat: then other machines take over from
//! it, as if it had died. A broker that no machine can reach proves nothing about any of them, and monitors respect that: they
//! declare no machine dead while they cannot reach it themselves.

use std::time::Duration;

use chorus_bus::Bus;
use chorus_core::{
    ids::{MachineId, Time, millis},
    reachability::{Change, Reachability},
};
use chorus_store::{MachineState, Store};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};
use tracing::Instrument as _;

/// The state of this machine, for itself and for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: MachineState,
    /// When the store was last reached.
    pub store_reached: Instant,
    /// The broker does not answer.
    pub cut_off: bool,
}

/// The number of periods without an answer after which a broker is out of reach. It may be slow for a moment.
const BROKER_PATIENCE: u64 = 4;

/// A heartbeat. It stops when it is dropped.
#[derive(Debug)]
pub struct Heartbeat {
    health: watch::Receiver<Health>,
    sender: JoinHandle<()>,
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

impl Heartbeat {
    /// `bus`: the bus, if the machine cannot work without it.
    pub fn start(store: Store, bus: Option<Bus>, id: MachineId, every: Duration) -> Heartbeat {
        let (states, health) =
            watch::channel(Health { state: MachineState::Alive, store_reached: Instant::now(), cut_off: false });
        let broker = bus.map(|bus| Broker::new(&bus, every));
        let span = tracing::info_span!("heartbeat", %id);
        let sending = send_heartbeats(store, broker, id, every, states).instrument(span);
        Heartbeat { health, sender: tokio::spawn(sending) }
    }

    /// The present state, and its changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Resolves when the machine is to leave: an operator drains it, or it was declared dead. Cancel safe.
    pub async fn leaves(&mut self) -> MachineState {
        match self.health.wait_for(|health| health.state != MachineState::Alive).await {
            Ok(health) => health.state,
            // The task ends only when this is dropped.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The broker, as this machine reaches it.
struct Broker {
    /// When the latest query that was answered was sent.
    answered: watch::Receiver<Instant>,
    reachability: Reachability,
    began: Instant,
}

impl Broker {
    fn new(bus: &Bus, every: Duration) -> Broker {
        let patience_ms = millis(every).saturating_mul(BROKER_PATIENCE);
        let reachability = Reachability::new(patience_ms, Time(0));
        Broker { answered: bus.probe(every), reachability, began: Instant::now() }
    }

    fn check(&mut self) -> Option<Change> {
        let sent_at = self.answered.borrow().duration_since(self.began);
        self.reachability.answered(Time(millis(sent_at)));
        self.reachability.check(Time(millis(self.began.elapsed())))
    }

    fn is_lost(&self) -> bool {
        self.reachability.is_lost()
    }
}

async fn send_heartbeats(
    store: Store,
    mut broker: Option<Broker>,
    id: MachineId,
    every: Duration,
    health: watch::Sender<Health>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match broker.as_mut().and_then(Broker::check) {
            Some(Change::Lost { silent_ms }) => tracing::warn!(
                silent_ms,
                "the broker does not answer; if that lasts, other machines take over from this one"
            ),
            Some(Change::Recovered) => tracing::info!("the broker answers again"),
            None => {}
        }
        let cut_off = broker.as_ref().is_some_and(Broker::is_lost);
        health.send_if_modified(|health| std::mem::replace(&mut health.cut_off, cut_off) != cut_off);
        if cut_off {
            continue;
        }
        match store.heartbeat(&id).await {
            Ok(state) => {
                failing = false;
                health.send_replace(Health { state, store_reached: Instant::now(), cut_off });
            }
            // Games continue; if it lasts, a monitor declares this machine dead, and the next successful heartbeat returns
            // that.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the heartbeat could not be written");
            }
            Err(error) => tracing::debug!(%error, "the heartbeat could not be written"),
        }
    }
}
