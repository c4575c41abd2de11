//! What is kept of one player, in a cluster.

use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{Call, Failed};
use crate::{
    SessionTrace,
    row::id,
    traces::{DeleteReports, Search, SessionColumns, SessionsOf, found, sessions},
};

impl Call for SessionsOf {
    type Output = Vec<SessionTrace>;
    const ACTION: &'static str = "list a player's sessions";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let list =
            "SELECT id, name, guest, address, claims, edge, disconnected_at IS NULL AS connected, kicked, room FROM (
                        SELECT * FROM sessions WHERE (player = $1 OR guest = $1) AND id > $2 ORDER BY id LIMIT $3
                    ) AS theirs LEFT JOIN memberships ON session = id ORDER BY id, position, room";
        let after = self.after.map_or(Vec::new(), |session| id(session.0));
        let rows = sqlx::query_as::<_, SessionColumns>(list).bind(&self.player).bind(after).bind(i64::from(self.limit));
        Ok(sessions(rows.fetch_all(db).await?)?)
    }
}

impl Call for Search {
    type Output = Vec<(chorus_core::ids::RoomId, bool)>;
    const ACTION: &'static str = "search snapshots";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let mut search = QueryBuilder::<Postgres>::new("SELECT room, (false");
        for text in &self.texts {
            search.push(" OR position(").push_bind(text.as_bytes().to_vec()).push(" IN state) > 0");
        }
        let after = self.after.map_or(Vec::new(), |room| id(room.0));
        search.push(") FROM snapshots WHERE room > ").push_bind(after);
        search.push(" ORDER BY room LIMIT ").push_bind(i64::from(self.limit));
        Ok(found(search.build_query_as().fetch_all(db).await?)?)
    }
}

impl Call for DeleteReports {
    type Output = u64;
    const ACTION: &'static str = "delete a player's reports";

    async fn call(&self, db: &mut PgConnection) -> Result<u64, Failed> {
        let delete = sqlx::query("DELETE FROM reports WHERE player = $1").bind(&self.player);
        Ok(delete.execute(db).await?.rows_affected())
    }
}
