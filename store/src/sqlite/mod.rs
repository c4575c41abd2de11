//! SQLite: one writer (`writer.rs`), which puts all queued writes into one transaction, and a few readers.

use std::{future::Future, sync::Arc};

use sqlx::{SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{Clock, EmbeddedOptions, OpenError, StoreError, pool::Pool};

mod bans;
mod components;
mod copy;
mod hashes;
mod integrity;
mod leases;
mod machines;
mod open;
mod partitions;
mod players;
mod reports;
mod rooms;
mod secrets;
mod sessions;
mod traces;
mod writer;

pub(crate) use copy::check_copy;
pub(crate) use writer::Write;

#[derive(Debug)]
pub(crate) struct Sqlite {
    readers: Pool<SqliteConnection>,
    writer: writer::Handle,
    wal: Arc<writer::Wal>,
    /// For connections that are neither the writer's nor a reader's: see `copy.rs`.
    source: SqliteConnectOptions,
    clock: Clock,
}

/// A query, on a connection that is lent to it.
pub(crate) trait Read {
    type Output;

    /// A future that is dropped before its end costs the pool that connection.
    fn read(&self, db: &mut SqliteConnection) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

impl Sqlite {
    pub async fn open(options: EmbeddedOptions) -> Result<Sqlite, OpenError> {
        open::open(options).await
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(&Ping).await
    }

    pub async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        self.writer.write(write).await
    }

    pub async fn read<R: Read>(&self, read: &R) -> Result<R::Output, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(StoreError::at("open a connection"))?;
        let output = read.read(&mut connection.db).await?;
        connection.release();
        Ok(output)
    }
}

struct Ping;

impl Read for Ping {
    type Output = ();

    async fn read(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let one = sqlx::query_scalar::<_, i64>("SELECT 1").fetch_one(db).await;
        one.map(drop).map_err(StoreError::at("reach the database"))
    }
}

/// Milliseconds since 1970, by the process's clock, for the writes: the writer stores them in this table when it begins a
/// transaction.
macro_rules! now {
    () => {
        "(SELECT now FROM temp.clock)"
    };
}
pub(crate) use now;
