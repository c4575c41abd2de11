//! The records of all rooms, by room.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use chorus_bus::Bus;
use chorus_core::{
    command::Record,
    ids::{Offset, RoomId},
};

/// What there is to read is there; whoever has to wait this long for a record waits for one that will not come.
const STALLED: Duration = Duration::from_secs(30);

/// One room's.
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
    /// Everything, from the oldest record to the newest that there is now.
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
