//! Components, their versions, and the active version of each kind: the one that new rooms run.

use bytes::Bytes;
use chorus_core::ids::{Digest, Kind, Time};

use crate::{Store, StoreError, row::Table};

/// A version of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// From 1 on.
    pub version: u32,
    pub digest: Digest,
    pub published_at: Time,
}

impl Store {
    /// Stores a component as a version of `kind`, and makes it active: [`Store::add_version`] and [`Store::set_active`] in one.
    ///
    /// # Panics
    /// If `digest` is not the digest of `wasm`.
    pub async fn publish(&self, kind: &Kind, digest: Digest, wasm: &[u8]) -> Result<u32, StoreError> {
        self.write(Publish::new(kind, digest, wasm, true)).await
    }

    /// Stores a component as a version of `kind`: under the next number of its kind, or under its earlier one. The active
    /// version stays.
    ///
    /// # Panics
    /// If `digest` is not the digest of `wasm`.
    pub async fn add_version(&self, kind: &Kind, digest: Digest, wasm: &[u8]) -> Result<u32, StoreError> {
        self.write(Publish::new(kind, digest, wasm, false)).await
    }

    /// Makes a version of a kind active. `false`: the kind has no such version.
    pub async fn set_active(&self, kind: &Kind, digest: Digest) -> Result<bool, StoreError> {
        self.write(SetActive { kind: kind.clone(), digest }).await
    }

    /// All versions of a kind, oldest first.
    pub async fn versions(&self, kind: &Kind) -> Result<Vec<VersionRow>, StoreError> {
        self.read(Versions { kind: kind.clone() }).await
    }

    /// A component's bytes.
    pub async fn component(&self, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        match self.read(Component { digest }).await? {
            Some(wasm) if Digest::of(&wasm) != digest => {
                Err(Table("components").malformed(format!("bytes of {digest} that are not what was written")))
            }
            wasm => Ok(wasm.map(Bytes::from)),
        }
    }

    /// The active version of a kind.
    pub async fn active(&self, kind: &Kind) -> Result<Option<Digest>, StoreError> {
        self.read(Active { kind: kind.clone() }).await
    }

    /// All kinds that have an active version, with its digest and number.
    pub async fn kinds(&self) -> Result<Vec<(Kind, Digest, u32)>, StoreError> {
        self.read(Kinds).await
    }
}

pub(crate) struct Publish {
    pub kind: Kind,
    pub digest: Digest,
    pub wasm: Bytes,
    pub activate: bool,
}

impl Publish {
    fn new(kind: &Kind, digest: Digest, wasm: &[u8], activate: bool) -> Publish {
        assert_eq!(digest, Digest::of(wasm), "a component is stored under its own digest");
        Publish { kind: kind.clone(), digest, wasm: Bytes::copy_from_slice(wasm), activate }
    }
}

pub(crate) struct SetActive {
    pub kind: Kind,
    pub digest: Digest,
}

pub(crate) struct Versions {
    pub kind: Kind,
}

pub(crate) fn version((version, digest, published_at): (i64, Vec<u8>, i64)) -> Result<VersionRow, StoreError> {
    let table = Table("versions");
    Ok(VersionRow {
        version: table.number(version)?,
        digest: table.digest(digest)?,
        published_at: Time(table.number(published_at)?),
    })
}

pub(crate) struct Component {
    pub digest: Digest,
}

pub(crate) struct Active {
    pub kind: Kind,
}

pub(crate) struct Kinds;

pub(crate) fn kind((kind, digest, version): (String, Vec<u8>, i64)) -> Result<(Kind, Digest, u32), StoreError> {
    let table = Table("kinds");
    Ok((table.kind(&kind)?, table.digest(digest)?, table.number(version)?))
}
