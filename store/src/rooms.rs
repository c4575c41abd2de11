//! Rooms and their snapshots: projections of the log, written by hosts.

use std::time::Duration;

use bytes::Bytes;
use chorus_core::{
    ids::{Digest, Kind, Offset, RoomId, Time},
    json::Json,
};
use sqlx::{Database, Encode, FromRow, QueryBuilder, Type};

use crate::{
    Backend, Store, StoreError,
    row::{Table, id, number},
};

/// Whether a room is live, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomStatus {
    Live,
    /// By its script or an operator.
    Ended,
    /// By its faults.
    Failed,
}

impl RoomStatus {
    pub const ALL: [RoomStatus; 3] = [RoomStatus::Live, RoomStatus::Ended, RoomStatus::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            RoomStatus::Live => "live",
            RoomStatus::Ended => "ended",
            RoomStatus::Failed => "failed",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<RoomStatus, StoreError> {
        RoomStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| Table("rooms").malformed("an unknown status"))
    }
}

/// A room's row, for operators and hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    pub id: RoomId,
    /// The last record that this row includes.
    pub offset: Offset,
    pub kind: Kind,
    pub component: Digest,
    pub status: RoomStatus,
    /// The room that created it.
    pub creator: Option<RoomId>,
    pub created_at: Time,
    pub ended_at: Option<Time>,
    /// The room's outcome; of a failed room, a JSON text with the reason.
    pub outcome: Option<Json>,
    /// When its next timer is due.
    pub next_timer_at: Option<Time>,
    /// The room's own time at `offset`.
    pub clock: Time,
    pub metadata: Option<Json>,
    pub members: u32,
}

/// A room's whole state, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record that the state includes.
    pub offset: Offset,
    /// The component that the room ran then.
    pub component: Digest,
    pub state: Bytes,
}

/// A host's update of one room.
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

/// What the store has of a room, for a host that restores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredRoom {
    Snapshot(SnapshotRow),
    /// It has ended, and has no snapshot.
    Ended,
    /// It is unknown, or has no snapshot yet: the log restores it.
    Nothing,
}

/// A filter for the list of rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomFilter {
    pub kind: Option<Kind>,
    pub status: Option<RoomStatus>,
    /// Only rooms that run another component than this one.
    pub other_than: Option<Digest>,
}

impl Store {
    /// Writes a host's updates of some rooms, all or nothing. A row or snapshot that is older than the stored one changes
    /// nothing; a room that has ended has no snapshot, and stays ended. When this returns, the stored snapshot of each room is
    /// at least as new as the given one.
    ///
    /// [`StoreError::Diverged`] names the room that has a different snapshot stored at the same offset: stop that room, leave
    /// it out, and write the others again. Other writes wait meanwhile: batches of some tens of rooms keep that wait short.
    pub async fn write_rooms(&self, batch: Vec<RoomUpdate>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let hashed = |update: RoomUpdate| (update.snapshot.as_ref().map(|s| Digest::of(&s.state)), update);
        let batch = batch.into_iter().map(hashed).collect();
        match &self.0 {
            Backend::Sqlite(db) => db.write(WriteRooms { batch }).await,
            Backend::Postgres(db) => db.write_rooms(batch).await,
        }
    }

    /// The newest snapshot of a room.
    pub async fn snapshot(&self, room: RoomId) -> Result<Option<SnapshotRow>, StoreError> {
        self.read(ReadSnapshot { room }).await
    }

    /// The newest snapshot of a room or, if it has none, whether it has ended.
    pub async fn stored_room(&self, room: RoomId) -> Result<StoredRoom, StoreError> {
        self.read(ReadStored { room }).await
    }

    /// One room.
    pub async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, StoreError> {
        self.read(ReadRoom { room }).await
    }

    /// Rooms, the latest created first: the first `limit`, or those after the last room of an earlier call (its `created_at`
    /// and `id`).
    pub async fn rooms(
        &self,
        filter: &RoomFilter,
        after: Option<(Time, RoomId)>,
        limit: u32,
    ) -> Result<Vec<RoomRow>, StoreError> {
        self.read(ListRooms { filter: filter.clone(), after, limit }).await
    }

    /// The number of rooms of each kind and status.
    pub async fn count_rooms(&self) -> Result<Vec<(Kind, RoomStatus, u64)>, StoreError> {
        self.read(CountRooms).await
    }

