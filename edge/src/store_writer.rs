//! A line's writes to the store: one after the other, in the machine's order.

use std::sync::Arc;

use chorus_core::session::{Input, Store as Write};
use chorus_store::StoreError;

use crate::{hub::Hub, line::Line};

/// Writes all waiting writes of the line, until there are none.
pub(crate) fn run(hub: Arc<Hub>, line: Arc<Line>) {
    let work = hub.work();
    tokio::spawn(async move {
        while let Some(write) = line.next_write() {
            let written = write_one(&hub, &line, write).await;
            if let Err(error) = &written {
                tracing::warn!(?write, %error, "the store did not take a session's change");
            }
            if let Write::Join(_, room) = write {
                line.input(&hub, Input::Stored { room, done: matches!(written, Ok(true)) });
            }
        }
        drop(work);
    });
}

/// `false` when the session is not this edge's any more.
async fn write_one(hub: &Hub, line: &Arc<Line>, write: Write) -> Result<bool, StoreError> {
    let (store, edge) = (&hub.store, &hub.options.id);
    let done = match write {
        Write::Join(session, room) => return store.join_membership(session, room, edge).await,
        // The session has resumed on this edge meanwhile, and perhaps in the room. A membership too many in the store
        // does no harm.
        Write::Leave(session, _) | Write::Disconnected { session, .. }
            if hub.line_of(session).is_some_and(|now| !Arc::ptr_eq(&now, line)) =>
        {
            Ok(())
        }
        Write::Leave(session, room) => store.leave_membership(session, room, edge).await,
        Write::Confirm(session) => store.confirm_resume(session, edge).await,
        Write::Disconnected { session, silent } => store.session_disconnected(session, edge, silent).await,
        Write::End(session) => store.end_session(session).await,
    };
    done.map(|()| true)
}
