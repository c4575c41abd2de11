//! The bytes of what is stored and sent: one version byte, then bincode.
//!
//! The only module that uses bincode (2.0.1, unmaintained: see `deny.toml`), so that replacing it is a change of this
//! file and of the version bytes. Bytes that were written once are pinned by golden tests: a log outlives a binary. When a
//! version may rise, and what that means for a cluster, is in `docs/adr/0011-formats.md`.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    command::{EdgeCommand, Record},
    room::State,
};

/// A type whose values outlive the process that writes them, or leave it.
pub trait Format: Serialize + DeserializeOwned {
    /// What an error calls it.
    const NAME: &'static str;
    /// The format that this binary writes, and the only one that it reads. Versions below 5 are of builds before the first
    /// release, in which all types had one version between them; in version 5 frames were JSON text.
    const VERSION: u8;
}

impl Format for Record {
    const NAME: &'static str = "record";
    const VERSION: u8 = 8;
}

impl Format for EdgeCommand {
    const NAME: &'static str = "edge command";
    const VERSION: u8 = 8;
}

impl Format for State {
    const NAME: &'static str = "snapshot";
    const VERSION: u8 = 9;
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("empty: a {0} has at least its version byte")]
    Empty(&'static str),
    #[error(
        "a {name} in format {found}, and this binary reads format {reads}: run the version of chorus that wrote it, or a newer one"
    )]
    Version { name: &'static str, found: u8, reads: u8 },
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
pub fn encode<T: Format>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    bytes.push(T::VERSION);
    append(value, &mut bytes);
    bytes
}

/// The bytes of a part of one, to compare it with another. Nothing reads them back.
pub fn part(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(value, &mut bytes);
    bytes
}

fn append(value: &impl Serialize, bytes: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, bytes, config())
        .expect("our types have no serializer that fails, and a vector takes every byte");
}

/// Appends the bytes of a part of a value. [`read_part`] reads them, in a value of the same format.
pub fn write_part(value: &impl Serialize, into: &mut Vec<u8>) {
    append(value, into);
}

/// The part that these bytes begin with, and its length.
pub fn read_part<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    bincode::serde::decode_from_slice(bytes, config()).map_err(|e| DecodeError::Damaged(e.to_string()))
}

/// What follows the version, if that is the one that this binary reads.
pub fn body<T: Format>(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (&found, body) = bytes.split_first().ok_or(DecodeError::Empty(T::NAME))?;
    if found != T::VERSION {
        return Err(DecodeError::Version { name: T::NAME, found, reads: T::VERSION });
    }
    Ok(body)
}

