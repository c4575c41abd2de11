//! Hashes of all snapshots of a cluster.

use sqlx::{Connection, PgConnection};

use super::{Call, Failed};
use crate::hashes::{KeepHashes, KeptHash, KeptHashes, kept};

/// A trigger, so that every way of storing a snapshot is covered. Hosts that start together create it one after the other:
/// `IF NOT EXISTS` does not see tables that are not committed yet. The number of the lock is arbitrary.
const KEEP: &str = r#"
SELECT pg_advisory_xact_lock(7204518390041);
CREATE TABLE IF NOT EXISTS kept_hashes (
    room BYTEA NOT NULL, "offset" BIGINT NOT NULL, hash BYTEA NOT NULL, PRIMARY KEY (room, "offset", hash)
);
CREATE OR REPLACE FUNCTION keep_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kept_hashes VALUES (NEW.room, NEW."offset", NEW.hash) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_hash AFTER INSERT OR UPDATE ON snapshots FOR EACH ROW EXECUTE FUNCTION keep_hash();
"#;

impl Call for KeepHashes {
    type Output = ();
    const ACTION: &'static str = "keep hashes of snapshots";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let mut all_or_nothing = db.begin().await?;
        sqlx::raw_sql(KEEP).execute(&mut *all_or_nothing).await?;
        Ok(all_or_nothing.commit().await?)
    }
}

impl Call for KeptHashes {
    type Output = Vec<KeptHash>;
    const ACTION: &'static str = "read hashes of snapshots";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<KeptHash>, Failed> {
        let exists = sqlx::query_scalar::<_, bool>("SELECT to_regclass('kept_hashes') IS NOT NULL");
        if !exists.fetch_one(&mut *db).await? {
            return Ok(Vec::new());
        }
        let all = r#"SELECT room, "offset", hash FROM kept_hashes ORDER BY room, "offset""#;
        let all = sqlx::query_as(all).fetch_all(db).await?;
        Ok(all.into_iter().map(kept).collect::<Result<_, _>>()?)
    }
}
