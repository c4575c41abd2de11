//! The active component of each kind, and the loaded components.

use std::{collections::HashMap, sync::Mutex};

use chorus_core::ids::{Digest, Kind};
use chorus_store::Store;

use crate::{
    HostError,
    components::Components,
    guest::{CannotLoad, Component, Engine},
};

#[derive(Debug)]
pub struct Catalogue {
    components: Components,
    store: Store,
    active: Mutex<HashMap<Kind, Digest>>,
}

impl Catalogue {
    /// Reads the active component of each kind.
    pub async fn open(engine: Engine, store: Store) -> Result<Catalogue, HostError> {
        let components = Components::new(engine, store.clone());
        let catalogue = Catalogue { components, store, active: Mutex::default() };
        catalogue.refresh().await?;
        Ok(catalogue)
    }

    /// Reads the active component of each kind again. Returns the kinds whose component has changed.
    pub async fn refresh(&self) -> Result<Vec<(Kind, Digest)>, HostError> {
        let kinds = self.store.kinds().await?;
        let mut active = self.active.lock().expect("nobody panics while holding it");
        let mut changed = Vec::new();
        for (kind, digest, _) in kinds {
            if active.insert(kind.clone(), digest).is_some_and(|before| before != digest) {
                changed.push((kind, digest));
            }
        }
        Ok(changed)
    }

    /// The largest number of instances at a time.
    pub fn places(&self) -> u64 {
        u64::from(self.components.max_instances())
    }

    /// The instances that rooms have now.
    pub fn instances(&self) -> u64 {
        self.components.instances()
    }

    pub fn active(&self, kind: &Kind) -> Option<Digest> {
        self.active.lock().expect("nobody panics while holding it").get(kind).copied()
    }

    /// Loads this component, and makes it the one that new rooms of `kind` are created with.
    pub async fn activate(&self, kind: &Kind, digest: Digest) -> Result<(), HostError> {
        let loaded = self.load(digest).await;
        let unusable =
            |cause: CannotLoad| HostError::Component { kind: kind.clone(), digest, reason: cause.to_string() };
        loaded.map_err(unusable)?;
        let mut active = self.active.lock().expect("nobody panics while holding it");
        active.insert(kind.clone(), digest);
        // A component that is dropped here is loaded again, from the cache, when a hibernated room needs it.
        self.components.prune(|digest| active.values().any(|active| *active == digest));
        Ok(())
    }

    /// The component of this digest.
    pub async fn load(&self, digest: Digest) -> Result<Component, CannotLoad> {
        self.components.load(digest).await
    }
}
