//! The vocabulary, the wire formats and the state machines of chorus. Pure.
//!
//! Nothing here waits, reads a clock, draws randomness or does I/O: a machine is handed an input and the time, and
//! returns what to do. Shells in the other crates wait and act. That is why the same machines run in production, in
//! unit tests and in a simulator, and why the same records always give the same bytes.
//!
//! Start at [`command`] for what travels on channels, at [`room`] for how a room decides, at [`session`] for how an
//! edge decides, at [`placement`] for how a monitor decides, and at [`frame`] for what a client sees.

pub mod command;
pub mod diff;
pub mod effect;
pub mod frame;
pub mod ids;
pub mod json;
pub mod pairing;
pub mod placement;
pub mod planted;
pub mod room;
pub mod session;
pub mod wire;
