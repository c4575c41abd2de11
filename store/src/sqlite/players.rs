//! Sessions by player, embedded.

use sqlx::SqliteConnection;

use super::Read;
use crate::{
    PlayerSession, SessionFilter, StoreError,
    players::{Columns, List, sessions},
    row::id,
};

/// The sessions `$only`.
macro_rules! list {
    ($only:literal) => {
        concat!(
            "SELECT id, player, name, guest, address, edge, connected, kicked, created_at, room FROM (
                 SELECT id, player, name, guest, address, edge, disconnected_at IS NULL AS connected, kicked, created_at
                 FROM sessions WHERE ",
            $only,
            " AND expired = 0 AND (?3 IS NULL OR (player, id) > (?3, ?4)) ORDER BY player, id LIMIT ?5
             ) LEFT JOIN memberships ON session = id ORDER BY player, id, position"
        )
    };
}

impl Read for List {
    type Output = Vec<PlayerSession>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        // One index for each of these conditions: a single statement with all of them would use none.
        let list = match &self.filter {
            SessionFilter::All => list!("?1 IS NULL AND ?2 IS NULL"),
            SessionFilter::Player(_) => list!("?2 IS NULL AND (player = ?1 OR guest = ?1)"),
            SessionFilter::Token(_) => list!("?1 IS NULL AND token_id = ?2"),
        };
        let (only_player, only_token) = self.only();
        let (player, session) = self.after.as_ref().map(|(player, session)| (player, id(session.0))).unzip();
        let list = sqlx::query_as::<_, Columns>(list).bind(only_player).bind(only_token).bind(player).bind(session);
        let rows = list.bind(self.limit).fetch_all(db).await;
        sessions(rows.map_err(StoreError::at("list sessions"))?)
    }
}
