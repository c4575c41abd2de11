//! The numbers of one stay: from a session's join of a room to its leave.
//!
//! They decide which answers and frames of the room, and which messages of the client, belong to the stay. So an answer that
//! is late, or repeated by a host that has taken over, has no effect on the next stay.

use crate::{frame::FrameTag, ids::Time};

/// Missing frames are requested again after this long, in milliseconds, while frames arrive that leave a gap.
const REQUEST_RETRY_MS: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Stay {
    /// The first request of this stay. What the room sends in answer to an earlier request belongs to an earlier stay, and is
    /// ignored.
    pub first_request: u32,
    /// The latest request to the room.
    pub latest_request: u32,
    /// When frames were last requested from the room.
    requested_at: Time,
    pub join_request: Option<JoinRequest>,
    /// The lowest message id of this stay: messages with lower ids belong to an earlier one.
    pub min_message_id: u64,
    /// The highest message id that the room had applied at its latest whole view or `Resumed`.
    pub max_applied_id: u64,
    /// The highest sequence number of this room's frames that the client has, or had at the end of an earlier stay.
    pub last_seq: u64,
    /// Whether the client has that very frame, so that the next one continues it. Otherwise only a `room` frame fits.
    pub synced: bool,
    /// The room's `left` was sent to the client.
    pub left_sent: bool,
}

/// The latest `Join` of a stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct JoinRequest {
    pub number: u32,
    /// The highest message id that was sent before it: messages with higher ids follow the join.
    pub message_id: u64,
}

impl Stay {
    pub fn new(first_request: u32, last_seq: u64, now: Time) -> Stay {
        Stay {
            first_request,
            latest_request: 0,
            requested_at: now,
            join_request: None,
            min_message_id: 0,
            max_applied_id: 0,
            last_seq,
            synced: false,
            left_sent: false,
        }
    }

    pub fn on_request(&mut self, number: u32, now: Time) {
        self.latest_request = number;
        self.requested_at = now;
    }

    pub fn on_join_request(&mut self, join: JoinRequest, now: Time) {
        self.on_request(join.number, now);
        self.join_request = Some(join);
    }

    /// Whether the room's answer to this request concerns the stay. Otherwise it is an echo.
    pub fn has_request(&self, number: u32) -> bool {
        number >= self.first_request
    }

    /// Whether a frame continues those that the client has.
    pub fn fits(&self, seq: u64, tag: FrameTag) -> bool {
        let continues = self.synced && seq == self.last_seq + 1;
        continues || (tag == FrameTag::Room && seq > self.last_seq)
    }

    pub fn on_frame(&mut self, seq: u64) {
        self.last_seq = seq;
        self.synced = true;
    }

    /// Whether missing frames are to be requested again.
    pub fn is_request_overdue(&self, now: Time) -> bool {
        now.since(self.requested_at) >= REQUEST_RETRY_MS
    }
}
