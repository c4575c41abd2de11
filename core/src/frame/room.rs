//! The frames of rooms: each is encoded once for all its receivers.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::ErrorCode;
use crate::{
    ids::{Kind, RoomId},
    json::Json,
};

const INFALLIBLE: &str = "writing to a string cannot fail";

/// A frame from a room, encoded once for all its receivers: everything but the `seq`, which differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomFrame {
    text: Arc<str>,
    /// Where in `text` the digits of the sequence number go.
    seq_at: u32,
    /// What the frame is, for code that passes it on.
    pub tag: FrameTag,
    /// The id of the message that a reply or an error answers; in a `room` frame its `ack`: all messages up to it are answered.
    pub message_id: Option<u64>,
}

/// What a [`RoomFrame`] is.
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
        RoomFrame { message_id: Some(ack), ..RoomFrame::new(FrameTag::Room, "room", room, tail) }
    }

    pub fn event(room: RoomId, msg_type: &str, data: &Json) -> RoomFrame {
        let msg_type = quote(msg_type);
        RoomFrame::new(FrameTag::Event, "event", room, format_args!(r#","type":{msg_type},"data":{}"#, &**data))
    }

    /// `ops` is a JSON array of RFC 6902 operations.
    pub fn patch(room: RoomId, ops: &str) -> RoomFrame {
        RoomFrame::new(FrameTag::Patch, "patch", room, format_args!(r#","ops":{ops}"#))
    }

    pub fn reply(room: RoomId, message_id: u64, data: &Json) -> RoomFrame {
        let tail = format_args!(r#","id":{message_id},"data":{}"#, &**data);
        RoomFrame { message_id: Some(message_id), ..RoomFrame::new(FrameTag::Reply, "reply", room, tail) }
    }

    /// `message_id` is the message that it answers; an error without one is about a join or a move.
    pub fn error(room: RoomId, message_id: Option<u64>, code: ErrorCode, message: &str) -> RoomFrame {
        let id = message_id.map_or_else(String::new, |id| format!(r#","id":{id}"#));
        let (code, message) = (code.as_str(), quote(message));
        let tail = format_args!(r#"{id},"code":"{code}","message":{message}"#);
        RoomFrame { message_id, ..RoomFrame::new(FrameTag::Error, "error", room, tail) }
    }

    /// The last frame of a room to a session, which is no longer a member.
    pub fn left(room: RoomId, reason: &str) -> RoomFrame {
        RoomFrame::new(FrameTag::Left, "left", room, format_args!(r#","reason":{}"#, quote(reason)))
    }

    fn new(tag: FrameTag, t: &str, room: RoomId, tail: fmt::Arguments<'_>) -> RoomFrame {
        let mut text = String::with_capacity(192);
        write!(text, r#"{{"t":"{t}","room":"{room}","seq":"#).expect(INFALLIBLE);
        let seq_at = text.len() as u32;
        write!(text, "{tail}}}").expect(INFALLIBLE);
        RoomFrame { text: text.into(), seq_at, tag, message_id: None }
    }

    /// The frame's text under one sequence number.
    pub fn with_seq(&self, seq: u64) -> String {
        let (head, tail) = self.text.split_at_checked(self.seq_at as usize).unwrap_or((&self.text, ""));
        let mut text = String::with_capacity(self.text.len() + 12);
        text.push_str(head);
        write!(text, "{seq}").expect(INFALLIBLE);
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
