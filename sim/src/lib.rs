//! The cluster in virtual time: the machines of `core`, and nothing else of chorus.
//!
//! Two edges, two hosts, two monitors, a log, a store and players, all in one thread and one queue of events. Every delay is
//! drawn at random, and so is every loss, repetition and late delivery, from the same generator. A run is a function of its
//! seed, so every finding can be reproduced.
//!
//! As in the real system, a machine's appends to one channel keep their order, and those to different channels do not. A
//! machine that is killed loses its latest appends. A machine that stalls recovers, is not notified that others have taken
//! over, and continues until the answer to its next heartbeat. A machine that takes over begins at the snapshot and repeats the
//! outputs since.
//!
//! The simulator models latency, loss, crashes and the store's tables. It decides nothing that production decides: when a
//! snapshot is stored, a room hibernates, a partition moves or a late write counts is up to the machines. Not simulated are
//! sandboxes, sockets, disks and the truncation of the log.
//!
//! Where to look: `dials` has every duration and frequency; `world` has the queue, `event` its events, and `network` their
//! delivery; `host`, `edge` and `monitor` are the shells of the machines, and `store` is what they share; `faults` breaks
//! machines and swaps components; `script` is the rooms' guests; `clients` connects players, and `player` checks what a player
//! receives. `placement` is a scenario of its own: a monitor alone, with failures of the store, the broker and all clocks.

mod clients;
mod dials;
mod edge;
mod event;
mod faults;
mod host;
mod monitor;
mod network;
pub mod placement;
mod player;
mod script;
mod store;
mod world;

use std::collections::BTreeMap;

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
    /// How often each of [`Happened::ALL`] has happened.
    pub happened: BTreeMap<Happened, usize>,
    /// The digest of all frames that players received, in order.
    pub digest: String,
}

/// What a run must contain to mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// A host has taken over a partition.
    Takeover,
    /// A host has handed over a partition of a living host, by hibernating its rooms.
    HandOver,
    /// A room has hibernated with an alarm, or without one.
    HibernationWithAlarm,
    Hibernation,
    /// A snapshot was stored.
    Snapshot,
    /// A timer was appended.
    Timer,
    /// A room has begun again after a lost append.
    LostAppend,
    /// A guest has trapped in a call, and would not in another one.
    Trap,
    /// A room has changed its component, and has returned to the old one after a fault.
    Swap,
    SwapUndone,
    /// A machine was declared dead.
    Death,
    /// A machine has drained, and ended.
    Drained,
    /// A write of an edge came too late.
    LateWrite,
    /// A kick was stored, and a client was refused since its session was kicked.
    Kick,
    KickedHello,
    /// An operator has kicked a player.
    OperatorKick,
    /// A report was written, and a player was erased.
    Report,
    Erasure,
    /// A spectator has sat down, and a player has stood up.
    Sit,
    Stand,
    /// A token was renewed, a session was refused since its token had ended, and a guest has signed in.
    Renewal,
    TokenEnded,
    Upgrade,
    /// Several records were handed to a guest in one call, and such a call has failed as a whole.
    Batch,
    BatchLost,
    /// A room's request was performed.
    Request,
}

impl Happened {
    pub const ALL: [Happened; 26] = [
        Happened::Takeover,
        Happened::HandOver,
        Happened::HibernationWithAlarm,
        Happened::Hibernation,
        Happened::Snapshot,
        Happened::Timer,
        Happened::LostAppend,
        Happened::Trap,
        Happened::Swap,
        Happened::SwapUndone,
        Happened::Death,
        Happened::Drained,
        Happened::LateWrite,
        Happened::Kick,
        Happened::KickedHello,
        Happened::OperatorKick,
        Happened::Report,
        Happened::Erasure,
        Happened::Sit,
        Happened::Stand,
        Happened::Renewal,
        Happened::TokenEnded,
        Happened::Upgrade,
        Happened::Batch,
        Happened::BatchLost,
        Happened::Request,
    ];
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
