//! Rooms and their snapshots: projections of the log, written by hosts.

use std::time::Duration;

use bytes::Bytes;
use chorus_core::{
    ids::{Digest, Kind, Offset, RoomId, Time},
    json::Json,
    planted::{Bug, planted},
};
use sqlx::{FromRow, SqliteConnection};

use crate::{
    Store, StoreError,
    row::{From, id, number},
    writer::Write,
};

/// Whether a room goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomStatus {
    Live,
    /// By its script or an operator.
    Ended,
    /// By its faults.
    Failed,
}

impl RoomStatus {
    fn as_str(self) -> &'static str {
        match self {
            RoomStatus::Live => "live",
            RoomStatus::Ended => "ended",
            RoomStatus::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Result<RoomStatus, StoreError> {
        let all = [RoomStatus::Live, RoomStatus::Ended, RoomStatus::Failed];
        all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| From("rooms").bad("an unknown status"))
    }
}

/// What operators and hosts see of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    pub id: RoomId,
    /// The last record that this is after.
    pub offset: Offset,
    pub kind: Kind,
    pub component: Digest,
    pub status: RoomStatus,
    /// The room that created it.
    pub creator: Option<RoomId>,
    pub created_at: Time,
    pub ended_at: Option<Time>,
    /// What it ended with; of a failed room, a JSON text that says why.
    pub outcome: Option<Json>,
    /// When it is to be woken.
    pub next_timer_at: Option<Time>,
    pub metadata: Option<Json>,
    pub members: u32,
}

/// A room's whole state, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record that is in it.
    pub offset: Offset,
    /// What ran the room then.
    pub component: Digest,
    pub state: Bytes,
}

/// What a host writes of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomUpdate {
    pub row: RoomRow,
    /// Not every update has one.
    pub snapshot: Option<Snapshot>,
}

/// A stored snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    pub room: RoomId,
    pub offset: Offset,
    pub component: Digest,
    /// SHA-256 of the state; it was checked when this was read.
    pub hash: Digest,
    pub state: Bytes,
}

/// Which rooms to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomFilter {
    pub kind: Option<Kind>,
    pub status: Option<RoomStatus>,
}

impl Store {
    /// Writes what a host knows of some rooms, all or nothing. A row or snapshot that is older than what is stored
    /// changes nothing; a room that has ended keeps no snapshot, and stays ended.
    ///
    /// [`StoreError::Diverged`] names the room whose snapshot has a neighbour at the same offset that is not equal:
    /// stop that room, leave it out, and write the others again. Other writes wait meanwhile: some tens of rooms at
    /// a time keep that short.
    pub async fn write_rooms(&self, batch: Vec<RoomUpdate>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let hashed = |update: RoomUpdate| (update.snapshot.as_ref().map(|s| Digest::of(&s.state)), update);
        self.write(WriteRooms { batch: batch.into_iter().map(hashed).collect() }).await
    }

    /// The newest snapshot of a room.
    pub async fn snapshot(&self, room: RoomId) -> Result<Option<SnapshotRow>, StoreError> {
        type Columns = (i64, Vec<u8>, Vec<u8>, Vec<u8>);
        let newest = "SELECT \"offset\", component, hash, state FROM snapshots WHERE room = ?1";
        let found = sqlx::query_as::<_, Columns>(newest).bind(id(room.0)).fetch_optional(self.readers()).await;
        let Some((offset, component, hash, state)) = found.map_err(StoreError::at("read a snapshot"))? else {
            return Ok(None);
        };
        let from = From("snapshots");
        let (component, hash) = (from.digest(component)?, from.digest(hash)?);
        if Digest::of(&state) != hash {
            return Err(from.bad(&format!("a state of room {room} that is not what was written")));
        }
        Ok(Some(SnapshotRow { room, offset: from.number(offset)?, component, hash, state: state.into() }))
    }

    /// One room.
    pub async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, StoreError> {
        let found = sqlx::query_as::<_, Columns>("SELECT * FROM rooms WHERE id = ?1").bind(id(room.0));
        let found = found.fetch_optional(self.readers()).await.map_err(StoreError::at("read a room"))?;
        found.map(Columns::row).transpose()
    }

    /// The latest rooms that were created, at most `limit`.
    pub async fn rooms(&self, filter: &RoomFilter, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        let list = "SELECT * FROM rooms WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR status = ?2)
                    ORDER BY created_at DESC LIMIT ?3";
        let found = sqlx::query_as::<_, Columns>(list)
            .bind(filter.kind.as_ref().map(Kind::as_str))
            .bind(filter.status.map(RoomStatus::as_str))
            .bind(limit)
            .fetch_all(self.readers())
            .await
            .map_err(StoreError::at("list rooms"))?;
        found.into_iter().map(Columns::row).collect()
    }

    /// Rooms that want to be woken, by when: the first `limit` of them, or those after what an earlier call ended with.
    pub async fn timers(&self, after: Option<(Time, RoomId)>, limit: u32) -> Result<Vec<(Time, RoomId)>, StoreError> {
        let by_time = "SELECT next_timer_at, id FROM rooms
                       WHERE next_timer_at IS NOT NULL AND (next_timer_at, id) > (?1, ?2)
                       ORDER BY next_timer_at, id LIMIT ?3";
        let (time, room) = after.map_or((-1, Vec::new()), |(time, room)| (number(time.0), id(room.0)));
        let found = sqlx::query_as::<_, (i64, Vec<u8>)>(by_time).bind(time).bind(room).bind(limit);
        let found = found.fetch_all(self.readers()).await.map_err(StoreError::at("list timers"))?;
        let from = From("rooms");
        found.into_iter().map(|(time, room)| Ok((Time(from.number(time)?), RoomId(from.id(room)?)))).collect()
    }

