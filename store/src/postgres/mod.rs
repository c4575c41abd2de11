//! Postgres: a few connections (`../pool.rs`), and one way to make a call (`call.rs`) that bounds each wait and retries after a
//! restart of the database.
//!
//! Most calls are one statement, so that none is left half done and no round trip is spent on a transaction. A call with
//! several either runs them in one transaction, or has a comment on why it may be interrupted between them.

use std::sync::OnceLock;

mod bans;
mod call;
mod components;
mod hashes;
mod integrity;
mod leases;
mod machines;
mod open;
mod options;
mod partitions;
mod players;
mod reports;
mod rooms;
mod secrets;
mod sessions;
mod traces;

pub(crate) use call::{Call, Failed};
pub use open::migrate_postgres;
pub use options::{BadUrl, PostgresOptions};

use sqlx::PgConnection;

use crate::{Clock, pool::Pool};

#[derive(Debug)]
pub(crate) struct Postgres {
    pool: Pool<PgConnection>,
    options: PostgresOptions,
    /// The number of partitions, which never changes once it is stored.
    partitions: OnceLock<u32>,
    clock: Clock,
}
