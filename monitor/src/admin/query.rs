//! Input: paths, queries and bodies, checked.

use bytes::Bytes;
use chorus_core::ids::{Kind, RoomId};
use serde::de::DeserializeOwned;

use super::answer::ApiError;

pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let bad = |error: serde_urlencoded::de::Error| ApiError::bad(format!("the query is wrong: {error}"), "correct it");
    serde_urlencoded::from_str(query).map_err(bad)
}

/// An empty body is an empty object.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body.as_ref() };
    let bad = |error: serde_json::Error| ApiError::bad(format!("the body is wrong: {error}"), "send a JSON object");
    serde_json::from_slice(body).map_err(bad)
}

pub(super) fn room(id: &str) -> Result<RoomId, ApiError> {
    id.parse()
        .map_err(|error| ApiError::bad(format!("{:?} is {error}", short(id)), "see /v1/rooms for the ids of rooms"))
}

pub(super) fn kind(name: &str) -> Result<Kind, ApiError> {
    Kind::new(name).map_err(|error| ApiError::bad(error.to_string(), "see /v1/kinds for the kinds that there are"))
}

/// A client's text, shortened for an error.
pub(super) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
