//! Partitions, embedded.

use chorus_core::{
    ids::Offset,
    placement::{Assignment, Partition},
};
use sqlx::SqliteConnection;

use super::{Read, Write, now};
use crate::{
    Assigned, MONITOR_LEASE, StoreError,
    partitions::{
        Assignments, Checkpoint, ExecutePlan, PartitionColumns, Partitions, SetCheckpoint, assignment_columns,
        partition,
    },
    row::{Table, number},
};

impl Write for Partitions {
    type Output = u32;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u32, StoreError> {
        let at = StoreError::at("read the number of partitions");
        let count = "SELECT count(*) FROM partitions";
        let found = sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *db).await.map_err(&at)?;
        if found > 0 {
            return Table("partitions").number(found);
        }
        for partition in 0..self.default {
            let new = sqlx::query("INSERT INTO partitions (partition) VALUES (?1)").bind(partition);
            new.execute(&mut *db).await.map_err(&at)?;
        }
        Ok(self.default)
    }
}

impl Read for Assignments {
    type Output = Vec<Partition>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<Partition>, StoreError> {
        let all = "SELECT partition, host, epoch, checkpoint FROM partitions ORDER BY partition";
        let all = sqlx::query_as::<_, PartitionColumns>(all).fetch_all(db).await;
        all.map_err(StoreError::at("read the assignments"))?.into_iter().map(partition).collect()
    }
}

impl Write for ExecutePlan {
    type Output = Assigned;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Assigned, StoreError> {
        let at = StoreError::at("assign partitions");
        let active = concat!("SELECT 1 FROM leases WHERE name = ?1 AND holder = ?2 AND until > ", now!());
        let active = sqlx::query_scalar::<_, i64>(active).bind(MONITOR_LEASE).bind(self.monitor.0.as_ref());
        if active.fetch_optional(&mut *db).await.map_err(&at)?.is_none() {
            return Ok(Assigned::NotActive);
        }
        // Checks first, then changes: an applied statement is committed, even if this returns a refusal.
        for line in &self.plan {
            let fits = "SELECT 1 FROM partitions WHERE partition = ?1
                        AND (epoch = ?3 - 1 OR (epoch = ?3 AND host = ?2))";
            if bound(fits, line).fetch_optional(&mut *db).await.map_err(&at)?.is_none() {
                return Ok(Assigned::Overtaken { partition: line.partition });
            }
        }
        for line in &self.plan {
            let assign = "UPDATE partitions SET host = ?2, epoch = ?3 WHERE partition = ?1";
            bound(assign, line).execute(&mut *db).await.map_err(&at)?;
        }
        Ok(Assigned::Done)
    }
}

type Bound<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bound<'q>(sql: &'static str, line: &Assignment) -> Bound<'q> {
    let (partition, host, epoch) = assignment_columns(line);
    sqlx::query(sql).bind(partition).bind(host).bind(epoch)
}

impl Read for Checkpoint {
    type Output = Offset;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Offset, StoreError> {
        let found = sqlx::query_scalar::<_, i64>("SELECT checkpoint FROM partitions WHERE partition = ?1");
        let found = found.bind(self.partition).fetch_optional(db).await.map_err(StoreError::at("read a checkpoint"))?;
        Table("partitions").number(found.unwrap_or(0))
    }
}

impl Write for SetCheckpoint {
    type Output = ();

    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let set = "UPDATE partitions SET checkpoint = ?2 WHERE partition = ?1 AND checkpoint < ?2";
        let at = StoreError::at("set a checkpoint");
        let set = sqlx::query(set).bind(self.partition).bind(number(self.offset));
        set.execute(&mut *db).await.map_err(&at)?;
        let clock = concat!("UPDATE data SET clock = max(clock, ", now!(), ")");
        sqlx::query(clock).execute(db).await.map(drop).map_err(&at)
    }
}
