//! Hashes of all snapshots, embedded.

use sqlx::SqliteConnection;

use super::{Read, Write};
use crate::{
    StoreError,
    hashes::{KeepHashes, KeptHash, KeptHashes, kept},
};

/// A trigger, so that every way of storing a snapshot is covered.
const KEEP: &str = r#"
CREATE TABLE IF NOT EXISTS kept_hashes (
    room BLOB NOT NULL, "offset" INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (room, "offset", hash)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS keep_hash AFTER INSERT ON snapshots BEGIN
    INSERT OR IGNORE INTO kept_hashes VALUES (NEW.room, NEW."offset", NEW.hash);
END;
CREATE TRIGGER IF NOT EXISTS keep_hash_of_the_next AFTER UPDATE ON snapshots BEGIN
    INSERT OR IGNORE INTO kept_hashes VALUES (NEW.room, NEW."offset", NEW.hash);
END;
"#;

impl Write for KeepHashes {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let kept = sqlx::raw_sql(KEEP).execute(db).await;
        kept.map(drop).map_err(StoreError::at("keep hashes of snapshots"))
    }
}

impl Read for KeptHashes {
    type Output = Vec<KeptHash>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<KeptHash>, StoreError> {
        let at = StoreError::at("read hashes of snapshots");
        let exists = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kept_hashes'");
        if exists.fetch_optional(&mut *db).await.map_err(&at)?.is_none() {
            return Ok(Vec::new());
        }
        let all = r#"SELECT room, "offset", hash FROM kept_hashes ORDER BY room, "offset""#;
        sqlx::query_as(all).fetch_all(db).await.map_err(at)?.into_iter().map(kept).collect()
    }
}
