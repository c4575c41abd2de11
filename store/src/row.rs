//! Our types as columns, and back.

use chorus_core::ids::{Digest, Kind};

use crate::StoreError;

/// The table that a value comes from, for the error when it is not what we write.
#[derive(Clone, Copy)]
pub(crate) struct From(pub &'static str);

impl From {
    fn malformed(self, what: impl Into<String>) -> StoreError {
        StoreError::Malformed { table: self.0, what: what.into() }
    }

    pub fn id(self, bytes: Vec<u8>) -> Result<u128, StoreError> {
        let bytes = bytes.try_into().map_err(|_| self.malformed("an id that has not 16 bytes"))?;
        Ok(u128::from_be_bytes(bytes))
    }

    pub fn digest(self, bytes: Vec<u8>) -> Result<Digest, StoreError> {
        Ok(Digest(bytes.try_into().map_err(|_| self.malformed("a digest that has not 32 bytes"))?))
    }

    pub fn kind(self, name: &str) -> Result<Kind, StoreError> {
        Kind::new(name).map_err(|error| self.malformed(error.to_string()))
    }

    pub fn number<N: TryFrom<i64>>(self, number: i64) -> Result<N, StoreError> {
        N::try_from(number).map_err(|_| self.malformed(format!("the number {number}")))
    }

    pub fn bad(self, what: &str) -> StoreError {
        self.malformed(what)
    }
}

/// An id as a column: 16 bytes, big endian, so that they sort as numbers.
pub(crate) fn id(id: u128) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// SQLite has signed integers only. Nothing of ours gets near the end of them: what does is a bound, not a value.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