    /// The highest offset that anything here is after. The log must not give it out again, even if it has lost it: see
    /// `Bus::skip_to`.
    pub async fn highest_offset(&self) -> Result<Option<Offset>, StoreError> {
        let highest =
            "SELECT max(\"offset\") FROM (SELECT \"offset\" FROM rooms UNION ALL SELECT \"offset\" FROM snapshots)";
        let found = sqlx::query_scalar::<_, Option<i64>>(highest).fetch_one(self.readers()).await;
        let found = found.map_err(StoreError::at("read the highest offset"))?;
        found.map(|offset| From("rooms").number(offset)).transpose()
    }

    /// Forgets rooms that ended at least this long ago. At most 1,000 at a time; how many.
    pub async fn forget_rooms(&self, older_than: Duration) -> Result<u64, StoreError> {
        self.write(Forget { older_than }).await
    }
}

#[derive(FromRow)]
struct Columns {
    id: Vec<u8>,
    offset: i64,
    kind: String,
    component: Vec<u8>,
    status: String,
    creator: Option<Vec<u8>>,
    created_at: i64,
    ended_at: Option<i64>,
    outcome: Option<String>,
    next_timer_at: Option<i64>,
    metadata: Option<String>,
    members: i64,
}

impl Columns {
    fn row(self) -> Result<RoomRow, StoreError> {
        let from = From("rooms");
        let time = |time: Option<i64>| time.map(|time| from.number(time).map(Time)).transpose();
        Ok(RoomRow {
            id: RoomId(from.id(self.id)?),
            offset: from.number(self.offset)?,
            kind: from.kind(&self.kind)?,
            component: from.digest(self.component)?,
            status: RoomStatus::parse(&self.status)?,
            creator: self.creator.map(|room| from.id(room).map(RoomId)).transpose()?,
            created_at: Time(from.number(self.created_at)?),
            ended_at: time(self.ended_at)?,
            outcome: self.outcome.map(Json::trusted),
            next_timer_at: time(self.next_timer_at)?,
            metadata: self.metadata.map(Json::trusted),
            members: from.number(self.members)?,
        })
    }
}

struct WriteRooms {
    /// With the hash of the snapshot's state.
    batch: Vec<(Option<Digest>, RoomUpdate)>,
}

impl Write for WriteRooms {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        for (hash, RoomUpdate { row, snapshot }) in &self.batch {
            write_row(row, db).await?;
            if row.status != RoomStatus::Live {
                delete_snapshot(row.id, db).await?;
            } else if let (Some(snapshot), Some(hash)) = (snapshot, hash) {
                write_snapshot(row.id, snapshot, hash, db).await?;
            }
        }
        Ok(())
    }
}

async fn write_row(row: &RoomRow, db: &mut SqliteConnection) -> Result<(), StoreError> {
    // The same offset may come again, with the same values, or with one thing known that was not (a component after
    // a swap was refused): the later write stands. Ended is for ever.
    let upsert = "INSERT INTO rooms (id, \"offset\", kind, component, status, creator, created_at, ended_at, outcome,
                                     next_timer_at, metadata, members)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                  ON CONFLICT (id) DO UPDATE SET
                      \"offset\" = ?2, component = ?4, status = ?5, ended_at = ?8, outcome = ?9,
                      next_timer_at = ?10, metadata = ?11, members = ?12
                  WHERE rooms.\"offset\" <= ?2 AND (rooms.status = 'live' OR ?5 <> 'live')";
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
        .execute(db)
        .await;
    written.map(drop).map_err(StoreError::at("write a room"))
}

async fn delete_snapshot(room: RoomId, db: &mut SqliteConnection) -> Result<(), StoreError> {
    // Only if that is what the row says now: it may have been written by somebody who knows more.
    let delete = "DELETE FROM snapshots WHERE room = ?1 AND (SELECT status FROM rooms WHERE id = ?1) <> 'live'";
    let deleted = sqlx::query(delete).bind(id(room.0)).execute(db).await;
    deleted.map(drop).map_err(StoreError::at("delete a snapshot"))
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
    // Not the highest: then it must be equal to what is there, if that is at the same offset.
    let other = "SELECT 1 FROM snapshots WHERE room = ?1 AND \"offset\" = ?2 AND hash <> ?3";
    let other = sqlx::query_scalar::<_, i64>(other).bind(id(room.0)).bind(number(snapshot.offset));
    match other.bind(hash.0.as_slice()).fetch_optional(db).await.map_err(&at)? {
        Some(_) => Err(StoreError::Diverged { room, offset: snapshot.offset }),
        None => Ok(()),
    }
}

struct Forget {
    older_than: Duration,
}

impl Write for Forget {
    type Output = u64;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let forget = "DELETE FROM rooms WHERE id IN (
                          SELECT id FROM rooms WHERE ended_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER) - ?1
                          AND status <> 'live' ORDER BY ended_at LIMIT 1000)";
        let older_than = number(self.older_than.as_millis().try_into().unwrap_or(u64::MAX));
        let forgotten = sqlx::query(forget).bind(older_than).execute(db).await;
        Ok(forgotten.map_err(StoreError::at("forget rooms"))?.rows_affected())
    }
}
