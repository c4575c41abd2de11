//! The export of what is kept of a player, and its erasure.

use std::{collections::BTreeMap, sync::Arc};

use chorus_core::{
    identity::BanTarget,
    ids::{RoomId, SessionId},
    room::{Member, State},
};
use chorus_store::SessionTrace;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Api, MAX_PAGE,
    answer::{Answer, ApiError, json},
    bans, reports, rooms,
};
use crate::{
    api::{Ban, Erased, MemberExport, PlayerExport, RoomExport, SessionExport},
    erasure::{erase_player, rooms_that_mention},
};

pub(super) async fn export(api: &Arc<Api>, player: String) -> Answer {
    let _alone = alone(api)?;
    let sessions = api.store.sessions_of_player(&player, None, MAX_PAGE).await?;
    let found = api.store.reports(Some(&player), None, MAX_PAGE).await?;
    let (named_by, all_rooms) = rooms_that_mention(&player, &api.store, MAX_PAGE as usize).await?;
    let mut rooms = Vec::new();
    for room in named_by {
        rooms.extend(export_room(api, room, &player).await?);
    }
    let complete = all_rooms && sessions.len() < MAX_PAGE as usize && found.len() < MAX_PAGE as usize;
    tracing::info!(%player, rooms = rooms.len(), complete, "an operator exported a player");
    json(&PlayerExport {
        at: api.store.clock().now().0,
        sessions: sessions.iter().map(export_session).collect(),
        ban: ban_of(api, &player).await?,
        reports: found.iter().map(reports::show).collect(),
        rooms,
        complete,
        player,
    })
}

pub(super) async fn erase(api: &Arc<Api>, player: String) -> Answer {
    let _alone = alone(api)?;
    let erasure = erase_player(&player, &api.bus, &api.store).await?;
    let (sessions, rooms, reports) = (erasure.sessions, erasure.rooms, erasure.reports);
    tracing::info!(%player, sessions, rooms, reports, "an operator erased a player");
    json(&Erased { player, sessions, rooms, reports })
}

/// Each reads all snapshots.
fn alone(api: &Api) -> Result<tokio::sync::MutexGuard<'_, ()>, ApiError> {
    api.searching.try_lock().map_err(|_| ApiError::busy("another player is being exported or erased"))
}

async fn ban_of(api: &Api, player: &str) -> Result<Option<Ban>, ApiError> {
    match BanTarget::player(player) {
        Ok(target) => Ok(api.store.ban_of(&target).await?.map(bans::show)),
        Err(_) => Ok(None),
    }
}

fn export_session(row: &SessionTrace) -> SessionExport {
    SessionExport {
        session: row.session.to_string(),
        name: row.name.clone(),
        guest: row.guest.clone(),
        address: row.address.clone(),
        claims: row.claims.as_ref().and_then(rooms::raw),
        edge: row.edge.to_string(),
        connected: row.connected,
        kicked: row.kicked.clone(),
        rooms: row.rooms.iter().map(ToString::to_string).collect(),
    }
}

/// `None`: the room has ended meanwhile.
async fn export_room(api: &Api, room: RoomId, player: &str) -> Result<Option<RoomExport>, ApiError> {
    let Some(snapshot) = api.store.snapshot(room).await? else { return Ok(None) };
    let state = State::decode(&snapshot.state).map_err(rooms::unreadable)?;
    let data = data_of(&state);
    let members = state.members.iter().filter(|(_, member)| *member.player.id == *player);
    let members = members.map(|(session, member)| export_member(room, &state, &data, *session, member)).collect();
    Ok(Some(RoomExport { room: room.to_string(), kind: state.kind.to_string(), offset: state.offset, members }))
}

fn export_member(
    room: RoomId,
    state: &State,
    data: &BTreeMap<String, Box<RawValue>>,
    session: SessionId,
    member: &Member,
) -> MemberExport {
    let frames = state.frames_of(room, session);
    MemberExport {
        session: session.to_string(),
        name: member.player.name.to_string(),
        connected: member.connected,
        spectator: member.spectator,
        data: data.get(&session.to_string()).cloned(),
        view: rooms::raw(&state.view_of(session)),
        frames: frames.into_iter().filter_map(|frame| RawValue::from_string(frame).ok()).collect(),
    }
}

/// `player.data` by session, as the SDK saves it; nothing of a guest that saves something else.
fn data_of(state: &State) -> BTreeMap<String, Box<RawValue>> {
    #[derive(Default, Deserialize)]
    struct Saved {
        #[serde(default)]
        data: BTreeMap<String, Box<RawValue>>,
    }
    let saved = state.saved.as_ref().and_then(|saved| serde_json::from_str::<Saved>(&saved.state).ok());
    saved.unwrap_or_default().data
}
