//! Frames as a player receives them. They are examined as text, and only as far as necessary: the players compete with the
//! server for the processor.

use anyhow::bail;
use chorus_core::ids::RoomId;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::printable::printable;

/// A close frame's code and reason, for people.
pub fn closed_with(frame: Option<CloseFrame>) -> String {
    match frame {
        None => " without a close code".to_owned(),
        Some(CloseFrame { code, reason }) if reason.is_empty() => format!(" with code {}", u16::from(code)),
        Some(CloseFrame { code, reason }) => format!(" with code {}: {}", u16::from(code), printable(&reason)),
    }
}

/// Whether it is an event of this type.
pub fn is_event(text: &str, msg_type: &str) -> bool {
    let of_type = |rest: &str| rest.strip_prefix(msg_type).is_some_and(|rest| rest.starts_with('"'));
    text.starts_with(r#"{"t":"event""#) && after(text, r#""type":""#).is_some_and(of_type)
}

/// The id of the message that it answers, if it is a reply.
pub fn reply_id(text: &str) -> Option<u64> {
    if !text.starts_with(r#"{"t":"reply""#) {
        return None;
    }
    let digits = after(text, r#","id":"#)?;
    digits[..digits.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// The room that it is from, and its number there.
pub fn numbered(text: &str) -> Option<(RoomId, u64)> {
    let rest = after(text, r#""room":""#)?;
    let room = rest.get(..32)?.parse().ok()?;
    let digits = after(rest, r#","seq":"#)?;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    Some((room, digits[..end].parse().ok()?))
}

/// The rest behind this text.
pub fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.find(mark).map(|at| &text[at + mark.len()..])
}

/// Fails if the server has refused something.
pub fn is_no_error(text: &str) -> anyhow::Result<()> {
    if text.starts_with(r#"{"t":"error""#) || is_event(text, "failed") {
        bail!("the server sent {text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_is_readable() {
        let frame = |code: u16, reason: &str| Some(CloseFrame { code: code.into(), reason: reason.to_owned().into() });
        assert_eq!(closed_with(frame(4029, "too many messages")), " with code 4029: too many messages");
        assert_eq!(closed_with(frame(1000, "")), " with code 1000");
        assert_eq!(closed_with(frame(4001, "\u{1b}[31m")), " with code 4001: \\u{1b}[31m");
        assert_eq!(closed_with(None), " without a close code");
    }

    #[test]
    fn frames_are_distinguished_by_their_text() {
        let reply = r#"{"t":"reply","room":"0a","seq":3,"id":27,"data":{"id":5}}"#;
        assert_eq!(reply_id(reply), Some(27));
        let event = r#"{"t":"event","room":"0a","seq":3,"type":"moved","data":{}}"#;
        assert_eq!(reply_id(event), None);
        assert!(is_event(event, "moved") && !is_event(event, "move"));
        assert!(is_no_error(reply).is_ok() && is_no_error(r#"{"t":"error","code":"refused"}"#).is_err());
        let room = RoomId(10);
        assert_eq!(numbered(&format!(r#"{{"t":"left","room":"{room}","seq":27,"reason":"moved"}}"#)), Some((room, 27)));
        assert_eq!(numbered(r#"{"t":"pong"}"#), None);
    }
}
