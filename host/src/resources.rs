//! What the guests of this host's rooms need: components and slots for instances. A room waits for them however long it
//! takes, since another host would have to wait as well, and idle rooms give up their instances meanwhile.

use std::{sync::Arc, time::Duration};

use chorus_core::ids::{Digest, RoomId};

use crate::{
    Shared,
    guest::{CannotLoad, Component, Resources, Unavailable},
};

/// How long to wait before a retry when this host lacks a resource that a room needs.
pub const RESOURCE_RETRY: Duration = Duration::from_millis(100);

/// How long to wait before a component that cannot be used is loaded again: an operator has to publish it.
const COMPONENT_RETRY: Duration = Duration::from_secs(10);

impl Resources for Arc<Shared> {
    async fn load(&self, component: Digest) -> Result<Component, CannotLoad> {
        self.catalogue.load(component).await
    }

    async fn retry(&self, room: RoomId, cause: &Unavailable) -> bool {
        match cause {
            Unavailable::Component { component, cause: CannotLoad::Unusable(reason) } => {
                tracing::error!(%room, %component, reason, "a room cannot go on without its component");
                tokio::time::sleep(COMPONENT_RETRY).await;
                return true;
            }
            Unavailable::Component { component, cause: CannotLoad::NotNow(reason) } => {
                tracing::warn!(%room, %component, reason, "a component cannot be loaded; trying again");
            }
            cause => tracing::debug!(%room, %cause, "a room waits for an instance"),
        }
        self.reclaim_instances();
        tokio::time::sleep(RESOURCE_RETRY).await;
        true
    }

    fn shares_instances(&self) -> bool {
        true
    }
}
