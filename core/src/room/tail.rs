//! The records since the base, encoded one after the other.
//!
//! They are read only when the room is rebuilt, so a record takes a tenth of the memory that it takes as a value: all but the
//! latest are compressed, some dozens at a time.
//!
//! An entry is the length of the encoded record in four bytes, its offset in eight, and its time and its command.

use super::packed::{self, CHUNK, Packed};
use crate::{
    command::{Record, RoomCommand},
    ids::{Offset, RoomId, Time},
    wire,
};

const LENGTH: usize = size_of::<u32>();
const PREFIX: usize = LENGTH + size_of::<Offset>();

/// Most records take less.
const USUAL: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Older records, each of these some whole entries.
    packed: Vec<Packed>,
    /// The latest ones.
    bytes: Vec<u8>,
    first: Option<Offset>,
    len: usize,
}

impl Tail {
    pub fn push(&mut self, offset: Offset, record: &Record) {
        if self.bytes.len() + USUAL > CHUNK {
            self.packed.push(Packed::take(&mut self.bytes));
        }
        packed::reserve(&mut self.bytes, USUAL);
        let begin = self.bytes.len();
        self.bytes.extend([0; LENGTH]);
        self.bytes.extend(offset.to_le_bytes());
        wire::write_part(&(record.time, &record.command), &mut self.bytes);
        let len = self.bytes.len() - begin - PREFIX;
        self.bytes[begin..begin + LENGTH].copy_from_slice(&(len as u32).to_le_bytes());
        self.first.get_or_insert(offset);
        self.len += 1;
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn first(&self) -> Option<Offset> {
        self.first
    }

    pub fn contains(&self, offset: Offset) -> bool {
        entries(&self.unpacked()).any(|(at, _)| at == offset)
    }

    /// The records, of this room.
    pub fn records(&self, room: RoomId) -> Vec<(Offset, Record)> {
        let decode = |(offset, bytes)| {
            let (time, command) = decode(bytes);
            (offset, Record { room, time, command })
        };
        entries(&self.unpacked()).map(decode).collect()
    }

    fn unpacked(&self) -> Vec<u8> {
        let mut all: Vec<u8> = self.packed.iter().flat_map(Packed::unpacked).collect();
        all.extend(&self.bytes);
        all
    }
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = (Offset, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk()?;
        let (offset, after) = after.split_first_chunk()?;
        let (record, after) = after.split_at(u32::from_le_bytes(*len) as usize);
        rest = after;
        Some((Offset::from_le_bytes(*offset), record))
    })
}

fn decode(bytes: &[u8]) -> (Time, RoomCommand) {
    wire::read_part(bytes).expect("this machine has encoded these bytes").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_in_order() {
        let record = |n: u64| Record {
            room: RoomId(7),
            time: Time(n),
            command: RoomCommand::Close { reason: "x".repeat(n as usize).into() },
        };
        let mut tail = Tail::default();
        assert_eq!((tail.first(), tail.is_empty()), (None, true));
        (0..300).for_each(|n| tail.push(3 * n, &record(n)));
        assert_eq!((tail.first(), tail.len()), (Some(0), 300));
        assert!(tail.contains(600) && !tail.contains(601));
        let all: Vec<(Offset, Record)> = (0..300).map(|n| (3 * n, record(n))).collect();
        assert_eq!(tail.records(RoomId(7)), all);
    }
}
