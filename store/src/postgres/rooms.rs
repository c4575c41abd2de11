//! Rooms and snapshots of a cluster.
//!
//! A batch of updates is one statement, one round trip, regardless of its size. Two hosts may write the same rooms, if one of
//! them has not noticed its replacement: rows are always locked in the order of their ids, so the two never deadlock, and each
//! rule ("only a higher offset wins", "ended stays ended") is applied to the row as it is once the lock is held.

use std::collections::{BTreeMap, btree_map::Entry};

use chorus_core::{
    ids::{Digest, Kind, Offset, RoomId, Time},
    json::Json,
};
use sqlx::{Connection, PgConnection, postgres::PgDatabaseError};

use super::{Call, Failed, Postgres};
use crate::{
    RoomRow, RoomStatus, RoomUpdate, Snapshot, SnapshotRow, StoreError, StoredRoom,
    rooms::{
        Columns, CountRooms, DeleteEndedRooms, Hashed, HighestOffset, ListRooms, ReadRoom, ReadSnapshot, ReadStored,
        Timers, count, snapshot, stored, timer,
    },
    row::{Table, id, millis, number},
};

/// The most bytes of state in one statement, so that neither side has to hold hundreds of megabytes. A larger batch is a
/// transaction of several statements.
const MAX_STATEMENT_BYTES: usize = 16 * 1024 * 1024;

/// The code of the trigger that guards the snapshots.
const DIVERGED: &str = "CH001";

impl Postgres {
    pub async fn write_rooms(&self, batch: Vec<Hashed>) -> Result<(), StoreError> {
        let partitions = self.partitions().await?;
        self.call(&WriteAll { parts: split(fold(batch)?), partitions }).await
    }
}

/// Merges updates into one for each room, in the order of their ids: a statement cannot change a row twice. The result of two
/// updates is that of writing them one after the other.
fn fold(batch: Vec<Hashed>) -> Result<Vec<Hashed>, StoreError> {
    let mut folded: BTreeMap<RoomId, Hashed> = BTreeMap::new();
    for (hash, update) in batch {
        match folded.entry(update.row.id) {
            Entry::Vacant(first) => drop(first.insert((hash, update))),
            Entry::Occupied(mut earlier) => merge(earlier.get_mut(), hash, update)?,
        }
    }
    Ok(folded.into_values().collect())
}

fn merge(earlier: &mut Hashed, hash: Option<Digest>, later: RoomUpdate) -> Result<(), StoreError> {
    let (earlier_hash, earlier) = earlier;
    let offset = |snapshot: &Option<Snapshot>| snapshot.as_ref().map(|snapshot| snapshot.offset);
    let (before, after) = (offset(&earlier.snapshot), offset(&later.snapshot));
    if let Some(offset) = after.filter(|_| before == after && *earlier_hash != hash) {
        return Err(StoreError::Diverged { room: later.row.id, offset });
    }
    if after > before {
        (*earlier_hash, earlier.snapshot) = (hash, later.snapshot);
    }
    let reopens = earlier.row.status != RoomStatus::Live && later.row.status == RoomStatus::Live;
    if later.row.offset >= earlier.row.offset && !reopens {
        earlier.row = later.row;
    }
    Ok(())
}

fn split(batch: Vec<Hashed>) -> Vec<Vec<Hashed>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for (hash, update) in batch {
        let more = update.snapshot.as_ref().map_or(0, |snapshot| snapshot.state.len());
        bytes += more;
        if bytes > MAX_STATEMENT_BYTES {
            bytes = more;
            parts.push(Vec::new());
        }
        parts.last_mut().expect("there is always one").push((hash, update));
    }
    parts
}

struct WriteAll {
    parts: Vec<Vec<Hashed>>,
    partitions: u32,
}

impl Call for WriteAll {
    type Output = ();
    const ACTION: &'static str = "write rooms";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        if let [only] = self.parts.as_slice() {
            return write(only, self.partitions, db).await;
        }
        let mut all_or_nothing = db.begin().await?;
        for part in &self.parts {
            write(part, self.partitions, &mut all_or_nothing).await?;
        }
        Ok(all_or_nothing.commit().await?)
    }
}

