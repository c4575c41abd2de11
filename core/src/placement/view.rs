//! The store's tables of machines and partitions, as the monitor reads them.

use std::fmt;

use crate::ids::{MachineId, Offset};

/// Both tables. They need not be read at one instant: a change in between is in the next view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub machines: Vec<Machine>,
    pub partitions: Vec<Partition>,
}

/// A machine. Its row is deleted when it leaves in good order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub id: MachineId,
    pub role: Role,
    pub state: MachineState,
    /// The time since its last heartbeat, by the database's clock.
    pub silent_ms: u64,
    /// The time since its registration, by the same clock, whose progress it shows.
    pub age_ms: u64,
}

/// A machine's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Edge,
    Host,
    Monitor,
}

/// A machine's state, as set by itself, an operator or a monitor. It only advances: a dead machine stays dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MachineState {
    Alive,
    /// It takes over nothing new, hands over what it has, and leaves.
    Draining,
    /// A monitor has declared it dead: other machines take over its work, and it must stop. It never returns under this id.
    Dead,
}

/// A part of the record log, with the rooms whose channels are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub partition: u32,
    /// Its host, or its last one, which may no longer exist. `None` before the first assignment.
    pub host: Option<MachineId>,
    /// The number of its assignments. A host acts on the highest that it has received.
    pub epoch: u64,
    /// Every room of the partition has a snapshot that includes all records below.
    pub checkpoint: Offset,
}

impl View {
    /// Whether any partition is assigned to this machine.
    pub fn is_host(&self, machine: &MachineId) -> bool {
        self.partitions.iter().any(|partition| partition.host.as_ref() == Some(machine))
    }
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Edge, Role::Host, Role::Monitor];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Edge => "edge",
            Role::Host => "host",
            Role::Monitor => "monitor",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl MachineState {
    pub const ALL: [MachineState; 3] = [MachineState::Alive, MachineState::Draining, MachineState::Dead];

    pub fn as_str(self) -> &'static str {
        match self {
            MachineState::Alive => "alive",
            MachineState::Draining => "draining",
            MachineState::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<MachineState> {
        MachineState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
