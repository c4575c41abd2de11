//! The errors. Every text names the cause and the remedy.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use chorus_core::ids::{Offset, RoomId};

/// The database could not be opened. `database` is SQLite's file, or Postgres's address without its password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{database} is damaged: {what}; nothing was changed. Restore it from a copy")]
    Damaged { database: String, what: String },
    #[error(
        "{database} was last used by a newer chorus (it has migration {migration}, which this binary does not know): \
         run that version, or a newer one"
    )]
    Newer { database: String, migration: i64 },
    #[error(
        "{database} was made by another build of chorus: its migration {migration} is not the one in this binary. Run \
         the build that made it"
    )]
    Changed { database: String, migration: i64 },
    #[error("{database} is not ready for this chorus: it has not had migration {migration}. Run `chorus migrate`")]
    NotMigrated { database: String, migration: i64 },
    #[error(
        "{wal} is missing: {database} was not closed in good order, and its latest commits were in that file; nothing was \
         changed. Restore it from a copy, or give --accept-loss to go on without those commits (also with a copy that \
         SQLite's own backup has made)"
    )]
    WalMissing { database: String, wal: String },
    #[error(transparent)]
    Private(#[from] chorus_private::PrivateError),
    #[error("cannot open {database}: {source}")]
    Io { database: String, source: io::Error },
    #[error("cannot open {database}: {source}")]
    Database { database: String, source: sqlx::Error },
    #[error("cannot open {database}: {source}")]
    Store { database: String, source: StoreError },
}

/// A read or a write failed. A failed write has changed nothing, except with [`StoreError::Unavailable`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A room has two states at one offset. It must stop: one of them is wrong, and there is no way to find out which.
    #[error(
        "room {room} has two states at offset {offset}: it is not deterministic, or two versions of chorus run it. \
         Stop it, and replay its log with each component to see where they part"
    )]
    Diverged { room: RoomId, offset: Offset },
    #[error("the table {table} holds what chorus never writes: {what}; restore the database from a copy")]
    Malformed { table: &'static str, what: String },
    #[error("{name:?} cannot be the name of a machine: use 1 to 32 of a-z, 0-9 and -")]
    BadName { name: String },
    #[error("how many partitions there are was never written; start a host or a monitor first")]
    NoPartitions,
    #[error("the disk is full: cannot {action}; make room")]
    NoSpace { action: &'static str },
    #[error("cannot {action}: {source}")]
    Database { action: &'static str, source: Arc<sqlx::Error> },
    /// Unknown whether the call took effect. It is safe to repeat.
    #[error("Postgres cannot be reached ({source}), tried for {tried:.1?}: cannot {action}; it may be tried again")]
    Unavailable { action: &'static str, tried: Duration, source: Arc<sqlx::Error> },
    /// Writes since the last sync may not be on the disk, and never will be: all further writes are refused.
    #[error("the store has stopped: cannot sync {}: {source}; check the disk, then restart", file.display())]
    Stopped { file: PathBuf, source: Arc<io::Error> },
    #[error("the store is closed")]
    Closed,
    #[error("a cluster's database is copied by PostgreSQL's own tools (pg_dump, or an archive of its log)")]
    NotEmbedded,
    #[error("the copy was ended before it was complete")]
    CopyEnded,
}

/// The codes of SQLite and of Postgres for a full disk.
const FULL: [&str; 2] = ["13", "53100"];

impl StoreError {
    /// For `map_err`, with the operation: "open a session".
    pub(crate) fn at(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
        move |source| match &source {
            sqlx::Error::PoolClosed => StoreError::Closed,
            sqlx::Error::Database(error) if error.code().is_some_and(|code| FULL.contains(&&*code)) => {
                StoreError::NoSpace { action }
            }
            _ => StoreError::Database { action, source: Arc::new(source) },
        }
    }
}
