//! Whether the embedded store is complete.

use chorus_core::{
    ids::RoomId,
    json::Json,
    pairing::{DataId, Mark, StoreMark},
};
use sqlx::SqliteConnection;

use super::{Read, Write, now};
use crate::{
    StoreError,
    integrity::{GiveUp, ReadMark, SetMark, WithoutSnapshot},
    row::{Table, id, number},
};

impl Read for ReadMark {
    type Output = Option<StoreMark>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<StoreMark>, StoreError> {
        let found = sqlx::query_as::<_, (Option<Vec<u8>>, i64, bool)>("SELECT id, life, settled FROM data");
        let found = found.fetch_optional(db).await.map_err(StoreError::at("read what the store carries"))?;
        let Some((Some(id), life, settled)) = found else { return Ok(None) };
        let table = Table("data");
        Ok(Some(StoreMark { mark: Mark { id: DataId(table.id(id)?), life: table.number(life)? }, settled }))
    }
}

impl Write for SetMark {
    type Output = ();

    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let StoreMark { mark, settled } = self.0;
        let set = sqlx::query("UPDATE data SET id = ?1, life = ?2, settled = ?3");
        let set = set.bind(id(mark.id.0)).bind(number(mark.life)).bind(settled).execute(db).await;
        set.map(drop).map_err(StoreError::at("write what the store carries"))
    }
}

impl Read for WithoutSnapshot {
    type Output = Vec<RoomId>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<RoomId>, StoreError> {
        let at = StoreError::at("list rooms without a snapshot");
        let count =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM partitions").fetch_one(&mut *db).await.map_err(&at)?;
        let table = Table("rooms");
        let count = table.number(count)?;
        let without = "SELECT id FROM rooms WHERE status = 'live'
                       AND NOT EXISTS (SELECT 1 FROM snapshots WHERE room = rooms.id) ORDER BY id";
        let found: Vec<Vec<u8>> = sqlx::query_scalar(without).fetch_all(db).await.map_err(&at)?;
        let rooms = found.into_iter().map(|id| table.id(id).map(RoomId));
        let ours = |room: &RoomId| room.partition(count) == self.partition;
        rooms.filter(|room| room.as_ref().map_or(true, ours)).collect()
    }
}

impl Write for GiveUp {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let at = StoreError::at("give rooms up");
        for room in &self.rooms {
            let give_up = match *room {
                RoomId::LOBBY => {
                    "DELETE FROM rooms WHERE id = ?1 AND status = 'live'
                                  AND NOT EXISTS (SELECT 1 FROM snapshots WHERE room = ?1)"
                }
                _ => concat!(
                    "UPDATE rooms SET status = 'failed', outcome = ?2, next_timer_at = NULL, ended_at = ",
                    now!(),
                    " WHERE id = ?1 AND status = 'live' AND NOT EXISTS (SELECT 1 FROM snapshots WHERE room = ?1)"
                ),
            };
            let give_up = sqlx::query(give_up).bind(id(room.0)).bind(Json::of(&self.reason).as_str().to_owned());
            give_up.execute(&mut *db).await.map_err(&at)?;
        }
        Ok(())
    }
}
