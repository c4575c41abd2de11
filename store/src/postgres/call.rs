//! One call, and its retries.
//!
//! Every call may be repeated, so an error of the connection or a conflict of locks (a restart, a failover, a deadlock) is
//! retried on another connection, at once and then after growing waits, until [`crate::PostgresOptions::give_up_after`]. An
//! error of the statement itself is final.

use std::{
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::Postgres;
use crate::StoreError;

/// The statements of a call. They may be carried out more than once, so a call keeps no state of its own. After a success, no
/// transaction is open.
pub(crate) trait Call: Send + Sync {
    type Output: Send;

    /// For the error: "open a session".
    const ACTION: &'static str;

    fn call(&self, db: &mut PgConnection) -> impl Future<Output = Result<Self::Output, Failed>> + Send;
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failed {
    Database(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Failed {
        Failed::Database(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(error)
    }
}

/// The waits between attempts, doubling. The first retry has none: often the only cause is a connection that died while it was
/// idle.
const MIN_BACKOFF: Duration = Duration::from_millis(20);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The time that a statement may take beyond the database's own limit, before its connection is considered dead.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(2);

impl Postgres {
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Output, StoreError> {
        let began = Instant::now();
        let mut wait = Duration::ZERO;
        loop {
            let source = match self.attempt(call).await {
                Ok(output) => return Ok(output),
                Err(Failed::Store(error)) => return Err(error),
                Err(Failed::Database(error)) if !is_transient(&error) => return Err(StoreError::at(C::ACTION)(error)),
                Err(Failed::Database(error)) => error,
            };
            let tried = began.elapsed();
            if tried + wait >= self.options.give_up_after {
                return Err(StoreError::Unavailable { action: C::ACTION, tried, source: Arc::new(source) });
            }
            tracing::debug!(action = C::ACTION, error = %source, ?wait, "Postgres did not answer; trying again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).clamp(MIN_BACKOFF, MAX_BACKOFF);
        }
    }

    /// One attempt, which waits only for a connection.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        match self.attempt(&Ping).await {
            Ok(()) => Ok(()),
            Err(Failed::Store(error)) => Err(error),
            Err(Failed::Database(sqlx::Error::PoolClosed)) => Err(StoreError::Closed),
            Err(Failed::Database(source)) => {
                Err(StoreError::Unavailable { action: Ping::ACTION, tried: began.elapsed(), source: Arc::new(source) })
            }
        }
    }

    async fn attempt<C: Call>(&self, call: &C) -> Result<C::Output, Failed> {
        let mut connection = self.pool.acquire().await?;
        // The database ends a statement that takes too long; this limit is for a database that has stopped responding.
        let done = tokio::time::timeout(self.options.statement + TIMEOUT_MARGIN, call.call(&mut connection.db)).await;
        let output = done.unwrap_or_else(|_| Err(no_answer()))?;
        connection.release();
        Ok(output)
    }

    /// Closes all connections. Calls that wait for one return [`StoreError::Closed`].
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn no_answer() -> Failed {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer")).into()
}

/// Whether the error may pass soon.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // The connection ended where an answer was expected.
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// By SQLSTATE.
fn is_transient_code(code: &str) -> bool {
    match code {
        // Broken connections; a database that stops, has crashed, or is starting; too many connections.
        _ if code.starts_with("08") => true,
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" => true,
        // Conflicts with other transactions: a deadlock, a lock held for too long, a statement ended by its timeout.
        "40001" | "40P01" | "55P03" | "57014" => true,
        // A replica that is about to become the primary, or no longer is one.
        "25006" => true,
        _ => false,
    }
}

struct Ping;

impl Call for Ping {
    type Output = ();
    const ACTION: &'static str = "reach the database";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        sqlx::query("SELECT 1").execute(db).await?;
        Ok(())
    }
}
