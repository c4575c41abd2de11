//! The frames of rooms, as fields: a room makes each once for all its receivers, and an edge writes its text once.
//!
//! A room keeps the fields of its latest frames in its state, and its frames travel to edges. Neither depends on how a client
//! reads it: the text is written at the edge, and kept with the frame for the receivers that share it.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ErrorCode;
use crate::{
    ids::{Kind, RoomId},
    json::Json,
};

const INFALLIBLE: &str = "writing to a string cannot fail";

/// Bytes of a frame's text beside its fields, roughly.
const OVERHEAD: usize = 80;

/// The digits of the largest sequence number.
const MAX_DIGITS: usize = 20;

/// A frame from a room, for any number of receivers: everything but the `seq`, which differs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RoomFrame(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    room: RoomId,
    fields: FrameFields,
    /// The JSON encoding, once several receivers needed it.
    text: OnceLock<Text>,
}

/// A frame without its room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFields {
    class: FrameClass,
    body: FrameBody,
}

/// How a frame is delivered. More classes may be added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameClass {
    /// Numbered by its `seq`, and kept for receivers that resume.
    Reliable,
}

/// A frame's fields. They are described in `docs/protocol.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum FrameBody {
    Room { kind: Kind, ack: u64, view: Json },
    Event { msg_type: Box<str>, data: Json },
    Patch { ops: String },
    Reply { message_id: u64, data: Json },
    Error { message_id: Option<u64>, code: ErrorCode, message: Box<str> },
    Left { reason: Box<str> },
}

/// What a [`RoomFrame`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameTag {
    Room,
    Event,
    Patch,
    Reply,
    Error,
    Left,
}

/// A frame's text without the digits of its sequence number, and where these go.
#[derive(Debug)]
struct Text {
    text: String,
    seq_at: usize,
}

impl RoomFrame {
    /// The member's whole view, which replaces the client's copy of this room. `ack` is the highest message id of this session
    /// that the room has applied.
    pub fn room(room: RoomId, kind: &Kind, ack: u64, view: &Json) -> RoomFrame {
        RoomFrame::reliable(room, FrameBody::Room { kind: kind.clone(), ack, view: view.clone() })
    }

    pub fn event(room: RoomId, msg_type: impl Into<Box<str>>, data: &Json) -> RoomFrame {
        RoomFrame::reliable(room, FrameBody::Event { msg_type: msg_type.into(), data: data.clone() })
    }

    /// `ops` is a JSON array of RFC 6902 operations.
    pub fn patch(room: RoomId, ops: impl Into<String>) -> RoomFrame {
        RoomFrame::reliable(room, FrameBody::Patch { ops: ops.into() })
    }

    pub fn reply(room: RoomId, message_id: u64, data: &Json) -> RoomFrame {
        RoomFrame::reliable(room, FrameBody::Reply { message_id, data: data.clone() })
    }

    /// `message_id` is the message that it answers; an error without one is about a join or a move.
    pub fn error(room: RoomId, message_id: Option<u64>, code: ErrorCode, message: &str) -> RoomFrame {
        RoomFrame::reliable(room, FrameBody::Error { message_id, code, message: message.into() })
    }

    /// The last frame of a room to a session, which is no longer a member.
    pub fn left(room: RoomId, reason: &str) -> RoomFrame {
        RoomFrame::reliable(room, FrameBody::Left { reason: reason.into() })
    }

    fn reliable(room: RoomId, body: FrameBody) -> RoomFrame {
        RoomFrame::new(room, FrameFields { class: FrameClass::Reliable, body })
    }

    /// A frame of this room with these fields.
    pub fn new(room: RoomId, fields: FrameFields) -> RoomFrame {
        RoomFrame(Arc::new(Shared { room, fields, text: OnceLock::new() }))
    }

    pub fn room_id(&self) -> RoomId {
        self.0.room
    }

    pub fn fields(&self) -> &FrameFields {
        &self.0.fields
    }

    fn body(&self) -> &FrameBody {
        &self.0.fields.body
    }

    pub fn tag(&self) -> FrameTag {
        match self.body() {
            FrameBody::Room { .. } => FrameTag::Room,
            FrameBody::Event { .. } => FrameTag::Event,
            FrameBody::Patch { .. } => FrameTag::Patch,
            FrameBody::Reply { .. } => FrameTag::Reply,
            FrameBody::Error { .. } => FrameTag::Error,
            FrameBody::Left { .. } => FrameTag::Left,
        }
    }

