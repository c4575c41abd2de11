//! From a built component to the rooms that run it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use chorus_core::{
    ids::{Digest, Kind},
    room::Notice,
};
use chorus_host::{Host, HostEvent, What, guest::Engine};
use chorus_store::Store;
use tokio::sync::broadcast;

use super::{
    builds::Built,
    status::{Board, State},
};

/// Rooms that have not said by then how their swap went are not waited for; what they say later is still told.
const SWAP: Duration = Duration::from_secs(5);

/// Hands components to the store and to the rooms.
#[derive(Debug)]
pub struct Publisher {
    engine: Engine,
    store: Store,
    host: Host,
    board: Board,
    /// What was handed over last: a build gives all components, also those that are as they were.
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

    /// Makes a component the one of its kind, in rooms to come and in those that are. One that cannot be a room is
    /// told, and changes nothing.
    pub async fn publish(&mut self, built: Built) -> anyhow::Result<()> {
        let Built { kind, digest, file } = built;
        if self.published.get(&kind) == Some(&digest) {
            return Ok(());
        }
        let wasm = tokio::fs::read(&file).await.with_context(|| format!("{} cannot be read", file.display()))?;
        // Held until the host has it, so that it is loaded once.
        let loaded = match self.engine.load(digest, &wasm).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.board.tell(kind.as_str(), State::BuildFailed { message: error.to_string() });
                return Ok(());
            }
        };
        let is_new = self.store.active(&kind).await? != Some(digest);
        if is_new {
            self.store.publish(&kind, digest, &wasm).await?;
        }
        let events = self.host.events();
        let asked = self.host.activate(&kind, digest).await?;
        drop(loaded);
        self.published.insert(kind.clone(), digest);
        match asked {
            _ if !is_new => {}
            0 => self.board.tell(kind.as_str(), State::Published),
            asked => drop(tokio::spawn(tell_swaps(events, self.board.clone(), kind, digest, asked))),
        }
        Ok(())
    }
}

/// Waits for the rooms that were asked, and tells how it went.
async fn tell_swaps(
    mut events: broadcast::Receiver<HostEvent>,
    board: Board,
    kind: Kind,
    digest: Digest,
    asked: usize,
) {
    let (mut swapped, mut refused) = (0, Vec::new());
    let count = async {
        while swapped + refused.len() < asked {
            match events.recv().await {
                Ok(HostEvent { what: What::Notice(Notice::Swapped { component }), .. }) if component == digest => {
                    swapped += 1;
                }
                Ok(HostEvent { room, what: What::Notice(Notice::SwapRefused { component, reason }), .. })
                    if component == digest =>
                {
                    refused.push(format!("room {room}: {reason}"));
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    };
    // Rooms that had the component already say nothing.
    let _ = tokio::time::timeout(SWAP, count).await;
    match refused.first() {
        None => board.tell(kind.as_str(), State::Swapped { rooms: swapped }),
        Some(first) => {
            let others = refused.len() - 1;
            let others = if others > 0 { format!("\nand {others} more rooms") } else { String::new() };
            board.tell(kind.as_str(), State::SwapRefused { message: format!("{first}{others}") });
        }
    }
}
