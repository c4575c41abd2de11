//! Secrets that are drawn once for a store and last as long as it does.

use std::fmt;

use crate::{Store, StoreError, row::Table};

/// Signs the tokens of guests.
pub const GUESTS_SECRET: &str = "guests";

/// A key of a store. Its `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreSecret(pub [u8; 32]);

impl fmt::Debug for StoreSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSecret(…)")
    }
}

impl Store {
    /// The secret of this name: the one that is there, or else `drawn`, which is there from then on. All processes of a cluster get
    /// the same one.
    pub async fn secret(&self, name: &str, drawn: StoreSecret) -> Result<StoreSecret, StoreError> {
        self.write(Ensure { name: name.to_owned(), drawn }).await
    }
}

pub(crate) fn secret(bytes: Vec<u8>) -> Result<StoreSecret, StoreError> {
    let bytes = bytes.try_into().map_err(|_| Table("secrets").malformed("a secret that has not 32 bytes"))?;
    Ok(StoreSecret(bytes))
}

pub(crate) struct Ensure {
    pub name: String,
    pub drawn: StoreSecret,
}
