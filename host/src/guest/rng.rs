//! The generator behind a guest's WASI randomness, seeded for each record.

use chorus_core::ids::Seed;
use sha2::{Digest as _, Sha256};

use super::{budget, fault::Forbidden};

/// SHA-256 of the record's seed and a counter.
pub(crate) struct Rng {
    seed: [u32; 4],
    counter: u64,
}

impl Rng {
    pub(crate) fn of(seed: &Seed) -> Rng {
        Rng { seed: seed.random, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // The guest's SDK has a generator of its own from the same seed; the name keeps the two apart.
        hash.update(b"chorus wasi:random");
        self.seed.iter().for_each(|word| hash.update(word.to_be_bytes()));
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        hash.finalize().into()
    }

    pub(crate) fn word(&mut self) -> u64 {
        let block = self.block();
        u64::from_be_bytes(block[..8].try_into().expect("8 bytes"))
    }

    pub(crate) fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > budget::MAX_RANDOM_BYTES {
            return Err(Forbidden("asked for too many random bytes at once").into());
        }
        let len = len as usize;
        let mut bytes = Vec::with_capacity(len.next_multiple_of(32));
        while bytes.len() < len {
            bytes.extend_from_slice(&self.block());
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}
