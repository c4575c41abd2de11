//! Leases of a cluster.

use chorus_core::ids::MachineId;
use sqlx::PgConnection;

use super::{Call, Failed};
use crate::{
    Lease,
    leases::{Acquire, Release},
    row::{duration, millis},
};

impl Call for Acquire {
    type Output = Lease;
    const ACTION: &'static str = "acquire a lease";

    async fn call(&self, db: &mut PgConnection) -> Result<Lease, Failed> {
        loop {
            // `now()` is the statement's start, so a statement that waits for the row counts from too early a time. That
            // shortens the lease that it takes or renews, and delays its view of another one's end: it never overlaps another
            // lease.
            let acquire = "INSERT INTO leases (name, holder, until) VALUES ($1, $2, now() + $3 * interval '1 ms')
                           ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                           WHERE leases.holder = excluded.holder OR leases.until <= now()";
            let ttl = millis(self.ttl) as f64;
            let acquire = sqlx::query(acquire).bind(&self.name).bind(self.holder.0.as_ref()).bind(ttl);
            if acquire.execute(&mut *db).await?.rows_affected() > 0 {
                return Ok(Lease::Held { lasts: self.ttl });
            }
            let other = "SELECT holder, (extract(epoch FROM until - now()) * 1000)::bigint FROM leases WHERE name = $1";
            let other = sqlx::query_as::<_, (String, i64)>(other).bind(&self.name).fetch_optional(&mut *db).await?;
            if let Some((holder, left)) = other.filter(|(holder, _)| *holder != *self.holder.0) {
                return Ok(Lease::HeldBy { holder: MachineId(holder.into()), lasts: duration(left) });
            }
            // It was released between the two statements, and is free.
        }
    }
}

impl Call for Release {
    type Output = ();
    const ACTION: &'static str = "release a lease";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let release = sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2");
        release.bind(&self.name).bind(self.holder.0.as_ref()).execute(db).await?;
        Ok(())
    }
}
