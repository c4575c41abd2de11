//! Machines: the processes of a deployment, and whether each is alive.

use std::time::Duration;

use chorus_core::{
    ids::MachineId,
    placement::{MachineState, Role},
};

use crate::{Backend, Store, StoreError, row::Table};

/// A machine to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub role: Role,
    /// Becomes a part of its id: 1 to 32 of `a-z`, `0-9` and `-`.
    pub name: Option<String>,
    /// The address at which operators and other machines reach it.
    pub address: Option<String>,
}

impl Registration {
    /// Without a name and an address.
    pub fn new(role: Role) -> Registration {
        Registration { role, name: None, address: None }
    }

    /// An id contains the role, the name and a number that was never used before: `edge-left-17`.
    pub(crate) fn id(&self, incarnation: i64) -> MachineId {
        MachineId(match &self.name {
            Some(name) => format!("{}-{name}-{incarnation}", self.role).into(),
            None => format!("{}-{incarnation}", self.role).into(),
        })
    }
}

/// A machine that has just been registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub id: MachineId,
    /// Earlier lives of its role that were never closed, oldest first, if they are certainly dead: in an embedded store they
    /// are, since one process owns it. Clean up after each, then close it. In a cluster their death is not certain yet, and
    /// this is empty: the monitor detects it.
    pub dead: Vec<MachineId>,
}

/// A registered machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRow {
    pub id: MachineId,
    pub role: Role,
    pub name: Option<String>,
    pub address: Option<String>,
    pub state: MachineState,
    /// Since its last heartbeat or since the database's start, whichever is shorter: without a database no heartbeat can
    /// arrive. An embedded machine is in the same process as the store, and is never silent.
    pub silent_for: Duration,
    pub registered_for: Duration,
}

impl Store {
    /// Begins a machine's life, with an id that no machine has had before.
    pub async fn register_machine(&self, new: &Registration) -> Result<Registered, StoreError> {
        if let Some(name) = new.name.as_ref().filter(|name| !is_name(name)) {
            return Err(StoreError::BadName { name: name.chars().take(64).collect() });
        }
        match &self.0 {
            Backend::Sqlite(db) => db.write(Register { new: new.clone() }).await,
            // Two calls, so that each may be repeated: an unused number does no harm, but a second machine would.
            Backend::Postgres(db) => {
                let incarnation = db.call(&NextIncarnation).await?;
                db.call(&Enter { id: new.id(incarnation), incarnation, new: new.clone() }).await
            }
        }
    }

    /// Records a heartbeat, and returns the machine's state. [`MachineState::Dead`] (declared so, or closed): it must stop.
    pub async fn heartbeat(&self, id: &MachineId) -> Result<MachineState, StoreError> {
        self.write(Heartbeat { id: id.clone() }).await
    }

    /// Orders a machine to hand over and leave: its next heartbeat returns that state. `false`: it is dead or closed.
    pub async fn drain_machine(&self, id: &MachineId) -> Result<bool, StoreError> {
        self.write(Drain { id: id.clone() }).await
    }

    /// Declares a machine dead, unless it has sent a heartbeat within `limit`, or the database itself has not been up for that
    /// long: then its heartbeats may have had no receiver. `true`: it is dead or closed.
    pub async fn declare_dead(&self, id: &MachineId, limit: Duration) -> Result<bool, StoreError> {
        self.write(DeclareDead { id: id.clone(), limit }).await
    }

    /// All machines that were not closed, dead ones too, in the order of their registration.
    pub async fn machines(&self) -> Result<Vec<MachineRow>, StoreError> {
        self.read(Machines).await
    }

    /// Removes a machine that leaves in good order or, after a death, once its sessions and partitions are cleaned up. Sessions
    /// that were connected to it are disconnected from now on.
    pub async fn close_machine(&self, id: &MachineId) -> Result<(), StoreError> {
        self.write(CloseMachine { id: id.clone() }).await
    }
}

fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(good)
}

/// Embedded: the number and the row in one.
pub(crate) struct Register {
    pub new: Registration,
}

pub(crate) struct NextIncarnation;

pub(crate) struct Enter {
    pub id: MachineId,
    pub incarnation: i64,
    pub new: Registration,
}

pub(crate) struct Heartbeat {
    pub id: MachineId,
}

pub(crate) struct Drain {
    pub id: MachineId,
}

pub(crate) struct DeclareDead {
    pub id: MachineId,
    pub limit: Duration,
}

pub(crate) struct Machines;

pub(crate) struct CloseMachine {
    pub id: MachineId,
}

/// id, role, name, address, state, milliseconds of silence, milliseconds since registration.
pub(crate) type MachineColumns = (String, String, Option<String>, Option<String>, String, i64, i64);

pub(crate) fn machine(
    (id, role, name, address, state, silent, registered): MachineColumns,
) -> Result<MachineRow, StoreError> {
    Ok(MachineRow {
        id: MachineId(id.into()),
        role: Role::parse(&role).ok_or_else(|| Table("machines").malformed("an unknown role"))?,
        name,
        address,
        state: machine_state(&state)?,
        silent_for: crate::row::duration(silent),
        registered_for: crate::row::duration(registered),
    })
}

pub(crate) fn machine_state(text: &str) -> Result<MachineState, StoreError> {
    MachineState::parse(text).ok_or_else(|| Table("machines").malformed("an unknown state"))
}
