//! Rooms, as their hosts have written them.

use std::{str::FromStr, sync::Arc};

use chorus_core::{
    ids::{Digest, RoomId, Time},
    json::Json,
    room::State,
    wire::DecodeError,
};
use chorus_store::{RoomFilter, RoomRow, RoomStatus};
use serde::Deserialize;
use serde_json::value::RawValue;
use warp::http::StatusCode;

use super::{
    Api,
    answer::{Answer, ApiError, json},
    query::{self, NoPlace, Page},
};
use crate::api::{Member, PlacedRoom, Room, RoomState, Rooms, Timer};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    kind: Option<String>,
    status: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

pub(super) async fn list(api: &Arc<Api>, query: ListQuery) -> Answer {
    let mut page = Page::<Cursor>::of(query.limit, query.after.as_deref())?;
    let kind = query.kind.as_deref().map(query::kind).transpose()?;
    let status = query.status.as_deref().map(status).transpose()?;
    let after = page.after.take().map(|Cursor(time, room)| (time, room));
    let filter = RoomFilter { kind, status, other_than: None };
    let rows = api.store.rooms(&filter, after, page.limit).await?;
    let next = page.next(&rows, |row| Cursor(row.created_at, row.id));
    json(&Rooms { rooms: rows.iter().map(show).collect(), next })
}

pub(super) async fn get(api: &Arc<Api>, id: RoomId) -> Answer {
    let row = api.store.room(id).await?.ok_or_else(|| unknown(id))?;
    let partition = id.partition(api.bus.partitions());
    let assignments = api.store.assignments().await?;
    let host = assignments.into_iter().find(|row| row.partition == partition).and_then(|row| row.host);
    json(&PlacedRoom { room: show(&row), partition, host: host.map(|host| host.to_string()) })
}

pub(super) async fn state(api: &Arc<Api>, id: RoomId) -> Answer {
    let Some(snapshot) = api.store.snapshot(id).await? else {
        return match api.store.room(id).await? {
            Some(row) if row.status != RoomStatus::Live => {
                let what_to_do = "its outcome is in /v1/rooms/{id}, what happened in its events";
                Err(ApiError::not_found(format!("room {id} has ended, and keeps no state"), what_to_do))
            }
            Some(_) => Err(ApiError::not_found(
                format!("room {id} has no snapshot yet"),
                "try again in half a minute; until then, see its events",
            )),
            None => Err(unknown(id)),
        };
    };
    let state = State::decode(&snapshot.state).map_err(unreadable)?;
    json(&show_state(id, &state, snapshot.hash))
}

/// Of a snapshot in another format, or a damaged one.
pub(super) fn unreadable(error: DecodeError) -> ApiError {
    let what_to_do = "ask a monitor of the version that its host has";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the snapshot cannot be read: {error}"), what_to_do)
}

fn show_state(room: RoomId, state: &State, hash: Digest) -> RoomState {
    let members = state.members.iter().map(|(session, member)| Member {
        session: session.to_string(),
        player: member.player.id.to_string(),
        name: member.player.name.to_string(),
        edge: member.edge.to_string(),
        connected: member.connected,
        spectator: member.spectator,
    });
    let timers = state.timers.iter().map(|(name, timer)| Timer { name: name.to_string(), due: timer.due.0 });
    RoomState {
        room: room.to_string(),
        kind: state.kind.to_string(),
        component: state.component.to_string(),
        offset: state.offset,
        hash: hash.to_string(),
        clock: state.clock.0,
        locked: state.locked,
        faults: state.faults,
        probation: state.probation.is_some(),
        members: members.collect(),
        timers: timers.collect(),
        state_version: state.saved.as_ref().map(|saved| saved.version),
        state: state.saved.as_ref().and_then(|saved| raw(&saved.state)),
    }
}

fn show(row: &RoomRow) -> Room {
    Room {
        id: row.id.to_string(),
        kind: row.kind.to_string(),
        status: row.status.as_str().to_owned(),
        component: row.component.to_string(),
        members: row.members,
        offset: row.offset,
        creator: row.creator.map(|creator| creator.to_string()),
        created_at: row.created_at.0,
        ended_at: row.ended_at.map(|time| time.0),
        next_timer_at: row.next_timer_at.map(|time| time.0),
        metadata: row.metadata.as_ref().and_then(raw),
        outcome: row.outcome.as_ref().and_then(raw),
    }
}

/// JSON as it is. `None` when a table holds invalid JSON.
pub(super) fn raw(json: &Json) -> Option<Box<RawValue>> {
    RawValue::from_string(json.as_str().to_owned()).ok()
}

fn status(name: &str) -> Result<RoomStatus, ApiError> {
    let unknown = || ApiError::bad(format!("status={:?} is unknown", query::short(name)), "use live, ended or failed");
    RoomStatus::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(unknown)
}

pub(super) fn unknown(id: RoomId) -> ApiError {
    ApiError::not_found(
        format!("room {id} is not known"),
        "see /v1/rooms; one that ended long ago is not listed any more",
    )
}

/// The last room of a page.
pub(super) struct Cursor(Time, RoomId);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0.0, self.1)
    }
}

impl FromStr for Cursor {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Cursor, NoPlace> {
        let (time, room) = text.split_once('-').ok_or(NoPlace)?;
        Ok(Cursor(Time(time.parse().map_err(|_| NoPlace)?), room.parse().map_err(|_| NoPlace)?))
    }
}

/// The row of a room that is to be swapped.
pub(super) async fn live(api: &Api, id: RoomId) -> Result<RoomRow, ApiError> {
    let row = api.store.room(id).await?.ok_or_else(|| unknown(id))?;
    match row.status {
        RoomStatus::Live => Ok(row),
        _ => Err(ApiError::conflict(format!("room {id} has ended"), "only rooms that live can be swapped")),
    }
}
