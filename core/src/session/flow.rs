//! How fast a client's bytes are read. A client that sends more than its session or its player may is slowed: the edge stops
//! reading from it, so that its data waits at the client, where TCP holds it back. Nothing is refused or lost by that. A client
//! that is slowed for most of the time is closed, since its messages would arrive later and later.

use super::{Output, Session, Slowed};
use crate::{frame::CloseCode, ids::Time, pace::Pace};

#[derive(Debug, Default)]
pub(super) struct Flow {
    bytes: Pace,
    /// Nothing is read before.
    paused_until: Time,
    /// Milliseconds that the client was slowed, less those without a wait.
    slowed_ms: u64,
}

impl Flow {
    /// Slows the client for this long, and returns until when.
    fn pause(&mut self, wait_ms: u64, now: Time) -> Time {
        let until = now.plus(wait_ms);
        let unslowed = now.since(self.paused_until);
        let added = until.since(self.paused_until.max(now));
        self.slowed_ms = self.slowed_ms.saturating_sub(unslowed).saturating_add(added);
        self.paused_until = self.paused_until.max(until);
        self.paused_until
    }
}

impl Session {
    pub(super) fn on_received(&mut self, bytes: u32, player_wait_ms: u64, now: Time) {
        let own_wait_ms = self.flow.bytes.take(bytes.into(), self.limits.bytes_per_second, now);
        let (wait_ms, by) = match own_wait_ms >= player_wait_ms {
            true => (own_wait_ms, Slowed::Session),
            false => (player_wait_ms, Slowed::Player),
        };
        if wait_ms == 0 {
            return;
        }
        let until = self.flow.pause(wait_ms, now);
        // The client cannot be received from before that, so its silence begins then.
        self.liveness.last_activity = until;
        self.outputs.push_back(Output::Pause { until, by });
        if self.flow.slowed_ms > self.limits.slowed_ms {
            self.close(
                CloseCode::RateLimited,
                match by {
                    Slowed::Session => "too many bytes for too long",
                    Slowed::Player => "too many frames or bytes for too long, by all sessions of this player",
                },
            );
        }
    }
}
