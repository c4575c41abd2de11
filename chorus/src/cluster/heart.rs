//! How a machine is known to live: it writes to the store, again and again, and reads there what became of it.
//!
//! An edge or a host that the broker does not answer can do nothing for anybody, so it does not say that it lives: then
//! others have what it had, as if it had died. A broker that is gone for all says nothing about any of them, and monitors
//! know that: they judge nobody while they do not reach it themselves.

use std::time::Duration;

use chorus_bus::Bus;
use chorus_core::ids::MachineId;
use chorus_store::{MachineState, Store};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

/// What others hold of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub state: MachineState,
    /// When the store was last reached.
    pub heard: Instant,
    /// The broker does not answer.
    pub cut_off: bool,
}

/// A broker that has not answered for so many heartbeats is out of reach. It may be slow for a moment.
const BROKER_SILENT_FOR: u32 = 4;

/// A heartbeat. It stops when it is dropped.
#[derive(Debug)]
pub struct Heart {
    pulse: watch::Receiver<Pulse>,
    beating: JoinHandle<()>,
    listening: Option<JoinHandle<()>>,
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.beating.abort();
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

impl Heart {
    /// `bus`: what the machine cannot work without, if so.
    pub fn start(store: Store, bus: Option<Bus>, id: MachineId, every: Duration) -> Heart {
        let (sender, pulse) =
            watch::channel(Pulse { state: MachineState::Alive, heard: Instant::now(), cut_off: false });
        let (heard, broker) = watch::channel(Instant::now());
        let listening = bus.map(|bus| tokio::spawn(listen(bus, every, heard)));
        let broker = listening.is_some().then_some(broker);
        Heart { pulse, beating: tokio::spawn(beat(store, broker, id, every, sender)), listening }
    }

    /// What is known now.
    pub fn pulse(&self) -> watch::Receiver<Pulse> {
        self.pulse.clone()
    }

    /// Resolves when the machine is to leave: an operator wants it, or it was declared dead. Cancel safe.
    pub async fn leaves(&mut self) -> MachineState {
        match self.pulse.wait_for(|pulse| pulse.state != MachineState::Alive).await {
            Ok(pulse) => pulse.state,
            // The task ends only with the heart.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Asks the broker, again and again.
async fn listen(bus: Bus, every: Duration, heard: watch::Sender<Instant>) {
    loop {
        let asked = Instant::now();
        match bus.reach().await {
            Ok(()) => drop(heard.send_replace(asked)),
            Err(reason) => tracing::debug!(reason, "the broker does not answer"),
        }
        tokio::time::sleep(every).await;
    }
}

async fn beat(
    store: Store,
    broker: Option<watch::Receiver<Instant>>,
    id: MachineId,
    every: Duration,
    pulse: watch::Sender<Pulse>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let cut_off = broker.as_ref().is_some_and(|heard| heard.borrow().elapsed() > every * BROKER_SILENT_FOR);
        if pulse.borrow().cut_off != cut_off {
            pulse.send_modify(|pulse| pulse.cut_off = cut_off);
            match cut_off {
                true => {
                    tracing::warn!(%id, "the broker does not answer; if that lasts, others take over from this machine")
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
                pulse.send_replace(Pulse { state, heard: Instant::now(), cut_off });
            }
            // Games go on; if it lasts, a monitor declares this machine dead, and it hears that when the store is back.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%id, %error, "this machine cannot say that it lives");
            }
            Err(error) => tracing::debug!(%id, %error, "this machine cannot say that it lives"),
        }
    }
}
