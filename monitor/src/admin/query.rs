//! Input: paths, queries and bodies, checked.

use std::str::FromStr;

use bytes::Bytes;
use chorus_core::{
    identity::MAX_ID,
    ids::{Kind, RoomId},
    json::shown,
};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};

use super::answer::ApiError;

/// The most rows in one answer: a room's row with its outcome and metadata has a few kilobytes.
pub const MAX_PAGE: u32 = 500;

/// The rows of a page, unless the operator gives another number.
const DEFAULT_PAGE: u32 = 50;

/// The query of a list without filters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    limit: Option<u32>,
    after: Option<String>,
}

/// A page of a list. `T`: the place of a row in it, the cursor.
pub(super) struct Page<T> {
    pub limit: u32,
    /// The last row of the page before.
    pub after: Option<T>,
}

impl PageQuery {
    pub fn page<T: FromStr>(&self) -> Result<Page<T>, ApiError> {
        Page::of(self.limit, self.after.as_deref())
    }
}

impl<T: FromStr> Page<T> {
    /// Of the members of a query.
    pub fn of(limit: Option<u32>, after: Option<&str>) -> Result<Page<T>, ApiError> {
        let limit = limit.unwrap_or(DEFAULT_PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(ApiError::bad(format!("limit={limit} is out of range"), format!("use 1 to {MAX_PAGE}")));
        }
        let bad = |_| ApiError::bad("`after` is no place in the list", "use what came as `next` with the page before");
        Ok(Page { limit, after: after.map(|text| text.parse().map_err(bad)).transpose()? })
    }
}

impl<T: ToString> Page<T> {
    /// The `after` of the next page; none when these rows are the last ones.
    pub fn next<R>(&self, rows: &[R], place: impl Fn(&R) -> T) -> Option<String> {
        rows.last().filter(|_| rows.len() == self.limit as usize).map(|row| place(row).to_string())
    }
}

/// What `after` has when it is no place in a list.
#[derive(Debug)]
pub(super) struct NoPlace;

pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let bad = |error: serde_urlencoded::de::Error| {
        ApiError::bad(format!("the query is wrong: {}", short(&error.to_string())), "correct it")
    };
    serde_urlencoded::from_str(query).map_err(bad)
}

/// An empty body is an empty object.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body.as_ref() };
    let bad =
        |error: serde_json::Error| ApiError::bad(format!("the body is wrong: {}", shown(&error)), "send a JSON object");
    serde_json::from_slice(body).map_err(bad)
}

pub(super) fn room(id: &str) -> Result<RoomId, ApiError> {
    id.parse()
        .map_err(|error| ApiError::bad(format!("{:?} is {error}", short(id)), "see /v1/rooms for the ids of rooms"))
}

/// A player's id, as one segment of a path.
pub(super) fn player(segment: &str) -> Result<String, ApiError> {
    self::segment(segment, MAX_ID).ok_or_else(|| {
        let error = format!("{:?} is no player's id: that has 1 to {MAX_ID} bytes of UTF-8", short(segment));
        ApiError::bad(error, "see /v1/players for the ids of players")
    })
}

/// The text of one segment of a path, if it has 1 to `max` bytes.
pub(super) fn segment(segment: &str, max: usize) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (1..=max).contains(&text.len()).then(|| text.into_owned())
}

pub(super) fn kind(name: &str) -> Result<Kind, ApiError> {
    Kind::new(name).map_err(|error| ApiError::bad(error.to_string(), "see /v1/kinds for the kinds that there are"))
}

/// A client's text, shortened for an error.
pub(super) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
