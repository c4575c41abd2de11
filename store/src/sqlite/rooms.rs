//! Rooms and snapshots, embedded.

use std::collections::HashSet;

use chorus_core::{
    ids::{Digest, Kind, Offset, RoomId, Time},
    json::Json,
    planted::{Bug, planted},
};
use sqlx::{Sqlite, SqliteConnection};

use super::{Read, Write, now};
use crate::{
    RoomRow, RoomStatus, RoomUpdate, Snapshot, SnapshotRow, StoreError, StoredRoom,
    rooms::{
        Columns, CountRooms, DeleteEndedRooms, HighestOffset, ListRooms, ReadRoom, ReadSnapshot, ReadStored,
        TimerColumns, Timers, WriteRooms, count, snapshot, stored, timer,
    },
    row::{Table, id, millis, number},
};

impl Write for WriteRooms {
    type Output = ();
    const READS_CLOCK: bool = false;

    fn is_one_round_trip(&self) -> bool {
        matches!(&self.batch[..], [(_, only)] if only.row.status == RoomStatus::Live && only.snapshot.is_none())
    }

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        for (hash, RoomUpdate { row, snapshot }) in &self.batch {
            write_row(row, db).await?;
            if row.status == RoomStatus::Live
                && let (Some(snapshot), Some(hash)) = (snapshot, hash)
            {
                write_snapshot(row.id, snapshot, hash, db).await?;
            }
        }
        Ok(())
    }
}

/// The row of an ended room is written, and its snapshot deleted, by one query: each is a switch to SQLite's thread and back.
async fn write_row(row: &RoomRow, db: &mut SqliteConnection) -> Result<(), StoreError> {
    // The same offset may be written again, with the same values or with more information (a component after a swap was
    // refused): the later write wins. An ended room stays ended.
    macro_rules! upsert {
        ($then:literal) => {
            concat!(
                "INSERT INTO rooms (id, \"offset\", kind, component, status, creator, created_at, ended_at, outcome,
                                    next_timer_at, metadata, members, clock)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (id) DO UPDATE SET
                     \"offset\" = ?2, component = ?4, status = ?5, ended_at = ?8, outcome = ?9,
                     next_timer_at = ?10, metadata = ?11, members = ?12, clock = ?13
                 WHERE rooms.\"offset\" <= ?2 AND (rooms.status = 'live' OR ?5 <> 'live')",
                $then
            )
        };
    }
    let live = upsert!("");
    // Only if the row has this status: a newer update may have been written before this one.
    let ended =
        upsert!("; DELETE FROM snapshots WHERE room = ?1 AND (SELECT status FROM rooms WHERE id = ?1) <> 'live'");
    let upsert = if row.status == RoomStatus::Live { live } else { ended };
    let written = sqlx::query(upsert)
        .bind(id(row.id.0))
        .bind(number(row.offset))
        .bind(row.kind.as_str())
        .bind(row.component.0.as_slice())
        .bind(row.status.as_str())
        .bind(row.creator.map(|room| id(room.0)))
        .bind(number(row.created_at.0))
        .bind(row.ended_at.map(|time| number(time.0)))
        .bind(row.outcome.as_ref().map(Json::as_str))
        .bind(row.next_timer_at.map(|time| number(time.0)))
        .bind(row.metadata.as_ref().map(Json::as_str))
        .bind(row.members)
        .bind(number(row.clock.0))
        .execute(db)
        .await;
    written.map(drop).map_err(StoreError::at("write a room"))
}

async fn write_snapshot(
    room: RoomId,
    snapshot: &Snapshot,
    hash: &Digest,
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let at = StoreError::at("write a snapshot");
    if planted(Bug::OlderSnapshot) {
        let unguarded = sqlx::query("DELETE FROM snapshots WHERE room = ?1").bind(id(room.0));
        unguarded.execute(&mut *db).await.map_err(&at)?;
    }
    let upsert = "INSERT INTO snapshots (room, \"offset\", component, hash, state)
                  SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT status FROM rooms WHERE id = ?1) = 'live'
                  ON CONFLICT (room) DO UPDATE SET \"offset\" = ?2, component = ?3, hash = ?4, state = ?5
                  WHERE snapshots.\"offset\" < ?2";
    let upsert = sqlx::query(upsert)
        .bind(id(room.0))
        .bind(number(snapshot.offset))
        .bind(snapshot.component.0.as_slice())
        .bind(hash.0.as_slice())
        .bind(snapshot.state.as_ref());
    if upsert.execute(&mut *db).await.map_err(&at)?.rows_affected() > 0 {
        return Ok(());
    }
    // Not the highest: then it must be equal to the stored one, if that has the same offset.
    let other = "SELECT 1 FROM snapshots WHERE room = ?1 AND \"offset\" = ?2 AND hash <> ?3";
    let other = sqlx::query_scalar::<_, i64>(other).bind(id(room.0)).bind(number(snapshot.offset));
    match other.bind(hash.0.as_slice()).fetch_optional(db).await.map_err(&at)? {
        Some(_) => Err(StoreError::Diverged { room, offset: snapshot.offset }),
        None => Ok(()),
    }
}

