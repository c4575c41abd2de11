//! Sessions and memberships, embedded.

use chorus_core::{
    identity::{Identity, Known},
    ids::{MachineId, RoomId, SessionId},
};
use sqlx::SqliteConnection;

use super::{Read, Write, now};
use crate::{
    Resumed, SessionRow, StoreError,
    row::{id, millis},
    sessions::{
        Confirm, Disconnected, EXPIRE_AT_ONCE, EdgeOf, End, Expire, ExpireOne, Expired, Find, Join, Kick, KnownColumns,
        Leave, Move, OfEdge, Open, Renew, Resume, ResumedColumns, by_session, expired, known, resumed, rooms_of,
        token_columns,
    },
};

impl Write for Open {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let open = "INSERT INTO sessions (id, player, name, edge, resume_hash, claims, token_expires_at, token_id, guest, address)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?7, ?8, ?9, ?10, ?11)
                    ON CONFLICT (id) DO NOTHING;
                    INSERT INTO memberships (session, room, position) VALUES (?1, ?6, 1)
                    ON CONFLICT (session, room) DO NOTHING";
        let SessionRow { id: session, identity, edge, resume_hash, address } = &self.session;
        let Identity { player, claims, expires, token_id, guest } = identity;
        let (claims, expires) = token_columns(claims, *expires);
        let opened = sqlx::query(open)
            .bind(id(session.0))
            .bind(player.id.as_ref())
            .bind(player.name.as_ref())
            .bind(edge.0.as_ref())
            .bind(resume_hash.as_slice())
            .bind(id(self.first_room.0))
            .bind(claims)
            .bind(expires)
            .bind(token_id.as_deref())
            .bind(guest.as_deref())
            .bind(address.map(|network| network.to_string()))
            .execute(db)
            .await;
        opened.map(drop).map_err(StoreError::at("open a session"))
    }
}

impl Write for Resume {
    type Output = Option<Resumed>;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Option<Resumed>, StoreError> {
        let at = StoreError::at("resume a session");
        let changed = self.by.identity.as_ref();
        let (claims, expires) =
            changed.map_or((None, None), |identity| token_columns(&identity.claims, identity.expires));
        // Every expression to the right of a `=` has the old values. The first case of each is a repetition of this call: it
        // has the same result, though the session is at this edge already.
        let take = concat!(
            "UPDATE sessions SET
                 replaced_edge = CASE WHEN resume_hash = ?2 AND edge = ?3 THEN replaced_edge
                                      WHEN edge <> ?3 AND disconnected_at IS NULL THEN edge END,
                 overtaken_hash = CASE WHEN resume_hash = ?2 THEN overtaken_hash
                                       WHEN previous_hash = ?1 THEN resume_hash END,
                 previous_hash = ?1, resume_hash = ?2, edge = ?3, disconnected_at = NULL, silent = 0,
                 player = CASE WHEN ?5 THEN ?6 ELSE player END, name = CASE WHEN ?5 THEN ?7 ELSE name END,
                 claims = CASE WHEN ?5 THEN ?8 ELSE claims END,
                 token_expires_at = CASE WHEN ?5 THEN ?9 ELSE token_expires_at END,
                 token_id = CASE WHEN ?5 THEN ?10 ELSE token_id END, guest = CASE WHEN ?5 THEN ?11 ELSE guest END,
                 address = ?12, updated_at = ",
            now!(),
            " WHERE (resume_hash = ?1 OR previous_hash = ?1 OR overtaken_hash = ?1) AND expired = 0 AND kicked IS NULL
                 AND (resume_hash = ?2 OR player = ?4)
              RETURNING id, player, name, claims, token_expires_at, token_id, guest, replaced_edge"
        );
        let take = sqlx::query_as::<_, ResumedColumns>(take)
            .bind(self.resume_hash.as_slice())
            .bind(self.new_hash.as_slice())
            .bind(self.edge.0.as_ref())
            .bind(self.by.player.as_ref())
            .bind(changed.is_some())
            .bind(changed.map(|identity| identity.player.id.as_ref()))
            .bind(changed.map(|identity| identity.player.name.as_ref()))
            .bind(claims)
            .bind(expires)
            .bind(changed.and_then(|identity| identity.token_id.as_deref()))
            .bind(changed.and_then(|identity| identity.guest.as_deref()))
            .bind(self.by.address.map(|network| network.to_string()));
        let Some(found) = take.fetch_optional(&mut *db).await.map_err(&at)? else { return Ok(None) };
        let rooms = "SELECT room FROM memberships WHERE session = ?1 ORDER BY position";
        let rooms = sqlx::query_scalar(rooms).bind(found.id.clone()).fetch_all(db).await.map_err(&at)?;
        resumed(found, rooms).map(Some)
    }
}

