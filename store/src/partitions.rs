//! Partitions: their number, the host of each, and its checkpoint.

use chorus_core::{
    ids::{MachineId, Offset},
    placement::{Assignment, Partition},
};

use crate::{
    Store, StoreError,
    row::{Table, number},
};

/// The result of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    Done,
    /// The monitor no longer holds its lease. Nothing has changed.
    NotActive,
    /// This partition was assigned after the planner's read, or there is no such partition. Nothing has changed: read again.
    Overtaken {
        partition: u32,
    },
}

impl Store {
    /// The number of partitions: the number that was stored first, or `default` if there was none. If the log has another
    /// number, the log and the store do not belong together.
    pub async fn partitions(&self, default: u32) -> Result<u32, StoreError> {
        self.write(Partitions { default }).await
    }

    /// All partitions, in order.
    pub async fn assignments(&self) -> Result<Vec<Partition>, StoreError> {
        self.read(Assignments).await
    }

    /// Carries out a plan: all of it or nothing, and only while `monitor` holds [`crate::MONITOR_LEASE`], so that a monitor
    /// that was suspended during another one's takeover changes nothing. Repeating a plan that was carried out succeeds.
    pub async fn assign(&self, monitor: &MachineId, plan: &[Assignment]) -> Result<Assigned, StoreError> {
        self.write(ExecutePlan { monitor: monitor.clone(), plan: plan.to_vec() }).await
    }

    /// The offset below which every record is in its room's snapshot. 0 at first.
    pub async fn checkpoint(&self, partition: u32) -> Result<Offset, StoreError> {
        self.read(Checkpoint { partition }).await
    }

    /// Raises a checkpoint; an offset below the present checkpoint changes nothing. When this returns, the checkpoint is on the
    /// disk, in either mode, and with it every snapshot written before: only then may the log be truncated below it.
    ///
    /// A replaced host that has not noticed may still make this call: snapshots only get newer, so its checkpoint is valid.
    pub async fn set_checkpoint(&self, partition: u32, offset: Offset) -> Result<(), StoreError> {
        self.write(SetCheckpoint { partition, offset }).await
    }
}

pub(crate) struct Partitions {
    pub default: u32,
}

pub(crate) struct Assignments;

pub(crate) struct ExecutePlan {
    pub monitor: MachineId,
    pub plan: Vec<Assignment>,
}

pub(crate) struct Checkpoint {
    pub partition: u32,
}

pub(crate) struct SetCheckpoint {
    pub partition: u32,
    pub offset: Offset,
}

/// partition, host, epoch, checkpoint.
pub(crate) type PartitionColumns = (i64, Option<String>, i64, i64);

pub(crate) fn partition((partition, host, epoch, checkpoint): PartitionColumns) -> Result<Partition, StoreError> {
    let table = Table("partitions");
    Ok(Partition {
        partition: table.number(partition)?,
        host: host.map(|host| MachineId(host.into())),
        epoch: table.number(epoch)?,
        checkpoint: table.number(checkpoint)?,
    })
}

/// An assignment as columns: partition, host, epoch.
pub(crate) fn assignment_columns(Assignment { partition, host, epoch }: &Assignment) -> (i64, String, i64) {
    (i64::from(*partition), host.0.as_ref().to_owned(), number(*epoch))
}
