//! The cluster in virtual time: the machines of `core`, and nothing else of chorus.
//!
//! Two edges, two hosts, a log, a store and players, all in one thread and one queue of events. What takes time takes a
//! time that is drawn; what can be lost, doubled or late is, by the same dice. A run is a function of its seed, so
//! whatever it finds is found again.
//!
//! What is like the real thing: a machine's words to one channel keep their order, those to different ones do not. A
//! machine that is killed loses the end of what it was saying. One that stands still comes back, does not know that others
//! have taken over, and goes on for a while. Whoever takes over begins at the snapshot and says again what followed.
//! What is not: sandboxes, sockets, disks, and the monitor's decisions, which have tests of their own.
//!
//! What to read in: `world` is the queue and the machines; `script` is what the rooms' guests do; `player` is a client,
//! and what it must never see.

mod player;
mod script;
mod world;

/// How much is played, and how often something fails.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub players: usize,
    /// Games that each player must see end.
    pub games: usize,
    /// Machines that are killed or stand still, one after the other.
    pub faults: usize,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub games: usize,
    pub messages: usize,
    pub frames: usize,
    pub resumes: usize,
    /// Of all that players saw, in order.
    pub digest: String,
}

/// Something that was promised did not hold.
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
/// When a frame is missing or comes twice, a message has two replies, a session is lost, or somebody does not get any
/// further once nothing fails any more.
pub fn run(seed: u64, plan: Plan) -> Result<Report, Violation> {
    world::World::new(seed, plan).run()
}
