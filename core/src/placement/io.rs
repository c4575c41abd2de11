//! What the placement machine takes and gives.

use super::{Role, View};
use crate::ids::{MachineId, Time};

/// A monitor's time limits. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The period in which a monitor sends its heartbeat, renews the lease and reads the tables.
    pub refresh_ms: u64,
    /// A machine that was silent for longer is dead. Machines send four heartbeats in this time.
    pub dead_after_ms: u64,
    /// How long a lease lasts after it was requested.
    pub lease_ms: u64,
    /// How long after its last heartbeat a dead machine's row and channel are kept: for operators, and for hosts that have not
    /// read of the death yet and may still send to it.
    pub clean_after_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { refresh_ms: 1_000, dead_after_ms: 10_000, lease_ms: 10_000, clean_after_ms: 6 * 3_600_000 }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It is [`Placement::poll_timeout`](super::Placement::poll_timeout) or later.
    Tick,
    /// The answer to [`Output::AcquireLease`], which was sent at `sent_at`.
    Lease { held: bool, sent_at: Time },
    /// The answer to [`Output::ReadTables`].
    View(View),
    /// An output that has an effect only was carried out.
    Done,
    /// The store has refused an output: the tables have changed since the view. Outputs other than notices that have not been
    /// polled yet are dropped; the next view has the present tables.
    Refused,
    /// The store could not be reached. Outputs are dropped likewise.
    StoreLost,
    /// The broker has answered a query that was sent at `sent_at`. The shell sends one in each period.
    BrokerAnswered { sent_at: Time },
    /// The end of an [`Output::DropSessionsOf`] or [`Output::CleanUp`], and whether it has succeeded.
    WorkEnded { machine: MachineId, succeeded: bool },
}

/// Work for the shell, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Writes this monitor's own heartbeat: [`Input::Done`].
    Heartbeat,
    /// Requests or renews the lease: [`Input::Lease`].
    AcquireLease,
    /// Reads the tables: [`Input::View`].
    ReadTables,
    /// Marks the machine as dead, unless it has sent a heartbeat since: [`Input::Done`] or [`Input::Refused`].
    DeclareDead { machine: MachineId, silent_ms: u64 },
    /// Writes the hosts of these partitions: all or none, and only if each epoch is still the one before. [`Input::Done`] or
    /// [`Input::Refused`].
    Assign(Vec<Assignment>),
    /// Notifies a draining host that it has no partition left.
    MayLeave { host: MachineId },
    /// Appends a `Drop` for each of a dead edge's sessions to each of its rooms. In the background, since it may take long;
    /// [`Input::WorkEnded`] when it has ended.
    DropSessionsOf { edge: MachineId },
    /// Deletes a dead machine's channel and row. In the background; [`Input::WorkEnded`] when it has ended.
    CleanUp { machine: MachineId, role: Role },
    /// Something that is reported to operators.
    Notice(Notice),
}

impl Output {
    /// Whether it is carried out in the foreground, and the machine waits for the result.
    pub(super) fn has_answer(&self) -> bool {
        match self {
            Output::Heartbeat
            | Output::AcquireLease
            | Output::ReadTables
            | Output::DeclareDead { .. }
            | Output::Assign(_) => true,
            Output::MayLeave { .. } | Output::DropSessionsOf { .. } | Output::CleanUp { .. } | Output::Notice(_) => {
                false
            }
        }
    }

    /// Whether only the active monitor may carry it out.
    pub(super) fn needs_lease(&self) -> bool {
        match self {
            Output::DeclareDead { .. }
            | Output::Assign(_)
            | Output::MayLeave { .. }
            | Output::DropSessionsOf { .. }
            | Output::CleanUp { .. } => true,
            Output::Heartbeat | Output::AcquireLease | Output::ReadTables | Output::Notice(_) => false,
        }
    }

    /// Whether it is more than a report. A report is never dropped.
    pub(super) fn is_work(&self) -> bool {
        !matches!(self, Output::Notice(_))
    }
}

/// The host of a partition from this epoch on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub partition: u32,
    pub host: MachineId,
    /// The partition's epoch in the view, plus 1.
    pub epoch: u64,
}

/// Something that is reported to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This monitor is the active one from now on.
    Active,
    /// Another monitor is active, or none.
    Standby,
    /// The broker has not answered for so long that machines' silence proves nothing. Once for each interruption.
    BrokerLost { silent_ms: u64 },
    /// This monitor could not see heartbeats, and declares no machine dead for this long.
    GracePeriod { after: Interruption, for_ms: u64 },
    /// No host can take these partitions; they stay assigned as they were.
    NoHosts { partitions: usize },
    /// There are hosts again.
    HostsAgain,
}

/// Why a monitor could not see heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It has just started.
    Started,
    /// The store could not be reached.
    StoreLost,
    /// The broker could not be reached.
    BrokerLost,
    /// Its own loop stalled, or its clock was set.
    Paused,
    /// The database's clock was set forward.
    ClockLeap,
}

/// A service that a monitor cannot work without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    Store,
    Broker,
}
