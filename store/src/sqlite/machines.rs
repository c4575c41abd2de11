//! Machines, embedded: all of them are in the one process that has this database open. So none is ever silent, and each one
//! that an earlier process did not close is dead.

use chorus_core::{ids::MachineId, placement::MachineState};
use sqlx::SqliteConnection;

use super::{Read, Write, now};
use crate::{
    MachineRow, Registered, StoreError,
    machines::{
        CloseMachine, DeclareDead, Drain, Heartbeat, MachineColumns, Machines, Register, machine, machine_state,
    },
};

impl Write for Register {
    type Output = Registered;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Registered, StoreError> {
        let at = StoreError::at("register a machine");
        let role = self.new.role.as_str();
        let earlier = "SELECT role || coalesce('-' || name, '') || '-' || number FROM machines WHERE role = ?1
                       ORDER BY number";
        let dead = sqlx::query_scalar::<_, String>(earlier).bind(role).fetch_all(&mut *db).await.map_err(&at)?;
        let new = "INSERT INTO machines (role, name, address) VALUES (?1, ?2, ?3) RETURNING number";
        let new = sqlx::query_scalar::<_, i64>(new).bind(role).bind(&self.new.name).bind(&self.new.address);
        let number = new.fetch_one(db).await.map_err(&at)?;
        Ok(Registered { id: self.new.id(number), dead: dead.into_iter().map(|id| MachineId(id.into())).collect() })
    }
}

impl Write for Heartbeat {
    type Output = MachineState;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<MachineState, StoreError> {
        state(&self.id, db).await
    }
}

impl Write for Drain {
    type Output = bool;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        let drain = "UPDATE machines SET state = 'draining'
                     WHERE role || coalesce('-' || name, '') || '-' || number = ?1";
        let drained = sqlx::query(drain).bind(self.id.0.as_ref()).execute(db).await;
        Ok(drained.map_err(StoreError::at("drain a machine"))?.rows_affected() > 0)
    }
}

impl Write for DeclareDead {
    type Output = bool;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        Ok(state(&self.id, db).await? == MachineState::Dead)
    }
}

/// A machine without a row was closed.
async fn state(id: &MachineId, db: &mut SqliteConnection) -> Result<MachineState, StoreError> {
    let state = "SELECT state FROM machines WHERE role || coalesce('-' || name, '') || '-' || number = ?1";
    let state = sqlx::query_scalar::<_, String>(state).bind(id.0.as_ref()).fetch_optional(db).await;
    let state = state.map_err(StoreError::at("read a machine"))?;
    state.map_or(Ok(MachineState::Dead), |state| machine_state(&state))
}

impl Read for Machines {
    type Output = Vec<MachineRow>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<MachineRow>, StoreError> {
        // The registration time is a column default, by the wall clock.
        let all = "SELECT role || coalesce('-' || name, '') || '-' || number, role, name, address, state, 0,
                          CAST(unixepoch('subsec') * 1000 AS INTEGER) - registered_at
                   FROM machines ORDER BY number";
        let all = sqlx::query_as::<_, MachineColumns>(all).fetch_all(db).await;
        all.map_err(StoreError::at("list machines"))?.into_iter().map(machine).collect()
    }
}

impl Write for CloseMachine {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let close = concat!(
            "UPDATE sessions SET disconnected_at = ",
            now!(),
            " WHERE edge = ?1 AND disconnected_at IS NULL;
             DELETE FROM machines WHERE role || coalesce('-' || name, '') || '-' || number = ?1"
        );
        let closed = sqlx::query(close).bind(self.id.0.as_ref()).execute(db).await;
        closed.map(drop).map_err(StoreError::at("close a machine"))
    }
}
