//! The frames of the edge itself.

use serde::Serialize;

use super::ErrorCode;

/// The answer to [`ClientFrame::Ping`](super::ClientFrame::Ping).
pub const PONG: &str = r#"{"t":"pong"}"#;

/// The answer to a `renew` whose token is valid.
pub const RENEWED: &str = r#"{"t":"renewed"}"#;

/// `expiring`: the session ends in so many milliseconds, unless its client sends the next token by then.
pub fn expiring(in_ms: u64) -> String {
    format!(r#"{{"t":"expiring","inMs":{in_ms}}}"#)
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
    /// The edge's clock in milliseconds since 1970, for clients whose own clock is wrong.
    pub now: u64,
    pub player: &'a str,
    pub name: &'a str,
    /// Of a guest: proves in a later `hello` that its client is the same guest. Keep it secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<&'a str>,
}

impl Welcome<'_> {
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a welcome is always JSON")
    }
}

/// An `error` from the edge itself: no room has the message.
pub fn edge_error(message_id: Option<u64>, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) -> String {
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
    let error = Error { t: "error", id: message_id, code: code.as_str(), message, retry_after_ms };
    serde_json::to_string(&error).expect("an error frame is always JSON")
}
