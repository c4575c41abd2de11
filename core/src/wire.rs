//! The bytes of records: one version byte, then bincode.
//!
//! The only module that knows bincode (2.0.1, unmaintained: see `deny.toml`), so that replacing it is a change of this
//! file and of one version byte. Bytes that were written once are pinned by golden tests: a log outlives a binary.

use serde::{Serialize, de::DeserializeOwned};

/// The format of [`crate::command::Record`] and [`crate::command::EdgeCommand`].
///
/// 1 and 2 are of builds before the first release, whose questions had no numbers.
pub const VERSION: u8 = 3;

/// The format of the state of a lobby that has begun anew: what version 3 has, and more. See `room::State::encode`.
pub(crate) const VERSION_OF_LIVES: u8 = 4;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("empty: a record has at least its version byte")]
    Empty,
    #[error(
        "written in format {found}, this binary reads format {VERSION}: run the version of chorus that wrote it, or a newer one"
    )]
    Version { found: u8 },
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("damaged: {0} bytes left over")]
    Trailing(usize),
}

/// Limits what a damaged length can make the decoder reserve.
const MAX_DECODED: usize = 64 * 1024 * 1024;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_DECODED>()
}

/// The bytes of one value.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    encode_as(VERSION, value)
}

/// The value of these bytes, all of them.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode_as(VERSION, bytes)
}

pub(crate) fn encode_as(version: u8, value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    bytes.push(version);
    bincode::serde::encode_into_std_write(value, &mut bytes, config())
        .expect("our types have no serializer that fails, and a vector takes every byte");
    bytes
}

pub(crate) fn decode_as<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, DecodeError> {
    let (&found, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if found != version {
        return Err(DecodeError::Version { found });
    }
    let (value, used) =
        bincode::serde::decode_from_slice(body, config()).map_err(|e| DecodeError::Damaged(e.to_string()))?;
    match body.len() - used {
        0 => Ok(value),
        left => Err(DecodeError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::*,
        frame::{ErrorCode, RoomFrame},
        ids::*,
        json::Json,
    };

    /// One of each command, with the bytes that the first version wrote.
    /// A new line here is a new command; a changed line is a broken log.
    #[test]
    fn the_bytes_of_every_command_are_pinned() {
        let written: Vec<String> = examples().iter().map(|command| hex(&encode(&record(command.clone())))).collect();
        assert_eq!(written.join("\n"), include_str!("wire.golden").trim_end(), "a log outlives a binary");
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        for command in examples() {
            let record = record(command);
            assert_eq!(decode(&encode(&record)), Ok(record));
        }
        let frame = RoomFrame::error(RoomId(3), Some(1), ErrorCode::Refused, "no");
        let deliver = EdgeCommand::Deliver {
            room: RoomId(3),
            targets: vec![Target { session: SessionId(9), connection: ConnectionId(1), seq: 1 }],
            frame,
        };
        assert_eq!(decode(&encode(&deliver)), Ok(deliver));
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = encode(&record(RoomCommand::Close { reason: "x".into() }));
        bytes[0] = 9;
        let error = decode::<Record>(&bytes).unwrap_err().to_string();
        assert!(error.contains("format 9") && error.contains("format 3"), "{error}");
    }

    #[test]
    fn no_damage_panics() {
        for command in examples() {
            let bytes = encode(&record(command));
            for cut in 0..bytes.len() {
                assert!(decode::<Record>(&bytes[..cut]).is_err());
            }
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0xff;
                let _ = decode::<Record>(&bytes);
            }
            let longer = [bytes, vec![0]].concat();
            assert_eq!(decode::<Record>(&longer), Err(DecodeError::Trailing(1)));
        }
    }

    fn record(command: RoomCommand) -> Record {
        Record { room: RoomId(3), time: Time(1_700_000_000_000), command }
    }

    fn examples() -> Vec<RoomCommand> {
        let session = SessionId(9);
        let edge = MachineId("edge-1".into());
        let source = Source { room: RoomId(4), number: Number { offset: 5, index: 6 } };
        let json = || Json::trusted("{\"a\":1}");
        let player = Player { id: "p1".into(), name: "Ana".into() };
        vec![
            RoomCommand::Create {
                kind: Kind::lobby(),
                component: Digest([7; 32]),
                options: json(),
                creator: Some(source),
                secret: Secret(10),
            },
            RoomCommand::Join {
                session,
                player,
                edge: edge.clone(),
                question: Question { connection: ConnectionId(1), number: 1 },
                client_seq: 2,
                options: json(),
                from: None,
            },
            RoomCommand::Message { session, client_seq: 3, kind: "move".into(), data: json() },
            RoomCommand::Drop { session, edge: edge.clone(), code: 1006 },
            RoomCommand::Reconnect {
                session,
                edge,
                question: Question { connection: ConnectionId(2), number: 3 },
                last_seq: Some(300),
            },
            RoomCommand::Leave { session, reason: LeaveReason::Moved },
            RoomCommand::Timer { id: Number { offset: 1, index: 0 } },
            RoomCommand::RoomMessage { from: RoomId(4), number: source.number, data: RoomData::Message(json()) },
            RoomCommand::Answer {
                request: source.number,
                answer: Answer::CreateFailed { room: RoomId(8), reason: "no".into() },
            },
            RoomCommand::Swap { component: Digest([8; 32]), rollout: None },
            RoomCommand::Fault { offset: 12, fault: Fault::OutOfFuel(1_000_000_000) },
            RoomCommand::Close { reason: "done".into() },
        ]
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}
