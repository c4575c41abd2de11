//! Components of a cluster.

use chorus_core::ids::{Digest, Kind};
use sqlx::{Connection, PgConnection};

use super::{Call, Failed};
use crate::{
    VersionRow,
    components::{Active, Component, Kinds, Publish, SetActive, Versions, kind, version},
    row::Table,
};

impl Call for Publish {
    type Output = u32;
    const ACTION: &'static str = "publish a component";

    async fn call(&self, db: &mut PgConnection) -> Result<u32, Failed> {
        let (kind, digest) = (self.kind.as_str(), self.digest.0.as_slice());
        let mut all_or_nothing = db.begin().await?;
        // One publisher of a kind at a time: two would choose the same number. The lock is released with the transaction.
        let alone = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('chorus publish ' || $1, 0))");
        alone.bind(kind).execute(&mut *all_or_nothing).await?;
        let component = "INSERT INTO components (digest, wasm) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
        sqlx::query(component).bind(digest).bind(self.wasm.as_ref()).execute(&mut *all_or_nothing).await?;
        let number = "INSERT INTO versions (kind, version, digest)
                      SELECT $1, 1 + coalesce((SELECT max(version) FROM versions WHERE kind = $1), 0), $2
                      ON CONFLICT (kind, digest) DO NOTHING";
        sqlx::query(number).bind(kind).bind(digest).execute(&mut *all_or_nothing).await?;
        if self.activate {
            let activate = "INSERT INTO kinds (kind, active) VALUES ($1, $2)
                            ON CONFLICT (kind) DO UPDATE SET active = excluded.active";
            sqlx::query(activate).bind(kind).bind(digest).execute(&mut *all_or_nothing).await?;
        }
        let version = sqlx::query_scalar::<_, i64>("SELECT version FROM versions WHERE kind = $1 AND digest = $2");
        let version = version.bind(kind).bind(digest).fetch_one(&mut *all_or_nothing).await?;
        all_or_nothing.commit().await?;
        Ok(Table("versions").number(version)?)
    }
}

impl Call for SetActive {
    type Output = bool;
    const ACTION: &'static str = "activate a component";

    async fn call(&self, db: &mut PgConnection) -> Result<bool, Failed> {
        let activate =
            "INSERT INTO kinds (kind, active) SELECT kind, digest FROM versions WHERE kind = $1 AND digest = $2
                        ON CONFLICT (kind) DO UPDATE SET active = excluded.active";
        let activate = sqlx::query(activate).bind(self.kind.as_str()).bind(self.digest.0.as_slice());
        Ok(activate.execute(db).await?.rows_affected() > 0)
    }
}

impl Call for Versions {
    type Output = Vec<VersionRow>;
    const ACTION: &'static str = "list versions";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<VersionRow>, Failed> {
        let all = "SELECT version, digest, (extract(epoch FROM published_at) * 1000)::bigint
                   FROM versions WHERE kind = $1 ORDER BY version";
        let all: Vec<_> = sqlx::query_as(all).bind(self.kind.as_str()).fetch_all(db).await?;
        Ok(all.into_iter().map(version).collect::<Result<_, _>>()?)
    }
}

impl Call for Component {
    type Output = Option<Vec<u8>>;
    const ACTION: &'static str = "read a component";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<Vec<u8>>, Failed> {
        let found = sqlx::query_scalar("SELECT wasm FROM components WHERE digest = $1");
        Ok(found.bind(self.digest.0.as_slice()).fetch_optional(db).await?)
    }
}

impl Call for Active {
    type Output = Option<Digest>;
    const ACTION: &'static str = "read a kind";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<Digest>, Failed> {
        let found = sqlx::query_scalar::<_, Vec<u8>>("SELECT active FROM kinds WHERE kind = $1");
        let found = found.bind(self.kind.as_str()).fetch_optional(db).await?;
        Ok(found.map(|digest| Table("kinds").digest(digest)).transpose()?)
    }
}

impl Call for Kinds {
    type Output = Vec<(Kind, Digest, u32)>;
    const ACTION: &'static str = "list kinds";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let all =
            "SELECT kind, active, version FROM kinds JOIN versions USING (kind) WHERE digest = active ORDER BY kind";
        let all: Vec<_> = sqlx::query_as(all).fetch_all(db).await?;
        Ok(all.into_iter().map(kind).collect::<Result<_, _>>()?)
    }
}
