//! Whether the store has all that it had, and belongs to its log.

use chorus_core::{
    ids::RoomId,
    pairing::{Mark, StoreMark},
};

use crate::{Backend, Store, StoreError};

/// The log that a cluster's database belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The broker cluster's own id. `None`: the brokers do not say it.
    pub cluster: Option<String>,
    /// The topic of the rooms' channels.
    pub topic: String,
}

impl LogIdentity {
    /// Whether the two may be one and the same: what one of them does not know is no difference.
    pub fn may_be(&self, other: &LogIdentity) -> bool {
        let clusters = self.cluster.as_ref().zip(other.cluster.as_ref());
        self.topic == other.topic && clusters.is_none_or(|(one, other)| one == other)
    }
}

impl Store {
    /// What an embedded store carries; `None` until [`Store::set_mark`], and always in a cluster.
    pub async fn mark(&self) -> Result<Option<StoreMark>, StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.read(&ReadMark).await,
            Backend::Postgres(_) => Ok(None),
        }
    }

    /// Writes what an embedded store carries. When this returns it is on the disk.
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

    /// Writes which log a cluster's database belongs to, unless one is written already, or `instead` of that. What is
    /// written now.
    pub async fn set_log(&self, log: &LogIdentity, instead: bool) -> Result<LogIdentity, StoreError> {
        match &self.0 {
            Backend::Sqlite(_) => Ok(log.clone()),
            Backend::Postgres(db) => db.call(&SetLog { log: log.clone(), instead }).await,
        }
    }

    /// Rooms of this partition that are listed as live and have no snapshot: all that is known of them is in the log, or
    /// they are lost.
    pub async fn rooms_without_snapshot(&self, partition: u32) -> Result<Vec<RoomId>, StoreError> {
        self.read(WithoutSnapshot { partition }).await
    }

    /// Gives rooms up that are live and have no snapshot: they have failed, for this reason. The lobby is deleted instead,
    /// so that it can be made anew.
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
