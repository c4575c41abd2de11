//! The latest frames of a room, for members that reconnect, encoded one after the other.
//!
//! Most frames that are kept are never sent again. So all but the latest are compressed, some dozens at a time, and have no text
//! and no allocation of their own.
//!
//! **Overflow.** Beyond [`RESEND_BYTES`] or [`RESEND_FRAMES`] the oldest frames are dropped. A frame that alone is larger is not
//! kept, and no frame before it. A member that has missed a frame that is not kept gets its whole view.
//!
//! An entry is its length in four bytes, its audience, and the frame's fields without the room.

use std::{collections::VecDeque, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use super::{
    packed::{self, CHUNK, Packed},
    state::Audience,
};
use crate::{
    frame::{FrameFields, RoomFrame},
    ids::{RoomId, SessionId},
    wire::{self, DecodeError},
};

/// Frames that a room keeps for members that reconnect. A member that missed more gets a whole view instead.
pub const RESEND_FRAMES: usize = 256;

/// Bytes of encoded frames that a room keeps, likewise. 256 patches of a board game take as much.
pub const RESEND_BYTES: usize = 16 * 1024;

/// The length before each entry.
const PREFIX: usize = size_of::<u32>();

#[derive(Clone, Debug, Default)]
pub struct ResendBuffer {
    /// The size of each entry, oldest first.
    sizes: VecDeque<u16>,
    /// Their sum.
    size: usize,
    /// Older entries.
    packed: VecDeque<Packed>,
    /// The latest ones.
    bytes: Vec<u8>,
    /// So many bytes of the oldest of these are of entries that have been dropped.
    dropped: usize,
}

impl ResendBuffer {
    pub fn push(&mut self, frame: &RoomFrame, audience: &Audience) {
        self.make_room(PREFIX + audience.size() + frame.size());
        let begin = self.bytes.len();
        self.bytes.extend([0; PREFIX]);
        wire::write_part(audience, &mut self.bytes);
        wire::write_part(frame.fields(), &mut self.bytes);
        let size = self.bytes.len() - begin;
        self.bytes[begin..begin + PREFIX].copy_from_slice(&((size - PREFIX) as u32).to_le_bytes());
        match u16::try_from(size) {
            Ok(entry) if size <= RESEND_BYTES => self.keep(entry),
            _ => *self = ResendBuffer::default(),
        }
    }

    /// Packs the latest entries if an entry of this size would no longer find a place among them.
    fn make_room(&mut self, size: usize) {
        if !self.bytes.is_empty() && self.bytes.len() + size > CHUNK {
            self.packed.push_back(Packed::take(&mut self.bytes));
        }
        packed::reserve(&mut self.bytes, size);
    }

    /// Counts an entry that was written, and drops the oldest ones beyond the bounds.
    fn keep(&mut self, entry: u16) {
        self.sizes.push_back(entry);
        self.size += usize::from(entry);
        while self.sizes.len() > RESEND_FRAMES || self.size > RESEND_BYTES {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let entry = self.sizes.pop_front().map_or(0, usize::from);
        self.size -= entry;
        self.dropped += entry;
        if let Some(size) = self.packed.front().map(Packed::size).filter(|size| *size <= self.dropped) {
            self.dropped -= size;
            self.packed.pop_front();
        }
    }

    /// The last `count` frames for this member, oldest first, if all of them are kept.
    pub fn last_for(&self, room: RoomId, session: SessionId, count: u64) -> Option<Vec<RoomFrame>> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.sizes.len())?;
        let bytes = self.bytes();
        let theirs: Vec<&[u8]> = entries(&bytes).filter_map(|entry| for_member(entry, session)).collect();
        let first = theirs.len().checked_sub(count)?;
        let frames = theirs[first..].iter().map(|fields| wire::read_part::<FrameFields>(fields));
        frames.map(|fields| Some(RoomFrame::new(room, fields.ok()?.0))).collect()
    }

    /// All frames that are kept for this member, oldest first.
    pub fn all_for(&self, room: RoomId, session: SessionId) -> Vec<RoomFrame> {
        let bytes = self.bytes();
        let theirs = entries(&bytes).filter_map(|entry| for_member(entry, session));
        let frames = theirs.filter_map(|fields| wire::read_part::<FrameFields>(fields).ok());
        frames.map(|(fields, _)| RoomFrame::new(room, fields)).collect()
    }

    /// All entries.
    fn bytes(&self) -> Vec<u8> {
        let mut all: Vec<u8> = self.packed.iter().flat_map(Packed::unpacked).collect();
        all.extend(&self.bytes);
        all.split_off(self.dropped)
    }

    /// A buffer of these bytes, unless they are no entries.
    fn read(bytes: &[u8]) -> Result<ResendBuffer, DecodeError> {
        let damaged = || DecodeError::Damaged("frames to be sent again".to_owned());
        let mut buffer = ResendBuffer::default();
        for entry in entries(bytes) {
            let (_, at) = wire::read_part::<Audience>(entry)?;
            let (_, len) = wire::read_part::<FrameFields>(&entry[at..])?;
            let size = PREFIX + entry.len();
            if at + len != entry.len() || buffer.sizes.len() == RESEND_FRAMES || buffer.size + size > RESEND_BYTES {
                return Err(damaged());
            }
            buffer.make_room(size);
            buffer.bytes.extend(&bytes[buffer.size..buffer.size + size]);
            buffer.keep(size as u16);
        }
        if buffer.size == bytes.len() { Ok(buffer) } else { Err(damaged()) }
    }
}

