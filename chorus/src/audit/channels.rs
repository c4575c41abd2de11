//! The records of all rooms, by room.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use chorus_bus::Bus;
use chorus_core::{
    command::Record,
    ids::{Offset, RoomId},
};

/// All records exist already: a read that waits this long waits for a record that will not come.
const STALLED: Duration = Duration::from_secs(30);

/// One room's channel.
#[derive(Debug)]
pub struct Channel {
    pub partition: u32,
    pub records: Vec<(Offset, Record)>,
}

#[derive(Debug)]
pub struct Channels {
    pub rooms: BTreeMap<RoomId, Channel>,
    pub partitions: u32,
    pub records: u64,
}

impl Channels {
    /// Reads everything, from the oldest record to the present end.
    pub async fn read(bus: &Bus) -> anyhow::Result<Channels> {
        let mut channels = Channels { rooms: BTreeMap::new(), partitions: bus.partitions(), records: 0 };
        for partition in 0..channels.partitions {
            let read = channels.read_partition(bus, partition).await;
            read.with_context(|| format!("partition {partition} cannot be read"))?;
        }
        Ok(channels)
    }

    async fn read_partition(&mut self, bus: &Bus, partition: u32) -> anyhow::Result<()> {
        let (mut at, end) = (bus.start(partition).await?, bus.end(partition).await?);
        let mut reader = bus.read(partition, at);
        let mut batch = Vec::new();
        while at < end {
            let read = tokio::time::timeout(STALLED, reader.next(&mut batch)).await;
            read.with_context(|| format!("its log ends at {end}, and nothing comes after {at}"))??;
            for (offset, record) in batch.drain(..) {
                at = offset + 1;
                self.records += 1;
                let empty = || Channel { partition, records: Vec::new() };
                self.rooms.entry(record.room).or_insert_with(empty).records.push((offset, record));
            }
        }
        Ok(())
    }
}