/// The value of these bytes, all of them.
pub fn decode<T: Format>(bytes: &[u8]) -> Result<T, DecodeError> {
    let body = body::<T>(bytes)?;
    let (value, used) = read_part(body)?;
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
        frame::{CloseCode, ErrorCode, RoomFrame},
        identity::{Ending, SessionsOf},
        ids::*,
        json::Json,
    };

    /// One of each command, with the bytes that this version writes.
    /// A new line here is a new command; a changed line is a broken log.
    #[test]
    fn the_bytes_of_every_command_are_pinned() {
        let written: Vec<String> =
            examples().iter().map(|command| hex::encode(encode(&record(command.clone())))).collect();
        assert_eq!(written.join("\n"), include_str!("wire.golden").trim_end(), "a log outlives a binary");
    }

    /// The same for the commands in edges' channels.
    #[test]
    fn the_bytes_of_every_edge_command_are_pinned() {
        let written: Vec<String> = edge_examples().iter().map(|command| hex::encode(encode(command))).collect();
        assert_eq!(written.join("\n"), include_str!("wire.edge.golden").trim_end());
    }

    #[test]
    fn every_type_reads_back_what_it_writes() {
        for command in examples() {
            let record = record(command);
            assert_eq!(decode(&encode(&record)), Ok(record));
        }
        for command in edge_examples() {
            assert_eq!(decode(&encode(&command)), Ok(command));
        }
    }

    #[test]
    fn each_other_version_of_each_format_is_refused_by_name() {
        fn refuses<T: Format + std::fmt::Debug>(mut bytes: Vec<u8>, name: &'static str) {
            for found in (0..=u8::MAX).filter(|version| *version != T::VERSION) {
                bytes[0] = found;
                let error = decode::<T>(&bytes).unwrap_err();
                assert_eq!(error, DecodeError::Version { name, found, reads: T::VERSION });
                let text = format!("a {name} in format {found}, and this binary reads format {}: ", T::VERSION);
                assert!(error.to_string().starts_with(&text), "{error}");
            }
        }
        refuses::<Record>(encode(&record(RoomCommand::Close { reason: "x".into() })), "record");
        refuses::<EdgeCommand>(encode(&edge_examples()[0]), "edge command");
        refuses::<State>(vec![0, 1], "snapshot");
        assert_eq!(decode::<Record>(&[]), Err(DecodeError::Empty("record")));
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
        let source = OutputRef { room: RoomId(4), number: OutputId { offset: 5, index: 6 } };
        let json = || Json::trusted("{\"a\":1}");
        let ana = || Player { id: "p1".into(), name: "Ana".into() };
        let player = ana();
        vec![
            RoomCommand::Create {
                kind: Kind::lobby(),
                component: Digest([7; 32]),
                options: json(),
                creator: Some(source),
                secret: RoomSecret(10),
                allowance: 16,
            },
            RoomCommand::Join(Joining {
                session,
                player,
                claims: None,
                edge: edge.clone(),
                request: RequestId { connection: ConnectionId(1), number: 1 },
                message_id: 2,
                options: json(),
                from: None,
            }),
            RoomCommand::Message { session, message_id: 3, msg_type: "move".into(), data: json() },
            RoomCommand::Drop { session, edge: edge.clone(), code: 1006 },
            RoomCommand::Reconnect {
                session,
                edge,
                request: RequestId { connection: ConnectionId(2), number: 3 },
                last_seq: Some(300),
            },
            RoomCommand::Leave { session, reason: LeaveReason::Moved },
            RoomCommand::Timer { id: OutputId { offset: 1, index: 0 }, name: Some("turn".into()) },
            RoomCommand::RoomMessage { from: RoomId(4), number: source.number, data: RoomData::Message(json()) },
            RoomCommand::Answer {
                request: source.number,
                answer: Answer::CreateFailed { room: RoomId(8), reason: "no".into() },
            },
            RoomCommand::Swap { component: Digest([8; 32]), rollout: None },
            RoomCommand::Fault { at: OutputId { offset: 12, index: 0 }, fault: Fault::OutOfFuel(1_000_000_000) },
            RoomCommand::Close { reason: "done".into() },
            RoomCommand::Threw { at: OutputId { offset: 12, index: 0 }, text: "Error: no".into() },
            RoomCommand::Identify { session, was: "g:1".into(), player: ana(), claims: Some(json()) },
            RoomCommand::Erase { player: "p1".into() },
            RoomCommand::Tick { number: 1, inputs: vec![TickInput { session, msg_type: "aim".into(), data: json() }] },
            RoomCommand::Answer { request: source.number, answer: Answer::Result(Ok(json())) },
        ]
    }

    fn edge_examples() -> Vec<EdgeCommand> {
        let (room, session, connection) = (RoomId(3), SessionId(9), ConnectionId(1));
        let request = RequestId { connection, number: 2 };
        let from = OutputRef { room: RoomId(4), number: OutputId { offset: 5, index: 6 } };
        let json = || Json::trusted("{\"a\":1}");
        let frames = [
            RoomFrame::error(room, Some(1), ErrorCode::Refused, "no"),
            RoomFrame::room(room, &Kind::lobby(), 2, &json()),
            RoomFrame::event(room, "moved", &json()),
            RoomFrame::patch(room, "[]"),
            RoomFrame::reply(room, 3, &json()),
            RoomFrame::left(room, "moved"),
        ];
        let target = |seq| Target { session, connection, seq };
        let deliver = |frame| EdgeCommand::Deliver(Deliveries::one(frame, target(1)));
        let mut several = Deliveries::one(RoomFrame::left(room, "moved"), target(1));
        several.add_target(target(2));
        assert!(several.add_frame(&RoomFrame::patch(room, "[]")));
        several.add_target(target(3));
        let reason = || "no".into();
        let end = |of| EdgeCommand::End(Ending { of, code: CloseCode::Kicked, reason: "no".into() });
        let others = [
            EdgeCommand::Move { session, connection, room, options: Json::trusted("{\"a\":1}"), from },
            EdgeCommand::Left { session, request, room, reason: LeaveReason::Kicked },
            EdgeCommand::Kick { session, connection, room, reason: reason() },
            EdgeCommand::Admitted { session, request, room, from: None },
            EdgeCommand::Refused { session, request, room, from: Some(from), reason: reason() },
            EdgeCommand::Replaced { session },
            EdgeCommand::Spent { session, connection, micros: 7_000 },
            EdgeCommand::Resumed { session, request, room, applied: 300 },
            EdgeCommand::Deliver(several),
            end(SessionsOf::Player("u:1".into())),
            end(SessionsOf::Network("192.0.2.0/24".parse().expect("a network"))),
            end(SessionsOf::Token("one".into())),
        ];
        frames.map(deliver).into_iter().chain(others).collect()
    }
}
