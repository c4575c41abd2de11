//! A room that the session has left, and whose membership the store still has.
//!
//! Nobody waits for the end of a membership: with it, a session that resumes would request frames of a room that it has left, and
//! be answered that it is no member. So the write waits for a short time, and is made together with the next join, or beside
//! those of other sessions: an edge's departures of one period are due at the same moment.

use super::{Output, Session, StoreWrite};
use crate::ids::{RoomId, Time};

/// Departures are written at the end of periods of this many milliseconds.
const PERIOD_MS: u64 = 100;

#[derive(Debug, Clone, Copy)]
pub(super) struct Departure {
    pub room: RoomId,
    pub due: Time,
}

impl Session {
    /// The session is no member of this room any more. One such room is kept back at a time.
    pub(super) fn depart(&mut self, room: RoomId, now: Time) {
        self.write_departure();
        let due = Time(now.0.saturating_add(PERIOD_MS) / PERIOD_MS * PERIOD_MS);
        self.departure = Some(Departure { room, due });
    }

    pub(super) fn check_departure(&mut self, now: Time) {
        if self.departure.is_some_and(|departure| now >= departure.due) {
            self.write_departure();
        }
    }

    pub(super) fn write_departure(&mut self) {
        if let Some((session, Departure { room, .. })) = self.id().zip(self.departure.take()) {
            self.outputs.push_back(Output::Store(StoreWrite::Leave(session, room)));
        }
    }
}
