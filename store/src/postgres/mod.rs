//! Postgres: a few connections (`pool.rs`), and one way to make a call (`call.rs`) that bounds each wait and tries again what
//! a restart of the database has broken.
//!
//! Most calls are one statement, so that nothing is half done and no round trip is spent on a transaction; where a call
//! has several, its comment says why they are safe to be cut apart, or they are in one transaction.

use std::sync::OnceLock;

mod call;
mod components;
mod hashes;
mod leases;
mod machines;
mod open;
mod options;
mod partitions;
mod pool;
mod rooms;
mod sessions;
mod whole;

pub(crate) use call::{Call, Failed};
pub use open::migrate_postgres;
pub use options::{BadUrl, PostgresOptions};

use crate::Clock;

#[derive(Debug)]
pub(crate) struct Postgres {
    pool: pool::Pool,
    options: PostgresOptions,
    /// How many there are: never changes once it is written.
    partitions: OnceLock<u32>,
    clock: Clock,
}
