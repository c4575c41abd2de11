//! Whether the store is complete, and belongs to its log.

use chorus_core::{
    ids::RoomId,
    pairing::{Mark, StoreMark},
};

use crate::{Backend, Store, StoreError};

/// The log that a cluster's database belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The broker cluster's own id. `None`: the brokers do not report one.
    pub cluster: Option<String>,
    /// The topic of the rooms' channels.
    pub topic: String,
}

impl LogIdentity {
    /// Whether the two may be the same log: a missing cluster id matches any.
    pub fn may_be(&self, other: &LogIdentity) -> bool {
        let clusters = self.cluster.as_ref().zip(other.cluster.as_ref());
        self.topic == other.topic && clusters.is_none_or(|(one, other)| one == other)
    }
}

impl Store {
    /// The mark of an embedded store; `None` until [`Store::set_mark`], and always in a cluster.
    pub async fn mark(&self) -> Result<Option<StoreMark>, StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.read(&ReadMark).await,
            Backend::Postgres(_) => Ok(None),
        }
    }

    /// Writes the mark of an embedded store. When this returns it is on the disk.
    pub async fn set_mark(&self, mark: Mark, settled: bool) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.write(SetMark(StoreMark { mark, settled })).await,
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// The log that a cluster's database belongs to; `None` until [`Store::set_log`], and always in an embedded store.
    pub async fn log(&self) -> Result<Option<LogIdentity>, StoreError> {
        match &self.0 {
            Backend::Sqlite(_) => Ok(None),
            Backend::Postgres(db) => db.call(&ReadLog).await,
        }
    }

    /// Writes which log a cluster's database belongs to, if none is stored yet or `instead` is set. Returns the stored one.
    pub async fn set_log(&self, log: &LogIdentity, instead: bool) -> Result<LogIdentity, StoreError> {
        match &self.0 {
            Backend::Sqlite(_) => Ok(log.clone()),
            Backend::Postgres(db) => db.call(&SetLog { log: log.clone(), instead }).await,
        }
    }

    /// Live rooms of this partition without a snapshot: they exist only in the log, or are lost.
    pub async fn rooms_without_snapshot(&self, partition: u32) -> Result<Vec<RoomId>, StoreError> {
        self.read(WithoutSnapshot { partition }).await
    }

    /// Marks live rooms without a snapshot as failed, with this reason. The lobby is deleted instead, so that it can be created
    /// again.
    pub async fn give_up_rooms(&self, rooms: &[RoomId], reason: &str) -> Result<(), StoreError> {
        self.write(GiveUp { rooms: rooms.to_vec(), reason: reason.to_owned() }).await
    }
}

pub(crate) struct ReadMark;

pub(crate) struct SetMark(pub StoreMark);

pub(crate) struct ReadLog;

pub(crate) struct SetLog {
    pub log: LogIdentity,
    pub instead: bool,
}

pub(crate) struct WithoutSnapshot {
    pub partition: u32,
}

pub(crate) struct GiveUp {
    pub rooms: Vec<RoomId>,
    pub reason: String,
}
