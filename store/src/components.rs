//! Components, their versions, and which one new rooms of a kind run.

use bytes::Bytes;
use chorus_core::ids::{Digest, Kind};
use sqlx::SqliteConnection;

use crate::{Store, StoreError, row::From, writer::Write};

impl Store {
    /// Stores a component, and makes it the one that new rooms of `kind` run. The version it is: the next number of
    /// its kind, or the one it had before.
    ///
    /// # Panics
    /// If `digest` is not the digest of `wasm`.
    pub async fn publish(&self, kind: &Kind, digest: Digest, wasm: &[u8]) -> Result<u32, StoreError> {
        assert_eq!(digest, Digest::of(wasm), "a component is stored under its own digest");
        self.write(Publish { kind: kind.clone(), digest, wasm: Bytes::copy_from_slice(wasm) }).await
    }

    /// A component's bytes.
    pub async fn component(&self, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        let found = sqlx::query_scalar::<_, Vec<u8>>("SELECT wasm FROM components WHERE digest = ?1");
        let found = found.bind(digest.0.as_slice()).fetch_optional(self.readers()).await;
        let wasm = found.map_err(StoreError::at("read a component"))?;
        match wasm {
            Some(wasm) if Digest::of(&wasm) != digest => {
                Err(From("components").bad(&format!("bytes of {digest} that are not what was written")))
            }
            wasm => Ok(wasm.map(Bytes::from)),
        }
    }

    /// What new rooms of this kind run.
    pub async fn active(&self, kind: &Kind) -> Result<Option<Digest>, StoreError> {
        let found = sqlx::query_scalar::<_, Vec<u8>>("SELECT active FROM kinds WHERE kind = ?1");
        let found = found.bind(kind.as_str()).fetch_optional(self.readers()).await;
        found.map_err(StoreError::at("read a kind"))?.map(|digest| From("kinds").digest(digest)).transpose()
    }

    /// All kinds, with what they run and its version.
    pub async fn kinds(&self) -> Result<Vec<(Kind, Digest, u32)>, StoreError> {
        let all =
            "SELECT kind, active, version FROM kinds JOIN versions USING (kind) WHERE digest = active ORDER BY kind";
        let found = sqlx::query_as::<_, (String, Vec<u8>, i64)>(all).fetch_all(self.readers()).await;
        let from = From("kinds");
        let row = |(kind, digest, version): (String, _, _)| {
            Ok((from.kind(&kind)?, from.digest(digest)?, from.number(version)?))
        };
        found.map_err(StoreError::at("list kinds"))?.into_iter().map(row).collect()
    }
}

struct Publish {
    kind: Kind,
    digest: Digest,
    wasm: Bytes,
}

impl Write for Publish {
    type Output = u32;

    /// Rooms are created with the component's digest in their log: it must not be forgotten when they are not.
    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u32, StoreError> {
        let at = StoreError::at("publish a component");
        let publish = "INSERT INTO components (digest, wasm) VALUES (?2, ?3) ON CONFLICT (digest) DO NOTHING;
                       INSERT INTO versions (kind, version, digest)
                       SELECT ?1, 1 + coalesce((SELECT max(version) FROM versions WHERE kind = ?1), 0), ?2 WHERE true
                       ON CONFLICT (kind, digest) DO NOTHING;
                       INSERT INTO kinds (kind, active) VALUES (?1, ?2) ON CONFLICT (kind) DO UPDATE SET active = ?2";
        let (kind, digest) = (self.kind.as_str(), self.digest.0.as_slice());
        let published = sqlx::query(publish).bind(kind).bind(digest).bind(self.wasm.as_ref()).execute(&mut *db).await;
        published.map_err(&at)?;
        let version = sqlx::query_scalar::<_, i64>("SELECT version FROM versions WHERE kind = ?1 AND digest = ?2");
        From("versions").number(version.bind(kind).bind(digest).fetch_one(db).await.map_err(&at)?)
    }
}
