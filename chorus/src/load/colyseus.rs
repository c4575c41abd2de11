//! Colyseus's side of a player, for comparison: a seat from its matchmaker by HTTP, and its binary frames on a WebSocket.
//!
//! Of a frame only as much is read as a player needs: whether it is the response to its request, or a message of a type. The
//! state is not decoded, as the views of chorus are not parsed. Version 0.18; the layouts are those of its `Protocol.ts`.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;

use super::player::Party;

// The first byte of a frame.
const JOIN_ROOM: u8 = 10;
const ERROR: u8 = 11;
const LEAVE_ROOM: u8 = 12;
const ROOM_DATA: u8 = 13;
const ROOM_REQUEST: u8 = 21;
const ROOM_RESPONSE: u8 = 22;

/// The acknowledgement of a seat: the room sends nothing before it.
pub const JOINED: &[u8] = &[JOIN_ROOM];

/// The wish to leave a room, which closes the connection.
pub const LEAVE: &[u8] = &[LEAVE_ROOM];

/// One connection to the matchmaker, which is kept, as a browser keeps it.
#[derive(Debug)]
pub struct Matchmaker {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// A reserved seat in a room.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    session_id: String,
    room_id: String,
    process_id: String,
}

impl Matchmaker {
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Matchmaker> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Matchmaker { address, sender })
    }

    /// A seat in the room of this party, which is created for the first one.
    pub async fn join_or_create(&mut self, party: &Party) -> anyhow::Result<Seat> {
        self.seat("joinOrCreate", party).await
    }

    /// A seat in a new room.
    pub async fn create(&mut self, party: &Party) -> anyhow::Result<Seat> {
        self.seat("create", party).await
    }

    async fn seat(&mut self, method: &str, party: &Party) -> anyhow::Result<Seat> {
        let mut options: Value = serde_json::from_str(party.options)?;
        options["key"] = party.key.as_str().into();
        let request = Request::post(format!("/matchmake/{method}/{}", party.kind))
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(options.to_string().into()))?;
        self.sender.ready().await.context("the matchmaker's connection was lost")?;
        let response = self.sender.send_request(request).await.context("the matchmaker's connection was lost")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "the matchmaker answered {status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).context("the matchmaker's answer is not a seat")
    }
}

impl Seat {
    /// The WebSocket of the room for this seat.
    pub fn url(&self, address: SocketAddr) -> String {
        let Seat { session_id, room_id, process_id } = self;
        format!("ws://{address}/{process_id}/{room_id}?sessionId={session_id}")
    }
}

/// A message that wants a response, with its data as JSON.
pub fn request(id: u64, msg_type: &str, data: &str) -> anyhow::Result<Vec<u8>> {
    let mut frame = Vec::with_capacity(16 + msg_type.len() + data.len());
    frame.push(ROOM_REQUEST);
    put_number(&mut frame, id)?;
    frame.extend(short_string(msg_type)?);
    put_value(&mut frame, &serde_json::from_str(data)?)?;
    Ok(frame)
}

/// Whether the frame is the response to this request. A refusal, and an error of the room, are errors.
pub fn answers(frame: &[u8], id: u64) -> anyhow::Result<bool> {
    match frame {
        [ERROR, rest @ ..] => bail!("the server sent an error: {}", String::from_utf8_lossy(rest)),
        [ROOM_RESPONSE, rest @ ..] => {
            let mut expected = Vec::with_capacity(5);
            put_number(&mut expected, id)?;
            match rest.strip_prefix(expected.as_slice()) {
                None => Ok(false),
                Some([0, ..]) => Ok(true),
                Some(refusal) => bail!("refused: {}", String::from_utf8_lossy(refusal)),
            }
        }
        _ => Ok(false),
    }
}

/// Whether the frame is a message of this type.
pub fn is_message(frame: &[u8], msg_type: &str) -> bool {
    match frame {
        [ROOM_DATA, head, rest @ ..] => {
            usize::from(head ^ FIXED_STRING) == msg_type.len() && rest.starts_with(msg_type.as_bytes())
        }
        _ => false,
    }
}

/// Whether the frame says that the seat is taken.
pub fn is_joined(frame: &[u8]) -> bool {
    frame.first() == Some(&JOIN_ROOM)
}

const FIXED_STRING: u8 = 0xa0;

/// Types of messages are shorter than 32 bytes.
fn short_string(text: &str) -> anyhow::Result<impl Iterator<Item = u8>> {
    ensure!(text.len() < 32, "{text:?} is too long for a short string");
    Ok(std::iter::once(FIXED_STRING | text.len() as u8).chain(text.bytes()))
}