    /// Rooms of these partitions that have a timer, by the time of the next one, with their own time at their row's offset: the
    /// first `limit`, or those after the last one of an earlier call. A host loads nothing else at a takeover: only records in
    /// its channel restore a room without a timer.
    pub async fn timers(
        &self,
        partitions: &[u32],
        after: Option<(Time, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Time, RoomId, Time)>, StoreError> {
        self.read(Timers { partitions: partitions.to_vec(), after, limit }).await
    }

    /// The highest offset in any row of this partition: a log that ends before it has lost records, and must not assign their
    /// offsets again (see `Bus::skip_to`). The embedded store returns the highest of all partitions, which is as safe.
    pub async fn highest_offset(&self, partition: u32) -> Result<Option<Offset>, StoreError> {
        self.read(HighestOffset { partition }).await
    }

    /// Deletes rooms that ended at least this long ago. At most 1,000 at a time; returns their number.
    pub async fn delete_ended_rooms(&self, older_than: Duration) -> Result<u64, StoreError> {
        self.write(DeleteEndedRooms { older_than }).await
    }
}

#[derive(FromRow)]
pub(crate) struct Columns {
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
    clock: i64,
    metadata: Option<String>,
    members: i64,
}

impl Columns {
    pub fn row(self) -> Result<RoomRow, StoreError> {
        let table = Table("rooms");
        let time = |time: Option<i64>| time.map(|time| table.number(time).map(Time)).transpose();
        Ok(RoomRow {
            id: RoomId(table.id(self.id)?),
            offset: table.number(self.offset)?,
            kind: table.kind(&self.kind)?,
            component: table.digest(self.component)?,
            status: RoomStatus::parse(&self.status)?,
            creator: self.creator.map(|room| table.id(room).map(RoomId)).transpose()?,
            created_at: Time(table.number(self.created_at)?),
            ended_at: time(self.ended_at)?,
            outcome: self.outcome.map(Json::trusted),
            next_timer_at: time(self.next_timer_at)?,
            clock: Time(table.number(self.clock)?),
            metadata: self.metadata.map(Json::trusted),
            members: table.number(self.members)?,
        })
    }
}

/// An update, with the hash of its snapshot's state.
pub(crate) type Hashed = (Option<Digest>, RoomUpdate);

pub(crate) struct WriteRooms {
    pub batch: Vec<Hashed>,
}

pub(crate) struct ReadSnapshot {
    pub room: RoomId,
}

/// offset, component, hash, state.
pub(crate) type SnapshotColumns = (i64, Vec<u8>, Vec<u8>, Vec<u8>);

pub(crate) fn snapshot(
    room: RoomId,
    (offset, component, hash, state): SnapshotColumns,
) -> Result<SnapshotRow, StoreError> {
    let table = Table("snapshots");
    let (component, hash) = (table.digest(component)?, table.digest(hash)?);
    if Digest::of(&state) != hash {
        return Err(table.malformed(format!("a state of room {room} that is not what was written")));
    }
    Ok(SnapshotRow { room, offset: table.number(offset)?, component, hash, state: state.into() })
}

pub(crate) struct ReadStored {
    pub room: RoomId,
}

/// The columns of its snapshot, and of its row the status.
pub(crate) type StoredColumns = (Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<String>);

pub(crate) fn stored(
    room: RoomId,
    (offset, component, hash, state, status): StoredColumns,
) -> Result<StoredRoom, StoreError> {
    if let (Some(offset), Some(component), Some(hash), Some(state)) = (offset, component, hash, state) {
        return snapshot(room, (offset, component, hash, state)).map(StoredRoom::Snapshot);
    }
    let status = status.as_deref().map(RoomStatus::parse).transpose()?;
    Ok(if status.is_some_and(|status| status != RoomStatus::Live) { StoredRoom::Ended } else { StoredRoom::Nothing })
}

pub(crate) struct ReadRoom {
    pub room: RoomId,
}

pub(crate) struct ListRooms {
    pub filter: RoomFilter,
    pub after: Option<(Time, RoomId)>,
    pub limit: u32,
}

impl ListRooms {
    /// Only the given conditions: "no kind, or this one" would keep the planner from using the index of kinds.
    pub fn query<DB: Database>(&self) -> QueryBuilder<DB>
    where
        DB::Arguments: Default,
        String: for<'q> Encode<'q, DB> + Type<DB>,
        Vec<u8>: for<'q> Encode<'q, DB> + Type<DB>,
        i64: for<'q> Encode<'q, DB> + Type<DB>,
    {
        let mut list = QueryBuilder::new("SELECT * FROM rooms WHERE true");
        if let Some(kind) = &self.filter.kind {
            list.push(" AND kind = ").push_bind(kind.as_str().to_owned());
        }
        if let Some(status) = self.filter.status {
            list.push(" AND status = ").push_bind(status.as_str().to_owned());
        }
        if let Some(component) = self.filter.other_than {
            list.push(" AND component <> ").push_bind(component.0.to_vec());
        }
        if let Some((time, room)) = self.after {
            list.push(" AND (created_at, id) < (").push_bind(number(time.0));
            list.push(", ").push_bind(id(room.0)).push(")");
        }
        list.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(self.limit));
        list
    }
}

pub(crate) struct CountRooms;

pub(crate) fn count((kind, status, count): (String, String, i64)) -> Result<(Kind, RoomStatus, u64), StoreError> {
    let table = Table("rooms");
    Ok((table.kind(&kind)?, RoomStatus::parse(&status)?, table.number(count)?))
}

pub(crate) struct Timers {
    pub partitions: Vec<u32>,
    pub after: Option<(Time, RoomId)>,
    pub limit: u32,
}

pub(crate) type TimerColumns = (i64, Vec<u8>, i64);

pub(crate) fn timer((time, room, clock): TimerColumns) -> Result<(Time, RoomId, Time), StoreError> {
    let table = Table("rooms");
    Ok((Time(table.number(time)?), RoomId(table.id(room)?), Time(table.number(clock)?)))
}

pub(crate) struct HighestOffset {
    pub partition: u32,
}

pub(crate) struct DeleteEndedRooms {
    pub older_than: Duration,
}
