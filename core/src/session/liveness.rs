//! Whether the client is alive: deadlines, pings and pongs.

use super::{Limits, Output, Phase, Session, StoreWrite};
use crate::{frame::CloseCode, ids::Time};

/// Pings without an answer after which the connection is lost.
const MAX_UNANSWERED: u32 = 2;

#[derive(Debug)]
pub(super) struct Liveness {
    /// When the client last sent anything.
    pub last_activity: Time,
    /// When `last_activity` is examined. This is postponed only then, not by each frame.
    pub next_check: Time,
    unanswered_pings: u32,
    /// Pings that were sent, less the pongs received since. A pong beyond them costs the rate as a ping does.
    awaited_pongs: u32,
}

enum Check {
    Alive,
    Ping,
    Lost,
}

impl Liveness {
    pub fn new(limits: &Limits, now: Time) -> Liveness {
        let next_check = now.plus(limits.silence_ms());
        Liveness { last_activity: now, next_check, unanswered_pings: 0, awaited_pongs: 0 }
    }

    fn check(&mut self, limits: &Limits, now: Time) -> Check {
        let due = self.last_activity.plus(limits.silence_ms());
        if self.unanswered_pings == 0 && now < due {
            self.next_check = due;
            return Check::Alive;
        }
        if self.unanswered_pings >= MAX_UNANSWERED {
            return Check::Lost;
        }
        self.unanswered_pings += 1;
        self.next_check = now.plus(limits.pong_ms());
        Check::Ping
    }
}

impl Session {
    pub(super) fn on_tick(&mut self, now: Time) {
        match self.phase {
            Phase::Greeting { deadline } if now >= deadline => {
                self.close(CloseCode::HeartbeatLost, "no hello was received in time");
            }
            Phase::Opening { .. } | Phase::Open(_) if now >= self.liveness.next_check => self.check_liveness(now),
            _ => {}
        }
        self.check_renewal(now);
        self.check_departure(now);
    }

    fn check_liveness(&mut self, now: Time) {
        match self.liveness.check(&self.limits, now) {
            Check::Alive => {}
            Check::Ping => self.send_ping(),
            Check::Lost => self.close(CloseCode::HeartbeatLost, "two pings were not answered"),
        }
    }

    pub(super) fn send_ping(&mut self) {
        self.liveness.awaited_pongs += 1;
        self.outputs.push_back(Output::Ping);
    }

    pub(super) fn on_ping(&mut self, now: Time) {
        self.on_activity(now);
        self.charge_frames(1, now);
    }

    pub(super) fn on_pong(&mut self, now: Time) {
        self.on_activity(now);
        match self.liveness.awaited_pongs.checked_sub(1) {
            Some(awaited) => self.liveness.awaited_pongs = awaited,
            None => self.charge_frames(1, now),
        }
    }

    /// The client is alive, and has received its resume token.
    pub(super) fn on_activity(&mut self, now: Time) {
        self.liveness.last_activity = now;
        self.liveness.unanswered_pings = 0;
        if let Some((session, token)) = self.id().zip(self.unconfirmed.take()) {
            self.outputs.push_back(Output::Store(StoreWrite::Confirm { session, token }));
        }
    }
}
