//! Secrets of a cluster.

use sqlx::PgConnection;

use super::{Call, Failed};
use crate::secrets::{Ensure, StoreSecret, secret};

impl Call for Ensure {
    type Output = StoreSecret;
    const ACTION: &'static str = "read a secret";

    async fn call(&self, db: &mut PgConnection) -> Result<StoreSecret, Failed> {
        let ensure = "INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        sqlx::query(ensure).bind(&self.name).bind(self.drawn.0.as_slice()).execute(&mut *db).await?;
        // A secret is never removed.
        let read = sqlx::query_scalar("SELECT secret FROM secrets WHERE name = $1").bind(&self.name);
        Ok(secret(read.fetch_one(db).await?)?)
    }
}
