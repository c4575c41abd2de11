//! Whether a cluster's store is complete, and which log it belongs to.

use chorus_core::{ids::RoomId, json::Json};
use sqlx::PgConnection;

use super::{Call, Failed};
use crate::{
    LogIdentity,
    integrity::{GiveUp, ReadLog, SetLog, WithoutSnapshot},
    row::{Table, id},
};

impl Call for ReadLog {
    type Output = Option<LogIdentity>;
    const ACTION: &'static str = "read which log the database belongs to";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<LogIdentity>, Failed> {
        let log = sqlx::query_as::<_, (Option<String>, String)>("SELECT cluster, topic FROM log");
        Ok(log.fetch_optional(db).await?.map(|(cluster, topic)| LogIdentity { cluster, topic }))
    }
}

impl Call for SetLog {
    type Output = LogIdentity;
    const ACTION: &'static str = "write which log the database belongs to";

    /// If several machines do this at once, all of them receive the row of the first.
    async fn call(&self, db: &mut PgConnection) -> Result<LogIdentity, Failed> {
        let set = match self.instead {
            false => {
                "INSERT INTO log (cluster, topic) VALUES ($1, $2)
                 ON CONFLICT (one) DO UPDATE SET cluster = coalesce(log.cluster, excluded.cluster)
                 RETURNING cluster, topic"
            }
            true => {
                "INSERT INTO log (cluster, topic) VALUES ($1, $2)
                 ON CONFLICT (one) DO UPDATE SET cluster = excluded.cluster, topic = excluded.topic, since = now()
                 RETURNING cluster, topic"
            }
        };
        let set = sqlx::query_as::<_, (Option<String>, String)>(set).bind(&self.log.cluster).bind(&self.log.topic);
        let (cluster, topic) = set.fetch_one(db).await?;
        Ok(LogIdentity { cluster, topic })
    }
}

impl Call for WithoutSnapshot {
    type Output = Vec<RoomId>;
    const ACTION: &'static str = "list rooms without a snapshot";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<RoomId>, Failed> {
        let without = "SELECT id FROM rooms WHERE partition = $1 AND status = 'live'
                       AND NOT EXISTS (SELECT 1 FROM snapshots WHERE room = rooms.id) ORDER BY id";
        let found: Vec<Vec<u8>> = sqlx::query_scalar(without).bind(i64::from(self.partition)).fetch_all(db).await?;
        Ok(found.into_iter().map(|id| Table("rooms").id(id).map(RoomId)).collect::<Result<_, _>>()?)
    }
}

impl Call for GiveUp {
    type Output = ();
    const ACTION: &'static str = "give rooms up";

    /// Each statement may be repeated, and has its effect alone.
    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let rooms: Vec<Vec<u8>> = self.rooms.iter().map(|room| id(room.0)).collect();
        let lobby = "DELETE FROM rooms WHERE id = $1 AND id = ANY ($2) AND status = 'live'
                     AND NOT EXISTS (SELECT 1 FROM snapshots WHERE room = rooms.id)";
        sqlx::query(lobby).bind(id(RoomId::LOBBY.0)).bind(&rooms).execute(&mut *db).await?;
        let give_up = "UPDATE rooms SET status = 'failed', outcome = $2, next_timer_at = NULL,
                                        ended_at = (extract(epoch FROM now()) * 1000)::bigint
                       WHERE id = ANY ($1) AND status = 'live'
                       AND NOT EXISTS (SELECT 1 FROM snapshots WHERE room = rooms.id)";
        let reason = Json::of(&self.reason);
        sqlx::query(give_up).bind(&rooms).bind(reason.as_str().to_owned()).execute(db).await?;
        Ok(())
    }
}
