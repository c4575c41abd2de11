//! The latest frames of a room, for members that reconnect, encoded one after the other in a ring of bytes.
//!
//! Most frames that are kept are never sent again, so a frame takes the bytes of its fields and no more: no text, no allocation
//! of its own. A room that has sent nothing has no ring, and a ring grows with its content, to [`RESEND_BYTES`] at most.
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

use super::state::Audience;
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

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResendBuffer {
    frames: usize,
    ring: VecDeque<u8>,
}

impl ResendBuffer {
    pub fn push(&mut self, frame: &RoomFrame, audience: &Audience) {
        let mut entry = Vec::with_capacity(PREFIX + audience.size() + frame.size());
        entry.extend([0; PREFIX]);
        wire::write_part(audience, &mut entry);
        wire::write_part(frame.fields(), &mut entry);
        let len = entry.len() - PREFIX;
        entry[..PREFIX].copy_from_slice(&(len as u32).to_le_bytes());
        while self.frames > 0 && (self.frames >= RESEND_FRAMES || self.ring.len() + entry.len() > RESEND_BYTES) {
            self.drop_oldest();
        }
        if entry.len() <= RESEND_BYTES {
            self.ring.extend(&entry);
            self.frames += 1;
        }
    }

    fn drop_oldest(&mut self) {
        let mut len = [0; PREFIX];
        len.iter_mut().zip(&self.ring).for_each(|(to, from)| *to = *from);
        let entry = PREFIX + u32::from_le_bytes(len) as usize;
        self.ring.drain(..entry.min(self.ring.len()));
        self.frames -= 1;
    }

    /// The last `count` frames for this member, oldest first, if all of them are kept.
    pub fn last_for(&self, room: RoomId, session: SessionId, count: u64) -> Option<Vec<RoomFrame>> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.frames)?;
        let ring = self.bytes();
        let theirs: Vec<&[u8]> = entries(&ring).filter_map(|entry| for_member(entry, session)).collect();
        let first = theirs.len().checked_sub(count)?;
        let frames = theirs[first..].iter().map(|fields| wire::read_part::<FrameFields>(fields));
        frames.map(|fields| Some(RoomFrame::new(room, fields.ok()?.0))).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let (begin, end) = self.ring.as_slices();
        [begin, end].concat()
    }

    /// A ring of these bytes, unless they are no entries.
    fn read(bytes: Vec<u8>) -> Result<ResendBuffer, DecodeError> {
        let damaged = || DecodeError::Damaged("frames to be sent again".to_owned());
        let (mut frames, mut used) = (0, 0);
        for entry in entries(&bytes) {
            let (_, at) = wire::read_part::<Audience>(entry)?;
            let (_, len) = wire::read_part::<FrameFields>(&entry[at..])?;
            if at + len != entry.len() {
                return Err(damaged());
            }
            (frames, used) = (frames + 1, used + PREFIX + entry.len());
        }
        if used != bytes.len() || frames > RESEND_FRAMES || used > RESEND_BYTES {
            return Err(damaged());
        }
        Ok(ResendBuffer { frames, ring: bytes.into() })
    }
}

/// The entries, up to the first one that is cut off.
fn entries(ring: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = ring;
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
        deserializer.deserialize_byte_buf(RingVisitor)
    }
}

struct RingVisitor;

impl Visitor<'_> for RingVisitor {
    type Value = ResendBuffer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a resend buffer")
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<ResendBuffer, E> {
        ResendBuffer::read(bytes).map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ResendBuffer, E> {
        self.visit_byte_buf(bytes.to_vec())
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
        assert!((RESEND_BYTES - 1_100..=RESEND_BYTES).contains(&buffer.ring.len()));
        assert!(buffer.ring.capacity() <= RESEND_BYTES);
        let kept = buffer.frames;
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
        assert_eq!(ResendBuffer::read(bytes.clone()).expect("it was written so"), buffer);
        assert!(ResendBuffer::read(bytes[..bytes.len() - 1].to_vec()).is_err());
        assert!(ResendBuffer::read([&bytes[..], &[1, 0, 0, 0, 9]].concat()).is_err());
        assert!(ResendBuffer::read(bytes.repeat(2)).is_err(), "more than it may hold");
    }

    fn patch(ops: &str) -> RoomFrame {
        RoomFrame::patch(ROOM, ops)
    }
}
