//! Identifiers: rooms, sessions, machines, kinds, components, offsets, instants.
//!
//! Ids of rooms and sessions are 128 random or hashed bits, written as 32 lower-case hexadecimal digits.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A room's id. The id of a created room is a hash of its creator's place in the log, so that creation needs no
/// round trip; see [`Seed::room`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub u128);

/// One client's session. It survives reconnects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u128);

impl RoomId {
    /// The room that every session joins first, `lobby` of kind `lobby`.
    pub const LOBBY: RoomId = RoomId(0x1_0bb7);

    /// The partition that this room's channel is in: the first 64 bits of SHA-256 of the id, modulo `partitions`. Fixed for
    /// ever; the partitioner of the broker's client has no influence.
    pub fn partition(self, partitions: u32) -> u32 {
        let hash = Sha256::digest(self.0.to_be_bytes());
        let word = u64::from_be_bytes(hash[..8].try_into().expect("SHA-256 has 32 bytes"));
        (word % u64::from(partitions.max(1))) as u32
    }
}

/// An id that is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected 32 lower-case hexadecimal digits")]
pub struct BadId;

fn parse_id(text: &str) -> Result<u128, BadId> {
    let hex = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex {
        return Err(BadId);
    }
    u128::from_str_radix(text, 16).map_err(|_| BadId)
}

macro_rules! id_text {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl FromStr for $id {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_id(text).map($id)
            }
        }
    )*};
}
id_text!(RoomId, SessionId);

/// The name of a script: `lobby`, `tic-tac-toe`. 1 to 48 of `a-z`, `0-9` and `-`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kind(Arc<str>);

/// A name that cannot be a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a kind: {0:?}; use 1 to 48 of a-z, 0-9 and -, beginning with a letter")]
pub struct BadKind(pub String);

impl Kind {
    /// Checks the name.
    pub fn new(name: &str) -> Result<Kind, BadKind> {
        let good = (1..=48).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if good { Ok(Kind(name.into())) } else { Err(BadKind(name.chars().take(64).collect())) }
    }

    /// The kind of [`RoomId::LOBBY`].
    pub fn lobby() -> Kind {
        Kind("lobby".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Kind {
    type Error = BadKind;
    fn try_from(name: String) -> Result<Kind, BadKind> {
        Kind::new(&name)
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> String {
        kind.0.as_ref().to_owned()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An edge, a host or a monitor, in one incarnation: a machine that restarts has a new id, so that a `Drop` for its former
/// incarnation cannot affect the present one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineId(pub Arc<str>);

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One WebSocket of an edge: its number among all that this edge has had. It distinguishes what a room sends to a session that
/// is here now from an echo of what it sent when the session was here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u32);

/// The SHA-256 of a component: its name for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..6]))
    }
}

impl FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Digest, BadDigest> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadDigest)?;
        Ok(Digest(bytes))
    }
}

/// A digest that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected 64 hexadecimal digits")]
pub struct BadDigest;

/// A record's place in its partition. The first record is at 0.
pub type Offset = u64;

/// The number of an output: the offset of the record that caused it, and its index among that record's outputs. Numbers rise
/// within a room, and are the same on every host; receivers use them to drop duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutputId {
    pub offset: Offset,
    pub index: u32,
}

/// An instant: milliseconds since 1970, by the clock of the machine that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// This instant, `ms` milliseconds later; the end of time rather than a wrap.
    pub fn plus(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; 0 when it is not earlier.
    pub fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A duration in the unit of [`Time`].
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The secret part of a room's random seeds, which only its hosts have. The first room's secret is drawn; a created room's is
/// derived from its creator's. Ids of rooms and offsets can be guessed: without a secret, so could the cards.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSecret(pub u128);

impl RoomSecret {
    /// The secret of a room that this secret's room creates.
    pub fn of_created(self, room: RoomId) -> RoomSecret {
        RoomSecret(self.derived(b"chorus created", room))
    }

    /// The seed of the room's own hash tables.
    pub fn hash_seed(self, room: RoomId) -> HashSeed {
        HashSeed(self.derived(b"chorus hashes", room))
    }

    fn derived(self, purpose: &[u8], room: RoomId) -> u128 {
        let mut hash = Sha256::new();
        hash.update(purpose);
        hash.update(self.0.to_be_bytes());
        hash.update(room.0.to_be_bytes());
        let bytes: [u8; 32] = hash.finalize().into();
        u128::from_be_bytes(bytes[..16].try_into().expect("16 bytes"))
    }
}

impl fmt::Debug for RoomSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomSecret(…)")
    }
}

