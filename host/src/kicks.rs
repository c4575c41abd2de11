//! Ends the sessions that rooms have kicked: in the store first, then in all their rooms, the kicking room last.
//!
//! Each kick has a task of its own, so the room goes on, even while the store is down. The room's state keeps the kicks
//! that are not done yet, so a host that dies in between loses none: the host that restores the room repeats them, and a
//! repeated kick does no harm.

use std::{sync::Arc, time::Duration};

use chorus_core::{
    command::{LeaveReason, RoomCommand},
    ids::{RoomId, SessionId},
};
use tokio::task::JoinHandle;

use crate::Shared;

/// How soon to try again.
const RETRY: Duration = Duration::from_secs(1);

/// Resolves when the kick is done, or when the host ends.
pub fn start(host: Arc<Shared>, room: RoomId, session: SessionId, reason: Box<str>) -> JoinHandle<()> {
    let mut stopping = host.stopping.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            () = end(&host, room, session, &reason) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    })
}

async fn end(host: &Shared, room: RoomId, session: SessionId, reason: &str) {
    while let Err(error) = try_to_end(host, room, session, reason).await {
        tracing::warn!(%room, %session, %error, "a session that was kicked cannot be ended; trying again");
        tokio::time::sleep(RETRY).await;
    }
}

async fn try_to_end(host: &Shared, room: RoomId, session: SessionId, reason: &str) -> anyhow::Result<()> {
    let rooms = host.store.kick_session(session, reason).await?;
    let others = rooms.into_iter().filter(|other| *other != room);
    for room in others.chain([room]) {
        let leave = RoomCommand::Leave { session, reason: LeaveReason::Kicked };
        host.append(room, leave).await?.await?;
    }
    Ok(())
}
