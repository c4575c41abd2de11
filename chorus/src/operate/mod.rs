//! The operators' tools: each sends requests to the HTTP API of a monitor (or of `chorus dev`, which has the same one), and
//! prints the answers, for people or as JSON.
//!
//! Where to start: `client` sends requests, `table` prints; the other files are one subcommand each.

mod client;
pub mod machine;
pub mod publish;
pub mod room;
pub mod status;
pub mod swap;
mod table;

/// A response that has another shape than this version's.
const UNEXPECTED: &str = "unexpected response from the monitor: is it the same version of chorus?";
