//! What is kept of one player, embedded.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{Read, Write};
use crate::{
    SessionTrace, StoreError,
    row::id,
    traces::{DeleteReports, Search, SessionColumns, SessionsOf, found, sessions},
};

impl Read for SessionsOf {
    type Output = Vec<SessionTrace>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let list =
            "SELECT id, name, guest, address, claims, edge, disconnected_at IS NULL AS connected, kicked, room FROM (
                        SELECT * FROM sessions WHERE (player = ?1 OR guest = ?1) AND id > ?2 ORDER BY id LIMIT ?3
                    ) LEFT JOIN memberships ON session = id ORDER BY id, position";
        // The empty byte string sorts before every id.
        let after = self.after.map_or(Vec::new(), |session| id(session.0));
        let rows = sqlx::query_as::<_, SessionColumns>(list)
            .bind(&self.player)
            .bind(after)
            .bind(self.limit)
            .fetch_all(db)
            .await;
        sessions(rows.map_err(StoreError::at("list a player's sessions"))?)
    }
}

impl Read for Search {
    type Output = Vec<(chorus_core::ids::RoomId, bool)>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let mut search = QueryBuilder::<Sqlite>::new("SELECT room, (0");
        for text in &self.texts {
            search.push(" OR instr(state, ").push_bind(text.as_bytes()).push(") > 0");
        }
        // The empty byte string sorts before every id.
        let after = self.after.map_or(Vec::new(), |room| id(room.0));
        search.push(") FROM snapshots WHERE room > ").push_bind(after);
        search.push(" ORDER BY room LIMIT ").push_bind(self.limit);
        let rows = search.build_query_as().fetch_all(db).await;
        found(rows.map_err(StoreError::at("search snapshots"))?)
    }
}

impl Write for DeleteReports {
    type Output = u64;
    const READS_CLOCK: bool = false;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let delete = sqlx::query("DELETE FROM reports WHERE player = ?1").bind(&self.player);
        let deleted = delete.execute(db).await.map_err(StoreError::at("delete a player's reports"))?;
        Ok(deleted.rows_affected())
    }
}
