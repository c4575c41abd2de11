//! One write of a session to the store.

use chorus_core::session::{Input, StoreWrite};
use chorus_store::StoreError;

use crate::{links::Links, tokens::hash};

/// Makes the write. Returns the input that its machine awaits, if it awaits one.
pub(crate) async fn write(links: &Links, write: StoreWrite) -> Option<Input<'static>> {
    let written = try_write(links, write.clone()).await;
    if let Err(error) = &written {
        tracing::warn!(write = name(&write), %error, "the store did not take a session's change");
    }
    match write {
        StoreWrite::Join(_, room) | StoreWrite::Move { room, .. } => {
            Some(Input::Stored { room, done: matches!(written, Ok(true)) })
        }
        _ => None,
    }
}

/// `false`: another edge has the session now.
async fn try_write(links: &Links, write: StoreWrite) -> Result<bool, StoreError> {
    let (store, edge) = (&links.store, links.edge());
    let done = match write {
        StoreWrite::Join(session, room) => return store.join_membership(session, room, edge).await,
        StoreWrite::Move { session, left, room } => return store.move_membership(session, left, room, edge).await,
        StoreWrite::Leave(session, room) => store.leave_membership(session, room, edge).await,
        StoreWrite::Renew { session, claims, expires, token_id } => {
            store.renew_session(session, claims, expires, token_id, edge).await
        }
        StoreWrite::Kick { session, reason } => store.kick_session(session, &reason).await.map(drop),
        StoreWrite::Confirm { session, token } => store.confirm_resume(session, hash(&token)).await,
        StoreWrite::Disconnected { session, silent } => store.session_disconnected(session, edge, silent).await,
        StoreWrite::End(session) => store.end_session(session).await,
    };
    done.map(|()| true)
}

/// For the log, which is no place for a player's claims.
fn name(write: &StoreWrite) -> &'static str {
    match write {
        StoreWrite::Join(..) => "join",
        StoreWrite::Leave(..) => "leave",
        StoreWrite::Move { .. } => "move",
        StoreWrite::Renew { .. } => "renew",
        StoreWrite::Confirm { .. } => "confirm",
        StoreWrite::Disconnected { .. } => "disconnected",
        StoreWrite::Kick { .. } => "kick",
        StoreWrite::End(_) => "end",
    }
}
