//! The active component of each kind, and the components themselves, loaded when the first room needs them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chorus_core::{
    ids::{Digest, Kind},
    room::Spec,
};
use chorus_store::Store;

use crate::{
    HostError,
    guest::{Component, Engine, GuestError, LoadError},
};

/// A component, and what its rooms need of its manifest.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub component: Component,
    pub spec: Arc<Spec>,
}

/// Why there is no component. The texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum CannotLoad {
    /// No host can ever load it.
    #[error("{0}")]
    Unusable(String),
    /// This host cannot load it now.
    #[error("{0}")]
    NotNow(String),
}

#[derive(Debug)]
pub struct Catalogue {
    engine: Engine,
    store: Store,
    active: Mutex<HashMap<Kind, Digest>>,
    loaded: Mutex<HashMap<Digest, Loaded>>,
}

impl Catalogue {
    /// Reads the active component of each kind.
    pub async fn open(engine: Engine, store: Store) -> Result<Catalogue, HostError> {
        let catalogue = Catalogue { engine, store, active: Mutex::default(), loaded: Mutex::default() };
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
        u64::from(self.engine.max_instances())
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
        // The others are loaded again, from the cache, when a hibernated room needs them.
        let mut loaded = self.loaded.lock().expect("nobody panics while holding it");
        loaded.retain(|digest, it| it.component.is_in_use() || active.values().any(|active| active == digest));
        Ok(())
    }

    /// The component of this digest.
    pub async fn load(&self, digest: Digest) -> Result<Loaded, CannotLoad> {
        if let Some(loaded) = self.loaded.lock().expect("nobody panics while holding it").get(&digest) {
            return Ok(loaded.clone());
        }
        let wasm = self.store.component(digest).await.map_err(|cause| CannotLoad::NotNow(cause.to_string()))?;
        let missing = || CannotLoad::Unusable(format!("component {digest} is not in the store: publish it again"));
        let component = self.engine.load(digest, &wasm.ok_or_else(missing)?).await?;
        let spec = Arc::new(component.spec());
        let loaded = Loaded { component, spec };
        self.loaded.lock().expect("nobody panics while holding it").insert(digest, loaded.clone());
        Ok(loaded)
    }
}

impl From<LoadError> for CannotLoad {
    fn from(error: LoadError) -> CannotLoad {
        let text = error.to_string();
        match error {
            LoadError::Full(_) | LoadError::Start(GuestError::Host(_)) | LoadError::Describe(GuestError::Host(_)) => {
                CannotLoad::NotNow(text)
            }
            _ => CannotLoad::Unusable(text),
        }
    }
}
