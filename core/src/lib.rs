//! The vocabulary, the wire formats and the state machines of chorus. Pure.
//!
//! Nothing here waits, reads a clock, draws randomness or does I/O: a machine takes an input and the time, and returns its
//! outputs. Shells in the other crates wait and act. So the same machines run in production, in unit tests and in a simulator,
//! and the same records always give the same bytes.
//!
//! Start at [`command`] for the records of channels, at [`room`], [`session`] and [`placement`] for the decisions of a room, a
//! connection and a monitor, at [`edge`] for those of an edge about all of its connections, and at [`frame`] for the client
//! protocol, and at [`identity`] for who a client is.

pub mod command;
pub mod diff;
pub mod durability;
pub mod edge;
pub mod effect;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod hosting;
pub mod identity;
pub mod ids;
pub mod json;
pub mod pace;
pub mod pairing;
pub mod placement;
pub mod planted;
pub mod reachability;
pub mod room;
pub mod secret;
pub mod session;
pub mod wire;
