//! The operators' tools: each sends requests to the HTTP API of a monitor (or of `chorus dev`, which has the same one), and
//! prints the responses, for people or as JSON.
//!
//! Where to start: `client` sends requests, `local` finds a server on this machine, `table` and `fields` format responses; the other files are one subcommand each.

pub mod client;
mod events;
mod fields;
pub mod local;
pub mod machine;
pub mod player;
mod player_data;
pub mod publish;
pub mod room;
mod span;
pub mod status;
pub mod swap;
mod table;
