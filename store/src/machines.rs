//! Machines and partitions.

use chorus_core::ids::{MachineId, Offset};
use sqlx::SqliteConnection;

use crate::{
    Store, StoreError,
    row::{From, number},
    writer::Write,
};

/// A machine that has just been registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub id: MachineId,
    /// Earlier lives of its role that were never closed, oldest first. One process owns an embedded store, so they
    /// are dead: what they left is to be cleaned up, and each is then to be closed.
    pub dead: Vec<MachineId>,
}

impl Store {
    /// Begins a machine's life: a new id, `edge-17` for the role `edge`, that no machine has had before.
    pub async fn register_machine(&self, role: &str) -> Result<Registered, StoreError> {
        self.write(Register { role: role.to_owned() }).await
    }

    /// Ends a machine's life. Sessions that were connected to it are disconnected from now on.
    pub async fn close_machine(&self, id: &MachineId) -> Result<(), StoreError> {
        self.write(Close { id: id.clone() }).await
    }

    /// How many partitions the log has: what was written when the store was made, which is `default`. If that is not
    /// what the log says, the two do not belong together.
    pub async fn partitions(&self, default: u32) -> Result<u32, StoreError> {
        self.write(Partitions { default }).await
    }

    /// The offset below which every room of the partition is in its snapshot. 0 at first.
    pub async fn checkpoint(&self, partition: u32) -> Result<Offset, StoreError> {
        let found = sqlx::query_scalar::<_, i64>("SELECT checkpoint FROM partitions WHERE partition = ?1")
            .bind(partition)
            .fetch_optional(self.readers())
            .await
            .map_err(StoreError::at("read a checkpoint"))?;
        From("partitions").number(found.unwrap_or(0))
    }

    /// Raises a checkpoint; a lower one than it has changes nothing. When this returns it is on the disk, in either
    /// mode, and with it every snapshot written before: only then may the log forget what is below it.
    pub async fn set_checkpoint(&self, partition: u32, offset: Offset) -> Result<(), StoreError> {
        self.write(SetCheckpoint { partition, offset }).await
    }
}

struct Register {
    role: String,
}

impl Write for Register {
    type Output = Registered;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Registered, StoreError> {
        let at = StoreError::at("register a machine");
        let earlier = "SELECT number FROM machines WHERE role = ?1 ORDER BY number";
        let dead = sqlx::query_scalar::<_, i64>(earlier).bind(&self.role).fetch_all(&mut *db).await.map_err(&at)?;
        let new = "INSERT INTO machines (role) VALUES (?1) RETURNING number";
        let number = sqlx::query_scalar::<_, i64>(new).bind(&self.role).fetch_one(db).await.map_err(&at)?;
        let id = |number| MachineId(format!("{}-{number}", self.role).into());
        Ok(Registered { id: id(number), dead: dead.into_iter().map(id).collect() })
    }
}

struct Close {
    id: MachineId,
}

impl Write for Close {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let close = "UPDATE sessions SET disconnected_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
                     WHERE edge = ?1 AND disconnected_at IS NULL;
                     DELETE FROM machines WHERE role || '-' || number = ?1";
        let closed = sqlx::query(close).bind(self.id.0.as_ref()).execute(db).await;
        closed.map(drop).map_err(StoreError::at("close a machine"))
    }
}

struct Partitions {
    default: u32,
}

impl Write for Partitions {
    type Output = u32;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u32, StoreError> {
        let at = StoreError::at("read the number of partitions");
        let count = "SELECT count(*) FROM partitions";
        let found = sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *db).await.map_err(&at)?;
        if found > 0 {
            return From("partitions").number(found);
        }
        for partition in 0..self.default {
            let new = sqlx::query("INSERT INTO partitions (partition) VALUES (?1)").bind(partition);
            new.execute(&mut *db).await.map_err(&at)?;
        }
        Ok(self.default)
    }
}

struct SetCheckpoint {
    partition: u32,
    offset: Offset,
}

impl Write for SetCheckpoint {
    type Output = ();

    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let set = "UPDATE partitions SET checkpoint = ?2 WHERE partition = ?1 AND checkpoint < ?2";
        let set = sqlx::query(set).bind(self.partition).bind(number(self.offset)).execute(db).await;
        set.map(drop).map_err(StoreError::at("set a checkpoint"))
    }
}
