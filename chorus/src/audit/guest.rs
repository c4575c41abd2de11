//! Runs a room's script, as a host does (`chorus_host`'s `life`), but without shared state and without connections.

use std::{collections::HashMap, future::Future, sync::Arc};

use chorus_core::{
    command::Fault,
    effect::{RoomInfo, Saved},
    ids::{Digest, RoomId},
    room::{Call, Outcome, Spec, SwappedTo},
};
use chorus_host::guest::{Called, Component, Engine, GuestError, Instance, InstantiateError};
use chorus_store::Store;
use tokio::sync::Mutex;

use super::replay::Unplayable;

/// Answers a room's calls.
pub trait Guest: Send {
    /// `None`: the instance was lost through no fault of the record's.
    fn answer(&mut self, call: Call) -> impl Future<Output = Result<Option<Outcome>, Unplayable>> + Send;

    /// Called after a snapshot. Whether the instance was dropped, so that another one has to replace it.
    fn retires(&mut self) -> bool;
}

/// The components of the store, loaded when the first room needs them.
#[derive(Debug)]
pub struct Guests {
    engine: Engine,
    store: Store,
    loaded: Mutex<HashMap<Digest, Loaded>>,
}

#[derive(Clone, Debug)]
struct Loaded {
    component: Component,
    spec: Arc<Spec>,
}

impl Guests {
    pub fn new(engine: Engine, store: Store) -> Guests {
        Guests { engine, store, loaded: Mutex::default() }
    }

    /// Compiles under the lock: another room that waits for it most likely needs the same component.
    async fn load(&self, digest: Digest) -> Result<Loaded, Unplayable> {
        let unplayable = |why: String| Unplayable(format!("component {digest} cannot be run: {why}"));
        let mut all = self.loaded.lock().await;
        if let Some(loaded) = all.get(&digest) {
            return Ok(loaded.clone());
        }
        let wasm = self.store.component(digest).await.map_err(|error| unplayable(error.to_string()))?;
        let wasm = wasm.ok_or_else(|| unplayable("it is not in the store".into()))?;
        let component = self.engine.load(digest, &wasm).await.map_err(|error| unplayable(error.to_string()))?;
        let loaded = Loaded { spec: Arc::new(component.spec()), component };
        all.insert(digest, loaded.clone());
        Ok(loaded)
    }
}

/// How often a call that this machine failed to run is retried, before the room is given up.
const TRIES: u32 = 20;

/// One room's guest.
#[derive(Debug)]
pub struct Seat<'a> {
    guests: &'a Guests,
    room: RoomId,
    instance: Option<Instance>,
    failed: u32,
}

impl<'a> Seat<'a> {
    pub fn new(guests: &'a Guests, room: RoomId) -> Seat<'a> {
        Seat { guests, room, instance: None, failed: 0 }
    }

    async fn open(
        &mut self,
        digest: Digest,
        info: &RoomInfo,
        saved: Option<&Saved>,
    ) -> Result<Option<Outcome>, Unplayable> {
        self.instance = None;
        let loaded = self.guests.load(digest).await?;
        let opened = open(&loaded, info, saved).await;
        Ok(self.judged(opened)?.map(|opened| {
            Outcome::Opened(opened.map(|(instance, _)| {
                self.instance = Some(instance);
                loaded.spec
            }))
        }))
    }

    async fn swap(&mut self, digest: Digest, info: &RoomInfo) -> Result<Option<Outcome>, Unplayable> {
        let Some(instance) = &mut self.instance else { return Ok(None) };
        let saved = instance.save().await;
        let before = match self.judged(saved)? {
            Some(Ok(saved)) => saved,
            Some(Err(fault)) => return Ok(Some(Outcome::Saved(Err(fault)))),
            None => return Ok(None),
        };
        let loaded = match self.guests.load(digest).await {
            Ok(loaded) => loaded,
            // The component exists nowhere: then every host refused the swap.
            Err(Unplayable(why)) => return Ok(Some(Outcome::Swapped(Err(why.into())))),
        };
        let old = self.instance.take();
        let opened = open(&loaded, info, Some(&before)).await;
        Ok(self.judged(opened)?.map(|opened| {
            Outcome::Swapped(match opened {
                Ok((instance, Called { effects, .. })) => {
                    self.instance = Some(instance);
                    Ok(SwappedTo { before, spec: loaded.spec, effects })
                }
                Err(fault) => {
                    self.instance = old;
                    Err(fault.to_string().into())
                }
            })
        }))
    }

    /// Distinguishes a guest's failure from the sandbox's, as a host does. After any failure, the instance is dropped.
    fn judged<T>(&mut self, result: Result<T, GuestError>) -> Result<Option<Result<T, Fault>>, Unplayable> {
        let error = match result {
            Ok(value) => {
                self.failed = 0;
                return Ok(Some(Ok(value)));
            }
            Err(error) => error,
        };
        self.instance = None;
        match error {
            GuestError::Fault(fault) => Ok(Some(Err(fault))),
            GuestError::Refused(text) => Ok(Some(Err(Fault::Threw(text)))),
            GuestError::Poisoned | GuestError::Host(_) if self.failed < TRIES => {
                self.failed += 1;
                Ok(None)
            }
            GuestError::Poisoned | GuestError::Host(_) => Err(Unplayable(error.to_string())),
        }
    }
}

impl Guest for Seat<'_> {
    async fn answer(&mut self, call: Call) -> Result<Option<Outcome>, Unplayable> {
        match call {
            Call::Open { component, info, saved } => self.open(component, &info, saved.as_ref()).await,
            Call::Swap { component, info } => self.swap(component, &info).await,
            Call::Handle { at, event, fuel } => {
                let Some(instance) = &mut self.instance else { return Ok(None) };
                let called = instance.handle(&at, &event, fuel).await;
                Ok(self.judged(called)?.map(|called| Outcome::Called(called.map(|called| called.effects))))
            }
            Call::Save => {
                let Some(instance) = &mut self.instance else { return Ok(None) };
                let saved = instance.save().await;
                Ok(self.judged(saved)?.map(Outcome::Saved))
            }
        }
    }

    fn retires(&mut self) -> bool {
        let overgrown = self.instance.as_ref().is_some_and(Instance::is_overgrown);
        if overgrown {
            tracing::debug!(room = %self.room, "an instance has grown large; another takes its place");
            self.instance = None;
        }
        overgrown
    }
}

async fn open(loaded: &Loaded, info: &RoomInfo, saved: Option<&Saved>) -> Result<(Instance, Called), GuestError> {
    let instance = loaded.component.instantiate(info.id, &info.at).await;
    let mut instance = instance.map_err(|error| match error {
        InstantiateError::Full(_) => GuestError::Host(error.to_string().into()),
        InstantiateError::Start(error) => error,
    })?;
    let called = instance.open(info, saved).await?;
    Ok((instance, called))
}
