//! What can go wrong. Every text names the cause, and who can do what.

use std::{io, path::PathBuf, sync::Arc};

use chorus_core::ids::{Offset, RoomId};

/// The database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is damaged: {what}; nothing was changed. Restore it from a copy", file.display())]
    Damaged { file: PathBuf, what: String },
    #[error(
        "{} was last used by a newer chorus (it has migration {migration}, which this binary does not know): run that \
         version, or a newer one",
        file.display()
    )]
    Newer { file: PathBuf, migration: i64 },
    #[error(
        "{} was made by another build of chorus: its migration {migration} is not the one in this binary. Run the \
         build that made it",
        file.display()
    )]
    Changed { file: PathBuf, migration: i64 },
    #[error("cannot open {}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("cannot open {}: {source}", file.display())]
    Database { file: PathBuf, source: sqlx::Error },
}

/// A read or a write failed. A write that failed has changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Of one room there are two states at one offset. It must stop: one of them is wrong, and nobody can tell which.
    #[error(
        "room {room} has two states at offset {offset}: it is not deterministic, or two versions of chorus run it. \
         Stop it, and replay its log with each component to see where they part"
    )]
    Diverged { room: RoomId, offset: Offset },
    #[error("the table {table} holds what chorus never writes: {what}; restore the database from a copy")]
    Malformed { table: &'static str, what: String },
    #[error("the disk is full: cannot {doing}; make room")]
    NoSpace { doing: &'static str },
    #[error("cannot {doing}: {source}")]
    Database { doing: &'static str, source: Arc<sqlx::Error> },
    /// What was written since the last sync may not be on the disk, and never will be: nothing is written any more.
    #[error("the store has stopped: cannot sync {}: {source}; check the disk, then restart", file.display())]
    Stopped { file: PathBuf, source: Arc<io::Error> },
    #[error("the store is closed")]
    Closed,
}

/// SQLite's code for a disk that is full.
const SQLITE_FULL: &str = "13";

impl StoreError {
    /// For `map_err`, with what was being done: "open a session".
    pub(crate) fn at(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
        move |source| match &source {
            sqlx::Error::PoolClosed => StoreError::Closed,
            sqlx::Error::Database(error) if error.code().as_deref() == Some(SQLITE_FULL) => {
                StoreError::NoSpace { doing }
            }
            _ => StoreError::Database { doing, source: Arc::new(source) },
        }
    }
}
