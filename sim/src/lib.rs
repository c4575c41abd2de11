//! The cluster in virtual time: the machines of `core`, and nothing else of chorus.
//!
//! Two edges, two hosts, a log, a store and players, all in one thread and one queue of events. Every delay is drawn at random,
//! and so is every loss, repetition and late delivery, from the same generator. A run is a function of its seed, so every
//! finding can be reproduced.
//!
//! As in the real system, a machine's appends to one channel keep their order, and those to different channels do not. A
//! machine that is killed loses its latest appends. A machine that stalls recovers, is not notified that others have taken
//! over, and continues for some time. A machine that takes over begins at the snapshot and repeats the outputs since. Not
//! simulated are sandboxes, sockets and disks. Monitors have a scenario of their own, [`placement`].
//!
//! Where to look: `dials` has every duration and frequency; `world` has the queue and the machines; `script` is the rooms' guests; `player` is a client, with the checks
//! of what it receives.

mod dials;
pub mod placement;
mod player;
mod script;
mod world;

/// The amount of play, and the number of faults.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub players: usize,
    /// Games that each player must complete.
    pub games: usize,
    /// Machines that are killed or stall, one after the other.
    pub faults: usize,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub games: usize,
    pub messages: usize,
    pub frames: usize,
    pub resumes: usize,
    /// The digest of all frames that players received, in order.
    pub digest: String,
}

/// A promise that did not hold.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, after {at_ms} ms: {what}")]
pub struct Violation {
    pub seed: u64,
    pub at_ms: u64,
    pub what: String,
}

/// Plays until every player has had its games and is back in the lobby.
///
/// # Errors
/// When a frame is missing or repeated, a message has two replies, a session is lost, or a player makes no progress although
/// there are no more faults.
pub fn run(seed: u64, plan: Plan) -> Result<Report, Violation> {
    world::World::new(seed, plan).run()
}
