//! The reading end of rooms' channels.

use chorus_core::{command::Record, ids::Offset};

use crate::{ReadError, embedded, kafka};

/// The records of one partition, in order.
#[derive(Debug)]
pub struct Reader(pub(crate) ReaderBackend);

#[derive(Debug)]
pub(crate) enum ReaderBackend {
    Embedded(embedded::Reader),
    Kafka(kafka::Reader),
}

impl Reader {
    /// Waits for records and appends a batch of them to `into`: at least one, at most some hundreds. Offsets rise, but may have
    /// gaps (see [`crate::Bus::skip_to`]). Cancel safe: a call that is dropped has consumed no record.
    pub async fn next(&mut self, into: &mut Vec<(Offset, Record)>) -> Result<(), ReadError> {
        match &mut self.0 {
            ReaderBackend::Embedded(reader) => reader.next(into).await,
            ReaderBackend::Kafka(reader) => reader.next(into).await,
        }
    }
}
