//! What the store has of one player: sessions, texts in snapshots of live rooms, and reports.

use chorus_core::{
    ids::{MachineId, RoomId, SessionId},
    json::Json,
};

use crate::{Store, StoreError, row::Table};

/// A session of a player, until it is ended: also one that was kicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTrace {
    pub session: SessionId,
    pub name: String,
    /// The guest that the player was before it signed in.
    pub guest: Option<String>,
    /// The network of the address of its latest connection.
    pub address: Option<String>,
    pub claims: Option<Json>,
    /// The edge that has the session, or had it last.
    pub edge: MachineId,
    pub connected: bool,
    pub kicked: Option<String>,
    /// In the order of joining.
    pub rooms: Vec<RoomId>,
}

impl Store {
    /// The sessions of this player, also as the guest that it was: the first `limit` by id, or those after the last one of an earlier call.
    pub async fn sessions_of_player(
        &self,
        player: &str,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<SessionTrace>, StoreError> {
        self.read(SessionsOf { player: player.to_owned(), after, limit }).await
    }

    /// Searches the snapshots of these many rooms, by id, the first ones or those after `after`, for any of these texts. Returns
    /// each room with whether its snapshot has one; fewer than `limit` are the last ones. Reads all of these snapshots.
    pub async fn search_snapshots(
        &self,
        texts: &[String],
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, bool)>, StoreError> {
        self.read(Search { texts: texts.to_vec(), after, limit }).await
    }

    /// Deletes the reports about this player. Returns their number.
    pub async fn delete_reports(&self, player: &str) -> Result<u64, StoreError> {
        self.write(DeleteReports { player: player.to_owned() }).await
    }
}

pub(crate) struct SessionsOf {
    pub player: String,
    pub after: Option<SessionId>,
    pub limit: u32,
}

/// A session and one of its rooms. A session without rooms has one row without a room.
#[derive(sqlx::FromRow)]
pub(crate) struct SessionColumns {
    id: Vec<u8>,
    name: String,
    guest: Option<String>,
    address: Option<String>,
    claims: Option<String>,
    edge: String,
    connected: bool,
    kicked: Option<String>,
    room: Option<Vec<u8>>,
}

/// Groups rows that are sorted by session.
pub(crate) fn sessions(rows: Vec<SessionColumns>) -> Result<Vec<SessionTrace>, StoreError> {
    let mut sessions: Vec<SessionTrace> = Vec::new();
    for SessionColumns { id, name, guest, address, claims, edge, connected, kicked, room } in rows {
        let session = SessionId(Table("sessions").id(id)?);
        if sessions.last().is_none_or(|last| last.session != session) {
            let (claims, edge) = (claims.map(Json::trusted), MachineId(edge.into()));
            let rooms = Vec::new();
            sessions.push(SessionTrace { session, name, guest, address, claims, edge, connected, kicked, rooms });
        }
        if let Some(room) = room {
            let last = sessions.last_mut().expect("pushed above");
            last.rooms.push(RoomId(Table("memberships").id(room)?));
        }
    }
    Ok(sessions)
}

pub(crate) struct Search {
    pub texts: Vec<String>,
    pub after: Option<RoomId>,
    pub limit: u32,
}

pub(crate) struct DeleteReports {
    pub player: String,
}

pub(crate) fn found(rows: Vec<(Vec<u8>, bool)>) -> Result<Vec<(RoomId, bool)>, StoreError> {
    rows.into_iter().map(|(room, has)| Ok((RoomId(Table("snapshots").id(room)?), has))).collect()
}
