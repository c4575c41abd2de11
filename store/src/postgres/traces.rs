//! What is kept of one player, in a cluster.

use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{Call, Failed};
use crate::{
    row::id,
    traces::{DeleteReports, Search, found},
};

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
        let delete = sqlx::query("DELETE FROM reports WHERE player = ANY ($1)").bind(&self.players);
        Ok(delete.execute(db).await?.rows_affected())
    }
}
