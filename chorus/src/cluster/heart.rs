//! How a machine is known to live: it writes to the store, again and again, and reads there what became of it.

use std::time::Duration;

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
}

/// A heartbeat. It stops when it is dropped.
#[derive(Debug)]
pub struct Heart {
    pulse: watch::Receiver<Pulse>,
    beating: JoinHandle<()>,
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Heart {
    pub fn start(store: Store, id: MachineId, every: Duration) -> Heart {
        let (sender, pulse) = watch::channel(Pulse { state: MachineState::Alive, heard: Instant::now() });
        Heart { pulse, beating: tokio::spawn(beat(store, id, every, sender)) }
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

async fn beat(store: Store, id: MachineId, every: Duration, pulse: watch::Sender<Pulse>) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match store.heartbeat(&id).await {
            Ok(state) => {
                failing = false;
                pulse.send_replace(Pulse { state, heard: Instant::now() });
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
