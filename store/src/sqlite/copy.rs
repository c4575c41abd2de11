//! A copy of the database, by SQLite's `VACUUM INTO`, on a connection of its own.
//!
//! The copy is one read transaction, so it has one moment's content. It is a closed database: the mark of an open one
//! (`writer::checkpoint`) is taken back, since the copy needs no write-ahead log.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

use super::{Read, Sqlite, open};
use crate::{CopiedStore, OpenError, StoreError, integrity::ReadMark, partitions::Assignments, rooms::HighestOffset};

/// How many steps of SQLite's machine are taken between two questions whether the copy goes on: those of some tens of rows,
/// since a row may have megabytes.
const STEPS: i32 = 100;

const ACTION: &str = "copy the database";

impl Sqlite {
    pub async fn copy_to(
        &self,
        to: &Path,
        goes_on: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let at = StoreError::at(ACTION);
        let _hold = self.wal.hold();
        // For its owner alone: SQLite takes an empty file.
        let made = chorus_private::open(File::options().write(true).create_new(true), to);
        made.map_err(|error| at(sqlx::Error::Io(std::io::Error::other(error))))?;
        let mut db = self.source.connect().await.map_err(&at)?;
        let ended = Arc::new(AtomicBool::new(false));
        let seen = ended.clone();
        db.lock_handle().await.map_err(&at)?.set_progress_handler(STEPS, move || {
            let goes_on = goes_on();
            seen.fetch_or(!goes_on, Ordering::Relaxed);
            goes_on
        });
        let copied = sqlx::query("VACUUM INTO ?1").bind(to.to_string_lossy().into_owned()).execute(&mut db).await;
        db.lock_handle().await.map_err(&at)?.remove_progress_handler();
        db.close().await.map_err(&at)?;
        if ended.load(Ordering::Relaxed) {
            return Err(StoreError::CopyEnded);
        }
        copied.map_err(&at)?;
        close_copy(to).await.map_err(&at)?;
        let file = to.to_owned();
        let synced = tokio::task::spawn_blocking(move || File::open(file)?.sync_all()).await;
        synced.map_err(std::io::Error::other).flatten().map_err(|error| at(error.into()))
    }
}

async fn close_copy(path: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).synchronous(SqliteSynchronous::Full);
    let mut copy = options.disable_statement_logging().connect().await?;
    sqlx::query("UPDATE data SET open = 0").execute(&mut copy).await?;
    copy.close().await
}

pub(crate) async fn check_copy(path: &Path) -> Result<CopiedStore, OpenError> {
    let database = || path.display().to_string();
    if !chorus_private::check(path)? {
        return Err(OpenError::Io { database: database(), source: std::io::ErrorKind::NotFound.into() });
    }
    let failed = |source| open::open_error(path, source);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut copy = options.disable_statement_logging().connect().await.map_err(failed)?;
    let found = async {
        open::check(path, &mut copy).await?;
        read(&mut copy).await.map_err(|source| OpenError::Store { database: database(), source })
    };
    let found = found.await;
    copy.close().await.map_err(failed)?;
    found
}

async fn read(copy: &mut SqliteConnection) -> Result<CopiedStore, StoreError> {
    let mark = ReadMark.read(copy).await?;
    let partitions = Assignments.read(copy).await?;
    let highest = HighestOffset { partition: 0 }.read(copy).await?;
    let checkpoints = partitions.into_iter().map(|partition| partition.checkpoint).collect();
    Ok(CopiedStore { mark, checkpoints, highest })
}
