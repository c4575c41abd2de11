//! How an operator ends sessions: of a player, of a token, or of a network.
//!
//! The rows come first: from then on no client can resume one of these sessions. Then every edge gets the command, and closes the
//! connections with the operator's reason. Last, the rooms in the rows get the `Leave`; an edge sends it to the rooms of its own
//! sessions as well. In the other order, a room could report the end to the edge before the reason is there.
//!
//! Every step may be repeated. If the process dies in between, sessions that are kicked stay so, and their seats are given up when
//! they expire; sessions of a logout have expired, and housekeeping ends them, possibly while this still runs: a room then gets a
//! `Leave` twice, with the same reason, and ignores the second.

use std::time::Duration;

use chorus_bus::{AppendError, Bus, SendError};
use chorus_core::{
    command::{EdgeCommand, LeaveReason, RoomCommand},
    frame::CloseCode,
    identity::{Ending, SessionsOf},
    ids::{RoomId, SessionId},
    placement::Role,
};
use chorus_store::{MachineState, SessionFilter, Store, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::cleanup::{WRITES, append_to_rooms, to_rooms};

/// The number of sessions that are read at a time.
const PAGE: u32 = 256;

/// How long an edge that does not read its channel is waited for: the command is in the channel, or the edge is notified of its
/// loss.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The sessions have not all been ended; the same can be done again.
#[derive(Debug, thiserror::Error)]
pub enum EndingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("an edge could not be notified: {0}")]
    Send(#[from] SendError),
    #[error("an edge could not be notified within {SEND_TIMEOUT:?}")]
    SendTimeout,
}

/// Ends the sessions. Returns the number of those whose rows have changed: sessions of a network are found by the edges alone.
pub async fn end_sessions(ending: &Ending, bus: &Bus, store: &Store) -> Result<usize, EndingError> {
    let (rows, ended) = end_rows(ending, store).await?;
    notify_edges(ending, bus, store).await?;
    let reason = if is_logout(ending) { LeaveReason::Left } else { LeaveReason::Kicked };
    let leaves = to_rooms(&rows, |session| RoomCommand::Leave { session, reason });
    append_to_rooms(bus, store.clock(), leaves).await?;
    if is_logout(ending) {
        let end = |(session, _)| store.end_session(session);
        stream::iter(rows).map(end).buffer_unordered(WRITES).try_collect::<Vec<()>>().await?;
    }
    Ok(ended)
}

/// After a logout the player may sign in again, and a kicked session's token is refused with the reason until it expires.
fn is_logout(ending: &Ending) -> bool {
    ending.code == CloseCode::Unauthorized
}

/// Returns the sessions with the rooms that are to be notified, and the number of those that had not ended before. The rooms of the
/// others may lack the notice, if it was interrupted.
async fn end_rows(ending: &Ending, store: &Store) -> Result<(Vec<(SessionId, Vec<RoomId>)>, usize), StoreError> {
    let filter = match &ending.of {
        SessionsOf::Player(id) => SessionFilter::Player(id.to_string()),
        SessionsOf::Token(id) => SessionFilter::Token(id.to_string()),
        SessionsOf::Network(_) => return Ok((Vec::new(), 0)),
    };
    let (mut after, mut rows, mut ended) = (None, Vec::new(), 0);
    loop {
        let page = store.player_sessions(&filter, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok((rows, ended)) };
        after = Some((last.player.clone(), last.session));
        let end = move |session| async move {
            let rooms = match is_logout(ending) {
                true => store.expire_session(session).await?,
                false => store.kick_session(session, &ending.reason).await?,
            };
            Ok::<_, StoreError>((session, rooms))
        };
        ended += page.iter().filter(|row| row.kicked.is_none()).count();
        let page: Vec<SessionId> = page.into_iter().map(|row| row.session).collect();
        rows.extend(stream::iter(page).map(end).buffer_unordered(WRITES).try_collect::<Vec<_>>().await?);
    }
}

async fn notify_edges(ending: &Ending, bus: &Bus, store: &Store) -> Result<(), EndingError> {
    let machines = store.machines().await?;
    let edges = machines.iter().filter(|row| row.role == Role::Edge && row.state != MachineState::Dead);
    let sent: Vec<_> = edges.map(|edge| bus.send_edge(&edge.id, EdgeCommand::End(ending.clone()))).collect();
    let all = tokio::time::timeout(SEND_TIMEOUT, futures_util::future::try_join_all(sent)).await;
    all.map_err(|_| EndingError::SendTimeout)?.map(drop).map_err(EndingError::from)
}
