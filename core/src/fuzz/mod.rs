//! What fuzzers do with the decoders of this crate. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all
//! targets, and how they are run.
//!
//! A target takes any bytes. It panics when the bytes break a promise of the decoder: that it never panics, and what the target
//! itself asserts. The stored inputs of each target are replayed by the tests.

mod patch;
mod room;
mod session;

use std::fmt::Debug;

use serde_json::Value;

use crate::{
    command::{EdgeCommand, Record},
    frame::{self, ClientFrame, ErrorCode, MAX_FRAME, MAX_SEQ, MAX_TYPE},
    identity::{Account, MAX_CLAIMS, MAX_ID, TokenRules},
    ids::{Digest, Kind, RoomId, SessionId, Time},
    json::Json,
    room::{ResendBuffer, State},
    wire::{self, Format},
};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("claims", claims),
    ("client-frame", client_frame),
    ("edge-command", edge_command),
    ("ids", ids),
    ("json", json),
    ("patch", patch::patch),
    ("record", record),
    ("resend-buffer", resend_buffer),
    ("room", room::room),
    ("session", session::session),
    ("snapshot", snapshot),
];

/// The longest text about a bad frame, which is sent back to its client.
const MAX_REFUSAL: usize = 512;

/// The text of the input, if it is one that fits a frame.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_FRAME)
}

/// A client's frame: it is within every bound, or is refused with a short text.
fn client_frame(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match ClientFrame::parse(text) {
        Ok(frame) => {
            assert!(frame::check_bounds(text));
            match frame {
                ClientFrame::Msg(msg) => {
                    assert!((1..=MAX_SEQ).contains(&msg.message_id));
                    assert!((1..=MAX_TYPE).contains(&msg.msg_type.len()));
                    assert!(serde_json::from_str::<Value>(&msg.data).is_ok(), "data that no parser reads");
                }
                ClientFrame::Hello(hello) => assert!(hello.last.iter().all(|(_, seq)| *seq <= MAX_SEQ)),
                ClientFrame::Renew(_) | ClientFrame::Ping => {}
            }
        }
        Err(bad) => {
            assert!(bad.message.len() <= MAX_REFUSAL, "{} bytes", bad.message.len());
            assert!(matches!(bad.code, ErrorCode::BadFrame | ErrorCode::BadData));
            assert!(bad.message_id.is_none_or(|id| (1..=MAX_SEQ).contains(&id)));
        }
    }
}

/// JSON text: what is within the bounds of frames is read by every parser, or is no JSON for any.
fn json(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let parsed = Json::parse(text);
    if let Ok(json) = &parsed {
        assert_eq!(Json::parse(json).ok().as_ref(), Some(json), "it is one value, and stays one");
    }
    if frame::check_bounds(text) {
        assert_eq!(parsed.is_ok(), serde_json::from_str::<Value>(text).is_ok());
    }
}

/// The claims of a token whose signature is valid.
fn claims(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let now = Time(1_700_000_000_000);
    let rules = TokenRules {
        issuers: vec!["https://id.example".into()],
        audiences: vec!["game".into()],
        room_claims: vec!["role".into(), "plan".into()],
        ..TokenRules::default()
    };
    if let Ok(account) = Account::read(text, &rules, now) {
        assert!(account.id.starts_with("u:") && (3..=MAX_ID).contains(&account.id.len()));
        assert!(!account.id.chars().any(char::is_control));
        assert!(account.expires > now);
        if let Some(claims) = account.claims {
            assert!(claims.len() <= MAX_CLAIMS);
            assert!(serde_json::from_str::<Value>(&claims).is_ok_and(|claims| claims.is_object()));
        }
    }
}

/// The texts that name something: what is accepted is the one spelling of its value.
fn ids(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(id) = text.parse::<RoomId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<SessionId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
    }
    match Kind::new(text) {
        Ok(kind) => assert_eq!(kind.as_str(), text),
        Err(error) => assert!(error.to_string().len() <= MAX_REFUSAL * 4),
    }
}

/// A value that was read is written, and is read as the same value.
fn same_again<T: Format + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let value = wire::decode::<T>(bytes).ok()?;
    let again = wire::encode(&value);
    assert_eq!(wire::decode::<T>(&again).as_ref(), Ok(&value));
    Some(value)
}

/// A record of a room's channel.
fn record(bytes: &[u8]) {
    same_again::<Record>(bytes);
}

/// A command of an edge's channel, whose frames the edge writes as text.
fn edge_command(bytes: &[u8]) {
    let Some(EdgeCommand::Deliver(deliveries)) = same_again::<EdgeCommand>(bytes) else { return };
    for (target, frame) in deliveries.iter().take(64) {
        let text = frame.with_seq(target.seq);
        assert_eq!(text, frame.clone().into_text(target.seq));
    }
}

/// A room's snapshot, as a host and an operator read it.
fn snapshot(bytes: &[u8]) {
    let Some(state) = same_again::<State>(bytes) else { return };
    state.next_timer();
    state.member_infos(None);
    state.members.keys().take(8).for_each(|session| drop(state.view_of(*session)));
}

/// The frames that a snapshot keeps for members that resume.
fn resend_buffer(bytes: &[u8]) {
    let Ok((buffer, _)) = wire::read_part::<ResendBuffer>(bytes) else { return };
    let again = wire::part(&buffer);
    assert_eq!(wire::read_part::<ResendBuffer>(&again), Ok((buffer.clone(), again.len())));
    for count in [0, 1, 2, 300] {
        for session in [0, 9] {
            let frames = buffer.last_for(RoomId(7), SessionId(session), count);
            assert!(frames.is_none_or(|frames| frames.len() as u64 == count));
        }
    }
}

#[cfg(test)]
#[path = "../../../testing/support/src/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn every_stored_input_is_decoded_or_refused() {
    corpus::replay("core", TARGETS);
}