/// `before` locks the existing rooms, in order; from then on they do not change, so `after` has their status even if this batch
/// is too old to change it. A room that another host has created since the statement began is found only by the insertion; if
/// it has also ended since, its snapshot stays until the room is deleted.
///
/// The same offset may be written again, with the same values or with more information (a component after a swap was refused):
/// the later write wins. An ended room stays ended. A snapshot of an equal offset is written only if it differs: then the
/// trigger refuses it, and with it the whole statement.
const WRITE: &str = r#"
WITH new AS MATERIALIZED (
    SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::text[], $7::bytea[],
                         $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::bigint[],
                         $14::bigint[], $15::bytea[], $16::bytea[], $17::bytea[], $18::bigint[])
    AS new (id, partition, "offset", kind, component, status, creator,
            created_at, ended_at, outcome, next_timer_at, metadata, members,
            snapshot_offset, snapshot_component, hash, state, clock)
), before AS MATERIALIZED (
    SELECT id, status FROM rooms WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
), written AS (
    INSERT INTO rooms (id, partition, "offset", kind, component, status, creator,
                       created_at, ended_at, outcome, next_timer_at, metadata, members, clock)
    SELECT new.id, new.partition, new."offset", new.kind, new.component, new.status, new.creator,
           new.created_at, new.ended_at, new.outcome, new.next_timer_at, new.metadata, new.members, new.clock
    FROM new LEFT JOIN before ON before.id = new.id ORDER BY new.id
    ON CONFLICT (id) DO UPDATE SET
        "offset" = excluded."offset", component = excluded.component, status = excluded.status,
        ended_at = excluded.ended_at, outcome = excluded.outcome, next_timer_at = excluded.next_timer_at,
        metadata = excluded.metadata, members = excluded.members, clock = excluded.clock
    WHERE rooms."offset" <= excluded."offset" AND (rooms.status = 'live' OR excluded.status <> 'live')
    RETURNING id, status
), after AS (
    SELECT new.id, coalesce(written.status, before.status, 'live') AS status
    FROM new LEFT JOIN written ON written.id = new.id LEFT JOIN before ON before.id = new.id
), deleted AS (
    DELETE FROM snapshots USING after WHERE snapshots.room = after.id AND after.status <> 'live'
)
INSERT INTO snapshots (room, "offset", component, hash, state)
SELECT new.id, new.snapshot_offset, new.snapshot_component, new.hash, new.state
FROM new JOIN after ON after.id = new.id WHERE after.status = 'live' AND new.state IS NOT NULL ORDER BY new.id
ON CONFLICT (room) DO UPDATE SET
    "offset" = excluded."offset", component = excluded.component, hash = excluded.hash, state = excluded.state
WHERE snapshots."offset" < excluded."offset"
   OR (snapshots."offset" = excluded."offset" AND snapshots.hash <> excluded.hash)
"#;

async fn write(batch: &[Hashed], partitions: u32, db: &mut PgConnection) -> Result<(), Failed> {
    // Arrays of values rather than iterators over `batch`: sqlx requires whole arrays.
    fn each<T>(batch: &[Hashed], column: impl Fn(&RoomRow) -> T) -> Vec<T> {
        batch.iter().map(|(_, update)| column(&update.row)).collect()
    }
    fn of_snapshot<T>(batch: &[Hashed], column: impl Fn(&Snapshot) -> T) -> Vec<Option<T>> {
        batch.iter().map(|(_, update)| update.snapshot.as_ref().map(&column)).collect()
    }
    let hashes: Vec<_> = batch.iter().map(|(hash, _)| hash.map(|hash| hash.0.to_vec())).collect();
    let written = sqlx::query(WRITE)
        .bind(each(batch, |row| id(row.id.0)))
        .bind(each(batch, |row| i64::from(row.id.partition(partitions))))
        .bind(each(batch, |row| number(row.offset)))
        .bind(each(batch, |row| row.kind.as_str().to_owned()))
        .bind(each(batch, |row| row.component.0.to_vec()))
        .bind(each(batch, |row| row.status.as_str()))
        .bind(each(batch, |row| row.creator.map(|room| id(room.0))))
        .bind(each(batch, |row| number(row.created_at.0)))
        .bind(each(batch, |row| row.ended_at.map(|time| number(time.0))))
        .bind(each(batch, |row| row.outcome.as_ref().map(|json| Json::as_str(json).to_owned())))
        .bind(each(batch, |row| row.next_timer_at.map(|time| number(time.0))))
        .bind(each(batch, |row| row.metadata.as_ref().map(|json| Json::as_str(json).to_owned())))
        .bind(each(batch, |row| i64::from(row.members)))
        .bind(of_snapshot(batch, |snapshot| number(snapshot.offset)))
        .bind(of_snapshot(batch, |snapshot| snapshot.component.0.to_vec()))
        .bind(hashes)
        .bind(of_snapshot(batch, |snapshot| snapshot.state.to_vec()))
        .bind(each(batch, |row| number(row.clock.0)))
        .execute(db)
        .await;
    written.map(drop).map_err(|error| diverged(&error).map_or(Failed::Database(error), Failed::Store))
}

