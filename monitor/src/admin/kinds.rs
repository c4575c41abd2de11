//! Kinds: publish a version, and swap rooms to it.

use std::sync::Arc;

use bytes::Bytes;
use chorus_bus::Append;
use chorus_core::{
    command::RoomCommand,
    ids::{Digest, Kind, RoomId},
};
use chorus_store::{RoomFilter, RoomRow, RoomStatus, VersionRow};
use warp::http::StatusCode;

use super::{
    Api,
    answer::{Answer, ApiError, json, json_of},
    query, rooms, status,
};
use crate::{
    api::{Kinds, Published, SwapOrder, Swapped, Version, Versions},
    cleanup::append,
};

/// The beginning of every component: wasm's magic, and the version that means "component", not "module".
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// The number of rooms that are listed and swapped at a time.
const PAGE: u32 = 500;

pub(super) async fn list(api: &Arc<Api>) -> Answer {
    json(&Kinds { kinds: status::kinds(api).await? })
}

pub(super) async fn versions(api: &Arc<Api>, kind: Kind) -> Answer {
    let versions = versions_of(api, &kind).await?;
    let active = api.store.active(&kind).await?;
    let show = |row: &VersionRow| Version {
        version: row.version,
        digest: row.digest.to_string(),
        published_at: row.published_at.0,
        active: active == Some(row.digest),
    };
    json(&Versions { kind: kind.to_string(), versions: versions.iter().map(show).collect() })
}

/// Stores a component as a version of its kind. No room runs it before a swap, unless it is the kind's first.
pub(super) async fn publish(api: &Arc<Api>, kind: Kind, wasm: Bytes) -> Answer {
    if !wasm.starts_with(COMPONENT) {
        let what_to_do = "send what the build made of the script, the file that ends in .wasm";
        return Err(ApiError::bad("the body is no WebAssembly component", what_to_do));
    }
    let busy = |_| ApiError::busy("another component is being checked");
    let checking = api.checking.try_acquire().map_err(busy)?;
    let checked = (api.hooks.check)(wasm.clone()).await.map_err(|reason| {
        let error = format!("the component cannot run here: {reason}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, "correct the script, build it, and publish it again")
    })?;
    drop(checking);
    let digest = Digest::of(&wasm);
    let version = api.store.add_version(&kind, digest, &wasm).await?;
    let active = match api.store.active(&kind).await? {
        Some(active) => active == digest,
        // A kind without an active version has no rooms either, so this changes none.
        None => activate(api, &kind, digest).await.map(|()| true)?,
    };
    tracing::info!(%kind, version, %digest, bytes = wasm.len(), "an operator published a component");
    let published = Published {
        kind: kind.to_string(),
        version,
        digest: digest.to_string(),
        bytes: wasm.len() as u64,
        state_version: checked.state_version,
        active,
    };
    Ok(json_of(StatusCode::CREATED, &published))
}

/// Appends a `Swap` to each room's channel. The room decides whether it can be swapped: one whose migration or first call fails
/// stays on its component, and its events have the reason.
pub(super) async fn swap(api: &Arc<Api>, kind: Kind, order: SwapOrder) -> Answer {
    let busy = |_| ApiError::busy("another swap is under way");
    let _alone = api.swapping.try_lock().map_err(busy)?;
    let target = target(api, &kind, order.version).await?;
    let room = order.room.as_deref().map(query::room).transpose()?;
    let AppendedSwaps { rooms, already } = match room {
        Some(room) => swap_one(api, &kind, room, target.digest).await?,
        None => swap_all(api, &kind, target.digest).await?,
    };
    let (version, digest) = (target.version, target.digest);
    tracing::info!(%kind, version, %digest, rooms, already, "an operator swapped");
    let digest = digest.to_string();
    json(&Swapped { kind: kind.to_string(), version, digest, active: room.is_none(), rooms, already })
}

/// The number of rooms that got a `Swap`, by the component in their rows.
#[derive(Default)]
struct AppendedSwaps {
    /// Another component.
    rooms: u64,
    /// This component. They get the command nevertheless: a row may be older than a swap in flight.
    already: u64,
}

impl AppendedSwaps {
    fn count(&mut self, row: &RoomRow, to: Digest) {
        match row.component == to {
            true => self.already += 1,
            false => self.rooms += 1,
        }
    }
}

async fn target(api: &Api, kind: &Kind, version: Option<u32>) -> Result<VersionRow, ApiError> {
    let versions = versions_of(api, kind).await?;
    let newest = versions.last().map_or(0, |row| row.version);
    let wanted = version.unwrap_or(newest);
    versions.into_iter().find(|row| row.version == wanted).ok_or_else(|| {
        let what_to_do = format!("the newest is {newest}; see /v1/kinds/{kind}/components");
        ApiError::not_found(format!("kind {kind} has no version {wanted}"), what_to_do)
    })
}

async fn versions_of(api: &Api, kind: &Kind) -> Result<Vec<VersionRow>, ApiError> {
    let versions = api.store.versions(kind).await?;
    if versions.is_empty() {
        let what_to_do = "publish one first: POST /v1/kinds/{kind}/components, or `chorus publish`";
        return Err(ApiError::not_found(format!("kind {kind} has no component"), what_to_do));
    }
    Ok(versions)
}

async fn swap_one(api: &Api, kind: &Kind, room: RoomId, to: Digest) -> Result<AppendedSwaps, ApiError> {
    let row = rooms::live(api, room).await?;
    if row.kind != *kind {
        return Err(ApiError::conflict(format!("room {room} is of kind {}", row.kind), "a room keeps its kind"));
    }
    append_swap(api, room, to).await?.await?;
    let mut counts = AppendedSwaps::default();
    counts.count(&row, to);
    Ok(counts)
}

/// Activates the version first: then every room that is not listed yet starts with the new component, or is swapped by its
/// host.
async fn swap_all(api: &Api, kind: &Kind, to: Digest) -> Result<AppendedSwaps, ApiError> {
    activate(api, kind, to).await?;
    let of_kind = RoomFilter { kind: Some(kind.clone()), status: Some(RoomStatus::Live), other_than: None };
    let (mut after, mut counts) = (None, AppendedSwaps::default());
    loop {
        let page = api.store.rooms(&of_kind, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(counts) };
        after = Some((last.created_at, last.id));
        let mut appends = Vec::with_capacity(page.len());
        for row in &page {
            appends.push(append_swap(api, row.id, to).await?);
        }
        for (append, row) in appends.into_iter().zip(&page) {
            append.await?;
            counts.count(row, to);
        }
    }
}

async fn append_swap(api: &Api, room: RoomId, to: Digest) -> Result<Append, ApiError> {
    Ok(append(&api.bus, api.store.clock(), room, RoomCommand::Swap { component: to, rollout: None }).await?)
}

/// Makes a version active: new rooms run it from now on.
async fn activate(api: &Api, kind: &Kind, digest: Digest) -> Result<(), ApiError> {
    if !api.store.set_active(kind, digest).await? {
        let what_to_do = "see /v1/kinds/{kind}/components";
        return Err(ApiError::not_found(format!("kind {kind} has no component {digest}"), what_to_do));
    }
    let notified = (api.hooks.activated)(kind.clone(), digest).await;
    notified.map_err(|reason| {
        let error = format!("the host does not take the component: {reason}");
        ApiError::conflict(error, "swap to the version before, which is still there")
    })
}
