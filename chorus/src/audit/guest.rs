//! Runs a room's script for the replay, as a host does, but without waiting for resources.

use chorus_core::{
    ids::{Digest, RoomId},
    room::{Call, Outcome},
};
use chorus_host::{
    Components,
    guest::{CannotLoad, Component, Resources, Runner, Unavailable},
};

use super::{Guest, Unplayable};

/// How often a call that this machine failed to run is retried, before the room is given up.
const TRIES: u32 = 20;

/// One room's guest.
#[derive(Debug)]
pub struct RoomGuest<'a> {
    runner: Runner<StoredComponents<'a>>,
    /// Failures of this machine since the last call that it ran.
    failed: u32,
}

impl<'a> RoomGuest<'a> {
    pub fn new(components: &'a Components, room: RoomId) -> RoomGuest<'a> {
        RoomGuest { runner: Runner::new(StoredComponents(components), room), failed: 0 }
    }
}

impl Guest for RoomGuest<'_> {
    async fn answer(&mut self, call: Call) -> Result<Option<Outcome>, Unplayable> {
        match self.runner.run(call).await {
            Ok(outcome) => {
                self.failed = 0;
                Ok(Some(outcome))
            }
            Err(Unavailable::Resource(_) | Unavailable::NoInstance) if self.failed < TRIES => {
                self.failed += 1;
                Ok(None)
            }
            Err(cause) => Err(Unplayable(cause.to_string())),
        }
    }

    fn retires(&mut self) -> bool {
        self.runner.drop_overgrown()
    }
}

#[derive(Debug)]
struct StoredComponents<'a>(&'a Components);

impl Resources for StoredComponents<'_> {
    async fn load(&self, component: Digest) -> Result<Component, CannotLoad> {
        self.0.load(component).await
    }

    /// No other room of the audit frees a resource while this one waits.
    async fn retry(&self, _: RoomId, _: &Unavailable) -> bool {
        false
    }
}
