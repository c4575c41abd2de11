//! Parsing the frames of clients.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Number, value::RawValue};

use super::{ErrorCode, MAX_SEQ, MAX_TYPE, bounds};
use crate::{
    ids::RoomId,
    json::{self, Json},
    secret::Secret,
};

/// The most rooms in `hello.last`: more than a session can be in is a mistake or an attack.
const MAX_LAST: usize = 32;

/// A frame from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    Hello(Hello),
    Msg(Msg),
    /// The next token of the session's player.
    Renew(Secret),
    /// Checks whether the connection is alive. Answered by [`PONG`](super::PONG).
    Ping,
}

/// The first frame of a connection.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The frame's tag, which was examined before.
    #[serde(default, rename = "t")]
    _t: serde::de::IgnoredAny,
    /// The player's token, a JWT.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The guest token of an earlier `welcome`.
    #[serde(default)]
    pub guest: Option<Secret>,
    /// The player's name, if there is no token with a name. 1 to 32 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// The single-use token of the last `welcome`.
    #[serde(default)]
    pub resume: Option<Secret>,
    /// The `seq` of the last frame that the client has, of each room.
    #[serde(default, deserialize_with = "last_by_room")]
    pub last: Vec<(RoomId, u64)>,
}

/// `renew`.
#[derive(Deserialize)]
struct Renew {
    token: Secret,
}

/// A message to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msg {
    /// Rises within a session, from 1 to [`MAX_SEQ`].
    pub message_id: u64,
    /// The room of the latest `room` frame, when left out.
    pub room: Option<RoomId>,
    pub msg_type: Arc<str>,
    pub data: Json,
}

/// A text that is refused as a frame. The message is for the client's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadFrame {
    /// The message's id, if it could be read.
    pub message_id: Option<u64>,
    /// [`ErrorCode::BadFrame`], or [`ErrorCode::BadData`] where the frame is JSON that is beyond a bound.
    pub code: ErrorCode,
    pub message: String,
}

impl ClientFrame {
    /// Parses one text frame. Never panics; every refusal names what was expected.
    pub fn parse(text: &str) -> Result<ClientFrame, BadFrame> {
        if !text.trim_start().starts_with('{') {
            return Err(bad(None, "not a frame: expected an object"));
        }
        bounds::check(text).map_err(|excess| beyond(text, excess))?;
        let raw: Raw<'_> =
            serde_json::from_str(text).map_err(|e| bad(None, format!("not a frame: {}", json::shown(&e))))?;
        match raw.t.as_ref() {
            "hello" => {
                let hello =
                    serde_json::from_str(text).map_err(|e| bad(None, format!("bad hello: {}", json::shown(&e))))?;
                Ok(ClientFrame::Hello(hello))
            }
            "msg" => raw.into_msg().map(ClientFrame::Msg),
            "renew" => match serde_json::from_str::<Renew>(text) {
                Ok(renew) => Ok(ClientFrame::Renew(renew.token)),
                Err(_) => Err(bad(None, "renew needs a token: a string")),
            },
            "ping" => Ok(ClientFrame::Ping),
            other => {
                let other: String = other.chars().take(32).collect();
                Err(bad(raw.message_id(), format!("unknown frame {other:?}: expected hello, msg, renew or ping")))
            }
        }
    }
}

/// Any frame, before its `t` is examined.
#[derive(Deserialize)]
struct Raw<'a> {
    t: Cow<'a, str>,
    #[serde(default)]
    id: Option<Number>,
    #[serde(default, borrow)]
    room: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "type")]
    msg_type: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

