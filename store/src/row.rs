//! Conversions between our types and columns.

use std::time::Duration;

use chorus_core::ids::{Digest, Kind};

use crate::StoreError;

/// The table from which a value was read, for the error when it is not valid.
#[derive(Clone, Copy)]
pub(crate) struct Table(pub &'static str);

impl Table {
    pub fn malformed(self, what: impl Into<String>) -> StoreError {
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
}

/// An id as a column: 16 bytes, big endian, so that they sort as numbers.
pub(crate) fn id(id: u128) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// Databases have signed integers only. No value of ours comes near their end: a number beyond it is a bound, not a value.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A duration in milliseconds. A hundred years are as good as infinite, and overflow in no database.
pub(crate) fn millis(duration: Duration) -> i64 {
    const CENTURY: i64 = 100 * 366 * 24 * 60 * 60 * 1000;
    i64::try_from(duration.as_millis()).unwrap_or(CENTURY).min(CENTURY)
}

/// The reverse of [`millis`]. A clock that was set back makes an age negative; it is then zero.
pub(crate) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
