//! The players that have sessions at one edge, and what each may do with all of its sessions together.
//!
//! A session has limits of its own ([`crate::session::Limits`]); this is what keeps a player from having more of them by opening
//! more sessions, or by connecting anew. Frames and bytes are charged after they have arrived: a player that exceeds a rate has
//! its sessions wait, and is charged for no other player.
//!
//! Bounds: a player for each connection of the edge, and [`MAX_DEPARTED`] that have none left. Of these what they have used is
//! kept until it is paid off. Beyond that number the one that departed earliest is removed, which has had the most time for that.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{ids::Time, pace::Pace};

/// Players without a connection that are kept. What they have used is paid off within seconds, so it takes thousands of
/// disconnects a second to reach this number.
pub const MAX_DEPARTED: usize = 1 << 14;

/// The limits of one player at one edge. The rates are in the long run; twice as much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayerLimits {
    /// Connections at once that have a session.
    pub connections: u32,
    /// Frames per second.
    pub per_second: u32,
    /// Bytes per second.
    pub bytes_per_second: u32,
}

impl Default for PlayerLimits {
    /// Some devices with some tabs each. Rates of two sessions at their limits: a player plays in one of them at a time.
    fn default() -> PlayerLimits {
        PlayerLimits { connections: 16, per_second: 100, bytes_per_second: 512 * 1024 }
    }
}

/// A player's place in [`Players`], for as long as it has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayerKey(usize);

/// The player has as many connections as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyConnections;

#[derive(Debug)]
pub struct Players {
    limits: PlayerLimits,
    keys: BTreeMap<Arc<str>, PlayerKey>,
    entries: Vec<Entry>,
    /// Entries of no player.
    free: Vec<PlayerKey>,
    /// Players whose last connection has ended, and when. A player that has returned since is here as often as it has departed.
    departed: VecDeque<(Time, PlayerKey)>,
}

#[derive(Debug)]
struct Entry {
    player: Arc<str>,
    connections: u32,
    /// When the last connection ended; the entry in [`Players::departed`] with another time is void.
    departed: Option<Time>,
    frames: Pace,
    bytes: Pace,
}

impl Players {
    pub fn new(limits: PlayerLimits) -> Players {
        Players { limits, keys: BTreeMap::new(), entries: Vec::new(), free: Vec::new(), departed: VecDeque::new() }
    }

    /// Counts one more connection of this player. `resumes`: with a session that it has already. There may be one more of these,
    /// since the session's earlier connection may not have ended yet.
    pub fn admit(&mut self, player: &Arc<str>, resumes: bool) -> Result<PlayerKey, TooManyConnections> {
        let key = match self.keys.get(player) {
            Some(key) => *key,
            None => self.insert(player),
        };
        let entry = &mut self.entries[key.0];
        if entry.connections >= self.limits.connections.max(1).saturating_add(u32::from(resumes)) {
            return Err(TooManyConnections);
        }
        entry.connections += 1;
        entry.departed = None;
        Ok(key)
    }

    /// One of this player's connections has ended.
    pub fn release(&mut self, key: PlayerKey, now: Time) {
        let entry = &mut self.entries[key.0];
        entry.connections -= 1;
        if entry.connections == 0 {
            entry.departed = Some(now);
            self.departed.push_back((now, key));
        }
        self.remove_departed(now);
    }

    /// Charges this player for what one of its sessions has sent. Returns how many milliseconds that session is to wait.
    pub fn charge(&mut self, key: PlayerKey, frames: u32, bytes: u32, now: Time) -> u64 {
        let PlayerLimits { per_second, bytes_per_second, .. } = self.limits;
        let entry = &mut self.entries[key.0];
        let for_frames = entry.frames.take(frames.into(), per_second, now);
        for_frames.max(entry.bytes.take(bytes.into(), bytes_per_second, now))
    }