impl Raw<'_> {
    fn message_id(&self) -> Option<u64> {
        message_id(self.id.as_ref())
    }

    fn into_msg(self) -> Result<Msg, BadFrame> {
        let message_id = self
            .message_id()
            .ok_or_else(|| bad(None, format!("msg needs an id: a whole number from 1 to {MAX_SEQ}")))?;
        let bad = |message| bad(Some(message_id), message);
        let room = self.room.as_deref().map(str::parse::<RoomId>).transpose();
        let room = room.map_err(|e| bad(format!("room is {e}")))?;
        let msg_type = self.msg_type.filter(|name| (1..=MAX_TYPE).contains(&name.len()));
        let msg_type = msg_type.ok_or_else(|| bad(format!("msg needs a type of 1 to {MAX_TYPE} bytes")))?;
        let data = self.data.map_or_else(Json::null, |data| Json::trusted(data.get()));
        Ok(Msg { message_id, room, msg_type: msg_type.into(), data })
    }
}

/// The id of a message, if the number is one: a whole number from 1 to [`MAX_SEQ`].
fn message_id(number: Option<&Number>) -> Option<u64> {
    number.and_then(Number::as_u64).filter(|id| (1..=MAX_SEQ).contains(id))
}

fn bad(message_id: Option<u64>, message: impl Into<String>) -> BadFrame {
    BadFrame { message_id, code: ErrorCode::BadFrame, message: message.into() }
}

/// The refusal of a frame that is beyond a bound. Its `id` is read without recursion.
fn beyond(text: &str, excess: bounds::Excess) -> BadFrame {
    #[derive(Deserialize)]
    struct Numbered {
        #[serde(default)]
        id: Option<Number>,
    }
    match serde_json::from_str::<Numbered>(text) {
        Ok(Numbered { id }) => {
            let message_id = message_id(id.as_ref());
            BadFrame { message_id, code: ErrorCode::BadData, message: excess.to_string() }
        }
        Err(error) => bad(None, format!("not a frame: {}", json::shown(&error))),
    }
}

fn last_by_room<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(RoomId, u64)>, D::Error> {
    let map = BTreeMap::<String, u64>::deserialize(from)?;
    if map.len() > MAX_LAST {
        return Err(D::Error::custom(format!("last names more than {MAX_LAST} rooms")));
    }
    if map.values().any(|seq| *seq > MAX_SEQ) {
        return Err(D::Error::custom(format!("last names a seq above {MAX_SEQ}")));
    }
    map.into_iter().map(|(room, seq)| Ok((room.parse().map_err(D::Error::custom)?, seq))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_parsed_and_its_data_is_not() {
        let text = r#"{"t":"msg","id":7,"room":"0000000000000000000000000000000a","type":"move","data":{"cell":4}}"#;
        let msg = Msg {
            message_id: 7,
            room: Some(RoomId(10)),
            msg_type: "move".into(),
            data: Json::trusted(r#"{"cell":4}"#),
        };
        assert_eq!(ClientFrame::parse(text), Ok(ClientFrame::Msg(msg)));
    }

    #[test]
    fn a_hello_names_the_last_frame_of_each_room() {
        let text = r#"{"t":"hello","resume":"secret","last":{"0000000000000000000000000000000a":3}}"#;
        let Ok(ClientFrame::Hello(hello)) = ClientFrame::parse(text) else { panic!("not a hello") };
        assert_eq!(hello.resume, Some("secret".into()));
        assert_eq!(hello.last, [(RoomId(10), 3)]);
    }

    #[test]
    fn a_text_that_is_no_frame_is_refused_with_a_reason() {
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
            (r#"{"t":"renew"}"#, "renew needs a token"),
            (r#"{"t":"renew","token":7}"#, "renew needs a token"),
            (r#"{"t":"hello","last":{"x":1}}"#, "not an id"),
            (r#"{"t":"hello","last":{"0000000000000000000000000000000a":9007199254740992}}"#, "a seq above"),
        ];
        for (text, reason) in cases {
            let error = ClientFrame::parse(text).expect_err(text);
            assert!(error.message.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_refusal_beyond_a_bound_has_the_messages_id_at_any_position() {
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
            assert_eq!((bad.message_id, bad.code), (id, code), "{}", text.chars().take(60).collect::<String>());
        }
    }
}
