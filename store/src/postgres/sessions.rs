//! Sessions and memberships of a cluster.
//!
//! Two edges may have one session at a time (a client that resumes before its old edge has noticed the loss of its connection).
//! The session's row decides: a resume writes its edge there, and a join locks the row while it checks that its own edge is
//! still the one there. So either the join is first, and the resume includes that room, or the join is refused.

use chorus_core::{
    identity::{Identity, Known},
    ids::{MachineId, RoomId, SessionId},
};
use sqlx::PgConnection;

use super::{Call, Failed};
use crate::{
    Resumed, SessionRow,
    row::{id, millis},
    sessions::{
        Confirm, Disconnected, EXPIRE_AT_ONCE, EdgeOf, End, Expire, ExpireOne, Expired, Find, Join, Kick, KnownColumns,
        Leave, Move, OfEdge, Open, Renew, Resume, ResumedColumns, by_session, expired, known, resumed, rooms_of,
        token_columns,
    },
};

impl Call for Open {
    type Output = ();
    const ACTION: &'static str = "open a session";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        // The foreign key of a membership is checked at the end of the statement.
        let open =
            "WITH opened AS (INSERT INTO sessions
                                        (id, player, name, edge, resume_hash, claims, token_expires_at, token_id, guest, address)
                                    VALUES ($1, $2, $3, $4, $5, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING)
                    INSERT INTO memberships (session, room, position) VALUES ($1, $6, 1)
                    ON CONFLICT (session, room) DO NOTHING";
        let SessionRow { id: session, identity, edge, resume_hash, address } = &self.session;
        let Identity { player, claims, expires, token_id, guest } = identity;
        let (claims, expires) = token_columns(claims, *expires);
        sqlx::query(open)
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
            .await?;
        Ok(())
    }
}

impl Call for Resume {
    type Output = Option<Resumed>;
    const ACTION: &'static str = "resume a session";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<Resumed>, Failed> {
        let changed = self.by.identity.as_ref();
        let (claims, expires) =
            changed.map_or((None, None), |identity| token_columns(&identity.claims, identity.expires));
        // Every expression to the right of a `=` has the old values. The first case of each is a repetition of this call: it
        // has the same result, though the session is at this edge already.
        let take = "UPDATE sessions SET
                        replaced_edge = CASE WHEN resume_hash = $2 AND edge = $3 THEN replaced_edge
                                             WHEN edge <> $3 AND disconnected_at IS NULL THEN edge END,
                        overtaken_hash = CASE WHEN resume_hash = $2 THEN overtaken_hash
                                              WHEN previous_hash = $1 THEN resume_hash END,
                        previous_hash = $1, resume_hash = $2, edge = $3, disconnected_at = NULL, silent = false,
                        player = CASE WHEN $5 THEN $6 ELSE player END, name = CASE WHEN $5 THEN $7 ELSE name END,
                        claims = CASE WHEN $5 THEN $8 ELSE claims END,
                        token_expires_at = CASE WHEN $5 THEN $9 ELSE token_expires_at END,
                        token_id = CASE WHEN $5 THEN $10 ELSE token_id END, guest = CASE WHEN $5 THEN $11 ELSE guest END,
                        address = $12, updated_at = now()
                    WHERE (resume_hash = $1 OR previous_hash = $1 OR overtaken_hash = $1) AND NOT expired AND kicked IS NULL
                        AND (resume_hash = $2 OR player = $4)
                    RETURNING id, player, name, claims, token_expires_at, token_id, guest, replaced_edge";
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
        let Some(found) = take.fetch_optional(&mut *db).await? else { return Ok(None) };
        // A statement of its own: it sees the joins that were made while the one above waited for the row. No other edge can
        // add a join from here on.
        let rooms = "SELECT room FROM memberships WHERE session = $1 ORDER BY position, room";
        let rooms = sqlx::query_scalar(rooms).bind(found.id.clone()).fetch_all(db).await?;
        Ok(Some(resumed(found, rooms)?))
    }
}

impl Call for Confirm {
    type Output = ();
    const ACTION: &'static str = "confirm a resume";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let confirm = "UPDATE sessions SET previous_hash = NULL, overtaken_hash = NULL
                       WHERE id = $1 AND resume_hash = $2 AND previous_hash IS NOT NULL";
        sqlx::query(confirm).bind(id(self.session.0)).bind(self.resume_hash.as_slice()).execute(db).await?;
        Ok(())
    }
}

