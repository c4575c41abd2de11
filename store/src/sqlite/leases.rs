//! Leases, embedded.

use chorus_core::ids::MachineId;
use sqlx::SqliteConnection;

use super::{Write, now};
use crate::{
    Lease, StoreError,
    leases::{Acquire, Release},
    row::{duration, millis},
};

impl Write for Acquire {
    type Output = Lease;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Lease, StoreError> {
        let acquire = concat!(
            "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3 + ",
            now!(),
            ") ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
               WHERE leases.holder = excluded.holder OR leases.until <= ",
            now!(),
            ";
             SELECT holder, until - ",
            now!(),
            " FROM leases WHERE name = ?1"
        );
        let acquire = sqlx::query_as::<_, (String, i64)>(acquire);
        let acquire = acquire.bind(&self.name).bind(self.holder.0.as_ref()).bind(millis(self.ttl));
        let (holder, left) = acquire.fetch_one(db).await.map_err(StoreError::at("acquire a lease"))?;
        Ok(match holder == *self.holder.0 {
            true => Lease::Held { lasts: self.ttl },
            false => Lease::HeldBy { holder: MachineId(holder.into()), lasts: duration(left) },
        })
    }
}

impl Write for Release {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let release = sqlx::query("DELETE FROM leases WHERE name = ?1 AND holder = ?2");
        let released = release.bind(&self.name).bind(self.holder.0.as_ref()).execute(db).await;
        released.map(drop).map_err(StoreError::at("release a lease"))
    }
}
