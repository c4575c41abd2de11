//! Opening the SQLite database: settings, checks, migrations.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chorus_core::ids::Time;
use sqlx::{
    ConnectOptions, Connection as _, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    Sqlite,
    writer::{self, Wal},
};
use crate::{Clock, Durability, EmbeddedOptions, OpenError, clock, pool::Pool};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Reads are short, and there are two cores at least.
const READERS: u32 = 3;

/// The longest wait for a reader. Only reads that wait for the disk take as long.
const ACQUIRE: Duration = Duration::from_secs(30);

pub(crate) async fn open(given: EmbeddedOptions) -> Result<Sqlite, OpenError> {
    let EmbeddedOptions { path, durability, accept_loss, clock } = given;
    let path = path.as_path();
    let database = |source| open_error(path, source);
    let has_wal = make_private(path)?;
    let mut db = options(path, durability).create_if_missing(true).connect().await.map_err(database)?;
    check(path, &mut db).await?;
    if !has_wal && needs_wal(&mut db).await.map_err(database)? {
        let lost = OpenError::WalMissing { database: name_of(path), wal: wal_of(path).display().to_string() };
        if !accept_loss {
            // Closed explicitly, so that this attempt leaves no open connection.
            let _ = db.close().await;
            return Err(lost);
        }
        tracing::warn!("{lost}; going on without them: sessions and components since may be missing");
    }
    MIGRATIONS.run(&mut db).await.map_err(|error| cannot_migrate(path, error))?;
    let clock = match clock {
        Some(clock) => clock,
        None => Clock::starting_at(clock::wall_clock().max(latest(&mut db).await.map_err(database)?)),
    };
    begin(&mut db).await.map_err(database)?;
    let wal = open_wal(path, durability).map_err(|source| OpenError::Io { database: name_of(path), source })?;
    let readers = Pool::new(options(path, durability).pragma("query_only", "ON"), READERS, ACQUIRE);
    // An error of opening belongs to the start.
    readers.acquire().await.map_err(database)?.release();
    let wal = Arc::new(wal);
    let writer = writer::spawn(db, wal.clone(), clock.clone());
    Ok(Sqlite { readers, writer, wal, source: options(path, durability), clock })
}

/// SQLite opens its files by name, and gives the later ones the modes of the first. Returns whether there is a write-ahead log
/// with content.
fn make_private(path: &Path) -> Result<bool, OpenError> {
    let wal = wal_of(path);
    let has_wal = chorus_private::check(&wal)? && wal.metadata().is_ok_and(|wal| wal.len() > WAL_HEADER);
    chorus_private::check(&with_suffix(path, "-shm"))?;
    chorus_private::open(File::options().read(true).write(true).create(true), path)?;
    Ok(has_wal)
}

/// A write-ahead log of this length or less has no commit.
const WAL_HEADER: u64 = 32;

/// Whether the file needs a write-ahead log, because the previous process did not close it. A new database has no such table.
async fn needs_wal(db: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let known = "SELECT count(*) FROM sqlite_schema WHERE name = 'data'";
    if sqlx::query_scalar::<_, i64>(known).fetch_one(&mut *db).await? == 0 {
        return Ok(false);
    }
    let open = sqlx::query_scalar::<_, bool>("SELECT open = 1 FROM data").fetch_optional(db).await?;
    Ok(open.unwrap_or(false))
}

/// From here on a missing write-ahead log is a loss.
async fn begin(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    writer::checkpoint(db).await?;
    for statement in [
        "PRAGMA temp_store = MEMORY",
        "CREATE TEMP TABLE clock (now INTEGER NOT NULL)",
        "INSERT INTO temp.clock VALUES (0)",
    ] {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    Ok(())
}

/// The latest time in the store. Rooms' own times are excluded: a room's clock follows its producers'.
async fn latest(db: &mut SqliteConnection) -> Result<Time, sqlx::Error> {
    let latest = "SELECT max(coalesce((SELECT max(clock) FROM data), 0),
                             coalesce((SELECT max(disconnected_at) FROM sessions), 0),
                             coalesce((SELECT max(ended_at) FROM rooms), 0))";
    let latest = sqlx::query_scalar::<_, i64>(latest).fetch_one(db).await?;
    Ok(Time(u64::try_from(latest).unwrap_or(0)))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn wal_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

fn options(path: &Path, durability: Durability) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL syncs at each commit. With NORMAL the writer syncs, behind the commits: see `writer::Wal`.
        .synchronous(match durability {
            Durability::Always => SqliteSynchronous::Full,
            Durability::Background => SqliteSynchronous::Normal,
        })
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        // The writer does that, so that the file records whether it needs the log: see `writer::checkpoint`.
        .pragma("wal_autocheckpoint", "0")
        // A log that was moved into the database starts again from this size, so that its size shows whether it has content.
        .pragma("journal_size_limit", "0")
        // At TRACE: their text, without what is bound. The tests read them there.
        .log_statements(log::LevelFilter::Trace)
        .log_slow_statements(log::LevelFilter::Off, Duration::MAX)
}

pub(super) async fn check(path: &Path, db: &mut SqliteConnection) -> Result<(), OpenError> {
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(db).await;
    match found.map_err(|source| open_error(path, source))?.as_str() {
        "ok" => Ok(()),
        what => Err(OpenError::Damaged { database: name_of(path), what: what.to_owned() }),
    }
}

/// From here on the write-ahead log and its name are on the disk. It exists as long as a connection is open.
fn open_wal(path: &Path, durability: Durability) -> std::io::Result<Wal> {
    let name = wal_of(path);
    let file = File::open(&name)?;
    file.sync_all()?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()?;
    Ok(Wal::new(name, file, durability))
}

/// SQLite's codes for a file that is not, or no longer, a database.
const DAMAGED: [&str; 2] = ["11", "26"];

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

pub(super) fn open_error(path: &Path, source: sqlx::Error) -> OpenError {
    let database = name_of(path);
    let code = source.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    match code {
        // The low byte is the code, the rest is its detail.
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
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => open_error(path, source),
        other => OpenError::Database { database, source: sqlx::Error::Migrate(Box::new(other)) },
    }
}
