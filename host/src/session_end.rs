//! The store's part of a kick: it ends the session.
//!
//! Each kick has a task of its own, so that the room continues while the store is down. The task may be dropped: the room's
//! state keeps the kicks that are not done yet, a host that restores the room repeats them, and a repeated kick has no effect.

use std::{sync::Arc, time::Duration};

use chorus_core::ids::{RoomId, SessionId};

use crate::Shared;

/// How soon to try again.
const RETRY: Duration = Duration::from_secs(1);

/// A session that is ended in the store, and the rooms that it was in.
#[derive(Debug)]
pub struct SessionEnd {
    pub session: SessionId,
    pub rooms: Vec<RoomId>,
}

/// Retries until the store has ended the session.
pub async fn run(host: Arc<Shared>, room: RoomId, session: SessionId, reason: Box<str>) -> SessionEnd {
    loop {
        match host.store.kick_session(session, &reason).await {
            Ok(rooms) => return SessionEnd { session, rooms },
            Err(error) => {
                tracing::warn!(%room, %session, %error, "a session that was kicked cannot be ended; trying again");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
