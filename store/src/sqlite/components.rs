//! Components, embedded.

use chorus_core::ids::{Digest, Kind};
use sqlx::SqliteConnection;

use super::{Read, Write};
use crate::{
    StoreError, VersionRow,
    components::{Active, Component, Kinds, Publish, SetActive, Versions, kind, version},
    row::Table,
};

impl Write for Publish {
    type Output = u32;

    /// The log of a room contains its component's digest: a component must not be lost when the log is not.
    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u32, StoreError> {
        let at = StoreError::at("publish a component");
        let publish = "INSERT INTO components (digest, wasm) VALUES (?2, ?3) ON CONFLICT (digest) DO NOTHING;
                       INSERT INTO versions (kind, version, digest)
                       SELECT ?1, 1 + coalesce((SELECT max(version) FROM versions WHERE kind = ?1), 0), ?2 WHERE true
                       ON CONFLICT (kind, digest) DO NOTHING;
                       INSERT INTO kinds (kind, active) SELECT ?1, ?2 WHERE ?4
                       ON CONFLICT (kind) DO UPDATE SET active = ?2";
        let (kind, digest) = (self.kind.as_str(), self.digest.0.as_slice());
        let publish = sqlx::query(publish).bind(kind).bind(digest).bind(self.wasm.as_ref()).bind(self.activate);
        publish.execute(&mut *db).await.map_err(&at)?;
        let version = sqlx::query_scalar::<_, i64>("SELECT version FROM versions WHERE kind = ?1 AND digest = ?2");
        Table("versions").number(version.bind(kind).bind(digest).fetch_one(db).await.map_err(&at)?)
    }
}

impl Write for SetActive {
    type Output = bool;

    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        let activate =
            "INSERT INTO kinds (kind, active) SELECT kind, digest FROM versions WHERE kind = ?1 AND digest = ?2
                        ON CONFLICT (kind) DO UPDATE SET active = excluded.active";
        let activate = sqlx::query(activate).bind(self.kind.as_str()).bind(self.digest.0.as_slice());
        let activated = activate.execute(db).await.map_err(StoreError::at("activate a component"))?;
        Ok(activated.rows_affected() > 0)
    }
}

impl Read for Versions {
    type Output = Vec<VersionRow>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<VersionRow>, StoreError> {
        let all = "SELECT version, digest, published_at FROM versions WHERE kind = ?1 ORDER BY version";
        let all = sqlx::query_as(all).bind(self.kind.as_str()).fetch_all(db).await;
        all.map_err(StoreError::at("list versions"))?.into_iter().map(version).collect()
    }
}

impl Read for Component {
    type Output = Option<Vec<u8>>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<Vec<u8>>, StoreError> {
        let found = sqlx::query_scalar("SELECT wasm FROM components WHERE digest = ?1");
        let found = found.bind(self.digest.0.as_slice()).fetch_optional(db).await;
        found.map_err(StoreError::at("read a component"))
    }
}

impl Read for Active {
    type Output = Option<Digest>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<Digest>, StoreError> {
        let found = sqlx::query_scalar::<_, Vec<u8>>("SELECT active FROM kinds WHERE kind = ?1");
        let found = found.bind(self.kind.as_str()).fetch_optional(db).await;
        found.map_err(StoreError::at("read a kind"))?.map(|digest| Table("kinds").digest(digest)).transpose()
    }
}

impl Read for Kinds {
    type Output = Vec<(Kind, Digest, u32)>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let all =
            "SELECT kind, active, version FROM kinds JOIN versions USING (kind) WHERE digest = active ORDER BY kind";
        let all = sqlx::query_as(all).fetch_all(db).await;
        all.map_err(StoreError::at("list kinds"))?.into_iter().map(kind).collect()
    }
}
