//! A machine's heartbeat: it writes to the store periodically, and reads its own state there.
//!
//! An edge or a host that cannot reach the broker can do no work, so it sends no heartbeat: then other machines take over from
//! it, as if it had died. A broker that no machine can reach proves nothing about any of them, and monitors respect that: they
//! declare no machine dead while they cannot reach it themselves.

use std::time::Duration;

use chorus_bus::Bus;
use chorus_core::ids::MachineId;
use chorus_store::{MachineState, Store};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

/// The state of this machine, for itself and for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: MachineState,
    /// When the store was last reached.
    pub store_reached: Instant,
    /// The broker does not answer.
    pub cut_off: bool,
}

/// The number of heartbeats without an answer after which a broker is out of reach. It may be slow for a moment.
const BROKER_SILENT_FOR: u32 = 4;

/// A heartbeat. It stops when it is dropped.
#[derive(Debug)]
pub struct Heartbeat {
    health: watch::Receiver<Health>,
    sender: JoinHandle<()>,
    broker_probe: Option<JoinHandle<()>>,
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.sender.abort();
        self.broker_probe.iter().for_each(JoinHandle::abort);
    }
}

impl Heartbeat {
    /// `bus`: the bus, if the machine cannot work without it.
    pub fn start(store: Store, bus: Option<Bus>, id: MachineId, every: Duration) -> Heartbeat {
        let (states, health) =
            watch::channel(Health { state: MachineState::Alive, store_reached: Instant::now(), cut_off: false });
        let (reached, broker) = watch::channel(Instant::now());
        let broker_probe = bus.map(|bus| tokio::spawn(probe_broker(bus, every, reached)));
        let broker = broker_probe.is_some().then_some(broker);
        Heartbeat { health, sender: tokio::spawn(send_heartbeats(store, broker, id, every, states)), broker_probe }
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

/// Queries the broker repeatedly.
async fn probe_broker(bus: Bus, every: Duration, reached: watch::Sender<Instant>) {
    loop {
        let queried_at = Instant::now();
        match bus.reach().await {
            Ok(()) => drop(reached.send_replace(queried_at)),
            Err(reason) => tracing::debug!(reason, "the broker does not answer"),
        }
        tokio::time::sleep(every).await;
    }
}

async fn send_heartbeats(
    store: Store,
    broker: Option<watch::Receiver<Instant>>,
    id: MachineId,
    every: Duration,
    health: watch::Sender<Health>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let cut_off = broker.as_ref().is_some_and(|reached| reached.borrow().elapsed() > every * BROKER_SILENT_FOR);
        if health.borrow().cut_off != cut_off {
            health.send_modify(|health| health.cut_off = cut_off);
            match cut_off {
                true => {
                    tracing::warn!(%id, "the broker does not answer; if that lasts, other machines take over from this one")
                }
                false => tracing::info!(%id, "the broker answers again"),
            }
        }
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
                tracing::warn!(%id, %error, "the heartbeat could not be written");
            }
            Err(error) => tracing::debug!(%id, %error, "the heartbeat could not be written"),
        }
    }
}
