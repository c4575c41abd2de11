//! Hashes of all snapshots that were ever stored, for a later check of the system (`chorus audit`): the snapshots themselves
//! are replaced by newer ones. Kept only on request, in a table that is not part of the schema and grows without bound.

use chorus_core::ids::{Digest, Offset, RoomId};

use crate::{Store, StoreError, row::Table};

/// One snapshot that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptHash {
    pub room: RoomId,
    pub offset: Offset,
    /// SHA-256 of the state.
    pub hash: Digest,
}

impl Store {
    /// From now on keeps the hashes of all snapshots, of every host. Requires the right to create a table.
    pub async fn keep_hashes(&self) -> Result<(), StoreError> {
        self.write(KeepHashes).await
    }

    /// All kept hashes, by room and offset; none if they were never requested.
    pub async fn kept_hashes(&self) -> Result<Vec<KeptHash>, StoreError> {
        self.read(KeptHashes).await
    }
}

pub(crate) struct KeepHashes;

pub(crate) struct KeptHashes;

/// The columns of a hash.
pub(crate) type Columns = (Vec<u8>, i64, Vec<u8>);

pub(crate) fn kept((room, offset, hash): Columns) -> Result<KeptHash, StoreError> {
    let table = Table("kept_hashes");
    Ok(KeptHash { room: RoomId(table.id(room)?), offset: table.number(offset)?, hash: table.digest(hash)? })
}
