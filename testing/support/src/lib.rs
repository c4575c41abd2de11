//! What the tests of several crates share: waits with a deadline, and the cast of their stories. A dev-dependency only.

pub mod cast;
pub mod wait;

pub use wait::{DEADLINE, free_port, soon, until, until_some, within};