    /// The number of players that have a connection or are kept.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn insert(&mut self, player: &Arc<str>) -> PlayerKey {
        let entry = Entry {
            player: player.clone(),
            connections: 0,
            departed: None,
            frames: Pace::default(),
            bytes: Pace::default(),
        };
        let key = match self.free.pop() {
            Some(key) => {
                self.entries[key.0] = entry;
                key
            }
            None => {
                self.entries.push(entry);
                PlayerKey(self.entries.len() - 1)
            }
        };
        self.keys.insert(player.clone(), key);
        key
    }

    /// Removes those from the front that have returned, or have paid everything off, or are too many.
    fn remove_departed(&mut self, now: Time) {
        while let Some((at, key)) = self.departed.front().copied() {
            let entry = &self.entries[key.0];
            let is_current = entry.departed == Some(at);
            let PlayerLimits { per_second, bytes_per_second, .. } = self.limits;
            let has_paid = || entry.frames.is_full(per_second, now) && entry.bytes.is_full(bytes_per_second, now);
            if is_current && self.departed.len() <= MAX_DEPARTED && !has_paid() {
                return;
            }
            self.departed.pop_front();
            if is_current {
                self.keys.remove(&self.entries[key.0].player);
                self.entries[key.0].departed = None;
                self.free.push(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000);

    fn players() -> Players {
        Players::new(PlayerLimits { connections: 2, per_second: 100, bytes_per_second: 1_000 })
    }

    fn id(n: usize) -> Arc<str> {
        format!("u:{n}").into()
    }

    #[test]
    fn a_players_connections_are_bounded_and_anothers_are_not() {
        let mut players = players();
        let first = players.admit(&id(1), false).expect("the first");
        assert_eq!(players.admit(&id(1), false), Ok(first));
        assert_eq!(players.admit(&id(1), false), Err(TooManyConnections));
        assert_eq!(players.admit(&id(1), true), Ok(first), "it takes the place of one of them");
        assert_eq!(players.admit(&id(1), true), Err(TooManyConnections));
        assert!(players.admit(&id(2), false).is_ok());
        players.release(first, NOW);
        assert_eq!(players.admit(&id(1), false), Err(TooManyConnections));
        players.release(first, NOW);
        assert_eq!(players.admit(&id(1), false), Ok(first));
    }

    #[test]
    fn all_sessions_of_a_player_share_its_rates_and_no_other_player_waits() {
        let mut players = players();
        let ana = players.admit(&id(1), false).expect("one");
        let other_session = players.admit(&id(1), false).expect("two");
        let ben = players.admit(&id(2), false).expect("another");
        assert_eq!(players.charge(ana, 200, 0, NOW), 0);
        assert_eq!(players.charge(other_session, 1, 0, NOW), 10);
        assert_eq!(players.charge(ben, 1, 2_000, NOW), 0);
        assert_eq!(players.charge(other_session, 0, 2_500, NOW.plus(1_000)), 500);
    }

    #[test]
    fn connecting_anew_restores_nothing_until_it_is_paid_off() {
        let mut players = players();
        let ana = players.admit(&id(1), false).expect("a place");
        players.charge(ana, 300, 0, NOW);
        players.release(ana, NOW);
        let again = players.admit(&id(1), false).expect("a place");
        assert_eq!(players.charge(again, 1, 0, NOW.plus(500)), 510);
        players.release(again, NOW.plus(500));
        let ben = players.admit(&id(2), false).expect("a place");
        players.release(ben, NOW.plus(600));
        assert_eq!(players.len(), 2, "one has used nothing, but departed later");
        let ben = players.admit(&id(2), false).expect("a place");
        players.release(ben, NOW.plus(10_000));
        assert!(players.is_empty());
    }

    #[test]
    fn of_too_many_departed_players_the_earliest_is_removed() {
        let mut players = players();
        let stays = players.admit(&id(0), false).expect("a place");
        players.charge(stays, 250, 0, NOW);
        for n in 1..=MAX_DEPARTED + 1 {
            let key = players.admit(&id(n), false).expect("a place");
            players.charge(key, 250, 0, NOW);
            players.release(key, NOW);
        }
        assert_eq!(players.len(), MAX_DEPARTED + 1);
        assert_eq!(players.charge(stays, 1, 0, NOW), 510, "it has a connection");
        let second = players.admit(&id(2), false).expect("a place");
        assert_eq!(players.charge(second, 1, 0, NOW), 510, "it was kept");
        let first = players.admit(&id(1), false).expect("a place");
        assert_eq!(players.charge(first, 1, 0, NOW), 0, "it was removed");
    }

    #[test]
    fn places_are_used_again() {
        let mut players = players();
        for n in 0..1_000 {
            let key = players.admit(&id(n), false).expect("a place");
            players.release(key, NOW);
        }
        assert_eq!((players.len(), players.entries.len()), (0, 1));
    }
}