    /// The id of the message that a reply or an error answers; in a `room` frame its `ack`: all messages up to it are answered.
    pub fn message_id(&self) -> Option<u64> {
        match self.body() {
            FrameBody::Room { ack, .. } => Some(*ack),
            FrameBody::Reply { message_id, .. } => Some(*message_id),
            FrameBody::Error { message_id, .. } => *message_id,
            FrameBody::Event { .. } | FrameBody::Patch { .. } | FrameBody::Left { .. } => None,
        }
    }

    /// The frame's text under one sequence number.
    pub fn with_seq(&self, seq: u64) -> String {
        let Text { text: shared, seq_at } = self.0.text.get_or_init(|| self.write());
        let (head, tail) = shared.split_at(*seq_at);
        let mut text = String::with_capacity(shared.len() + MAX_DIGITS);
        text.push_str(head);
        write!(text, "{seq}").expect(INFALLIBLE);
        text.push_str(tail);
        text
    }

    /// The same for the receiver that has the frame last: a text that no other receiver shares is written once.
    pub fn into_text(self, seq: u64) -> String {
        if self.0.text.get().is_some() || Arc::strong_count(&self.0) > 1 {
            return self.with_seq(seq);
        }
        let mut text = String::with_capacity(self.size() + MAX_DIGITS);
        self.write_head(&mut text);
        write!(text, "{seq}").expect(INFALLIBLE);
        self.write_tail(&mut text);
        text
    }

    fn write(&self) -> Text {
        let mut text = String::with_capacity(self.size());
        self.write_head(&mut text);
        let seq_at = text.len();
        self.write_tail(&mut text);
        Text { text, seq_at }
    }

    fn write_head(&self, text: &mut String) {
        write!(text, r#"{{"t":"{}","room":"{}","seq":"#, self.tag().as_str(), self.0.room).expect(INFALLIBLE);
    }

    fn write_tail(&self, text: &mut String) {
        self.body().write(text).expect(INFALLIBLE);
        text.push('}');
    }

    /// Whether both are one frame in memory.
    pub fn is_shared_with(&self, other: &RoomFrame) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its approximate size in memory and as text, in bytes. Not less than its encoded fields.
    pub fn size(&self) -> usize {
        OVERHEAD + self.body().size()
    }
}

impl Serialize for RoomFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.room, &self.0.fields).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RoomFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RoomFrame, D::Error> {
        Deserialize::deserialize(deserializer).map(|(room, fields)| RoomFrame::new(room, fields))
    }
}

/// A frame is its fields: the text follows from them.
impl PartialEq for RoomFrame {
    fn eq(&self, other: &RoomFrame) -> bool {
        self.0.room == other.0.room && self.0.fields == other.0.fields
    }
}

impl Eq for RoomFrame {}

impl FrameBody {
    /// The members of the JSON object after `seq`.
    fn write(&self, text: &mut String) -> fmt::Result {
        match self {
            FrameBody::Room { kind, ack, view } => {
                write!(text, r#","kind":"{kind}","ack":{ack},"view":{}"#, view.as_str())
            }
            FrameBody::Event { msg_type, data } => {
                write!(text, r#","type":{},"data":{}"#, quote(msg_type), data.as_str())
            }
            FrameBody::Patch { ops } => write!(text, r#","ops":{ops}"#),
            FrameBody::Reply { message_id, data } => write!(text, r#","id":{message_id},"data":{}"#, data.as_str()),
            FrameBody::Error { message_id, code, message } => {
                if let Some(message_id) = message_id {
                    write!(text, r#","id":{message_id}"#)?;
                }
                write!(text, r#","code":"{}","message":{}"#, code.as_str(), quote(message))
            }
            FrameBody::Left { reason } => write!(text, r#","reason":{}"#, quote(reason)),
        }
    }

    fn size(&self) -> usize {
        match self {
            FrameBody::Room { kind, view, .. } => kind.as_str().len() + view.len(),
            FrameBody::Event { msg_type, data } => msg_type.len() + data.len(),
            FrameBody::Patch { ops } => ops.len(),
            FrameBody::Reply { data, .. } => data.len(),
            FrameBody::Error { message, .. } => message.len(),
            FrameBody::Left { reason } => reason.len(),
        }
    }
}

impl FrameTag {
    /// The frame's `t`.
    fn as_str(self) -> &'static str {
        match self {
            FrameTag::Room => "room",
            FrameTag::Event => "event",
            FrameTag::Patch => "patch",
            FrameTag::Reply => "reply",
            FrameTag::Error => "error",
            FrameTag::Left => "left",
        }
    }
}

/// `text` as a JSON string.
fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_serves_every_seq() {
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