/// A number of the schema's encoding: little-endian, unlike that of MessagePack.
fn put_number(out: &mut Vec<u8>, number: u64) -> anyhow::Result<()> {
    match number {
        0..0x80 => out.push(number as u8),
        0x80..0x100 => out.extend([0xcc, number as u8]),
        0x100..0x1_0000 => {
            out.push(0xcd);
            out.extend((number as u16).to_le_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(0xce);
            out.extend((number as u32).to_le_bytes());
        }
        _ => bail!("{number} is no request's number"),
    }
    Ok(())
}

/// MessagePack, of what players send: small objects.
fn put_value(out: &mut Vec<u8>, value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Number(number) => match number.as_u64() {
            Some(small @ 0..0x80) => out.push(small as u8),
            _ => {
                out.push(0xcb);
                out.extend(number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
            }
        },
        Value::String(text) => put_text(out, text)?,
        Value::Array(values) => {
            ensure!(values.len() < 16, "an array of {} is too long for a player", values.len());
            out.push(0x90 | values.len() as u8);
            values.iter().try_for_each(|value| put_value(out, value))?;
        }
        Value::Object(members) => {
            ensure!(members.len() < 16, "an object of {} members is too large for a player", members.len());
            out.push(0x80 | members.len() as u8);
            for (name, value) in members {
                put_text(out, name)?;
                put_value(out, value)?;
            }
        }
    }
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: &str) -> anyhow::Result<()> {
    match u8::try_from(text.len()) {
        Ok(short @ 0..32) => out.push(FIXED_STRING | short),
        Ok(length) => out.extend([0xd9, length]),
        Err(_) => bail!("a text of {} bytes is too long for a player", text.len()),
    }
    out.extend(text.bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_number_its_type_and_its_data() {
        let frame = request(300, "echo", r#"{"n":7,"no":null,"text":"hello"}"#).unwrap();
        let expected = b"\x15\xcd\x2c\x01\xa4echo\x83\xa1n\x07\xa2no\xc0\xa4text\xa5hello";
        assert_eq!(frame.as_slice(), expected);
    }

    #[test]
    fn data_is_message_pack() {
        let packed = |json: &str| {
            let mut out = Vec::new();
            put_value(&mut out, &serde_json::from_str(json).unwrap()).map(|()| out)
        };
        assert_eq!(packed("[true,false,1.5]").unwrap(), b"\x93\xc3\xc2\xcb\x3f\xf8\0\0\0\0\0\0");
        let text = "a text of more than thirty-one bytes";
        assert_eq!(packed(&format!("{text:?}")).unwrap(), [&[0xd9, 36], text.as_bytes()].concat());
        assert!(packed(&format!("{:?}", "x".repeat(256))).is_err());
    }

    #[test]
    fn numbers_of_requests_are_little_endian() {
        let number = |number| {
            let mut out = Vec::new();
            put_number(&mut out, number).map(|()| out)
        };
        assert_eq!(number(127).unwrap(), [127]);
        assert_eq!(number(128).unwrap(), [0xcc, 128]);
        assert_eq!(number(70_000).unwrap(), [0xce, 0x70, 0x11, 1, 0]);
        assert!(number(1 << 32).is_err());
    }

    #[test]
    fn a_response_belongs_to_its_request() {
        assert!(answers(&[ROOM_RESPONSE, 5, 0, 0x80], 5).unwrap());
        assert!(!answers(&[ROOM_RESPONSE, 6, 0], 5).unwrap());
        assert!(!answers(b"\x0d\xa5moved\x80", 5).unwrap());
        let refused = answers(b"\x16\x05\x01\xb4it is not your turn.", 5).unwrap_err();
        assert!(refused.to_string().contains("not your turn"));
        assert!(answers(b"\x0b\xcd\x0c\x02\xa4gone", 5).is_err());
    }

    #[test]
    fn messages_are_distinguished_by_their_type() {
        assert!(is_message(b"\x0d\xa5moved\x82", "moved"));
        assert!(!is_message(b"\x0d\xa5moved\x82", "move"));
        assert!(!is_message(b"\x0d\xa4move\x82", "moved"));
        assert!(!is_message(b"\x0f\xa5moved", "moved"));
        assert!(is_joined(&[JOIN_ROOM, 9]) && !is_joined(&[]));
    }
}
