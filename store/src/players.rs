//! Sessions by player, for operators.

use chorus_core::ids::{MachineId, RoomId, SessionId, Time};

use crate::{Store, StoreError, row::Table};

/// A session that is connected or held, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerSession {
    pub session: SessionId,
    pub player: String,
    pub name: String,
    /// The guest that the player was before it signed in.
    pub guest: Option<String>,
    /// The network of the address of its latest connection.
    pub address: Option<String>,
    /// The edge that has the session, or had it last.
    pub edge: MachineId,
    pub connected: bool,
    /// Why it was kicked. It stays listed until it expires.
    pub kicked: Option<String>,
    pub created_at: Time,
    /// In the order of joining.
    pub rooms: Vec<RoomId>,
}

/// Which sessions a list has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionFilter {
    #[default]
    All,
    /// Those of this player, also as the guest that it was.
    Player(String),
    /// Those of the token with this id.
    Token(String),
}

impl Store {
    /// Sessions that have not expired, by player and session: the first `limit`, or those after the last one of an earlier call.
    pub async fn player_sessions(
        &self,
        filter: &SessionFilter,
        after: Option<(String, SessionId)>,
        limit: u32,
    ) -> Result<Vec<PlayerSession>, StoreError> {
        self.read(List { filter: filter.clone(), after, limit }).await
    }
}

pub(crate) struct List {
    pub filter: SessionFilter,
    pub after: Option<(String, SessionId)>,
    pub limit: u32,
}

impl List {
    /// The player and the token of the filter.
    pub fn only(&self) -> (Option<&str>, Option<&str>) {
        match &self.filter {
            SessionFilter::All => (None, None),
            SessionFilter::Player(id) => (Some(id), None),
            SessionFilter::Token(id) => (None, Some(id)),
        }
    }
}

/// A session and one of its rooms. A session without rooms has one row without a room.
#[derive(sqlx::FromRow)]
pub(crate) struct Columns {
    id: Vec<u8>,
    player: String,
    name: String,
    guest: Option<String>,
    address: Option<String>,
    edge: String,
    connected: bool,
    kicked: Option<String>,
    created_at: i64,
    room: Option<Vec<u8>>,
}

/// Groups rows that are sorted by session.
pub(crate) fn sessions(rows: Vec<Columns>) -> Result<Vec<PlayerSession>, StoreError> {
    let mut sessions: Vec<PlayerSession> = Vec::new();
    for Columns { id, player, name, guest, address, edge, connected, kicked, created_at, room } in rows {
        let session = SessionId(Table("sessions").id(id)?);
        if sessions.last().is_none_or(|last| last.session != session) {
            let (edge, created_at) = (MachineId(edge.into()), Time(Table("sessions").number(created_at)?));
            sessions.push(PlayerSession {
                session,
                player,
                name,
                guest,
                address,
                edge,
                connected,
                kicked,
                created_at,
                rooms: Vec::new(),
            });
        }
        if let Some(room) = room {
            let last = sessions.last_mut().expect("pushed above");
            last.rooms.push(RoomId(Table("memberships").id(room)?));
        }
    }
    Ok(sessions)
}
