//! Sessions and the rooms they are in. Edges write these *before* they tell a room, so that whoever resumes a session
//! finds every room that may have it.

use std::time::Duration;

use chorus_core::{
    command::Player,
    ids::{MachineId, RoomId, SessionId},
};
use sqlx::SqliteConnection;

use crate::{
    Store, StoreError,
    row::{From, id, number},
    writer::Write,
};

/// How many sessions [`Store::expire_sessions`] takes at a time.
const EXPIRE_AT_ONCE: u32 = 256;

/// A session to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub id: SessionId,
    pub player: Player,
    pub edge: MachineId,
    /// SHA-256 of its resume token.
    pub resume_hash: [u8; 32],
}

/// A session that has come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    pub session: SessionId,
    pub player: Player,
    /// In the order of joining. Perhaps one more than know of it: the edge may have died before it told the room.
    pub rooms: Vec<RoomId>,
    /// Where it was connected last; the same edge if it comes back to it.
    pub previous_edge: MachineId,
}

impl Store {
    /// Opens a session as a member of its first room.
    pub async fn open_session(&self, session: SessionRow, first_room: RoomId) -> Result<(), StoreError> {
        self.write(Open { session, first_room }).await
    }

    /// Takes a session to `edge`, if `resume_hash` is its token's; `new_hash` is the token's that is good from now on.
    /// `None`: no session has this token (it was used, or the session has ended).
    ///
    /// A token is good once. But the answer that carries the next one can be lost on its way, so the one that was used
    /// last stays good until [`Store::confirm_resume`], or until the one after it is used.
    pub async fn resume_session(
        &self,
        resume_hash: [u8; 32],
        new_hash: [u8; 32],
        edge: &MachineId,
    ) -> Result<Option<Resumed>, StoreError> {
        self.write(Resume { resume_hash, new_hash, edge: edge.clone() }).await
    }

    /// The client has shown that it has its current token (it sent something after its `welcome`): the one before it
    /// is good no longer.
    pub async fn confirm_resume(&self, session: SessionId) -> Result<(), StoreError> {
        self.write(Confirm { session }).await
    }

    /// The session is a member of `room`, as its latest one. Nothing changes if it already is, or has ended.
    pub async fn join_membership(&self, session: SessionId, room: RoomId) -> Result<(), StoreError> {
        self.write(Join { session, room }).await
    }

    /// The session is not a member of `room`.
    pub async fn leave_membership(&self, session: SessionId, room: RoomId) -> Result<(), StoreError> {
        self.write(Leave { session, room }).await
    }

    /// The session's connection to `edge` is gone. Nothing changes if it has come back by another edge.
    pub async fn session_disconnected(&self, session: SessionId, edge: &MachineId) -> Result<(), StoreError> {
        self.write(Disconnected { session, edge: edge.clone() }).await
    }

    /// The session has ended: nobody can resume it, and it is in no room.
    pub async fn end_session(&self, session: SessionId) -> Result<(), StoreError> {
        self.write(End { session }).await
    }

    /// Ends sessions that have been disconnected for at least this long, and returns them with the rooms that they were
    /// in. At most 256: when there are that many, ask again.
    pub async fn expire_sessions(&self, older_than: Duration) -> Result<Vec<(SessionId, Vec<RoomId>)>, StoreError> {
        self.write(Expire { older_than }).await
    }

    /// The sessions of an edge, with their rooms in the order of joining: for a dead edge, who is to be dropped where.
    pub async fn sessions_of_edge(&self, edge: &MachineId) -> Result<Vec<(SessionId, Vec<RoomId>)>, StoreError> {
        let of_edge = "SELECT id, room FROM sessions LEFT JOIN memberships ON session = id
                       WHERE edge = ?1 ORDER BY id, position";
        let rows = sqlx::query_as(of_edge).bind(edge.0.as_ref()).fetch_all(self.readers()).await;
        by_session(rows.map_err(StoreError::at("read an edge's sessions"))?)
    }
}

/// Rows that are in order of sessions, one list for each. A session without rooms has one row without a room.
fn by_session(rows: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<Vec<(SessionId, Vec<RoomId>)>, StoreError> {
    let mut sessions: Vec<(SessionId, Vec<RoomId>)> = Vec::new();
    for (session, room) in rows {
        let session = SessionId(From("sessions").id(session)?);
        if sessions.last().is_none_or(|(last, _)| *last != session) {
            sessions.push((session, Vec::new()));
        }
        if let Some(room) = room {
            let (_, rooms) = sessions.last_mut().expect("pushed above");
            rooms.push(RoomId(From("memberships").id(room)?));
        }
    }
    Ok(sessions)
}

struct Open {
    session: SessionRow,
    first_room: RoomId,
}

impl Write for Open {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let open = "INSERT INTO sessions (id, player, name, edge, resume_hash) VALUES (?1, ?2, ?3, ?4, ?5)
                    ON CONFLICT (id) DO NOTHING;
                    INSERT INTO memberships (session, room, position) VALUES (?1, ?6, 1)
                    ON CONFLICT (session, room) DO NOTHING";
        let SessionRow { id: session, player, edge, resume_hash } = &self.session;
        let opened = sqlx::query(open)
            .bind(id(session.0))
            .bind(player.id.as_ref())
            .bind(player.name.as_ref())
            .bind(edge.0.as_ref())
            .bind(resume_hash.as_slice())
            .bind(id(self.first_room.0))
            .execute(db)
            .await;
        opened.map(drop).map_err(StoreError::at("open a session"))
    }
}

