//! Publishes a built component, and swaps it into its rooms.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use chorus_core::{
    ids::{Digest, Kind},
    room::Notice,
};
use chorus_host::{Host, HostEvent, HostEventKind, guest::Engine};
use chorus_store::Store;
use tokio::sync::broadcast;

use super::{
    builds::{Built, Wasm},
    status::{Board, State},
};

/// Rooms that have not reported their swap by then are not waited for; their later reports are still shown.
const SWAP_TIMEOUT: Duration = Duration::from_secs(5);

/// Hands components to the store and to the rooms.
#[derive(Debug)]
pub struct Publisher {
    engine: Engine,
    store: Store,
    host: Host,
    board: Board,
    /// The components published last: a build returns all components, including unchanged ones.
    published: BTreeMap<Kind, Digest>,
}

impl Publisher {
    pub fn new(engine: Engine, store: Store, host: Host, board: Board) -> Publisher {
        Publisher { engine, store, host, board, published: BTreeMap::new() }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn board(&self) -> &Board {
        &self.board
    }

    /// At the start: a component that was the active one before is not loaded, so that the time until players are served does not
    /// depend on the number of kinds. Returns whether it is such a one; it is to be loaded later by [`load`].
    pub async fn is_published(&mut self, built: &Built) -> anyhow::Result<bool> {
        let Built { kind, digest, .. } = built;
        if self.store.active(kind).await? != Some(*digest) {
            return Ok(false);
        }
        self.host.complete_activation(kind, *digest).await?;
        self.published.insert(kind.clone(), *digest);
        Ok(true)
    }

    /// Makes a component the active one of its kind, for new rooms and for running ones. One that cannot be loaded is reported,
    /// and changes nothing.
    pub async fn publish(&mut self, built: Built) -> anyhow::Result<()> {
        let Built { kind, digest, wasm } = built;
        if self.published.get(&kind) == Some(&digest) {
            return Ok(());
        }
        let wasm = match wasm {
            Wasm::Held(wasm) => wasm,
            Wasm::File(file) => {
                tokio::fs::read(&file).await.with_context(|| format!("{} cannot be read", file.display()))?
            }
        };
        // Held until the host has it, so that it is loaded only once.
        let loaded = match self.engine.load(digest, &wasm).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.board.set(kind.as_str(), State::BuildFailed { message: error.to_string() });
                return Ok(());
            }
        };
        let is_new = self.store.active(&kind).await? != Some(digest);
        if is_new {
            self.store.publish(&kind, digest, &wasm).await?;
        }
        let events = self.host.events();
        let ordered = self.host.activate(&kind, digest).await?;
        drop(loaded);
        self.published.insert(kind.clone(), digest);
        match ordered {
            _ if !is_new => {}
            0 => self.board.set(kind.as_str(), State::Published),
            ordered => drop(tokio::spawn(report_swaps(events, self.board.clone(), kind, digest, ordered))),
        }
        Ok(())
    }
}

/// Loads components ahead of their first rooms, one after the other, and reports those that cannot be loaded.
pub async fn load(components: Vec<Built>, host: Host, board: Board) {
    for Built { kind, digest, .. } in components {
        if let Err(error) = host.load(digest).await {
            board.set(kind.as_str(), State::BuildFailed { message: error.to_string() });
        }
    }
}

/// Waits for the rooms that were ordered to swap, and reports the result.
async fn report_swaps(
    mut events: broadcast::Receiver<HostEvent>,
    board: Board,
    kind: Kind,
    digest: Digest,
    ordered: usize,
) {
    let (mut swapped, mut refused) = (0, Vec::new());
    let count = async {
        while swapped + refused.len() < ordered {
            match events.recv().await {
                Ok(HostEvent { what: HostEventKind::Notice(Notice::Swapped { component }), .. })
                    if component == digest =>
                {
                    swapped += 1;
                }
                Ok(HostEvent {
                    room, what: HostEventKind::Notice(Notice::SwapRefused { component, reason }), ..
                }) if component == digest => {
                    refused.push(format!("room {room}: {reason}"));
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    };
    // Rooms that had the component already report nothing.
    let _ = tokio::time::timeout(SWAP_TIMEOUT, count).await;
    match refused.first() {
        None => board.set(kind.as_str(), State::Swapped { rooms: swapped }),
        Some(first) => {
            let others = refused.len() - 1;
            let others = if others > 0 { format!("\nand {others} more rooms") } else { String::new() };
            board.set(kind.as_str(), State::SwapRefused { message: format!("{first}{others}") });
        }
    }
}
