//! Opening the SQLite database: settings, checks, migrations.

use std::{ffi::OsString, fs::File, path::Path, time::Duration};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::writer::{self, Wal};
use crate::{Durability, OpenError};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Reads are short, and there are two cores at least.
const READERS: u32 = 3;

/// Pages (of 4 KiB) in the write-ahead log before the commit that brings it there moves them into the database. Larger
/// than SQLite's 1000, since that commit waits for two syncs; small enough that the file stays at 16 MiB.
const CHECKPOINT_PAGES: &str = "4096";

pub(crate) async fn open(path: &Path, fsync: Durability) -> Result<(SqlitePool, writer::Handle), OpenError> {
    let database = |source| named(path, source);
    let mut db = options(path, fsync).create_if_missing(true).connect().await.map_err(database)?;
    check(path, &mut db).await?;
    MIGRATIONS.run(&mut db).await.map_err(|error| cannot_migrate(path, error))?;
    let wal = open_wal(path, fsync).map_err(|source| OpenError::Io { database: name_of(path), source })?;
    let pool = SqlitePoolOptions::new()
        .max_connections(READERS)
        // A file does not hang up: connections need no test, and no end.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let readers = pool.connect_with(options(path, fsync).pragma("query_only", "ON")).await.map_err(database)?;
    Ok((readers, writer::spawn(db, wal)))
}

fn options(path: &Path, fsync: Durability) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL syncs at each commit. With NORMAL we do it ourselves, behind the commits: see `writer::Wal`.
        .synchronous(match fsync {
            Durability::Always => SqliteSynchronous::Full,
            Durability::Background => SqliteSynchronous::Normal,
        })
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging()
}

async fn check(path: &Path, db: &mut SqliteConnection) -> Result<(), OpenError> {
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(db).await;
    match found.map_err(|source| named(path, source))?.as_str() {
        "ok" => Ok(()),
        what => Err(OpenError::Damaged { database: name_of(path), what: what.to_owned() }),
    }
}

/// The write-ahead log and its name are on the disk from here on. It lives as long as a connection is open.
fn open_wal(path: &Path, fsync: Durability) -> std::io::Result<Wal> {
    let mut name = OsString::from(path);
    name.push("-wal");
    let file = File::open(&name)?;
    file.sync_all()?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()?;
    Ok(Wal::new(name.into(), file, fsync))
}

/// SQLite's codes for a file that is not, or no longer, a database.
const DAMAGED: [&str; 2] = ["11", "26"];

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

fn named(path: &Path, source: sqlx::Error) -> OpenError {
    let database = name_of(path);
    let code = source.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    match code {
        // The low byte is the code, the rest says where.
        Some(code) if DAMAGED.contains(&low_byte(&code).as_str()) => {
            OpenError::Damaged { database, what: source.to_string() }
        }
        _ => OpenError::Database { database, source },
    }
}

fn low_byte(code: &str) -> String {
    code.parse::<u32>().map_or_else(|_| code.to_owned(), |code| (code & 0xff).to_string())
}

fn cannot_migrate(path: &Path, error: MigrateError) -> OpenError {
    let database = name_of(path);
    match error {
        MigrateError::VersionMissing(migration) => OpenError::Newer { database, migration },
        MigrateError::VersionMismatch(migration) => OpenError::Changed { database, migration },
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => named(path, source),
        other => OpenError::Database { database, source: sqlx::Error::Migrate(Box::new(other)) },
    }
}
