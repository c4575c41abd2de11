//! Machines of a cluster: the database's clock alone decides whether one is alive.

use chorus_core::{ids::MachineId, placement::MachineState};
use sqlx::PgConnection;

use super::{Call, Failed};
use crate::{
    MachineRow, Registered,
    machines::{
        CloseMachine, DeclareDead, Drain, Enter, Heartbeat, MachineColumns, Machines, NextIncarnation, machine,
        machine_state,
    },
    row::millis,
};

impl Call for NextIncarnation {
    type Output = i64;
    const ACTION: &'static str = "register a machine";

    async fn call(&self, db: &mut PgConnection) -> Result<i64, Failed> {
        Ok(sqlx::query_scalar("SELECT nextval('incarnations')").fetch_one(db).await?)
    }
}

impl Call for Enter {
    type Output = Registered;
    const ACTION: &'static str = "register a machine";

    async fn call(&self, db: &mut PgConnection) -> Result<Registered, Failed> {
        let enter = "INSERT INTO machines (id, incarnation, role, name, address) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (id) DO NOTHING";
        let enter = sqlx::query(enter).bind(self.id.0.as_ref()).bind(self.incarnation).bind(self.new.role.as_str());
        enter.bind(&self.new.name).bind(&self.new.address).execute(db).await?;
        Ok(Registered { id: self.id.clone(), dead: Vec::new() })
    }
}

impl Call for Heartbeat {
    type Output = MachineState;
    const ACTION: &'static str = "write a heartbeat";

    async fn call(&self, db: &mut PgConnection) -> Result<MachineState, Failed> {
        let beat = "UPDATE machines SET heartbeat_at = CASE state WHEN 'dead' THEN heartbeat_at ELSE now() END
                    WHERE id = $1 RETURNING state";
        let state = sqlx::query_scalar::<_, String>(beat).bind(self.id.0.as_ref()).fetch_optional(db).await?;
        Ok(known_state(state)?)
    }
}

/// A machine without a row was closed.
fn known_state(state: Option<String>) -> Result<MachineState, crate::StoreError> {
    state.map_or(Ok(MachineState::Dead), |state| machine_state(&state))
}

impl Call for Drain {
    type Output = bool;
    const ACTION: &'static str = "drain a machine";

    async fn call(&self, db: &mut PgConnection) -> Result<bool, Failed> {
        let drain = sqlx::query("UPDATE machines SET state = 'draining' WHERE id = $1 AND state <> 'dead'");
        Ok(drain.bind(self.id.0.as_ref()).execute(db).await?.rows_affected() > 0)
    }
}

impl Call for DeclareDead {
    type Output = bool;
    const ACTION: &'static str = "declare a machine dead";

    async fn call(&self, db: &mut PgConnection) -> Result<bool, Failed> {
        // One statement: a heartbeat that comes in between makes it check the row again. `now()` is the statement's start, so
        // waiting for the row adds nothing to a machine's silence.
        let declare = "UPDATE machines SET state = 'dead', died_at = now()
                       WHERE id = $1 AND state <> 'dead' AND heartbeat_at < now() - $2 * interval '1 ms'
                       AND pg_postmaster_start_time() < now() - $2 * interval '1 ms'";
        let declare = sqlx::query(declare).bind(self.id.0.as_ref()).bind(millis(self.limit) as f64);
        if declare.execute(&mut *db).await?.rows_affected() > 0 {
            return Ok(true);
        }
        let state = sqlx::query_scalar::<_, String>("SELECT state FROM machines WHERE id = $1");
        let state = state.bind(self.id.0.as_ref()).fetch_optional(db).await?;
        Ok(known_state(state)? == MachineState::Dead)
    }
}

impl Call for Machines {
    type Output = Vec<MachineRow>;
    const ACTION: &'static str = "list machines";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<MachineRow>, Failed> {
        let all = "SELECT id, role, name, address, state,
                   (extract(epoch FROM now() - greatest(heartbeat_at, pg_postmaster_start_time())) * 1000)::bigint,
                   (extract(epoch FROM now() - registered_at) * 1000)::bigint
                   FROM machines ORDER BY incarnation";
        let all: Vec<MachineColumns> = sqlx::query_as(all).fetch_all(db).await?;
        Ok(all.into_iter().map(machine).collect::<Result<_, _>>()?)
    }
}

impl Call for CloseMachine {
    type Output = ();
    const ACTION: &'static str = "close a machine";

    /// First its sessions, then the machine: if interrupted, the machine still exists, and the call is repeated.
    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let MachineId(id) = &self.id;
        let disconnect = "UPDATE sessions SET disconnected_at = now() WHERE edge = $1 AND disconnected_at IS NULL";
        sqlx::query(disconnect).bind(id.as_ref()).execute(&mut *db).await?;
        sqlx::query("DELETE FROM machines WHERE id = $1").bind(id.as_ref()).execute(db).await?;
        Ok(())
    }
}
