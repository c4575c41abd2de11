//! The frames of rooms, as fields: a room makes each once for all its receivers, and an edge writes its text once.
//!
//! A frame lies in a room's state until its receivers have confirmed it, and travels to edges. Neither depends on how a client
//! reads it: the text is written at the edge, and kept with the frame for the receivers that share it.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use super::ErrorCode;
use crate::{
    ids::{Kind, RoomId},
    json::Json,
};

const INFALLIBLE: &str = "writing to a string cannot fail";

/// Bytes of a frame's text beside its fields, roughly.
const OVERHEAD: usize = 80;

/// A frame from a room, for any number of receivers: everything but the `seq`, which differs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomFrame {
    room: RoomId,
    class: FrameClass,
    body: Arc<FrameBody>,
    /// The JSON encoding, once it was needed.
    #[serde(skip)]
    text: Arc<OnceLock<Text>>,
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
    Patch { ops: Json },
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
        RoomFrame::new(room, FrameBody::Room { kind: kind.clone(), ack, view: view.clone() })
    }

    pub fn event(room: RoomId, msg_type: &str, data: &Json) -> RoomFrame {
        RoomFrame::new(room, FrameBody::Event { msg_type: msg_type.into(), data: data.clone() })
    }

    /// `ops` is a JSON array of RFC 6902 operations.
    pub fn patch(room: RoomId, ops: &str) -> RoomFrame {
        RoomFrame::new(room, FrameBody::Patch { ops: Json::trusted(ops) })
    }

    pub fn reply(room: RoomId, message_id: u64, data: &Json) -> RoomFrame {
        RoomFrame::new(room, FrameBody::Reply { message_id, data: data.clone() })
    }

    /// `message_id` is the message that it answers; an error without one is about a join or a move.
    pub fn error(room: RoomId, message_id: Option<u64>, code: ErrorCode, message: &str) -> RoomFrame {
        RoomFrame::new(room, FrameBody::Error { message_id, code, message: message.into() })
    }

    /// The last frame of a room to a session, which is no longer a member.
    pub fn left(room: RoomId, reason: &str) -> RoomFrame {
        RoomFrame::new(room, FrameBody::Left { reason: reason.into() })
    }

    fn new(room: RoomId, body: FrameBody) -> RoomFrame {
        RoomFrame { room, class: FrameClass::Reliable, body: Arc::new(body), text: Arc::default() }
    }

    pub fn class(&self) -> FrameClass {
        self.class
    }

    pub fn tag(&self) -> FrameTag {
        match &*self.body {
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
        match &*self.body {
            FrameBody::Room { ack, .. } => Some(*ack),
            FrameBody::Reply { message_id, .. } => Some(*message_id),
            FrameBody::Error { message_id, .. } => *message_id,
            FrameBody::Event { .. } | FrameBody::Patch { .. } | FrameBody::Left { .. } => None,
        }
    }

    /// The frame's text under one sequence number.
    pub fn with_seq(&self, seq: u64) -> String {
        let Text { text: shared, seq_at } = self.text.get_or_init(|| self.write());
        let (head, tail) = shared.split_at(*seq_at);
        let mut text = String::with_capacity(shared.len() + 12);
        text.push_str(head);
        write!(text, "{seq}").expect(INFALLIBLE);
        text.push_str(tail);
        text
    }

    fn write(&self) -> Text {
        let mut text = String::with_capacity(self.size());
        write!(text, r#"{{"t":"{}","room":"{}","seq":"#, self.tag().as_str(), self.room).expect(INFALLIBLE);
        let seq_at = text.len();
        self.body.write(&mut text).expect(INFALLIBLE);
        text.push('}');
        Text { text, seq_at }
    }

    /// Whether both are one frame in memory.
    #[cfg(test)]
    pub fn is_shared_with(&self, other: &RoomFrame) -> bool {
        Arc::ptr_eq(&self.body, &other.body)
    }

    /// Its approximate size in memory and as text, in bytes.
    pub fn size(&self) -> usize {
        OVERHEAD + self.body.size()
    }
}

/// A frame is its fields: the text follows from them.
impl PartialEq for RoomFrame {
    fn eq(&self, other: &RoomFrame) -> bool {
        (self.room, self.class) == (other.room, other.class) && self.body == other.body
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
            FrameBody::Patch { ops } => write!(text, r#","ops":{}"#, ops.as_str()),
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
