//! What an edge decides for all of its connections together. (A single connection is [`crate::session`].)
//!
//! [`Registry`] has the session of each connection, [`Players`] bounds what all sessions of a player do together, [`Arrivals`] how fast an address connects, [`for_each_session`] finds the sessions that a command is for, and
//! [`StoredSession`] is a session's row in the store: which of its resume tokens are valid, and which edge's writes count.
//! Nothing here waits or locks. An edge keeps its registry behind a lock of its own, and the lock of a connection is never
//! taken under it.

mod arrivals;
mod players;
mod registry;
mod stored_session;

pub use arrivals::{Arrivals, MAX_ADDRESSES, MAX_WAIT_MS, TooFast};
pub use players::{MAX_DEPARTED, PlayerKey, PlayerLimits, Players, TooManyConnections};
pub use registry::{Delivery, Registry, for_each_session};
pub use stored_session::{Resumed, Resuming, StoredSession};
