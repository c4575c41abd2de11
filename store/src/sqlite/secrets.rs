//! Secrets, embedded.

use sqlx::SqliteConnection;

use super::Write;
use crate::{
    StoreError,
    secrets::{Ensure, StoreSecret, secret},
};

impl Write for Ensure {
    type Output = StoreSecret;
    const READS_CLOCK: bool = false;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<StoreSecret, StoreError> {
        let ensure = "INSERT INTO secrets (name, secret) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING;
                      SELECT secret FROM secrets WHERE name = ?1";
        let ensure = sqlx::query_scalar(ensure).bind(&self.name).bind(self.drawn.0.as_slice());
        secret(ensure.fetch_one(db).await.map_err(StoreError::at("read a secret"))?)
    }
}
