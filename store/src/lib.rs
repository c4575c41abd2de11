//! Tables: what edges, hosts and monitors must find again after a restart, and what operators list.
//!
//! One handle, [`Store`], over two back ends: SQLite in embedded mode (`sqlite/`), Postgres for a cluster (`postgres/`).
//! Each call is a small struct beside the method that makes it; what it does in SQL is said once for each back end.
//! The tables are in `migrations/`, each with its owner and retention, each column that is not obvious with its reason.
//!
//! * **Every call may be repeated**: a caller that does not know whether it happened does it again.
//! * **A write is in the database when its future resolves.** With SQLite it takes effect even if the future is dropped
//!   after its first poll; with Postgres it then may or may not.
//! * **Reads** see every write that has resolved.
//! * **Life is judged by the database's clock** (heartbeats, leases, expiry), and callers get durations. Expiry heeds the
//!   process's clock too, so that a leap of one of them expires nobody.
//! * **Durability**: Postgres, and SQLite with [`Durability::Always`]: a write is on the disk when it resolves. SQLite
//!   with [`Durability::Background`]: no `kill -9` undoes it, and a power cut may undo the last 100 ms.
//! * **Waiting is bounded**: SQLite's queue holds 1,024 writes and further ones wait to be let in; a call to Postgres
//!   is tried again for [`PostgresOptions::give_up_after`], then it is [`StoreError::Unavailable`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

mod clock;
mod components;
mod error;
mod hashes;
mod leases;
mod machines;
mod partitions;
mod postgres;
mod rooms;
mod row;
mod sessions;
mod sqlite;
mod whole;

pub use clock::Clock;
pub use components::VersionRow;
pub use error::{OpenError, StoreError};
pub use hashes::KeptHash;
pub use leases::{Lease, MONITOR_LEASE};
pub use machines::{BadRole, MachineRow, MachineState, Registered, Registration, Role};
pub use partitions::{Assign, Assigned, Assignment};
pub use postgres::{BadUrl, PostgresOptions, migrate_postgres};
pub use rooms::{RoomFilter, RoomRow, RoomStatus, RoomUpdate, Snapshot, SnapshotRow};
pub use sessions::{Resumed, SessionRow};
pub use whole::LogIdentity;

/// A handle to all tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

/// When a write counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: a power cut loses nothing.
    Always,
    /// When it is in the file. It is synced at most 100 ms later.
    #[default]
    Background,
}

/// How to open an embedded store.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The database's file.
    pub path: PathBuf,
    pub durability: Durability,
    /// Goes on without a write-ahead log that is gone, and without the commits that were in it.
    pub accept_loss: bool,
    /// The process's clock, in place of one that begins at the wall clock.
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
    /// Opens the SQLite database at `path`, creating it or bringing its tables up to date. Its directory must be there,
    /// and must be this process's alone (the log's lock sees to that). Checks the whole file: about a second per GiB.
    pub async fn open_embedded(path: &Path, fsync: Durability) -> Result<Store, OpenError> {
        Store::open_embedded_with(EmbeddedOptions { durability: fsync, ..EmbeddedOptions::new(path) }).await
    }

    /// The same, with all that can be set.
    pub async fn open_embedded_with(options: EmbeddedOptions) -> Result<Store, OpenError> {
        Ok(Store(Backend::Sqlite(Arc::new(sqlite::Sqlite::open(options).await?))))
    }

    /// Opens a cluster's database, whose tables [`migrate_postgres`] has made. Waits for a Postgres that is just
    /// starting, for [`PostgresOptions::give_up_after`].
    pub async fn open_postgres(options: &PostgresOptions) -> Result<Store, OpenError> {
        Ok(Store(Backend::Postgres(Arc::new(postgres::Postgres::open(options).await?))))
    }

    /// Refuses further calls. Embedded: carries out the writes that wait, and closes the database with all of it on
    /// the disk.
    pub async fn close(self) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.close().await,
            Backend::Postgres(db) => {
                db.close().await;
                Ok(())
            }
        }
    }

    /// Whether the database answers: one attempt, at most as long as waiting for a connection may take. For those who
    /// must know whether they are themselves cut off.
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
