//! Bytes that are kept and rarely read, compressed (LZ4).
//!
//! A room's frames and records resemble each other, so they take a third of their size or less. What is stored or sent is never
//! in this form: only this process reads it.

use lz4_flex::block;

/// So many bytes are packed at a time, where there is a choice: fewer compress worse, and more are kept as they are for longer.
pub const CHUNK: usize = 2 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    size: usize,
    bytes: Box<[u8]>,
}

impl Packed {
    pub fn of(bytes: &[u8]) -> Packed {
        Packed { size: bytes.len(), bytes: block::compress(bytes).into() }
    }

    /// Packs what is in the buffer, and empties it.
    pub fn take(buffer: &mut Vec<u8>) -> Packed {
        let packed = Packed::of(buffer);
        buffer.clear();
        buffer.shrink_to(CHUNK);
        packed
    }

    /// How many bytes were packed.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn unpacked(&self) -> Vec<u8> {
        block::decompress(&self.bytes, self.size).expect("this process has compressed these bytes")
    }
}

/// Reserves room for `more` bytes in a buffer that is packed when it has [`CHUNK`] bytes: a quarter of that, or all.
pub fn reserve(buffer: &mut Vec<u8>, more: usize) {
    let wanted = buffer.len() + more;
    if wanted > buffer.capacity() {
        let capacity = if wanted <= CHUNK / 4 { CHUNK / 4 } else { wanted.max(CHUNK) };
        buffer.reserve_exact(capacity - buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for bytes in [vec![], vec![7], b"a patch, ".repeat(200), (0..=255).collect()] {
            let packed = Packed::of(&bytes);
            assert_eq!((packed.size(), packed.unpacked()), (bytes.len(), bytes));
        }
        assert!(Packed::of(&b"a patch, ".repeat(200)).bytes.len() < 200);
    }

    #[test]
    fn a_buffer_is_emptied_and_stays_small() {
        let mut buffer = vec![1; 10 * CHUNK];
        assert_eq!(Packed::take(&mut buffer).unpacked(), vec![1; 10 * CHUNK]);
        assert!(buffer.is_empty() && buffer.capacity() <= CHUNK);
        reserve(&mut buffer, CHUNK);
        assert_eq!(buffer.capacity(), CHUNK);
    }
}
