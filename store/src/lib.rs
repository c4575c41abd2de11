//! Tables: what edges and hosts must find again after a restart, and what operators list.
//!
//! One handle, [`Store`], over a back end: SQLite in embedded mode; Postgres comes with the distributed mode. The tables
//! are in `migrations/sqlite/`, each with its owner and retention, each column that is not obvious with its reason.
//!
//! * **Writes** go to one writer (`writer.rs`), which puts all that wait into one transaction. Every one may be
//!   repeated: a caller that does not know whether it happened does it again. A write is in the database when its
//!   future resolves, and takes effect even if the future is dropped after its first poll.
//! * **Reads** have connections of their own, do not wait for writes, and see every write that has resolved.
//! * **Durability**: with [`Durability::Always`] a write is on the disk when it resolves; with
//!   [`Durability::Background`] no `kill -9` undoes it, and a power cut may undo the last 100 ms.

use std::{path::Path, sync::Arc};

mod components;
mod error;
mod machines;
mod open;
mod rooms;
mod row;
mod sessions;
mod writer;

pub use error::{OpenError, StoreError};
pub use machines::Registered;
pub use rooms::{RoomFilter, RoomRow, RoomStatus, RoomUpdate, Snapshot, SnapshotRow};
pub use sessions::{Resumed, SessionRow};
use sqlx::SqlitePool;

/// A handle to all tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Sqlite>);

#[derive(Debug)]
struct Sqlite {
    readers: SqlitePool,
    writer: writer::Handle,
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

impl Store {
    /// Opens the SQLite database at `path`, creating it or bringing its tables up to date. Its directory must be there,
    /// and must be this process's alone (the log's lock sees to that). Checks the whole file: about a second per GiB.
    pub async fn open_embedded(path: &Path, fsync: Durability) -> Result<Store, OpenError> {
        let (readers, writer) = open::open(path, fsync).await?;
        Ok(Store(Arc::new(Sqlite { readers, writer })))
    }

    /// Refuses further writes, carries out those that wait, and closes the database with all of it on the disk.
    pub async fn close(self) -> Result<(), StoreError> {
        self.0.readers.close().await;
        self.0.writer.close().await
    }

    fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    async fn write<W: writer::Write>(&self, write: W) -> Result<W::Output, StoreError> {
        self.0.writer.write(write).await
    }
}