impl Call for Renew {
    type Output = ();
    const ACTION: &'static str = "renew a session";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let renew = "UPDATE sessions SET claims = $3, token_expires_at = $4, token_id = $5
                     WHERE id = $1 AND edge = $2 AND (token_expires_at IS NULL OR token_expires_at <= $4)";
        let (claims, expires) = token_columns(&self.claims, Some(self.expires));
        let renew = sqlx::query(renew).bind(id(self.session.0)).bind(self.edge.0.as_ref()).bind(claims).bind(expires);
        let renew = renew.bind(self.token_id.as_deref());
        renew.execute(db).await?;
        Ok(())
    }
}

impl Call for Join {
    type Output = bool;
    const ACTION: &'static str = "join a room";

    async fn call(&self, db: &mut PgConnection) -> Result<bool, Failed> {
        let join = "WITH here AS MATERIALIZED (
                        SELECT id FROM sessions WHERE id = $1 AND edge = $3 AND NOT expired AND kicked IS NULL
                        FOR NO KEY UPDATE),
                    joined AS (
                        INSERT INTO memberships (session, room, position)
                        SELECT id, $2, 1 + coalesce((SELECT max(position) FROM memberships WHERE session = $1), 0)
                        FROM here ON CONFLICT (session, room) DO NOTHING)
                    SELECT EXISTS (SELECT 1 FROM here)";
        let join = sqlx::query_scalar(join).bind(id(self.session.0)).bind(id(self.room.0));
        Ok(join.bind(self.edge.0.as_ref()).fetch_one(db).await?)
    }
}

impl Call for Move {
    type Output = bool;
    const ACTION: &'static str = "move to a room";

    async fn call(&self, db: &mut PgConnection) -> Result<bool, Failed> {
        // All parts of a statement see the tables as they were before it, so a room that is left and joined is only joined.
        let moves = "WITH here AS MATERIALIZED (
                         SELECT id, NOT expired AND kicked IS NULL AS lives FROM sessions WHERE id = $1 AND edge = $4
                         FOR NO KEY UPDATE),
                     gone AS (
                         DELETE FROM memberships USING here WHERE session = here.id AND room = $2 AND $2 <> $3),
                     joined AS (
                         INSERT INTO memberships (session, room, position)
                         SELECT id, $3, 1 + coalesce((SELECT max(position) FROM memberships WHERE session = $1), 0)
                         FROM here WHERE lives ON CONFLICT (session, room) DO UPDATE
                         SET position = excluded.position WHERE $2 = $3)
                     SELECT EXISTS (SELECT 1 FROM here WHERE lives)";
        let moves = sqlx::query_scalar(moves).bind(id(self.session.0)).bind(id(self.left.0)).bind(id(self.room.0));
        Ok(moves.bind(self.edge.0.as_ref()).fetch_one(db).await?)
    }
}

impl Call for Leave {
    type Output = ();
    const ACTION: &'static str = "leave a room";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let leave = "WITH here AS MATERIALIZED (
                         SELECT id FROM sessions WHERE id = $1 AND edge = $3 FOR NO KEY UPDATE)
                     DELETE FROM memberships USING here WHERE session = here.id AND room = $2";
        let leave = sqlx::query(leave).bind(id(self.session.0)).bind(id(self.room.0));
        leave.bind(self.edge.0.as_ref()).execute(db).await?;
        Ok(())
    }
}

impl Call for Disconnected {
    type Output = ();
    const ACTION: &'static str = "record a disconnection";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let gone = "UPDATE sessions SET disconnected_at = now(), silent = $3, updated_at = now()
                    WHERE id = $1 AND edge = $2 AND disconnected_at IS NULL";
        let gone = sqlx::query(gone).bind(id(self.session.0)).bind(self.edge.0.as_ref()).bind(self.silent);
        gone.execute(db).await?;
        Ok(())
    }
}

impl Call for End {
    type Output = ();
    const ACTION: &'static str = "end a session";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        sqlx::query("DELETE FROM sessions WHERE id = $1").bind(id(self.session.0)).execute(db).await?;
        Ok(())
    }
}

impl Call for Kick {
    type Output = Vec<RoomId>;
    const ACTION: &'static str = "end a session that was kicked";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<RoomId>, Failed> {
        // Its time to expire starts now, even if its connection still exists. The reason is kept for the full time.
        let kick =
            "UPDATE sessions SET kicked = $2, silent = false, disconnected_at = coalesce(disconnected_at, now()),
                        updated_at = now()
                    WHERE id = $1 AND kicked IS NULL";
        sqlx::query(kick).bind(id(self.session.0)).bind(self.reason.as_ref()).execute(&mut *db).await?;
        // A statement of its own: it sees the joins that were made while the one above waited for the row. Later joins are
        // refused.
        let rooms = "SELECT room FROM memberships WHERE session = $1 ORDER BY position, room";
        let rooms = sqlx::query_scalar(rooms).bind(id(self.session.0)).fetch_all(db).await?;
        Ok(rooms_of(rooms)?)
    }
}

