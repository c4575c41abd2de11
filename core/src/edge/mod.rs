//! What an edge decides for all of its connections together. (A single connection is [`crate::session`].)
//!
//! [`Registry`] has the session of each connection, [`for_each_session`] finds the sessions that a command is for, and
//! [`StoredSession`] is a session's row in the store: which of its resume tokens are valid, and which edge's writes count.
//! Nothing here waits or locks. An edge keeps its registry behind a lock of its own, and the lock of a connection is never
//! taken under it.

mod registry;
mod stored_session;

pub use registry::{Delivery, Registry, for_each_session};
pub use stored_session::{Resumed, Resuming, StoredSession};
