//! Every dial of the simulator: how long things take, and how often they fail.
//!
//! Times are in milliseconds, as ranges that exclude their end; a frequency is one in so many. A changed dial changes all
//! histories.

use std::ops::Range;

pub(crate) struct Dials {
    /// The latency of a message between machines.
    pub latency: Range<u64>,
    /// One message in so many takes longer, by a time from `delay`.
    pub delayed: u64,
    pub delay: Range<u64>,
    /// From an append to the moment at which a host reads it.
    pub read: Range<u64>,
    /// After one read in so many, the room makes a snapshot.
    pub snapshot: u64,
    /// From a hello to the answer of the store.
    pub open: Range<u64>,
    /// Between two actions of a player.
    pub act: Range<u64>,
    /// While there are faults, a player disconnects at one action in so many.
    pub hang_up: u64,
    /// From a lost connection to the moment at which its edge notices that.
    pub lost: Range<u64>,
    /// Between two faults of machines.
    pub fault: Range<u64>,
    /// One fault in so many is an edge's; the others are hosts'.
    pub edge_fault: u64,
    /// One fault in so many is a stall; the others are deaths.
    pub stall: u64,
    /// The time that a stall lasts, beyond the time after which the machine is declared dead and its successor starts.
    pub stall_beyond: Range<u64>,
    /// For how long a machine that has recovered continues before it is fenced.
    pub fenced: Range<u64>,
    /// How much of the latest output of a machine that is killed is lost.
    pub cut: Range<u64>,
    /// From a takeover to the first read of each room.
    pub takeover: Range<u64>,
    /// A machine that is silent for this long is declared dead, and another takes over.
    pub dead_after: u64,
    /// After the last fault, all players finish within this time.
    pub finish: u64,
}

pub(crate) const DIALS: Dials = Dials {
    latency: 1..8,
    delayed: 50,
    delay: 0..800,
    read: 1..5,
    snapshot: 12,
    open: 1..20,
    act: 10..60,
    hang_up: 400,
    lost: 1..30,
    fault: 200..3_000,
    edge_fault: 3,
    stall: 2,
    stall_beyond: 100..4_100,
    fenced: 0..400,
    cut: 0..12,
    takeover: 1..100,
    dead_after: 2_500,
    finish: 180_000,
};