/// The room and offset that the trigger has refused: its detail is "room offset".
fn diverged(error: &sqlx::Error) -> Option<StoreError> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let (room, offset) = error.detail().filter(|_| error.code() == DIVERGED)?.split_once(' ')?;
    Some(StoreError::Diverged { room: room.parse().ok()?, offset: offset.parse().ok()? })
}

impl Call for ReadSnapshot {
    type Output = Option<SnapshotRow>;
    const ACTION: &'static str = "read a snapshot";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<SnapshotRow>, Failed> {
        let newest = r#"SELECT "offset", component, hash, state FROM snapshots WHERE room = $1"#;
        let found = sqlx::query_as(newest).bind(id(self.room.0)).fetch_optional(db).await?;
        Ok(found.map(|columns| snapshot(self.room, columns)).transpose()?)
    }
}

impl Call for ReadStored {
    type Output = StoredRoom;
    const ACTION: &'static str = "read a room to restore it";

    async fn call(&self, db: &mut PgConnection) -> Result<StoredRoom, Failed> {
        let both = r#"SELECT "offset", component, hash, state, (SELECT status FROM rooms WHERE id = $1)
                      FROM (SELECT) AS one LEFT JOIN snapshots ON room = $1"#;
        let found = sqlx::query_as(both).bind(id(self.room.0)).fetch_one(db).await?;
        Ok(stored(self.room, found)?)
    }
}

impl Call for ReadRoom {
    type Output = Option<RoomRow>;
    const ACTION: &'static str = "read a room";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<RoomRow>, Failed> {
        let found = sqlx::query_as::<_, Columns>("SELECT * FROM rooms WHERE id = $1").bind(id(self.room.0));
        Ok(found.fetch_optional(db).await?.map(Columns::row).transpose()?)
    }
}

impl Call for ListRooms {
    type Output = Vec<RoomRow>;
    const ACTION: &'static str = "list rooms";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<RoomRow>, Failed> {
        let found: Vec<Columns> = self.query::<sqlx::Postgres>().build_query_as().fetch_all(db).await?;
        Ok(found.into_iter().map(Columns::row).collect::<Result<_, _>>()?)
    }
}

impl Call for CountRooms {
    type Output = Vec<(Kind, RoomStatus, u64)>;
    const ACTION: &'static str = "count rooms";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let counts = "SELECT kind, status, count(*) FROM rooms GROUP BY kind, status ORDER BY kind, status";
        let counts: Vec<_> = sqlx::query_as(counts).fetch_all(db).await?;
        Ok(counts.into_iter().map(count).collect::<Result<_, _>>()?)
    }
}

impl Call for Timers {
    type Output = Vec<(Time, RoomId, Time)>;
    const ACTION: &'static str = "list timers";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let by_time = "SELECT next_timer_at, id, clock FROM rooms
                       WHERE partition = ANY ($1) AND next_timer_at IS NOT NULL AND (next_timer_at, id) > ($2, $3)
                       ORDER BY next_timer_at, id LIMIT $4";
        let partitions: Vec<i64> = self.partitions.iter().copied().map(i64::from).collect();
        let (time, room) = self.after.map_or((-1, Vec::new()), |(time, room)| (number(time.0), id(room.0)));
        let found = sqlx::query_as(by_time).bind(partitions).bind(time).bind(room).bind(i64::from(self.limit));
        let found: Vec<_> = found.fetch_all(db).await?;
        Ok(found.into_iter().map(timer).collect::<Result<_, _>>()?)
    }
}

impl Call for HighestOffset {
    type Output = Option<Offset>;
    const ACTION: &'static str = "read the highest offset";

