//! The operator's tools: each asks a monitor (or `chorus dev`, which answers the same) by its HTTP API, and prints what
//! it says, for people or as JSON.
//!
//! What to read in: `client` asks, `table` prints; the others are one subcommand each.

mod client;
pub mod machine;
pub mod publish;
pub mod room;
pub mod status;
pub mod swap;
mod table;
