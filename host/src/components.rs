//! The components of the store, loaded when the first room needs them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use chorus_core::ids::Digest;
use chorus_store::Store;

use crate::guest::{CannotLoad, Component, Engine};

#[derive(Debug)]
pub struct Components {
    engine: Engine,
    store: Store,
    loaded: Mutex<HashMap<Digest, Component>>,
}

impl Components {
    pub fn new(engine: Engine, store: Store) -> Components {
        Components { engine, store, loaded: Mutex::default() }
    }

    /// The largest number of instances at a time.
    /// The instances that rooms have now.
    pub fn instances(&self) -> u64 {
        self.engine.instances()
    }

    pub fn max_instances(&self) -> u32 {
        self.engine.max_instances()
    }

    /// The component of this digest.
    ///
    /// # Errors
    /// When the store does not have it or does not answer, or when it cannot be a room.
    pub async fn load(&self, digest: Digest) -> Result<Component, CannotLoad> {
        if let Some(component) = self.loaded().get(&digest) {
            return Ok(component.clone());
        }
        let wasm = self.store.component(digest).await.map_err(|cause| CannotLoad::NotNow(cause.to_string()))?;
        let missing = || CannotLoad::Unusable("it is not in the store: publish it again".into());
        let component = self.engine.load(digest, &wasm.ok_or_else(missing)?).await?;
        self.loaded().insert(digest, component.clone());
        Ok(component)
    }

    /// Drops the components that no instance uses and that are not `kept`.
    pub fn prune(&self, kept: impl Fn(Digest) -> bool) {
        self.loaded().retain(|digest, component| component.is_in_use() || kept(*digest));
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<Digest, Component>> {
        self.loaded.lock().expect("nobody panics while holding it")
    }
}
