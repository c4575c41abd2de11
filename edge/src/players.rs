//! The players with sessions at this edge: [`chorus_core::edge::Players`], shared by all connections.

use std::sync::{Arc, Mutex, MutexGuard};

use chorus_core::{
    edge::{PlayerKey, PlayerLimits, Players, TooManyConnections},
    ids::Time,
};

use crate::links::Links;

/// Its lock is taken under a handle's, and no other lock under it.
#[derive(Debug)]
pub(crate) struct SharedPlayers(Mutex<Players>);

/// A connection's place among its player's, until this is dropped.
pub(crate) struct PlayerSlot {
    links: Arc<Links>,
    key: PlayerKey,
}

impl SharedPlayers {
    pub fn new(limits: PlayerLimits) -> SharedPlayers {
        SharedPlayers(Mutex::new(Players::new(limits)))
    }

    fn lock(&self) -> MutexGuard<'_, Players> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl PlayerSlot {
    /// A place for one more connection of this player. `resumes`: with a session that it has already.
    pub fn take(links: &Arc<Links>, player: &Arc<str>, resumes: bool) -> Result<PlayerSlot, TooManyConnections> {
        let key = links.players.lock().admit(player, resumes)?;
        Ok(PlayerSlot { links: links.clone(), key })
    }

    /// How many milliseconds the player's session, which has sent this, is to wait.
    pub fn charge(&self, frames: u32, bytes: u32, now: Time) -> u64 {
        self.links.players.lock().charge(self.key, frames, bytes, now)
    }
}

impl Drop for PlayerSlot {
    fn drop(&mut self) {
        let now = self.links.now();
        self.links.players.lock().release(self.key, now);
    }
}
