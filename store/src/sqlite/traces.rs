//! What is kept of one player, embedded.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{Read, Write};
use crate::{
    StoreError,
    row::id,
    traces::{DeleteReports, Search, found},
};

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
        let mut deleted = 0;
        for player in &self.players {
            let delete = sqlx::query("DELETE FROM reports WHERE player = ?1").bind(player);
            let done = delete.execute(&mut *db).await.map_err(StoreError::at("delete a player's reports"))?;
            deleted += done.rows_affected();
        }
        Ok(deleted)
    }
}