    /// No snapshot has a higher offset than its room's row.
    async fn call(&self, db: &mut PgConnection) -> Result<Option<Offset>, Failed> {
        let highest = r#"SELECT max("offset") FROM rooms WHERE partition = $1"#;
        let highest = sqlx::query_scalar::<_, Option<i64>>(highest).bind(i64::from(self.partition));
        Ok(highest.fetch_one(db).await?.map(|offset| Table("rooms").number(offset)).transpose()?)
    }
}

impl Call for DeleteEndedRooms {
    type Output = u64;
    const ACTION: &'static str = "delete ended rooms";

    async fn call(&self, db: &mut PgConnection) -> Result<u64, Failed> {
        let delete = "WITH deleted AS (
                          DELETE FROM rooms WHERE id IN (
                              SELECT id FROM rooms WHERE status <> 'live'
                              AND ended_at <= (extract(epoch FROM now()) * 1000)::bigint - $1
                              ORDER BY ended_at LIMIT 1000)
                          RETURNING id),
                      leftover AS (DELETE FROM snapshots USING deleted WHERE snapshots.room = deleted.id)
                      SELECT count(*) FROM deleted";
        let deleted = sqlx::query_scalar::<_, i64>(delete).bind(millis(self.older_than)).fetch_one(db).await?;
        Ok(Table("rooms").number(deleted)?)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ROOM: RoomId = RoomId(1);

    fn update(offset: Offset, status: RoomStatus, state: Option<&'static str>) -> Hashed {
        let component = Digest::of(b"component");
        let row = RoomRow {
            id: ROOM,
            offset,
            kind: Kind::lobby(),
            component,
            status,
            creator: None,
            created_at: Time(0),
            ended_at: None,
            outcome: None,
            next_timer_at: None,
            clock: Time(0),
            metadata: None,
            members: 0,
        };
        let snapshot = state.map(|state| Snapshot { offset, component, state: Bytes::from(state) });
        (state.map(|state| Digest::of(state.as_bytes())), RoomUpdate { row, snapshot })
    }

    fn folded(batch: Vec<Hashed>) -> (Offset, RoomStatus, Option<Offset>) {
        let folded = fold(batch).expect("nothing diverged");
        let [(_, update)] = folded.as_slice() else { panic!("one room, one update") };
        (update.row.offset, update.row.status, update.snapshot.as_ref().map(|snapshot| snapshot.offset))
    }

    #[test]
    fn of_two_updates_the_higher_one_stands_and_the_snapshot_is_kept() {
        use RoomStatus::Live;
        assert_eq!(folded(vec![update(1, Live, Some("a")), update(2, Live, None)]), (2, Live, Some(1)));
        assert_eq!(folded(vec![update(2, Live, None), update(1, Live, Some("a"))]), (2, Live, Some(1)));
        assert_eq!(folded(vec![update(1, Live, Some("a")), update(2, Live, Some("b"))]), (2, Live, Some(2)));
    }

    #[test]
    fn an_ended_room_stays_ended() {
        use RoomStatus::{Ended, Live};
        assert_eq!(folded(vec![update(1, Ended, None), update(2, Live, None)]), (1, Ended, None));
        assert_eq!(folded(vec![update(1, Live, None), update(1, Ended, None)]), (1, Ended, None));
    }

    #[test]
    fn two_states_at_one_offset_are_named() {
        use RoomStatus::Live;
        let equal = vec![update(3, Live, Some("a")), update(3, Live, Some("a"))];
        assert_eq!(folded(equal), (3, Live, Some(3)));
        let other = fold(vec![update(3, Live, Some("a")), update(3, Live, Some("b"))]);
        assert!(matches!(other, Err(StoreError::Diverged { room: ROOM, offset: 3 })), "{other:?}");
    }

    #[test]
    fn a_batch_of_large_states_is_cut() {
        let large = || {
            let (hash, mut update) = update(1, RoomStatus::Live, Some(""));
            let state = Bytes::from(vec![0; MAX_STATEMENT_BYTES / 2 + 1]);
            update.snapshot = update.snapshot.map(|snapshot| Snapshot { state, ..snapshot });
            (hash, update)
        };
        assert_eq!(split(vec![large(), large(), large()]).len(), 3);
        assert_eq!(split(vec![update(1, RoomStatus::Live, Some("a")); 3]).len(), 1);
    }
}
