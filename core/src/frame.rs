//! The client protocol `v1.json.chorus`: JSON text frames, one object each, whose `t` is its kind.
//!
//! ```text
//! → hello {token? | name? | resume, last?}       ← welcome {session, resume, recovered, pingMs, player, name}
//! ← room {room, kind, seq, ack, view}            (a move is a fresh room frame)
//! → msg {id, room?, type, data}                  ← reply {room, seq, id, data} | error {id?, room?, seq?, code, message, retryAfterMs?}
//! ← event {room, seq, type, data}                ← patch {room, seq, ops}       ← left {room, seq, reason}
//! ```
//! Every frame of a room carries `room` and `seq`: 1, 2, 3, … for each session in each room, with no gap, so that a client can
//! name the last frame that it has and get the rest. (A seat's numbers begin where the room's last seat ended, so they rise
//! even for a session that leaves and joins again; its first frame is always a `room` frame.) `docs/protocol.md` is the public
//! description.

mod bounds;

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

pub use bounds::{MAX_DEPTH, MAX_EXTREME, MAX_MEMBERS, MAX_NAME, MAX_NAMES, MAX_NUMBER, MAX_VALUES};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    ids::{Kind, RoomId},
    json::Json,
};

/// The WebSocket subprotocol.
pub const PROTOCOL: &str = "v1.json.chorus";

/// The largest frame that an edge accepts, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// The longest message type, in bytes.
pub const MAX_TYPE: usize = 64;

/// The highest `id` and `last` that a client can send: the integers that a JavaScript number holds exactly.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// A frame from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    Hello(Hello),
    Msg(Msg),
    /// Checks whether the connection is alive. Answered by [`PONG`].
    Ping,
}

/// The answer to [`ClientFrame::Ping`].
pub const PONG: &str = r#"{"t":"pong"}"#;

/// The first frame of a connection.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The frame's kind, which was examined before.
    #[serde(default, rename = "t")]
    _t: serde::de::IgnoredAny,
    #[serde(default)]
    pub token: Option<String>,
    /// The name of an anonymous player. 1 to 32 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// The single-use token of the last `welcome`.
    #[serde(default)]
    pub resume: Option<String>,
    /// The `seq` of the last frame that the client has, of each room.
    #[serde(default, deserialize_with = "last_by_room")]
    pub last: Vec<(RoomId, u64)>,
}

/// A message to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msg {
    /// Rises within a session, from 1 to [`MAX_SEQ`].
    pub id: u64,
    /// The room of the latest `room` frame, when left out.
    pub room: Option<RoomId>,
    pub kind: Arc<str>,
    pub data: Json,
}

/// A text that is refused as a frame. The message is for the client's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadFrame {
    /// The `id` of the message, when that much could be read.
    pub id: Option<u64>,
    /// [`ErrorCode::BadFrame`], or [`ErrorCode::BadData`] where the frame is JSON that is beyond a bound.
    pub code: ErrorCode,
    pub message: String,
}

impl ClientFrame {
    /// Parses one text frame. Never panics; every refusal names what was expected.
    pub fn parse(text: &str) -> Result<ClientFrame, BadFrame> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            t: std::borrow::Cow<'a, str>,
            #[serde(default)]
            id: Option<serde_json::Number>,
            #[serde(default, borrow)]
            room: Option<std::borrow::Cow<'a, str>>,
            #[serde(default, borrow, rename = "type")]
            kind: Option<std::borrow::Cow<'a, str>>,
            #[serde(default, borrow)]
            data: Option<&'a RawValue>,
        }
        let bad = |id, message: String| BadFrame { id, code: ErrorCode::BadFrame, message };
        if !text.trim_start().starts_with('{') {
            return Err(bad(None, "not a frame: expected an object".to_owned()));
        }
        bounds::check(text).map_err(|excess| beyond(text, excess))?;
        let raw: Raw<'_> = serde_json::from_str(text).map_err(|e| bad(None, format!("not a frame: {e}")))?;
        let id = message_id(raw.id.as_ref());
        match raw.t.as_ref() {
            "hello" => {
                let hello = serde_json::from_str(text).map_err(|e| bad(None, format!("bad hello: {e}")))?;
                Ok(ClientFrame::Hello(hello))
            }
            "msg" => {
                let id = id.ok_or_else(|| bad(None, format!("msg needs an id: a whole number from 1 to {MAX_SEQ}")))?;
                let room = raw.room.as_deref().map(str::parse::<RoomId>).transpose();
                let room = room.map_err(|e| bad(Some(id), format!("room is {e}")))?;
                let kind = raw.kind.filter(|kind| (1..=MAX_TYPE).contains(&kind.len()));
                let kind = kind.ok_or_else(|| bad(Some(id), format!("msg needs a type of 1 to {MAX_TYPE} bytes")))?;
                let data = raw.data.map_or_else(Json::null, |data| Json::trusted(data.get()));
                Ok(ClientFrame::Msg(Msg { id, room, kind: kind.into(), data }))
            }
            "ping" => Ok(ClientFrame::Ping),
            other => {
                let other: String = other.chars().take(32).collect();
                Err(bad(id, format!("unknown frame {other:?}: expected hello, msg or ping")))
            }
        }
    }
}

