//! Partitions: how many there are, who hosts each, and how far each is snapshotted.

use chorus_core::ids::{MachineId, Offset};

use crate::{
    Store, StoreError,
    row::{From, number},
};

/// A partition's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub partition: u32,
    /// `None`: never assigned. It may be a machine that is gone.
    pub host: Option<MachineId>,
    /// Rises with every assignment, so that a host knows which of two orders is the later one. 0 before the first.
    pub epoch: u64,
    /// Below it every room of the partition is in its snapshot.
    pub checkpoint: Offset,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assign {
    pub partition: u32,
    pub host: MachineId,
    /// The epoch that the planner saw, plus 1.
    pub epoch: u64,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    Done,
    /// The monitor does not hold its lease any more. Nothing has changed.
    NotActive,
    /// Somebody has assigned this partition since the planner looked, or there is no such partition. Nothing has
    /// changed: look again.
    Overtaken {
        partition: u32,
    },
}

impl Store {
    /// How many partitions there are: what was written first, which is `default` if nothing was. If that is not what
    /// the log says, the two do not belong together.
    pub async fn partitions(&self, default: u32) -> Result<u32, StoreError> {
        self.write(Partitions { default }).await
    }

    /// All partitions, in order.
    pub async fn assignments(&self) -> Result<Vec<Assignment>, StoreError> {
        self.read(Assignments).await
    }

    /// Carries out a plan: all of it or nothing, and only while `monitor` holds [`crate::MONITOR_LEASE`], so that one that
    /// was asleep while another took over changes nothing. A plan that is carried out already is done.
    pub async fn assign(&self, monitor: &MachineId, plan: &[Assign]) -> Result<Assigned, StoreError> {
        self.write(CarryOut { monitor: monitor.clone(), plan: plan.to_vec() }).await
    }

    /// The offset below which every room of the partition is in its snapshot. 0 at first.
    pub async fn checkpoint(&self, partition: u32) -> Result<Offset, StoreError> {
        self.read(Checkpoint { partition }).await
    }

    /// Raises a checkpoint; a lower one than it has changes nothing. When this returns it is on the disk, in either
    /// mode, and with it every snapshot written before: only then may the log forget what is below it.
    ///
    /// A host that was replaced and does not know it may still do this: what it says of snapshots is true, since they
    /// only ever get newer.
    pub async fn set_checkpoint(&self, partition: u32, offset: Offset) -> Result<(), StoreError> {
        self.write(SetCheckpoint { partition, offset }).await
    }
}

pub(crate) struct Partitions {
    pub default: u32,
}

pub(crate) struct Assignments;

pub(crate) struct CarryOut {
    pub monitor: MachineId,
    pub plan: Vec<Assign>,
}

pub(crate) struct Checkpoint {
    pub partition: u32,
}

pub(crate) struct SetCheckpoint {
    pub partition: u32,
    pub offset: Offset,
}

/// partition, host, epoch, checkpoint.
pub(crate) type AssignmentColumns = (i64, Option<String>, i64, i64);

pub(crate) fn assignment((partition, host, epoch, checkpoint): AssignmentColumns) -> Result<Assignment, StoreError> {
    let from = From("partitions");
    Ok(Assignment {
        partition: from.number(partition)?,
        host: host.map(|host| MachineId(host.into())),
        epoch: from.number(epoch)?,
        checkpoint: from.number(checkpoint)?,
    })
}

impl Assign {
    /// As columns.
    pub(crate) fn columns(&self) -> (i64, String, i64) {
        (i64::from(self.partition), self.host.0.as_ref().to_owned(), number(self.epoch))
    }
}
