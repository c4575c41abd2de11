//! Which component a kind has now, and the components themselves, loaded when the first room needs them.

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
    guest::{Component, Engine},
};

/// A component, and what its rooms must know of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub component: Component,
    pub spec: Arc<Spec>,
}

#[derive(Debug)]
pub struct Catalogue {
    engine: Engine,
    store: Store,
    active: Mutex<HashMap<Kind, Digest>>,
    loaded: Mutex<HashMap<Digest, Loaded>>,
}

impl Catalogue {
    /// Reads which component each kind has.
    pub async fn open(engine: Engine, store: Store) -> Result<Catalogue, HostError> {
        let kinds = store.kinds().await?;
        let active = kinds.into_iter().map(|(kind, digest, _)| (kind, digest)).collect();
        Ok(Catalogue { engine, store, active: Mutex::new(active), loaded: Mutex::default() })
    }

    /// Instances that there can be at a time.
    pub fn places(&self) -> u64 {
        u64::from(self.engine.max_instances())
    }

    pub fn active(&self, kind: &Kind) -> Option<Digest> {
        self.active.lock().expect("nobody panics while holding it").get(kind).copied()
    }

    /// From now on rooms of `kind` are created with this component, which is loaded first.
    pub async fn activate(&self, kind: &Kind, digest: Digest) -> Result<(), HostError> {
        let loaded = self.load(digest).await;
        loaded.map_err(|reason| HostError::Component { kind: kind.clone(), digest, reason })?;
        self.active.lock().expect("nobody panics while holding it").insert(kind.clone(), digest);
        Ok(())
    }

    /// The component of this digest. The error is for people.
    pub async fn load(&self, digest: Digest) -> Result<Loaded, String> {
        if let Some(loaded) = self.loaded.lock().expect("nobody panics while holding it").get(&digest) {
            return Ok(loaded.clone());
        }
        let wasm = self.store.component(digest).await.map_err(|e| e.to_string())?;
        let wasm = wasm.ok_or_else(|| format!("component {digest} is not in the store: publish it again"))?;
        let component = self.engine.load(digest, &wasm).await.map_err(|e| e.to_string())?;
        let spec = Arc::new(spec_of(&component));
        let loaded = Loaded { component, spec };
        self.loaded.lock().expect("nobody panics while holding it").insert(digest, loaded.clone());
        Ok(loaded)
    }
}

/// What of a manifest the room machine decides by.
fn spec_of(component: &Component) -> Spec {
    let manifest = component.manifest();
    let config = &manifest.config;
    Spec {
        state_version: manifest.state_version,
        max_players: config.max_players,
        hold_ms: u64::from(config.reconnect_seconds) * 1000,
        keep_when_empty: config.keep_when_empty,
        empty_ms: u64::from(config.empty_seconds) * 1000,
        max_faults: u32::try_from(config.budget.faults).unwrap_or(u32::MAX),
        max_timers: usize::try_from(config.budget.timers).unwrap_or(usize::MAX),
        messages: manifest.messages.iter().cloned().collect(),
        timers: manifest.timers.iter().cloned().collect(),
    }
}
