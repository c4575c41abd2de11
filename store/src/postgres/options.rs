//! The database's address, and the limits of its use.

use std::{fmt, str::FromStr, time::Duration};

use chorus_core::secret::without_quoted;
use sqlx::postgres::PgConnectOptions;

use crate::Clock;

/// How to reach a cluster's database. Parsed from a URL, `postgres://chorus:secret@db:5432/chorus?sslmode=require`; parts
/// missing there come from the usual variables (`PGHOST`, `PGPASSWORD`, …). The fields have good defaults.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) connect: PgConnectOptions,
    /// The most connections at a time; further calls wait for one.
    pub connections: u32,
    /// How long a call may wait for a connection, including a new one.
    pub acquire: Duration,
    /// How long one statement may take.
    pub statement: Duration,
    /// How long a statement may wait for a row that another transaction has locked.
    pub lock: Duration,
    /// How long a call is retried.
    pub give_up_after: Duration,
    /// The process's clock, instead of one that starts at the database's.
    pub clock: Option<Clock>,
}

/// A text that is not an address of a Postgres database.
#[derive(Debug, thiserror::Error)]
#[error("not the address of a Postgres database ({0}): write postgres://user:password@host:5432/database")]
pub struct BadUrl(String);

impl FromStr for PostgresOptions {
    type Err = BadUrl;

    fn from_str(url: &str) -> Result<PostgresOptions, BadUrl> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(BadUrl("another scheme".to_owned()));
        }
        let connect = url.parse().map_err(|error: sqlx::Error| BadUrl(without_quoted(&error.to_string())))?;
        Ok(PostgresOptions {
            connect,
            connections: 10,
            acquire: Duration::from_secs(3),
            statement: Duration::from_secs(10),
            lock: Duration::from_secs(3),
            give_up_after: Duration::from_secs(15),
            clock: None,
        })
    }
}

impl PostgresOptions {
    /// The settings of every connection of the pool.
    pub(super) fn session(&self) -> PgConnectOptions {
        let connect = match self.connect.get_application_name() {
            None => self.connect.clone().application_name("chorus"),
            Some(_) => self.connect.clone(),
        };
        connect.options([
            ("statement_timeout", self.statement.as_millis().to_string()),
            ("lock_timeout", self.lock.as_millis().to_string()),
            // A process that is stopped (SIGSTOP, a paused machine) in the middle of a transaction must not keep its rows from
            // its successors.
            ("idle_in_transaction_session_timeout", self.lock.as_millis().to_string()),
            // The statements depend on it, so the database's own default must not apply.
            ("default_transaction_isolation", "read committed".to_owned()),
            // A resolved write is on the disk, so the database's own default must not apply.
            ("synchronous_commit", "on".to_owned()),
        ])
    }
}

/// Omits the password.
impl fmt::Display for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PostgresOptions { connect, .. } = self;
        match connect.get_socket() {
            Some(socket) => write!(f, "postgres at {}", socket.display())?,
            None => write!(f, "postgres://{}:{}", connect.get_host(), connect.get_port())?,
        }
        write!(f, "/{}", connect.get_database().unwrap_or(connect.get_username()))
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
