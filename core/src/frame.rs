//! The client protocol `v1.json.chorus`: JSON text frames, one object each, whose `t` is its tag.
//!
//! ```text
//! → hello {token?, guest?, name?, resume?, last?} ← welcome {session, resume, recovered, pingMs, now, player, name, guest?}
//! → renew {token}                                ← expiring {inMs} | renewed {}
//! ← room {room, kind, seq, ack, view}            (a move is a fresh room frame)
//! → msg {id, room?, type, data}                  ← reply {room, seq, id, data} | error {id?, room?, seq?, code, message, retryAfterMs?}
//! ← event {room, seq, type, data}                ← patch {room, seq, ops}       ← left {room, seq, reason}
//! → ping {}                                      ← pong {}
//! ```
//! Every frame of a room carries `room` and `seq`: 1, 2, 3, … for each session in each room, with no gap, so that a client can
//! name the last frame that it has and get the rest. (A seat's numbers begin where the room's last seat ended, so they rise
//! even for a session that leaves and joins again; its first frame is always a `room` frame.) `docs/protocol.md` is the public
//! description.
//!
//! Where to look: `client` parses the frames of clients, within the `bounds` on their JSON; `room` has the frames of rooms;
//! `edge` has those of the edge itself; `codes` has the codes of errors and of closed connections.

mod bounds;
mod client;
mod codes;
mod edge;
mod room;

pub use bounds::{MAX_DEPTH, MAX_EXTREME, MAX_MEMBERS, MAX_NAME, MAX_NAMES, MAX_NUMBER, MAX_VALUES};
pub use client::{BadFrame, ClientFrame, Hello, Msg};
pub use codes::{CloseCode, ErrorCode};
pub use edge::{PONG, RENEWED, Welcome, edge_error, expiring};
pub use room::{FrameFields, FrameTag, RoomFrame};

/// Whether a JSON text from outside is within the bounds on that of a frame.
pub fn check_bounds(json: &str) -> bool {
    bounds::check(json).is_ok()
}

/// The WebSocket subprotocol.
pub const PROTOCOL: &str = "v1.json.chorus";

/// The largest frame that an edge accepts, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// The longest message type, in bytes.
pub const MAX_TYPE: usize = 64;

/// The highest `id` and `last` that a client can send: the integers that a JavaScript number holds exactly.
pub const MAX_SEQ: u64 = (1 << 53) - 1;