/// By the frames that they keep.
impl PartialEq for ResendBuffer {
    fn eq(&self, other: &ResendBuffer) -> bool {
        self.sizes == other.sizes && self.bytes() == other.bytes()
    }
}

impl Eq for ResendBuffer {}

/// The entries, up to the first one that is cut off.
fn entries(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk()?;
        let (entry, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        rest = after;
        Some(entry)
    })
}

/// The encoded fields of an entry's frame, if the frame is for this member.
fn for_member(entry: &[u8], session: SessionId) -> Option<&[u8]> {
    let (audience, used) = wire::read_part::<Audience>(entry).ok()?;
    audience.includes(session).then(|| &entry[used..])
}

impl Serialize for ResendBuffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes())
    }
}

impl<'de> Deserialize<'de> for ResendBuffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResendBuffer, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = ResendBuffer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a resend buffer")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ResendBuffer, E> {
        ResendBuffer::read(bytes).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(7);
    const ANA: SessionId = SessionId(1);
    const BEA: SessionId = SessionId(2);

    #[test]
    fn a_member_gets_its_last_frames_and_no_others() {
        let mut buffer = ResendBuffer::default();
        buffer.push(&patch("1"), &Audience::Except(vec![]));
        buffer.push(&patch("2"), &Audience::One(BEA));
        buffer.push(&patch("3"), &Audience::Except(vec![BEA]));
        assert_eq!(buffer.last_for(ROOM, ANA, 2), Some(vec![patch("1"), patch("3")]));
        assert_eq!(buffer.last_for(ROOM, ANA, 1), Some(vec![patch("3")]));
        assert_eq!(buffer.last_for(ROOM, ANA, 0), Some(vec![]));
        assert_eq!(buffer.last_for(ROOM, ANA, 3), None);
        assert_eq!(buffer.last_for(ROOM, BEA, 2), Some(vec![patch("1"), patch("2")]));
        assert_eq!(buffer.all_for(ROOM, ANA), [patch("1"), patch("3")]);
    }

    #[test]
    fn the_oldest_frames_are_dropped_beyond_the_bound_in_frames() {
        let mut buffer = ResendBuffer::default();
        let all: Vec<RoomFrame> = (0..RESEND_FRAMES + 3).map(|n| patch(&n.to_string())).collect();
        all.iter().for_each(|frame| buffer.push(frame, &Audience::One(ANA)));
        let count = RESEND_FRAMES as u64;
        assert_eq!(buffer.last_for(ROOM, ANA, count).as_deref(), Some(&all[3..]));
        assert_eq!(buffer.last_for(ROOM, ANA, count + 1), None);
    }

    #[test]
    fn the_oldest_frames_are_dropped_beyond_the_bound_in_bytes() {
        let mut buffer = ResendBuffer::default();
        let all: Vec<RoomFrame> = (0..100).map(|n| patch(&format!("{n:01000}"))).collect();
        all.iter().for_each(|frame| buffer.push(frame, &Audience::One(ANA)));
        assert!((RESEND_BYTES - 1_100..=RESEND_BYTES).contains(&buffer.size));
        let kept = buffer.sizes.len();
        assert_eq!(buffer.last_for(ROOM, ANA, kept as u64).as_deref(), Some(&all[100 - kept..]));
    }

    #[test]
    fn a_frame_that_is_larger_than_the_buffer_leaves_it_empty() {
        let mut buffer = ResendBuffer::default();
        buffer.push(&patch("1"), &Audience::One(ANA));
        buffer.push(&patch(&"x".repeat(RESEND_BYTES)), &Audience::One(ANA));
        assert_eq!(buffer, ResendBuffer::default());
        buffer.push(&patch("2"), &Audience::One(ANA));
        assert_eq!(buffer.last_for(ROOM, ANA, 1), Some(vec![patch("2")]));
        assert_eq!(buffer.last_for(ROOM, ANA, 2), None);
    }

    #[test]
    fn its_bytes_are_read_back_and_damaged_ones_are_refused() {
        let mut buffer = ResendBuffer::default();
        (0..300).for_each(|n| buffer.push(&patch(&n.to_string()), &Audience::Except(vec![ANA])));
        let bytes = buffer.bytes();
        assert_eq!(ResendBuffer::read(&bytes).expect("it was written so"), buffer);
        assert!(ResendBuffer::read(&bytes[..bytes.len() - 1]).is_err());
        assert!(ResendBuffer::read(&[&bytes[..], &[1, 0, 0, 0, 9]].concat()).is_err());
        assert!(ResendBuffer::read(&bytes.repeat(2)).is_err(), "more than it may hold");
    }

    fn patch(ops: &str) -> RoomFrame {
        RoomFrame::patch(ROOM, ops)
    }
}