/// The seed of the hash tables in a room's instance: a client that does not have it cannot choose names that collide in them.
/// The same whenever the room is opened, and in no result of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashSeed(pub u128);

impl fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSeed(…)")
    }
}

/// The randomness of one record: a seed for the room's generator, and ids for the rooms that it creates. SHA-256 of the room's
/// id, its secret and the record's offset, so no two rooms share a seed, and a replay has the same. Neither half reveals the
/// other: a room's id is public, the cards dealt in the same call are not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    pub random: [u32; 4],
    pub rooms: [u32; 4],
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Seed {
    pub fn of(room: RoomId, secret: RoomSecret, offset: Offset) -> Seed {
        let mut hash = Sha256::new();
        hash.update(room.0.to_be_bytes());
        hash.update(secret.0.to_be_bytes());
        hash.update(offset.to_be_bytes());
        let bytes: [u8; 32] = hash.finalize().into();
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Seed { random: [word(0), word(4), word(8), word(12)], rooms: [word(16), word(20), word(24), word(28)] }
    }

    /// The id of the `n`-th room (from 0) that this record creates.
    pub fn room(&self, n: u32) -> RoomId {
        let [a, b, c, d] = self.rooms;
        let words = [a, b, c, d.wrapping_add(n)];
        RoomId(words.iter().fold(0, |id, word| (id << 32) | u128::from(*word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_writes_and_refuses_anything_else() {
        let id = RoomId(0xabc);
        assert_eq!(id.to_string(), "00000000000000000000000000000abc");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "abc", "+0000000000000000000000000000abc", "00000000000000000000000000000ABC"] {
            assert_eq!(bad.parse::<RoomId>(), Err(BadId), "{bad}");
        }
    }

    #[test]
    fn a_digest_reads_back_what_it_writes_and_refuses_anything_else() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(format!("{digest:?}"), "e3b0c44298fc");
        for bad in ["", "e3b0", &"+f".repeat(32), &"ë".repeat(32), &"0".repeat(66)] {
            assert_eq!(bad.parse::<Digest>(), Err(BadDigest), "{bad}");
        }
    }

    #[test]
    fn two_rooms_and_two_offsets_never_share_a_seed() {
        let secret = RoomSecret(5);
        let seed = Seed::of(RoomId(1), secret, 7);
        assert_eq!(seed, Seed::of(RoomId(1), secret, 7));
        assert_ne!(seed.random, Seed::of(RoomId(2), secret, 7).random);
        assert_ne!(seed.random, Seed::of(RoomId(1), secret, 8).random);
        assert_ne!(seed.random, Seed::of(RoomId(1), RoomSecret(6), 7).random, "the room's id is public");
        assert_ne!(secret.of_created(RoomId(1)), secret.of_created(RoomId(2)));
        assert_ne!(secret.hash_seed(RoomId(1)), secret.hash_seed(RoomId(2)));
        assert_ne!(secret.hash_seed(RoomId(1)), RoomSecret(6).hash_seed(RoomId(1)));
        assert_ne!(secret.hash_seed(RoomId(1)).0, secret.of_created(RoomId(1)).0);
        assert_ne!(seed.random, seed.rooms);
        assert_ne!(seed.room(0), seed.room(1));
    }

    #[test]
    fn a_partition_is_fixed_for_ever() {
        let spread: Vec<u32> = (0..6).map(|id| RoomId(id).partition(64)).collect();
        // If this changes, every room of every cluster is looked up in the wrong partition.
        assert_eq!(spread, [21, 59, 40, 38, 24, 58]);
    }
}
