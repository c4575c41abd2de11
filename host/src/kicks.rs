//! Ends the sessions that rooms have kicked: in the store first, then in all their rooms, in the one that kicks last.
//!
//! Beside the room, which goes on meanwhile, also while the store is gone. The room's state keeps what is not done yet, so a
//! host that dies in between loses nothing: whoever restores the room does it again, and twice is as good as once.

use std::{sync::Arc, time::Duration};

use chorus_core::{
    command::{LeaveReason, RoomCommand},
    ids::{RoomId, SessionId},
};
use tokio::task::JoinHandle;

use crate::Shared;

/// When it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Resolves when it is done, or the host ends.
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
