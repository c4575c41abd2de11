//! The encoding of the contract's buffers (`wit/room.wit`): the tags of its tables, and a reader and a writer of its types.
//!
//! The reader takes any bytes of a guest: it returns a part of them or an error, and copies nothing.

use std::str::Utf8Error;

/// Tags of entries.
pub(crate) mod entry {
    pub const OPEN: u8 = 0x01;
    pub const SAVE: u8 = 0x02;
    pub const SELECT: u8 = 0x03;
    pub const CLOSE: u8 = 0x04;
    pub const CREATE: u8 = 0x10;
    pub const JOIN: u8 = 0x11;
    pub const DROP: u8 = 0x12;
    pub const RECONNECT: u8 = 0x13;
    pub const LEAVE: u8 = 0x14;
    pub const MESSAGE: u8 = 0x15;
    pub const TIMER: u8 = 0x16;
    pub const ROOM_MESSAGE: u8 = 0x17;
    pub const ROOM_END: u8 = 0x18;
    pub const MOVE_FAILED: u8 = 0x19;
    pub const DISPOSE: u8 = 0x1a;
    pub const ANSWER: u8 = 0x1d;
    pub const IDENTIFY: u8 = 0x1e;
    pub const ERASE: u8 = 0x1f;
}

/// Tags of outcomes.
pub(crate) mod outcome {
    pub const DONE: u8 = 0x01;
    pub const THREW: u8 = 0x02;
    pub const SAVED: u8 = 0x03;
    pub const EXHAUSTED: u8 = 0x04;
}

/// Tags of effects.
pub(crate) mod effect {
    pub const ADMIT: u8 = 0x01;
    pub const REPLY: u8 = 0x02;
    pub const REFUSE: u8 = 0x03;
    pub const SEND: u8 = 0x04;
    pub const BROADCAST: u8 = 0x05;
    pub const VIEW: u8 = 0x06;
    pub const VIEW_OF: u8 = 0x07;
    pub const MOVE_TO: u8 = 0x08;
    pub const KICK: u8 = 0x09;
    pub const CREATE_ROOM: u8 = 0x0a;
    pub const SEND_ROOM: u8 = 0x0b;
    pub const SET_TIMER: u8 = 0x0c;
    pub const CANCEL_TIMER: u8 = 0x0d;
    pub const LOCK: u8 = 0x0e;
    pub const UNLOCK: u8 = 0x0f;
    pub const METADATA: u8 = 0x10;
    pub const END: u8 = 0x11;
    pub const LOG: u8 = 0x12;
    pub const SIT: u8 = 0x13;
    pub const STAND: u8 = 0x14;
    pub const REQUEST: u8 = 0x15;
    pub const IDENTIFY: u8 = 0x18;
    pub const REPORT: u8 = 0x19;
}

/// The bytes of a tag and a length.
pub(crate) const HEAD: usize = 5;

/// Why bytes do not fit the contract. The texts are for the author of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it ends within a field")]
    Short,
    #[error("it has {0} bytes after its last field")]
    Long(usize),
    #[error("it has a text that is not UTF-8: {0}")]
    Utf8(#[from] Utf8Error),
    #[error("it has a flag that is neither 0 nor 1: {0}")]
    Flag(u8),
}

/// Reads fields one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Malformed::Flag(other)),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Malformed> {
        self.array().map(f64::from_le_bytes)
    }

    pub(crate) fn id(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_be_bytes)
    }

    /// As many bytes as the length before them states.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        Ok(std::str::from_utf8(self.sized()?)?)
    }

    pub(crate) fn ids(&mut self) -> Result<impl Iterator<Item = u128> + use<'a>, Malformed> {
        let bytes = (self.u32()? as usize).checked_mul(16).ok_or(Malformed::Short)?;
        let (ids, _) = self.take(bytes)?.as_chunks();
        Ok(ids.iter().map(|id| u128::from_be_bytes(*id)))
    }

    /// A tag, and the bytes that belong to it.
    pub(crate) fn tagged(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        Ok((self.u8()?, self.sized()?))
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn rest_text(&mut self) -> Result<&'a str, Malformed> {
        Ok(std::str::from_utf8(self.rest())?)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::Long(self.0.len())) }
    }
}

/// Writes entries one after another.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Writer {
        Writer(Vec::with_capacity(bytes))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// An entry, with the fields that `fields` writes.
    pub(crate) fn tagged(&mut self, tag: u8, fields: impl FnOnce(&mut Writer)) {
        self.u8(tag);
        let at = self.0.len();
        self.u32(0);
        fields(self);
        let length = self.0.len() - at - 4;
        self.0[at..at + 4].copy_from_slice(&length_of(length).to_le_bytes());
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn id(&mut self, id: u128) {
        self.0.extend_from_slice(&id.to_be_bytes());
    }

    pub(crate) fn ids(&mut self, ids: &[u128]) {
        self.u32(length_of(ids.len()));
        ids.iter().for_each(|id| self.id(*id));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u32(length_of(text.len()));
        self.rest(text);
    }

    pub(crate) fn rest(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
}

fn length_of(length: usize) -> u32 {
    u32::try_from(length).expect("what a room is handed is smaller than its memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let mut writer = Writer::default();
        writer.tagged(7, |fields| {
            fields.u8(1);
            fields.u64(1 << 40);
            fields.id(0x0123_4567_89ab_cdef_0000_0000_00ff_1bb7);
            fields.ids(&[1, u128::MAX]);
            fields.text("é");
            fields.rest("to the end");
        });
        let bytes = writer.into_bytes();
        assert_eq!(bytes[14..18], [0x01, 0x23, 0x45, 0x67], "as the digits are read");
        let mut all = Reader::new(&bytes);
        let (tag, fields) = all.tagged().unwrap();
        assert_eq!((tag, all.end()), (7, Ok(())));
        let mut fields = Reader::new(fields);
        assert_eq!((fields.flag(), fields.u64()), (Ok(true), Ok(1 << 40)));
        assert_eq!(fields.id(), Ok(0x0123_4567_89ab_cdef_0000_0000_00ff_1bb7));
        assert_eq!(fields.ids().unwrap().collect::<Vec<_>>(), [1, u128::MAX]);
        assert_eq!((fields.text(), fields.rest_text(), fields.end()), (Ok("é"), Ok("to the end"), Ok(())));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let read = |bytes: &'static [u8]| Reader::new(bytes);
        assert_eq!(read(&[1, 0, 0]).u32(), Err(Malformed::Short));
        assert_eq!(read(&[9, 4, 0, 0, 0, 1]).tagged(), Err(Malformed::Short));
        assert_eq!(read(&[255, 255, 255, 255]).text(), Err(Malformed::Short));
        assert!(matches!(read(&[255, 255, 255, 255]).ids().map(|_| ()), Err(Malformed::Short)));
        assert!(matches!(read(&[1, 0, 0, 0, 0xff]).text(), Err(Malformed::Utf8(_))));
        assert_eq!(read(&[2]).flag(), Err(Malformed::Flag(2)));
        assert_eq!(read(&[2]).end(), Err(Malformed::Long(1)));
    }
}
