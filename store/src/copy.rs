//! A copy of the embedded database while it is used: a backup's half.

use std::path::Path;

use chorus_core::{ids::Offset, pairing::StoreMark};

use crate::{Backend, OpenError, Store, StoreError, sqlite};

/// What a copied database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedStore {
    /// `None`: no log was ever opened with it.
    pub mark: Option<StoreMark>,
    /// Each partition's checkpoint.
    pub checkpoints: Vec<Offset>,
    /// The highest offset of a room or a snapshot.
    pub highest: Option<Offset>,
}

impl Store {
    /// Writes a copy of the embedded database to the file `to`, which does not exist, with every write whose future has resolved
    /// before this call. The copy is one file, without a write-ahead log, and on the disk when this returns. Reads and writes go
    /// on meanwhile; the write-ahead log is not moved into the database until the copy is complete.
    ///
    /// `goes_on` is called again and again, and ends the copy by `false`. After an error, a part of the copy may be there.
    pub async fn copy_to(
        &self,
        to: &Path,
        goes_on: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(db) => db.copy_to(to, goes_on).await,
            Backend::Postgres(_) => Err(StoreError::NotEmbedded),
        }
    }
}

/// Reads a copied database: checks its pages, and changes nothing.
pub async fn check_copy(path: &Path) -> Result<CopiedStore, OpenError> {
    sqlite::check_copy(path).await
}