struct Resume {
    resume_hash: [u8; 32],
    new_hash: [u8; 32],
    edge: MachineId,
}

impl Write for Resume {
    type Output = Option<Resumed>;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Option<Resumed>, StoreError> {
        let at = StoreError::at("resume a session");
        let find = "SELECT id, player, name, edge FROM sessions WHERE resume_hash = ?1 OR previous_hash = ?1";
        let found = sqlx::query_as(find).bind(self.resume_hash.as_slice()).fetch_optional(&mut *db).await;
        let Some((session, player, name, edge)) = found.map_err(&at)? else { return Ok(None) };
        let (session, player, name, edge): (Vec<u8>, String, String, String) = (session, player, name, edge);

        let take = "UPDATE sessions SET previous_hash = ?2, resume_hash = ?3, edge = ?4, disconnected_at = NULL,
                    updated_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id = ?1";
        let take = sqlx::query(take)
            .bind(session.clone())
            .bind(self.resume_hash.as_slice())
            .bind(self.new_hash.as_slice())
            .bind(self.edge.0.as_ref());
        take.execute(&mut *db).await.map_err(&at)?;

        let rooms = "SELECT room FROM memberships WHERE session = ?1 ORDER BY position";
        let rooms = sqlx::query_scalar::<_, Vec<u8>>(rooms).bind(session.clone()).fetch_all(db).await.map_err(&at)?;
        Ok(Some(Resumed {
            session: SessionId(From("sessions").id(session)?),
            player: Player { id: player.into(), name: name.into() },
            rooms: rooms.into_iter().map(|room| From("memberships").id(room).map(RoomId)).collect::<Result<_, _>>()?,
            previous_edge: MachineId(edge.into()),
        }))
    }
}

struct Confirm {
    session: SessionId,
}

impl Write for Confirm {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let confirm = "UPDATE sessions SET previous_hash = NULL WHERE id = ?1 AND previous_hash IS NOT NULL";
        let confirmed = sqlx::query(confirm).bind(id(self.session.0)).execute(db).await;
        confirmed.map(drop).map_err(StoreError::at("confirm a resume"))
    }
}

struct Join {
    session: SessionId,
    room: RoomId,
}

impl Write for Join {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let join = "INSERT INTO memberships (session, room, position)
                    SELECT ?1, ?2, 1 + coalesce((SELECT max(position) FROM memberships WHERE session = ?1), 0)
                    WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1)
                    ON CONFLICT (session, room) DO NOTHING";
        let joined = sqlx::query(join).bind(id(self.session.0)).bind(id(self.room.0)).execute(db).await;
        joined.map(drop).map_err(StoreError::at("join a room"))
    }
}

struct Leave {
    session: SessionId,
    room: RoomId,
}

impl Write for Leave {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let leave = "DELETE FROM memberships WHERE session = ?1 AND room = ?2";
        let left = sqlx::query(leave).bind(id(self.session.0)).bind(id(self.room.0)).execute(db).await;
        left.map(drop).map_err(StoreError::at("leave a room"))
    }
}

struct Disconnected {
    session: SessionId,
    edge: MachineId,
}

impl Write for Disconnected {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let gone = "UPDATE sessions SET disconnected_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
                    updated_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
                    WHERE id = ?1 AND edge = ?2 AND disconnected_at IS NULL";
        let gone = sqlx::query(gone).bind(id(self.session.0)).bind(self.edge.0.as_ref()).execute(db).await;
        gone.map(drop).map_err(StoreError::at("note a disconnection"))
    }
}

struct End {
    session: SessionId,
}

impl Write for End {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let ended = sqlx::query("DELETE FROM sessions WHERE id = ?1").bind(id(self.session.0)).execute(db).await;
        ended.map(drop).map_err(StoreError::at("end a session"))
    }
}

struct Expire {
    older_than: Duration,
}

impl Write for Expire {
    type Output = Vec<(SessionId, Vec<RoomId>)>;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let at = StoreError::at("expire sessions");
        let old = "SELECT id, room FROM (
                       SELECT id FROM sessions
                       WHERE disconnected_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER) - ?1
                       ORDER BY disconnected_at LIMIT ?2
                   ) LEFT JOIN memberships ON session = id ORDER BY id, position";
        let older_than = number(self.older_than.as_millis().try_into().unwrap_or(u64::MAX));
        let old = sqlx::query_as(old).bind(older_than).bind(EXPIRE_AT_ONCE).fetch_all(&mut *db).await;
        let expired = by_session(old.map_err(&at)?)?;
        for (session, _) in &expired {
            End { session: *session }.apply(db).await?;
        }
        Ok(expired)
    }
}
