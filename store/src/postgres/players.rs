//! Sessions of a cluster by player.

use sqlx::PgConnection;

use super::{Call, Failed};
use crate::{
    PlayerSession, SessionFilter,
    players::{Columns, List, sessions},
    row::id,
};

/// The sessions `$only`, by bytes.
macro_rules! list {
    ($only:literal) => {
        concat!(
            "SELECT id, player, name, guest, address, edge, connected, kicked, created_at, room FROM (
                 SELECT id, player, name, guest, address, edge, disconnected_at IS NULL AS connected, kicked,
                     (extract(epoch FROM created_at) * 1000)::bigint AS created_at
                 FROM sessions WHERE ",
            $only,
            r#" AND NOT expired AND ($3 IS NULL OR (player COLLATE "C", id) > ($3, $4))
                ORDER BY player COLLATE "C", id LIMIT $5
             ) AS listed LEFT JOIN memberships ON session = id ORDER BY player COLLATE "C", id, position, room"#
        )
    };
}

impl Call for List {
    type Output = Vec<PlayerSession>;
    const ACTION: &'static str = "list sessions";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        // One index for each of these conditions: a single statement with all of them would use none.
        let list = match &self.filter {
            SessionFilter::All => list!("$1 IS NULL AND $2 IS NULL"),
            SessionFilter::Player(_) => list!("$2 IS NULL AND (player = $1 OR guest = $1)"),
            SessionFilter::Token(_) => list!("$1 IS NULL AND token_id = $2"),
        };
        let (only_player, only_token) = self.only();
        let (player, session) = self.after.as_ref().map(|(player, session)| (player, id(session.0))).unzip();
        let list = sqlx::query_as::<_, Columns>(list).bind(only_player).bind(only_token).bind(player).bind(session);
        Ok(sessions(list.bind(i64::from(self.limit)).fetch_all(db).await?)?)
    }
}