impl Read for ReadSnapshot {
    type Output = Option<SnapshotRow>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<SnapshotRow>, StoreError> {
        let newest = "SELECT \"offset\", component, hash, state FROM snapshots WHERE room = ?1";
        let found = sqlx::query_as(newest).bind(id(self.room.0)).fetch_optional(db).await;
        found.map_err(StoreError::at("read a snapshot"))?.map(|columns| snapshot(self.room, columns)).transpose()
    }
}

impl Read for ReadStored {
    type Output = StoredRoom;

    async fn read(&self, db: &mut SqliteConnection) -> Result<StoredRoom, StoreError> {
        let both = "SELECT \"offset\", component, hash, state, (SELECT status FROM rooms WHERE id = ?1)
                    FROM (SELECT 1) LEFT JOIN snapshots ON room = ?1";
        let found = sqlx::query_as(both).bind(id(self.room.0)).fetch_one(db).await;
        stored(self.room, found.map_err(StoreError::at("read a room to restore it"))?)
    }
}

impl Read for ReadRoom {
    type Output = Option<RoomRow>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<RoomRow>, StoreError> {
        let found = sqlx::query_as::<_, Columns>("SELECT * FROM rooms WHERE id = ?1").bind(id(self.room.0));
        let found = found.fetch_optional(db).await.map_err(StoreError::at("read a room"))?;
        found.map(Columns::row).transpose()
    }
}

impl Read for ListRooms {
    type Output = Vec<RoomRow>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<RoomRow>, StoreError> {
        let found = self.query::<Sqlite>().build_query_as::<Columns>().fetch_all(db).await;
        found.map_err(StoreError::at("list rooms"))?.into_iter().map(Columns::row).collect()
    }
}

impl Read for CountRooms {
    type Output = Vec<(Kind, RoomStatus, u64)>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let counts = "SELECT kind, status, count(*) FROM rooms GROUP BY kind, status ORDER BY kind, status";
        let counts = sqlx::query_as(counts).fetch_all(db).await;
        counts.map_err(StoreError::at("count rooms"))?.into_iter().map(count).collect()
    }
}

impl Read for Timers {
    type Output = Vec<(Time, RoomId, Time)>;

    /// Rooms have no column for their partition here: a caller has all partitions, or nearly all, so it is as quick to compute
    /// the partition of each room.
    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let at = StoreError::at("list timers");
        let count =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM partitions").fetch_one(&mut *db).await.map_err(&at)?;
        let count = Table("partitions").number(count)?;
        let wanted: HashSet<u32> = self.partitions.iter().copied().collect();
        let (mut found, mut after) = (Vec::new(), self.after);
        loop {
            let page = timers(after, self.limit, &mut *db).await.map_err(&at)?;
            let page = page.into_iter().map(timer).collect::<Result<Vec<_>, _>>()?;
            let is_last = page.len() < self.limit as usize;
            after = page.last().map(|(due, room, _)| (*due, *room)).or(after);
            found.extend(page.into_iter().filter(|(_, room, _)| wanted.contains(&room.partition(count))));
            if is_last || found.len() >= self.limit as usize {
                found.truncate(self.limit as usize);
                return Ok(found);
            }
        }
    }
}

async fn timers(
    after: Option<(Time, RoomId)>,
    limit: u32,
    db: &mut SqliteConnection,
) -> Result<Vec<TimerColumns>, sqlx::Error> {
    let by_time = "SELECT next_timer_at, id, clock FROM rooms
                   WHERE next_timer_at IS NOT NULL AND (next_timer_at, id) > (?1, ?2)
                   ORDER BY next_timer_at, id LIMIT ?3";
    let (time, room) = after.map_or((-1, Vec::new()), |(time, room)| (number(time.0), id(room.0)));
    sqlx::query_as(by_time).bind(time).bind(room).bind(limit).fetch_all(db).await
}

impl Read for HighestOffset {
    type Output = Option<Offset>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<Offset>, StoreError> {
        let highest =
            "SELECT max(\"offset\") FROM (SELECT \"offset\" FROM rooms UNION ALL SELECT \"offset\" FROM snapshots)";
        let found = sqlx::query_scalar::<_, Option<i64>>(highest).fetch_one(db).await;
        let found = found.map_err(StoreError::at("read the highest offset"))?;
        found.map(|offset| Table("rooms").number(offset)).transpose()
    }
}

impl Write for DeleteEndedRooms {
    type Output = u64;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let delete = concat!(
            "DELETE FROM rooms WHERE id IN (SELECT id FROM rooms WHERE ended_at <= ",
            now!(),
            " - ?1 AND status <> 'live' ORDER BY ended_at LIMIT 1000)"
        );
        let deleted = sqlx::query(delete).bind(millis(self.older_than)).execute(db).await;
        Ok(deleted.map_err(StoreError::at("delete ended rooms"))?.rows_affected())
    }
}
