//! One write of a session to the store.

use chorus_core::session::{Input, StoreWrite};
use chorus_store::StoreError;

use crate::links::Links;

/// Makes the write. Returns the input that its machine awaits, if it awaits one.
pub(crate) async fn write(links: &Links, write: StoreWrite) -> Option<Input<'static>> {
    let written = try_write(links, write).await;
    if let Err(error) = &written {
        tracing::warn!(?write, %error, "the store did not take a session's change");
    }
    match write {
        StoreWrite::Join(_, room) => Some(Input::Stored { room, done: matches!(written, Ok(true)) }),
        _ => None,
    }
}

/// `false`: another edge has the session now.
async fn try_write(links: &Links, write: StoreWrite) -> Result<bool, StoreError> {
    let (store, edge) = (&links.store, links.edge());
    let done = match write {
        StoreWrite::Join(session, room) => return store.join_membership(session, room, edge).await,
        StoreWrite::Leave(session, room) => store.leave_membership(session, room, edge).await,
        StoreWrite::Confirm(session) => store.confirm_resume(session, edge).await,
        StoreWrite::Disconnected { session, silent } => store.session_disconnected(session, edge, silent).await,
        StoreWrite::End(session) => store.end_session(session).await,
    };
    done.map(|()| true)
}