/// The refusal of a frame that is beyond a bound. Its `id` is read without recursion.
fn beyond(text: &str, excess: bounds::Excess) -> BadFrame {
    #[derive(Deserialize)]
    struct Numbered {
        #[serde(default)]
        id: Option<serde_json::Number>,
    }
    match serde_json::from_str::<Numbered>(text) {
        Ok(Numbered { id }) => {
            BadFrame { id: message_id(id.as_ref()), code: ErrorCode::BadData, message: excess.to_string() }
        }
        Err(error) => BadFrame { id: None, code: ErrorCode::BadFrame, message: format!("not a frame: {error}") },
    }
}

/// The `id` of a message, if the number is one: a whole number from 1 to [`MAX_SEQ`].
fn message_id(number: Option<&serde_json::Number>) -> Option<u64> {
    number.and_then(serde_json::Number::as_u64).filter(|id| (1..=MAX_SEQ).contains(id))
}

/// Rooms in `hello.last`: more than a session can be in is a mistake or an attack.
const MAX_LAST: usize = 32;

fn last_by_room<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<(RoomId, u64)>, D::Error> {
    use serde::de::Error;
    let map = std::collections::BTreeMap::<String, u64>::deserialize(from)?;
    if map.len() > MAX_LAST {
        return Err(D::Error::custom(format!("last names more than {MAX_LAST} rooms")));
    }
    if map.values().any(|seq| *seq > MAX_SEQ) {
        return Err(D::Error::custom(format!("last names a seq above {MAX_SEQ}")));
    }
    map.into_iter().map(|(room, seq)| Ok((room.parse().map_err(D::Error::custom)?, seq))).collect()
}

/// A frame from a room, encoded once for all its receivers: everything but the `seq`, which differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomFrame {
    text: Arc<str>,
    /// Where in `text` the digits of the sequence number go.
    hole: u32,
    /// The kind of the frame, for code that passes it on.
    pub tag: FrameTag,
    /// The id of the message that a reply or an error answers; in a `room` frame its `ack`: all messages up to it are answered.
    pub answers: Option<u64>,
}

/// The kinds of a [`RoomFrame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameTag {
    Room,
    Event,
    Patch,
    Reply,
    Error,
    Left,
}

