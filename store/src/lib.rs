//! Tables: the state that edges, hosts and monitors restore after a restart, and that operators list.
//!
//! One handle, [`Store`], over two back ends: SQLite in embedded mode (`sqlite/`), Postgres for a cluster (`postgres/`). Each
//! call is a small struct beside the method that makes it; each back end has its SQL in one place. The tables are in
//! `migrations/`, each with its owner and retention, each column that is not obvious with its reason.
//!
//! * **Every call may be repeated**: a caller that cannot know whether a call took effect repeats it.
//! * **A write is in the database when its future resolves.** With SQLite it takes effect even if the future is dropped
//!   after its first poll; with Postgres it then may or may not.
//! * **Reads** see every write whose future has resolved.
//! * **Ages are measured by the database's clock** (heartbeats, leases, expiry), and callers receive durations. Expiry also
//!   respects the process's clock, so that a leap of one clock expires no session.
//! * **Durability**: Postgres, and SQLite with [`Durability::Always`]: a write is on the disk when it resolves. SQLite
//!   with [`Durability::Background`]: no `kill -9` undoes it, and a power cut may undo the last 100 ms.
//! * **Waiting is bounded**: SQLite's queue holds 1,024 writes, and callers with further ones wait for room; a call to Postgres
//!   is retried for [`PostgresOptions::give_up_after`] and then fails with [`StoreError::Unavailable`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

mod bans;
mod clock;
mod components;
mod copy;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hashes;
mod integrity;
mod leases;
mod machines;
mod partitions;
mod players;
mod pool;
mod postgres;
mod reports;
mod rooms;
mod row;
mod secrets;
mod sessions;
mod sqlite;
mod traces;

pub use bans::{Arrival, Ban, LoggedOut, NewBan};
pub use chorus_core::{
    durability::Durability,
    placement::{Assignment, MachineState, Partition, Role},
};
pub use clock::{Clock, wall_clock};
pub use components::VersionRow;
pub use copy::{CopiedStore, check_copy};
pub use error::{OpenError, StoreError};
pub use hashes::KeptHash;
pub use integrity::LogIdentity;
pub use leases::{Lease, MONITOR_LEASE};
pub use machines::{MachineRow, Registered, Registration};
pub use partitions::Assigned;
pub use players::{PlayerSession, SessionFilter};
pub use postgres::{BadUrl, PostgresOptions, migrate_postgres};
pub use reports::{MAX_REPORTS, ReportPlace, ReportRow};
pub use rooms::{RoomFilter, RoomRow, RoomStatus, RoomUpdate, Snapshot, SnapshotRow, StoredRoom};
pub use secrets::{GUESTS_SECRET, StoreSecret};
pub use sessions::{Expired, ExpiryCause, Resumed, SessionRow};
pub use traces::SessionTrace;

/// A handle to all tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

/// How to open an embedded store.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The database's file.
    pub path: PathBuf,
    pub durability: Durability,
    /// Continues without a lost write-ahead log, and without the commits in it.
    pub accept_loss: bool,
    /// The process's clock, instead of one that starts at the wall clock.
    pub clock: Option<Clock>,
}

impl EmbeddedOptions {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> EmbeddedOptions {
        let durability = Durability::default();
        EmbeddedOptions { path: path.into(), durability, accept_loss: false, clock: None }
    }
}

impl Store {
    /// Opens the SQLite database at `path`, creating it or migrating its tables. Its directory must exist and be used by this
    /// process alone (the log's lock ensures that). Checks the whole file: about a second per GiB.
    pub async fn open_embedded(path: &Path, durability: Durability) -> Result<Store, OpenError> {
        Store::open_embedded_with(EmbeddedOptions { durability, ..EmbeddedOptions::new(path) }).await
    }

    /// The same, with all options.
    pub async fn open_embedded_with(options: EmbeddedOptions) -> Result<Store, OpenError> {
        Ok(Store(Backend::Sqlite(Arc::new(sqlite::Sqlite::open(options).await?))))
    }

    /// Opens a cluster's database, whose tables [`migrate_postgres`] has created. Waits for a Postgres that is starting, for
    /// [`PostgresOptions::give_up_after`].
    pub async fn open_postgres(options: &PostgresOptions) -> Result<Store, OpenError> {
        Ok(Store(Backend::Postgres(Arc::new(postgres::Postgres::open(options).await?))))
    }

    /// Refuses further calls. Embedded: completes the queued writes, and closes the database with all of them on the disk.
    pub async fn close(self) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.close().await,
            Backend::Postgres(db) => {
                db.close().await;
                Ok(())
            }
        }
    }

    /// Whether the database answers: one attempt, at most as long as the limit for obtaining a connection. For machines that
    /// have to find out whether they are cut off themselves.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.ping().await,
            Backend::Postgres(db) => db.ping().await,
        }
    }

    async fn write<C, T>(&self, call: C) -> Result<T, StoreError>
    where
        T: Send + 'static,
        C: sqlite::Write<Output = T> + postgres::Call<Output = T>,
    {
        match &self.0 {
            Backend::Sqlite(db) => db.write(call).await,
            Backend::Postgres(db) => db.call(&call).await,
        }
    }

    async fn read<C, T>(&self, call: C) -> Result<T, StoreError>
    where
        C: sqlite::Read<Output = T> + postgres::Call<Output = T>,
    {
        match &self.0 {
            Backend::Sqlite(db) => db.read(&call).await,
            Backend::Postgres(db) => db.call(&call).await,
        }
    }
}
