//! The requests of rooms (`chorus_core::room::requests`), performed by their host.
//!
//! Each request has a task of its own, so that the room continues meanwhile. The task may be dropped: the room's state keeps the
//! requests that have no answer, and a host that restores the room performs them again.
//!
//! `find` is a query of the rooms' rows in the store, which hosts write with each snapshot. So what it finds is as old as these
//! rows, and each row carries the time that it is of.
//!
//! Bounds: [`SCANNED`] rows are compared and [`FOUND`] are in an answer, each with metadata of at most [`METADATA`] bytes; a
//! request ends after [`LIMIT`]; [`PARALLEL`] are performed by one host at a time.

use std::{sync::Arc, time::Duration};

use chorus_core::{
    ids::{Kind, OutputId, RoomId, Time},
    json::Json,
    room::RequestKind,
};
use chorus_store::{RoomFilter, RoomRow, RoomStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::Shared;

/// Rows that one `find` compares, the latest created first.
const SCANNED: u32 = 500;

/// Rooms in the answer of one `find`.
const FOUND: usize = 50;

/// Bytes of a room's metadata in an answer. A room with more is in no answer.
const METADATA: usize = 1_024;

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Requests that a host performs at a time.
pub const PARALLEL: usize = 8;

/// The result of a request.
#[derive(Debug)]
pub struct Performed {
    pub number: OutputId,
    pub result: Result<Json, Box<str>>,
}

/// Performs the request of a room.
pub async fn run(host: Arc<Shared>, room: RoomId, number: OutputId, kind: RequestKind, data: Json) -> Performed {
    let performing = async {
        let _permit = host.requests.acquire().await;
        match kind {
            RequestKind::Find => find(&host, room, &data).await,
        }
    };
    let late = || Err(format!("the server took longer than {} s", LIMIT.as_secs()).into());
    let result = tokio::time::timeout(LIMIT, performing).await.unwrap_or_else(|_| late());
    Performed { number, result }
}

/// What `find` looks for.
#[derive(Debug, Deserialize)]
struct Wanted {
    kind: Box<str>,
    /// Fields of the metadata, each with the value that it must have.
    #[serde(default, rename = "where")]
    fields: Map<String, Value>,
}

/// The answer of `find`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    rooms: Vec<Found<'a>>,
    /// When the rows were read, by the host's clock.
    #[serde(rename = "asOf")]
    as_of: u64,
    /// Whether there may be more rooms that match.
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct Found<'a> {
    id: String,
    kind: &'a str,
    members: u32,
    #[serde(rename = "createdAt")]
    created_at: u64,
    /// What this describes: the room at this time.
    #[serde(rename = "asOf")]
    as_of: u64,
    metadata: Option<&'a RawValue>,
}

async fn find(host: &Shared, room: RoomId, data: &Json) -> Result<Json, Box<str>> {
    let wanted: Wanted = serde_json::from_str(data).map_err(|cause| format!("find: {cause}"))?;
    let kind = Kind::new(&wanted.kind).map_err(|cause| format!("find: {cause}"))?;
    let filter = RoomFilter { kind: Some(kind), status: Some(RoomStatus::Live), ..RoomFilter::default() };
    let rows = host.store.rooms(&filter, None, SCANNED).await.map_err(|error| {
        tracing::warn!(%room, %error, "the rooms that a room looks for cannot be listed");
        "the server cannot list its rooms at present"
    })?;
    Ok(answer(&rows, &wanted, host.now()))
}

fn answer(rows: &[RoomRow], wanted: &Wanted, now: Time) -> Json {
    let mut matching = rows.iter().filter(|row| is_wanted(row, wanted));
    let rooms: Vec<Found<'_>> = matching.by_ref().take(FOUND).map(found).collect();
    let truncated = matching.next().is_some() || rows.len() >= SCANNED as usize;
    Json::of(&Answer { rooms, as_of: now.0, truncated })
}

fn found(row: &RoomRow) -> Found<'_> {
    Found {
        id: row.id.to_string(),
        kind: row.kind.as_str(),
        members: row.members,
        created_at: row.created_at.0,
        as_of: row.clock.0,
        metadata: row.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
    }
}

fn is_wanted(row: &RoomRow, wanted: &Wanted) -> bool {
    let text = row.metadata.as_deref().unwrap_or("null");
    if text.len() > METADATA {
        return false;
    }
    if wanted.fields.is_empty() {
        return true;
    }
    let Ok(Value::Object(metadata)) = serde_json::from_str(text) else { return false };
    wanted.fields.iter().all(|(name, value)| metadata.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use chorus_core::ids::Digest;

    use super::*;

    fn row(id: u128, metadata: Option<&'static str>) -> RoomRow {
        RoomRow {
            id: RoomId(id),
            offset: 1,
            kind: Kind::new("table").expect("it is a name"),
            component: Digest([0; 32]),
            status: RoomStatus::Live,
            creator: None,
            created_at: Time(5),
            ended_at: None,
            outcome: None,
            next_timer_at: None,
            clock: Time(7),
            metadata: metadata.map(Json::trusted),
            members: 2,
        }
    }

    fn find(rows: &[RoomRow], wanted: &str) -> Value {
        let wanted = serde_json::from_str(wanted).expect("it is a request");
        serde_json::from_str(&answer(rows, &wanted, Time(9))).expect("it is JSON")
    }

    #[test]
    fn rooms_are_found_by_the_fields_of_their_metadata() {
        let rows = [row(1, Some(r#"{"level":3,"open":true}"#)), row(2, Some(r#"{"level":4}"#)), row(3, None)];
        let found = find(&rows, r#"{"kind":"table","where":{"level":3}}"#);
        assert_eq!(found["rooms"].as_array().map(Vec::len), Some(1));
        assert_eq!(found["rooms"][0]["metadata"]["open"], true);
        assert_eq!((&found["rooms"][0]["asOf"], &found["asOf"]), (&7.into(), &9.into()), "both ages are stated");
        assert_eq!(find(&rows, r#"{"kind":"table"}"#)["rooms"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn an_answer_is_bounded_and_states_that_there_is_more() {
        let rows: Vec<RoomRow> = (0..60).map(|id| row(id, None)).collect();
        let found = find(&rows, r#"{"kind":"table"}"#);
        assert_eq!(found["rooms"].as_array().map(Vec::len), Some(FOUND));
        assert_eq!(found["truncated"], true);
        assert_eq!(find(&rows[..FOUND], r#"{"kind":"table"}"#)["truncated"], false);
    }
}