impl RoomFrame {
    /// The member's whole view, which replaces the client's copy of this room. `ack` is the highest message id of this session
    /// that the room has applied.
    pub fn room(room: RoomId, kind: &Kind, ack: u64, view: &Json) -> RoomFrame {
        let tail = format_args!(r#","kind":"{kind}","ack":{ack},"view":{}"#, &**view);
        RoomFrame { answers: Some(ack), ..RoomFrame::new(FrameTag::Room, "room", room, tail) }
    }

    pub fn event(room: RoomId, kind: &str, data: &Json) -> RoomFrame {
        let kind = quote(kind);
        RoomFrame::new(FrameTag::Event, "event", room, format_args!(r#","type":{kind},"data":{}"#, &**data))
    }

    /// `ops` is a JSON array of RFC 6902 operations.
    pub fn patch(room: RoomId, ops: &str) -> RoomFrame {
        RoomFrame::new(FrameTag::Patch, "patch", room, format_args!(r#","ops":{ops}"#))
    }

    pub fn reply(room: RoomId, id: u64, data: &Json) -> RoomFrame {
        let tail = format_args!(r#","id":{id},"data":{}"#, &**data);
        RoomFrame { answers: Some(id), ..RoomFrame::new(FrameTag::Reply, "reply", room, tail) }
    }

    /// `id` is the message that it answers; an error without one is about a join or a move.
    pub fn error(room: RoomId, id: Option<u64>, code: ErrorCode, message: &str) -> RoomFrame {
        let id_text = id.map_or_else(String::new, |id| format!(r#","id":{id}"#));
        let (code, message) = (code.as_str(), quote(message));
        let tail = format_args!(r#"{id_text},"code":"{code}","message":{message}"#);
        RoomFrame { answers: id, ..RoomFrame::new(FrameTag::Error, "error", room, tail) }
    }

    /// The last frame of a room to a session, which is no longer a member.
    pub fn left(room: RoomId, reason: &str) -> RoomFrame {
        RoomFrame::new(FrameTag::Left, "left", room, format_args!(r#","reason":{}"#, quote(reason)))
    }

    fn new(tag: FrameTag, t: &str, room: RoomId, tail: fmt::Arguments<'_>) -> RoomFrame {
        let sure = "writing to a string cannot fail";
        let mut text = String::with_capacity(192);
        write!(text, r#"{{"t":"{t}","room":"{room}","seq":"#).expect(sure);
        let hole = text.len() as u32;
        write!(text, "{tail}}}").expect(sure);
        RoomFrame { text: text.into(), hole, tag, answers: None }
    }

    /// The frame's text under one sequence number.
    pub fn with_seq(&self, seq: u64) -> String {
        let (head, tail) = self.text.split_at_checked(self.hole as usize).unwrap_or((&self.text, ""));
        let mut text = String::with_capacity(self.text.len() + 12);
        text.push_str(head);
        write!(text, "{seq}").expect("writing to a string cannot fail");
        text.push_str(tail);
        text
    }

    /// Whether both are one text in memory.
    #[cfg(test)]
    pub fn shares_its_text(&self, other: &RoomFrame) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }

    /// Bytes of it that are kept in memory, the sequence number aside.
    pub fn size(&self) -> usize {
        self.text.len()
    }
}

/// `text` as a JSON string.
fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// `welcome`: the answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "t", rename = "welcome")]
pub struct Welcome<'a> {
    pub session: String,
    /// Resumes this session, once. Keep it secret.
    pub resume: &'a str,
    /// Whether this is the session that `resume` named. If not, the session is new, and the old one no longer exists.
    pub recovered: bool,
    pub ping_ms: u64,
    pub player: &'a str,
    pub name: &'a str,
}

impl Welcome<'_> {
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a welcome is always JSON")
    }
}

/// An `error` from the edge itself: no room has the message.
pub fn edge_error(id: Option<u64>, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Error<'a> {
        t: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    let error = Error { t: "error", id, code: code.as_str(), message, retry_after_ms };
    serde_json::to_string(&error).expect("an error frame is always JSON")
}

/// The `code` of an `error` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// Not a frame of this protocol.
    BadFrame,
    /// The frame exceeds a limit on its JSON. No room has it, and its id is not used.
    BadData,
    /// The frame is not valid in this state: a message before `hello`, a second `hello`.
    BadOrder,
    /// The id is not above the highest that this session has used.
    StaleId,
    /// The session is not in that room.
    NotInRoom,
    /// More messages than the session may send, or messages that cost too much computing; try again after `retryAfterMs`.
    RateLimited,
    /// The room has no handler for this type.
    UnknownType,
    /// The script refused; the message is its reason.
    Refused,
    /// The script failed; the message had no effect.
    Fault,
    /// The message cost the room more than one may; it had no effect.
    TooCostly,
    /// The message was applied before, and its reply is no longer kept.
    Applied,
    /// The message cannot be accepted now: the log is not reachable, or too many messages are waiting.
    Unavailable,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadFrame => "bad_frame",
            ErrorCode::BadData => "bad_data",
            ErrorCode::BadOrder => "bad_order",
            ErrorCode::StaleId => "stale_id",
            ErrorCode::NotInRoom => "not_in_room",
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::UnknownType => "unknown_type",
            ErrorCode::Refused => "refused",
            ErrorCode::Fault => "fault",
            ErrorCode::TooCostly => "too_costly",
            ErrorCode::Applied => "applied",
            ErrorCode::Unavailable => "unavailable",
        }
    }
}

/// Why a server closes a WebSocket. After 4000–4499 a client should reconnect; after 4500–4999 it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum CloseCode {
    Draining = 4001,
    SlowConsumer = 4008,
    HeartbeatLost = 4009,
    /// The edge could not serve the session: its log or its store failed.
    Unavailable = 4010,
    RateLimited = 4029,
    /// There are too many connections or new sessions, of this address or in all.
    TooMany = 4030,
    Unauthorized = 4501,
    Kicked = 4503,
    Replaced = 4504,
    BadFrame = 4506,
}

impl CloseCode {
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Whether the client should connect again.
    pub fn reconnect(self) -> bool {
        self.code() < 4500
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_without_looking_into_its_data() {
        let text = r#"{"t":"msg","id":7,"room":"0000000000000000000000000000000a","type":"move","data":{"cell":4}}"#;
        let msg = Msg { id: 7, room: Some(RoomId(10)), kind: "move".into(), data: Json::trusted(r#"{"cell":4}"#) };
        assert_eq!(ClientFrame::parse(text), Ok(ClientFrame::Msg(msg)));
    }

    #[test]
    fn a_hello_says_what_it_has() {
        let text = r#"{"t":"hello","resume":"secret","last":{"0000000000000000000000000000000a":3}}"#;
        let Ok(ClientFrame::Hello(hello)) = ClientFrame::parse(text) else { panic!("not a hello") };
        assert_eq!(hello.resume.as_deref(), Some("secret"));
        assert_eq!(hello.last, [(RoomId(10), 3)]);
    }

    #[test]
    fn whatever_is_not_a_frame_is_refused_with_words() {
        let cases = [
            ("", "not a frame"),
            ("[]", "not a frame"),
            ("{}", "missing field `t`"),
            (r#"{"t":"dance"}"#, "unknown frame"),
            (r#"{"t":"msg","type":"a"}"#, "needs an id"),
            (r#"{"t":"msg","id":0,"type":"a"}"#, "needs an id"),
            (r#"{"t":"msg","id":-1,"type":"a"}"#, "needs an id"),
            (r#"{"t":"msg","id":1.5,"type":"a"}"#, "needs an id"),
            (r#"{"t":"msg","id":1e99,"type":"a"}"#, "needs an id"),
            (r#"{"t":"msg","id":1}"#, "needs a type"),
            (r#"{"t":"msg","id":1,"type":""}"#, "needs a type"),
            (r#"{"t":"msg","id":1,"type":"a","room":"x"}"#, "room is not an id"),
            (r#"["msg",1,null,"a"]"#, "expected an object"),
            (r#"{"t":"hello","colour":"red"}"#, "unknown field"),
            (r#"{"t":"hello","last":{"x":1}}"#, "not an id"),
            (r#"{"t":"hello","last":{"0000000000000000000000000000000a":9007199254740992}}"#, "a seq above"),
        ];
        for (text, says) in cases {
            let error = ClientFrame::parse(text).expect_err(text);
            assert!(error.message.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_frame_beyond_a_bound_is_refused_by_its_id_wherever_that_stands() {
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        let keys = (0..2_500).map(|n| format!(r#""k{n}":0"#)).collect::<Vec<_>>().join(",");
        for (text, id, code) in [
            (format!(r#"{{"t":"msg","id":7,"type":"a","data":{deep}}}"#), Some(7), ErrorCode::BadData),
            (format!(r#"{{"data":{deep},"t":"msg","type":"a","id":7}}"#), Some(7), ErrorCode::BadData),
            (format!(r#"{{"t":"msg","id":7,"type":"a","nobody":{deep}}}"#), Some(7), ErrorCode::BadData),
            (format!(r#"{{"t":"msg","id":7,"type":"a","data":{{{keys}}}}}"#), Some(7), ErrorCode::BadData),
            (format!(r#"{{"t":{deep},"id":7}}"#), Some(7), ErrorCode::BadData),
            (format!(r#"{{"t":"msg","id":{deep},"type":"a"}}"#), None, ErrorCode::BadFrame),
            (r#"{"t":"msg","id":7,"type":"\ud800"}"#.to_owned(), Some(7), ErrorCode::BadData),
            (r#"{"t":"msg","id":7,"type":"a","data":1e999}"#.to_owned(), Some(7), ErrorCode::BadData),
            (r#"{"t":"hello","name":"\ud83d"}"#.to_owned(), None, ErrorCode::BadData),
            (format!(r#"{{"t":"msg","id":7,"type":"a","data":{}"#, "[".repeat(60_000)), None, ErrorCode::BadFrame),
        ] {
            let bad = ClientFrame::parse(&text).expect_err("it is beyond a bound");
            assert_eq!((bad.id, bad.code), (id, code), "{}", text.chars().take(60).collect::<String>());
        }
    }

    #[test]
    fn one_body_serves_every_seq() {
        let frame = RoomFrame::event(RoomId(10), "mo\"ved", &Json::trusted(r#"{"cell":4}"#));
        let text =
            r#"{"t":"event","room":"0000000000000000000000000000000a","seq":12,"type":"mo\"ved","data":{"cell":4}}"#;
        assert_eq!(frame.with_seq(12), text);
        for frame in [
            RoomFrame::room(RoomId(1), &Kind::lobby(), 3, &Json::null()),
            RoomFrame::patch(RoomId(1), "[]"),
            RoomFrame::reply(RoomId(1), 4, &Json::null()),
            RoomFrame::error(RoomId(1), Some(4), ErrorCode::Refused, "not \"your\" turn"),
            RoomFrame::left(RoomId(1), "moved"),
        ] {
            let text = frame.with_seq(u64::MAX);
            let value: serde_json::Value = serde_json::from_str(&text).expect(&text);
            assert_eq!(value["seq"], u64::MAX);
        }
    }
}