impl Write for Confirm {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let confirm = "UPDATE sessions SET previous_hash = NULL, overtaken_hash = NULL
                       WHERE id = ?1 AND resume_hash = ?2 AND previous_hash IS NOT NULL";
        let confirmed =
            sqlx::query(confirm).bind(id(self.session.0)).bind(self.resume_hash.as_slice()).execute(db).await;
        confirmed.map(drop).map_err(StoreError::at("confirm a resume"))
    }
}

impl Write for Renew {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let renew = "UPDATE sessions SET claims = ?3, token_expires_at = ?4, token_id = ?5
                     WHERE id = ?1 AND edge = ?2 AND (token_expires_at IS NULL OR token_expires_at <= ?4)";
        let (claims, expires) = token_columns(&self.claims, Some(self.expires));
        let renew = sqlx::query(renew).bind(id(self.session.0)).bind(self.edge.0.as_ref()).bind(claims).bind(expires);
        let renew = renew.bind(self.token_id.as_deref());
        renew.execute(db).await.map(drop).map_err(StoreError::at("renew a session"))
    }
}

impl Write for Join {
    type Output = bool;
    const READS_CLOCK: bool = false;

    fn is_one_round_trip(&self) -> bool {
        true
    }

    async fn apply(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        // The update changes nothing: it makes an existing row count as affected.
        let join = "INSERT INTO memberships (session, room, position)
                    SELECT id, ?2, 1 + coalesce((SELECT max(position) FROM memberships WHERE session = ?1), 0)
                    FROM sessions WHERE id = ?1 AND edge = ?3 AND expired = 0 AND kicked IS NULL
                    ON CONFLICT (session, room) DO UPDATE SET position = position";
        let join = sqlx::query(join).bind(id(self.session.0)).bind(id(self.room.0)).bind(self.edge.0.as_ref());
        let joined = join.execute(db).await.map_err(StoreError::at("join a room"))?;
        Ok(joined.rows_affected() > 0)
    }
}

impl Write for Move {
    type Output = bool;
    const READS_CLOCK: bool = false;

    fn is_one_round_trip(&self) -> bool {
        true
    }

    async fn apply(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        let moves = "SAVEPOINT move;
                     DELETE FROM memberships WHERE session = ?1 AND room = ?2
                     AND EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND edge = ?4);
                     INSERT INTO memberships (session, room, position)
                     SELECT id, ?3, 1 + coalesce((SELECT max(position) FROM memberships WHERE session = ?1), 0)
                     FROM sessions WHERE id = ?1 AND edge = ?4 AND expired = 0 AND kicked IS NULL
                     ON CONFLICT (session, room) DO UPDATE SET position = position
                     RETURNING 1;
                     RELEASE move";
        let moves = sqlx::query_scalar::<_, i64>(moves).bind(id(self.session.0)).bind(id(self.left.0));
        let moves = moves.bind(id(self.room.0)).bind(self.edge.0.as_ref());
        let joined = moves.fetch_all(db).await.map_err(StoreError::at("move to a room"))?;
        Ok(!joined.is_empty())
    }
}

impl Write for Leave {
    type Output = ();
    const READS_CLOCK: bool = false;

    fn is_one_round_trip(&self) -> bool {
        true
    }

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let leave = "DELETE FROM memberships WHERE session = ?1 AND room = ?2
                     AND EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND edge = ?3)";
        let leave = sqlx::query(leave).bind(id(self.session.0)).bind(id(self.room.0)).bind(self.edge.0.as_ref());
        leave.execute(db).await.map(drop).map_err(StoreError::at("leave a room"))
    }
}

impl Write for Disconnected {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let gone = concat!(
            "UPDATE sessions SET silent = ?3, disconnected_at = ",
            now!(),
            ", updated_at = ",
            now!(),
            " WHERE id = ?1 AND edge = ?2 AND disconnected_at IS NULL"
        );
        let gone = sqlx::query(gone).bind(id(self.session.0)).bind(self.edge.0.as_ref()).bind(self.silent);
        gone.execute(db).await.map(drop).map_err(StoreError::at("record a disconnection"))
    }
}

impl Write for End {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let ended = sqlx::query("DELETE FROM sessions WHERE id = ?1").bind(id(self.session.0)).execute(db).await;
        ended.map(drop).map_err(StoreError::at("end a session"))
    }
}

