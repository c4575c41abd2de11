//! Partitions of a cluster.

use std::collections::HashSet;

use chorus_core::{ids::Offset, placement::Partition};
use sqlx::{Connection, PgConnection};

use super::{Call, Failed, Postgres};
use crate::{
    Assigned, MONITOR_LEASE, StoreError,
    partitions::{
        Assignments, Checkpoint, ExecutePlan, PartitionColumns, Partitions, SetCheckpoint, assignment_columns,
        partition,
    },
    row::{Table, number},
};

impl Call for Partitions {
    type Output = u32;
    const ACTION: &'static str = "read the number of partitions";

    /// Each statement skips rows that exist already, from this call or another machine's: if interrupted, the next call
    /// completes it.
    async fn call(&self, db: &mut PgConnection) -> Result<u32, Failed> {
        let write = "INSERT INTO settings (name, value) VALUES ('partitions', $1) ON CONFLICT (name) DO NOTHING";
        sqlx::query(write).bind(i64::from(self.default)).execute(&mut *db).await?;
        let count = count(db).await?.ok_or_else(|| Table("settings").malformed("no number of partitions"))?;
        let rows = "INSERT INTO partitions (partition) SELECT generate_series(0, $1 - 1)
                    ON CONFLICT (partition) DO NOTHING";
        sqlx::query(rows).bind(i64::from(count)).execute(db).await?;
        Ok(count)
    }
}

async fn count(db: &mut PgConnection) -> Result<Option<u32>, Failed> {
    let count = sqlx::query_scalar::<_, i64>("SELECT value FROM settings WHERE name = 'partitions'");
    Ok(count.fetch_optional(db).await?.map(|count| Table("settings").number(count)).transpose()?)
}

struct Count;

impl Call for Count {
    type Output = Option<u32>;
    const ACTION: &'static str = "read the number of partitions";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<u32>, Failed> {
        count(db).await
    }
}

impl Postgres {
    /// The number of partitions. Queried once.
    pub(super) async fn partitions(&self) -> Result<u32, StoreError> {
        if let Some(count) = self.partitions.get() {
            return Ok(*count);
        }
        let count = self.call(&Count).await?.ok_or(StoreError::NoPartitions)?;
        Ok(*self.partitions.get_or_init(|| count))
    }
}

impl Call for Assignments {
    type Output = Vec<Partition>;
    const ACTION: &'static str = "read the assignments";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<Partition>, Failed> {
        let all = "SELECT partition, host, epoch, checkpoint FROM partitions ORDER BY partition";
        let all: Vec<PartitionColumns> = sqlx::query_as(all).fetch_all(db).await?;
        Ok(all.into_iter().map(partition).collect::<Result<_, _>>()?)
    }
}

impl Call for ExecutePlan {
    type Output = Assigned;
    const ACTION: &'static str = "assign partitions";

    async fn call(&self, db: &mut PgConnection) -> Result<Assigned, Failed> {
        let mut all_or_nothing = db.begin().await?;
        // Held until the end, so that no other monitor takes the lease over in the middle of a plan.
        let active = "SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND until > now() FOR SHARE";
        let active = sqlx::query(active).bind(MONITOR_LEASE).bind(self.monitor.0.as_ref());
        if active.fetch_optional(&mut *all_or_nothing).await?.is_none() {
            all_or_nothing.rollback().await?;
            return Ok(Assigned::NotActive);
        }
        let assign = "UPDATE partitions SET host = plan.host, epoch = plan.epoch
                      FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS plan (partition, host, epoch)
                      WHERE partitions.partition = plan.partition
                      AND (partitions.epoch = plan.epoch - 1
                           OR (partitions.epoch = plan.epoch AND partitions.host = plan.host))
                      RETURNING partitions.partition";
        let lines = self.plan.iter().map(assignment_columns);
        let (partitions, rest): (Vec<_>, Vec<_>) =
            lines.map(|(partition, host, epoch)| (partition, (host, epoch))).unzip();
        let (hosts, epochs): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
        let assign = sqlx::query_scalar::<_, i64>(assign).bind(partitions).bind(hosts).bind(epochs);
        let done: HashSet<i64> = assign.fetch_all(&mut *all_or_nothing).await?.into_iter().collect();
        match self.plan.iter().find(|line| !done.contains(&i64::from(line.partition))) {
            Some(line) => {
                all_or_nothing.rollback().await?;
                Ok(Assigned::Overtaken { partition: line.partition })
            }
            None => {
                all_or_nothing.commit().await?;
                Ok(Assigned::Done)
            }
        }
    }
}

impl Call for Checkpoint {
    type Output = Offset;
    const ACTION: &'static str = "read a checkpoint";

    async fn call(&self, db: &mut PgConnection) -> Result<Offset, Failed> {
        let found = sqlx::query_scalar::<_, i64>("SELECT checkpoint FROM partitions WHERE partition = $1");
        let found = found.bind(i64::from(self.partition)).fetch_optional(db).await?;
        Ok(Table("partitions").number(found.unwrap_or(0))?)
    }
}

impl Call for SetCheckpoint {
    type Output = ();
    const ACTION: &'static str = "set a checkpoint";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let set = "UPDATE partitions SET checkpoint = $2 WHERE partition = $1 AND checkpoint < $2";
        sqlx::query(set).bind(i64::from(self.partition)).bind(number(self.offset)).execute(db).await?;
        Ok(())
    }
}
