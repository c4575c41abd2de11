//! Every dial of the simulator: how long things take, and how often they fail.
//!
//! Times are in milliseconds, as ranges that exclude their end; a frequency is one in so many. A changed dial changes all
//! histories.

use std::ops::Range;

use chorus_core::{hosting, placement};

pub(crate) struct Dials {
    /// The latency of a message between machines.
    pub latency: Range<u64>,
    /// One message in so many takes longer, by a time from `delay`.
    pub delayed: u64,
    pub delay: Range<u64>,
    /// From an append to the moment at which a host reads it.
    pub read: Range<u64>,
    /// From a hello to the answer of the store.
    pub open: Range<u64>,
    /// Between two actions of a player.
    pub act: Range<u64>,
    /// While there are faults, a player disconnects at one action in so many.
    pub hang_up: u64,
    /// While there are faults, a player has another member of its room kicked at one action in so many.
    pub kick: u64,
    /// While there are faults, a player requests to sit down or to stand up at one action in so many.
    pub change_seat: u64,
    /// How long a player's token lasts. It is renewed at half of that time.
    pub token: u64,
    /// The store is out of reach for one kick in so many, for a time from `kick_delay`.
    pub kick_delayed: u64,
    pub kick_delay: Range<u64>,
    /// While there are faults, an operator erases the player of one kick in so many.
    pub erase: u64,
    /// From a lost connection to the moment at which its edge notices that.
    pub lost: Range<u64>,
    /// The time that a game's bell takes, during which its players wait.
    pub bell: u64,

    /// When hosts store their rooms, and when idle rooms hibernate.
    pub rooms: hosting::Options,
    /// Between two heartbeats of a machine. A host also reads its partitions, and the active components, with each.
    pub heartbeat: u64,
    /// From a heartbeat to its answer, which tells a machine that it was declared dead: it is fenced then.
    pub fenced: Range<u64>,
    /// A session that was disconnected for this long is ended.
    pub session_expiry: u64,
    /// When monitors declare machines dead, and act.
    pub monitors: placement::Limits,
    /// From the assignment of a partition to the first reads of its rooms.
    pub takeover: Range<u64>,
    /// Restoring a room whose turn it is.
    pub restore: Range<u64>,
    /// How long a host that hands over a partition waits for its rooms.
    pub hand_over: u64,
    /// From a machine's end to its restart, under another id.
    pub restart: Range<u64>,

    /// Between two faults of machines.
    pub fault: Range<u64>,
    /// One fault in so many is an edge's, and one in so many is a monitor's; the others are hosts'.
    pub edge_fault: u64,
    pub monitor_fault: u64,
    /// One fault in so many is a stall, and one in so many of the others is an operator's drain; the others are deaths.
    pub stall: u64,
    pub drain: u64,
    /// The time that a stall lasts, beyond the time after which a machine is declared dead.
    pub stall_beyond: Range<u64>,
    /// How much of the latest output of a machine that is killed is lost.
    pub cut: Range<u64>,
    /// While there are faults, one append of a room in so many is lost, since a disk is full.
    pub append_lost: u64,
    /// While there are faults, one message in so many makes its guest trap, at its first call and where no other host runs the room.
    pub trap: u64,
    /// A host hands a room at most this many of the records that wait, unless a `Fault` is among the others, and carries out its
    /// outputs before it goes on.
    pub at_once: Range<u64>,
    /// While there are faults, one call for several records in so many fails as a whole.
    pub batch_lost: u64,
    /// With one fault in so many, an operator activates another component; one in so many of these always traps, and is
    /// replaced after `bad_for`.
    pub swap: u64,
    pub bad_swap: u64,
    pub bad_for: Range<u64>,

    /// With one fault in so many, an operator kicks a player.
    pub operator_kick: u64,

    /// After the last fault, all players finish within this time.
    pub finish: u64,
}

pub(crate) const DIALS: Dials = Dials {
    latency: 1..8,
    delayed: 50,
    delay: 0..800,
    read: 1..5,
    open: 1..20,
    act: 10..60,
    hang_up: 400,
    kick: 500,
    change_seat: 200,
    token: 3_000,
    kick_delayed: 3,
    kick_delay: 0..4_000,
    erase: 3,
    lost: 1..30,
    bell: 1_200,

    rooms: hosting::Options { hibernate_after_ms: 500, snapshot_after_ms: 300 },
    heartbeat: 500,
    fenced: 1..400,
    session_expiry: 15_000,
    monitors: placement::Limits { refresh_ms: 500, dead_after_ms: 2_500, lease_ms: 2_500, clean_after_ms: 20_000 },
    takeover: 1..100,
    restore: 1..20,
    hand_over: 1_000,
    restart: 300..2_000,

    fault: 200..3_000,
    edge_fault: 3,
    monitor_fault: 8,
    stall: 2,
    drain: 3,
    stall_beyond: 100..4_100,
    cut: 0..12,
    append_lost: 40,
    trap: 100,
    at_once: 1..20,
    batch_lost: 20,
    swap: 3,
    bad_swap: 3,
    bad_for: 100..1_000,
    operator_kick: 6,

    finish: 180_000,
};