impl Call for ExpireOne {
    type Output = Vec<RoomId>;
    const ACTION: &'static str = "expire a session";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<RoomId>, Failed> {
        let expire = "UPDATE sessions SET expired = true, logged_out = true, disconnected_at = coalesce(disconnected_at, now()) WHERE id = $1";
        sqlx::query(expire).bind(id(self.session.0)).execute(&mut *db).await?;
        // A statement of its own, as in a kick.
        let rooms = "SELECT room FROM memberships WHERE session = $1 ORDER BY position, room";
        let rooms = sqlx::query_scalar(rooms).bind(id(self.session.0)).fetch_all(db).await?;
        Ok(rooms_of(rooms)?)
    }
}

impl Call for Find {
    type Output = Option<Known>;
    const ACTION: &'static str = "find a session";

    async fn call(&self, db: &mut PgConnection) -> Result<Option<Known>, Failed> {
        let find = "SELECT player, name, claims, token_expires_at, token_id, guest, kicked FROM sessions
                    WHERE (resume_hash = $1 OR previous_hash = $1 OR overtaken_hash = $1) AND (NOT expired OR kicked IS NOT NULL)";
        let found =
            sqlx::query_as::<_, KnownColumns>(find).bind(self.resume_hash.as_slice()).fetch_optional(db).await?;
        Ok(known(found)?)
    }
}

/// The difference between a process's clock and the database's that is not a leap: one is read, and both run.
const CLOCKS_DIFFER_MS: u64 = 60_000;

/// At most `$2` of the sessions `$only` (each condition with its `AND`) that were disconnected `$1` ms ago or earlier.
macro_rules! expire {
    ($only:literal) => {
        concat!(
            "WITH since AS (SELECT least(now(), to_timestamp($3 / 1000.0)) - $1 * interval '1 ms' AS since)
             UPDATE sessions SET expired = true WHERE ",
            $only,
            "disconnected_at <= (SELECT since FROM since) AND id IN (SELECT id FROM sessions WHERE ",
            $only,
            "disconnected_at <= (SELECT since FROM since) ORDER BY disconnected_at LIMIT $2)"
        )
    };
}

impl Call for Expire {
    type Output = Vec<Expired>;
    const ACTION: &'static str = "expire sessions";

    /// If interrupted, the sessions have expired and are returned by the next call.
    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        // The age is checked again where the row is changed, as the session may have resumed meanwhile. It has passed by the
        // database's clock and by this process's, so that a leap of either does not expire all sessions at once.
        for (statement, older_than) in
            [(expire!(""), self.older_than), (expire!("silent AND "), self.silent_older_than)]
        {
            let statement = sqlx::query(statement).bind(millis(older_than) as f64).bind(i64::from(EXPIRE_AT_ONCE));
            let statement = statement.bind(self.now.plus(CLOCKS_DIFFER_MS).0 as f64);
            statement.execute(&mut *db).await?;
        }
        let rows = "SELECT id, kicked, logged_out, room FROM (
                           SELECT id, kicked IS NOT NULL AS kicked, logged_out FROM sessions
                           WHERE expired ORDER BY disconnected_at LIMIT $1
                       ) AS expired LEFT JOIN memberships ON session = id ORDER BY id, position, room";
        let rows = sqlx::query_as(rows).bind(i64::from(EXPIRE_AT_ONCE)).fetch_all(db).await?;
        Ok(expired(rows)?)
    }
}

impl Call for OfEdge {
    type Output = Vec<(SessionId, Vec<RoomId>)>;
    const ACTION: &'static str = "read an edge's sessions";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let of_edge = "SELECT id, room FROM (
                           SELECT id FROM sessions WHERE edge = $1 AND id > $2 ORDER BY id LIMIT $3
                       ) AS of_edge LEFT JOIN memberships ON session = id ORDER BY id, position, room";
        // The empty byte string sorts before every id.
        let after = self.after.map_or(Vec::new(), |session| id(session.0));
        let rows = sqlx::query_as(of_edge).bind(self.edge.0.as_ref()).bind(after).bind(i64::from(self.limit));
        Ok(by_session(rows.fetch_all(db).await?)?)
    }
}

impl Call for EdgeOf {
    type Output = Option<(MachineId, bool)>;
    const ACTION: &'static str = "read a session";

    async fn call(&self, db: &mut PgConnection) -> Result<Self::Output, Failed> {
        let edge = "SELECT edge, disconnected_at IS NULL FROM sessions WHERE id = $1 AND NOT expired";
        let found = sqlx::query_as::<_, (String, bool)>(edge).bind(id(self.session.0)).fetch_optional(db).await?;
        Ok(found.map(|(edge, connected)| (MachineId(edge.into()), connected)))
    }
}
