//! The parts that the tests of several crates share: waits with a deadline, the cast of their stories, built guests, the
//! inputs of fuzz targets, and the documented metrics. A dev-dependency only.

pub mod cast;
pub mod corpus;
pub mod guests;
pub mod metrics;
pub mod wait;

pub use wait::{DEADLINE, free_port, soon, until, until_some, within};
