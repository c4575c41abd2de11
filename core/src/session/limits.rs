//! A client's limits.

/// A client's rates, and how long it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames per second, in the long run.
    pub per_second: u32,
    /// Frames at once. As many more are refused one by one; after those the connection is closed.
    pub burst: u32,
    /// Bytes per second, in the long run, as they arrive in frames; twice as many at once. Beyond that the edge stops reading from
    /// the client for a time.
    pub bytes_per_second: u32,
    /// How much longer a client may be slowed than it is read from without a wait, in milliseconds. After that the connection
    /// is closed: its client sends more than it may, and its messages arrive later and later.
    pub slowed_ms: u64,
    /// Milliseconds of a host's processor that a session's messages may cost per second, in the long run; twice as much
    /// at once. A tenth of a core: 50 moves of tic-tac-toe a second cost 3 to 15 ms.
    pub compute_ms: u32,
    /// How long a client may take for its `hello`, in milliseconds.
    pub hello_ms: u64,
    /// After this long without a frame a client checks whether its connection is alive, in milliseconds. A connection is lost
    /// when the client is silent for twice as long, and answers neither of two pings in that time.
    pub ping_ms: u64,
}

impl Limits {
    /// The default of [`Limits::bytes_per_second`]: 50 messages of 5 KiB a second, or four of the largest. Everything accepted is
    /// written to the log, so 400 such sessions fill a disk of 100 MiB/s.
    pub const BYTES_PER_SECOND: u32 = 256 * 1024;

    /// The default of [`Limits::slowed_ms`]: as long as a session in debt for computing may go on.
    pub const SLOWED_MS: u64 = 20_000;

    /// The default of [`Limits::ping_ms`]. In a turn of 30 seconds, a player whose connection dies silently has more than half
    /// left when the client has reconnected (after 1.5 times this); opponents see the loss within twice this. One small frame
    /// in this time keeps a phone's radio from sleeping (LTE: some 10 s after the last packet), as a visible game does anyway;
    /// a browser slows down a page in the background.
    pub const PING_MS: u64 = 8_000;

    /// Silence after which the edge pings. Longer than a client waits for its own check, so that a client that checks is not
    /// pinged.
    pub(super) fn silence_ms(&self) -> u64 {
        self.ping_ms.saturating_add(self.ping_ms / 4)
    }

    /// How long the edge waits for the answer to each of two pings: the second wait ends at twice [`Limits::ping_ms`].
    pub(super) fn pong_ms(&self) -> u64 {
        (self.ping_ms / 8 * 3).max(1)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            per_second: 50,
            burst: 100,
            bytes_per_second: Limits::BYTES_PER_SECOND,
            slowed_ms: Limits::SLOWED_MS,
            compute_ms: 100,
            hello_ms: 10_000,
            ping_ms: Limits::PING_MS,
        }
    }
}
