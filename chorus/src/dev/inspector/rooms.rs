//! The list of rooms: their rows in the store, the latest first, and what the host knows of those that are live.
//!
//! A row is as old as its room's last snapshot. So the live rooms are asked, each by its own task between two records; one that
//! computes for long is shown by its row.
//!
//! Bounds: [`SHOWN`] rooms; the page says so where there are more.

use chorus_core::json::Json;
use chorus_host::{Host, Look};
use chorus_store::{RoomFilter, RoomRow, RoomStatus, Store};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Answer, Refusal, success};

/// Enough for one page of an author.
const SHOWN: u32 = 100;

#[derive(Serialize)]
struct Rooms {
    rooms: Vec<Room>,
    /// There are more.
    more: bool,
}

#[derive(Serialize)]
struct Room {
    id: String,
    kind: String,
    /// `live`: it has a task. `hibernated`: it is in the store alone.
    state: &'static str,
    component: String,
    members: usize,
    /// Known of live rooms.
    connected: Option<usize>,
    locked: Option<bool>,
    created_at: u64,
    offset: u64,
    metadata: Option<Box<RawValue>>,
}

pub async fn list(store: &Store, host: &Host) -> Answer {
    let filter = RoomFilter { status: Some(RoomStatus::Live), ..RoomFilter::default() };
    let mut rows = store.rooms(&filter, None, SHOWN + 1).await.map_err(|error| Refusal::failed(&error))?;
    let more = rows.len() > SHOWN as usize;
    rows.truncate(SHOWN as usize);
    let looks = join_all(rows.iter().map(|row| host.look(row.id))).await;
    let rooms = rows.iter().zip(looks).map(|(row, look)| room(row, look, host.is_live(row.id))).collect();
    Ok(success(&Rooms { rooms, more }))
}

fn room(row: &RoomRow, look: Option<Look>, is_live: bool) -> Room {
    let raw = |json: &Json| RawValue::from_string(json.as_str().to_owned()).ok();
    Room {
        id: row.id.to_string(),
        kind: row.kind.to_string(),
        state: if is_live { "live" } else { "hibernated" },
        component: look.map_or(row.component, |look| look.component).to_string(),
        members: look.map_or(row.members as usize, |look| look.members),
        connected: look.map(|look| look.connected),
        locked: look.map(|look| look.locked),
        created_at: row.created_at.0,
        offset: look.map_or(row.offset, |look| look.offset),
        metadata: row.metadata.as_ref().and_then(raw),
    }
}