impl Write for Kick {
    type Output = Vec<RoomId>;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Vec<RoomId>, StoreError> {
        let at = StoreError::at("end a session that was kicked");
        // Its time to expire starts now, even if its connection still exists. The reason is kept for the full time.
        let kick = concat!(
            "UPDATE sessions SET kicked = ?2, silent = 0, disconnected_at = coalesce(disconnected_at, ",
            now!(),
            "), updated_at = ",
            now!(),
            " WHERE id = ?1 AND kicked IS NULL"
        );
        let kick = sqlx::query(kick).bind(id(self.session.0)).bind(self.reason.as_ref());
        kick.execute(&mut *db).await.map_err(&at)?;
        let rooms = "SELECT room FROM memberships WHERE session = ?1 ORDER BY position";
        let rooms = sqlx::query_scalar(rooms).bind(id(self.session.0)).fetch_all(db).await.map_err(&at)?;
        rooms_of(rooms)
    }
}

impl Write for ExpireOne {
    type Output = Vec<RoomId>;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Vec<RoomId>, StoreError> {
        let at = StoreError::at("expire a session");
        let expire = concat!(
            "UPDATE sessions SET expired = 1, logged_out = 1, disconnected_at = coalesce(disconnected_at, ",
            now!(),
            ") WHERE id = ?1"
        );
        sqlx::query(expire).bind(id(self.session.0)).execute(&mut *db).await.map_err(&at)?;
        let rooms = "SELECT room FROM memberships WHERE session = ?1 ORDER BY position";
        let rooms = sqlx::query_scalar(rooms).bind(id(self.session.0)).fetch_all(db).await.map_err(&at)?;
        rooms_of(rooms)
    }
}

impl Read for Find {
    type Output = Option<Known>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Option<Known>, StoreError> {
        let find = "SELECT player, name, claims, token_expires_at, token_id, guest, kicked FROM sessions
                    WHERE (resume_hash = ?1 OR previous_hash = ?1 OR overtaken_hash = ?1) AND (expired = 0 OR kicked IS NOT NULL)";
        let found = sqlx::query_as::<_, KnownColumns>(find).bind(self.resume_hash.as_slice()).fetch_optional(db).await;
        known(found.map_err(StoreError::at("find a session"))?)
    }
}

/// At most `?2` of the sessions `$only` (each condition with its `AND`) that were disconnected `?1` ms ago or earlier.
macro_rules! expire {
    ($only:literal) => {
        concat!(
            "UPDATE sessions SET expired = 1 WHERE id IN (SELECT id FROM sessions WHERE ",
            $only,
            "disconnected_at <= ",
            now!(),
            " - ?1 ORDER BY disconnected_at LIMIT ?2)"
        )
    };
}

impl Write for Expire {
    type Output = Vec<Expired>;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let at = StoreError::at("expire sessions");
        for (statement, older_than) in
            [(expire!(""), self.older_than), (expire!("silent = 1 AND "), self.silent_older_than)]
        {
            let statement = sqlx::query(statement).bind(millis(older_than)).bind(EXPIRE_AT_ONCE);
            statement.execute(&mut *db).await.map_err(&at)?;
        }
        let rows = "SELECT id, kicked, logged_out, room FROM (
                           SELECT id, kicked IS NOT NULL AS kicked, logged_out FROM sessions
                           WHERE expired = 1 ORDER BY disconnected_at LIMIT ?1
                       ) LEFT JOIN memberships ON session = id ORDER BY id, position";
        let rows = sqlx::query_as(rows).bind(EXPIRE_AT_ONCE).fetch_all(db).await;
        expired(rows.map_err(&at)?)
    }
}

impl Read for OfEdge {
    type Output = Vec<(SessionId, Vec<RoomId>)>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let of_edge = "SELECT id, room FROM (
                           SELECT id FROM sessions WHERE edge = ?1 AND id > ?2 ORDER BY id LIMIT ?3
                       ) LEFT JOIN memberships ON session = id ORDER BY id, position";
        // The empty byte string sorts before every id.
        let after = self.after.map_or(Vec::new(), |session| id(session.0));
        let rows = sqlx::query_as(of_edge).bind(self.edge.0.as_ref()).bind(after).bind(self.limit).fetch_all(db).await;
        by_session(rows.map_err(StoreError::at("read an edge's sessions"))?)
    }
}

impl Read for EdgeOf {
    type Output = Option<(MachineId, bool)>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let edge = "SELECT edge, disconnected_at IS NULL FROM sessions WHERE id = ?1 AND expired = 0";
        let found = sqlx::query_as::<_, (String, bool)>(edge).bind(id(self.session.0)).fetch_optional(db).await;
        let found = found.map_err(StoreError::at("read a session"))?;
        Ok(found.map(|(edge, connected)| (MachineId(edge.into()), connected)))
    }
}
