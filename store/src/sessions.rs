//! Sessions and the rooms they are in. Edges write these *before* they send to a room, so that a resumed session includes every
//! room that may have it as a member.
//!
//! What each call does to a session's row is [`chorus_core::edge::StoredSession`], which the stories compare with both stores.

use std::{sync::Arc, time::Duration};

use chorus_core::{
    command::Player,
    edge::Resuming,
    identity::{Identity, Known, Network},
    ids::{MachineId, RoomId, SessionId, Time},
    json::Json,
};

use crate::{
    Store, StoreError,
    row::{Table, number},
};

/// The number of sessions that [`Store::expire_sessions`] takes at a time.
pub(crate) const EXPIRE_AT_ONCE: u32 = 256;

/// A session to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub id: SessionId,
    pub identity: Identity,
    pub edge: MachineId,
    /// SHA-256 of its resume token.
    pub resume_hash: [u8; 32],
    /// The network of the address of its connection, for operators.
    pub address: Option<Network>,
}

/// A resumed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    pub session: SessionId,
    pub identity: Identity,
    /// In the order of joining. Possibly including a room without a record of the join: the edge may have died before it sent
    /// one.
    pub rooms: Vec<RoomId>,
    /// Another edge to which it was still connected, according to the store. That edge is to be notified, so that it closes the
    /// older connection with 4504.
    pub replaced: Option<MachineId>,
}

/// A session that has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    pub session: SessionId,
    /// In the order of joining.
    pub rooms: Vec<RoomId>,
    pub cause: ExpiryCause,
}

/// Why a session has expired, for the rooms that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryCause {
    /// It was disconnected for too long.
    Disconnected,
    /// A room or an operator had kicked it ([`Store::kick_session`]).
    Kicked,
    /// An operator has logged it out ([`Store::expire_session`]).
    LoggedOut,
}

impl Store {
    /// Opens a session as a member of its first room.
    pub async fn open_session(&self, session: SessionRow, first_room: RoomId) -> Result<(), StoreError> {
        self.write(Open { session, first_room }).await
    }

    /// The session whose token has this hash, if it can be resumed or was kicked.
    pub async fn known_session(&self, resume_hash: [u8; 32]) -> Result<Option<Known>, StoreError> {
        self.read(Find { resume_hash }).await
    }

    /// Moves a session to `edge`, if `resume_hash` is the hash of its token; `new_hash` is the hash of its next token. `None`:
    /// no session has this token (it was used, or the session has ended), or it is not as `by` was decided for.
    ///
    /// A token is valid once. But the answer with the next one can be lost, so the token used last stays valid until
    /// [`Store::confirm_resume`], or until the one after it is used. If it is used again, by the client or by an edge that
    /// stalled with the client's request, the next one may nevertheless have arrived: so that one stays valid for as long.
    pub async fn resume_session(
        &self,
        resume_hash: [u8; 32],
        new_hash: [u8; 32],
        edge: &MachineId,
        by: &Resuming,
    ) -> Result<Option<Resumed>, StoreError> {
        self.write(Resume { resume_hash, new_hash, edge: edge.clone(), by: by.clone() }).await
    }

    /// The client has the token with this hash (it has sent a frame after its `welcome`): the earlier ones become invalid. Nothing
    /// changes once the session has another token, which the client may not have: not even where the same edge has issued it.
    pub async fn confirm_resume(&self, session: SessionId, resume_hash: [u8; 32]) -> Result<(), StoreError> {
        self.write(Confirm { session, resume_hash }).await
    }

    /// The session's player has another token at `edge`, which ends then and has these claims and this id. Nothing changes if the session has
    /// moved to another edge, or has a token that ends later.
    pub async fn renew_session(
        &self,
        session: SessionId,
        claims: Option<Json>,
        expires: Time,
        token_id: Option<Arc<str>>,
        edge: &MachineId,
    ) -> Result<(), StoreError> {
        self.write(Renew { session, claims, expires, token_id, edge: edge.clone() }).await
    }

    /// Makes the session a member of `room`, as its latest one if it was not a member before, provided that it is still at
    /// `edge`. `false`: it has ended, or moved to another edge, which has no record of this room and will not get one. Then no
    /// join may be sent to the room either.
    pub async fn join_membership(
        &self,
        session: SessionId,
        room: RoomId,
        edge: &MachineId,
    ) -> Result<bool, StoreError> {
        self.write(Join { session, room, edge: edge.clone() }).await
    }

    /// Both in one write: ends the session's membership in `left`, as [`Store::leave_membership`], and makes it a member of
    /// `room`, as [`Store::join_membership`].
    pub async fn move_membership(
        &self,
        session: SessionId,
        left: RoomId,
        room: RoomId,
        edge: &MachineId,
    ) -> Result<bool, StoreError> {
        self.write(Move { session, left, room, edge: edge.clone() }).await
    }

    /// Ends the session's membership in `room`. Nothing changes if it has moved to another edge, where it may have joined that
    /// room again.
    pub async fn leave_membership(&self, session: SessionId, room: RoomId, edge: &MachineId) -> Result<(), StoreError> {
        self.write(Leave { session, room, edge: edge.clone() }).await
    }

    /// The session has lost its connection to `edge`. Nothing changes if it has resumed at another edge. `silent`: it has never
    /// acted, and may expire sooner unless it resumes.
    pub async fn session_disconnected(
        &self,
        session: SessionId,
        edge: &MachineId,
        silent: bool,
    ) -> Result<(), StoreError> {
        self.write(Disconnected { session, edge: edge.clone(), silent }).await
    }

    /// The session has ended: it can no longer be resumed, and is in no room.
    pub async fn end_session(&self, session: SessionId) -> Result<(), StoreError> {
        self.write(End { session }).await
    }

    /// A room or an operator kicks this session: from now on it can neither be resumed nor join a room, and an attempt to resume it is refused
    /// with the reason, until it expires. The first reason is kept. Returns the rooms that it may be in, in the order of
    /// joining, which are to be notified. None when there is no such session any more.
    pub async fn kick_session(&self, session: SessionId, reason: &str) -> Result<Vec<RoomId>, StoreError> {
        self.write(Kick { session, reason: reason.into() }).await
    }

    /// The session is logged out and expires now: it can neither be resumed nor join a room, and its token is as none. Returns the rooms that it may be
    /// in, in the order of joining, which are to be notified; until [`Store::end_session`], [`Store::expire_sessions`] returns it,
    /// so that it ends even if the caller dies. None when there is no such session any more.
    pub async fn expire_session(&self, session: SessionId) -> Result<Vec<RoomId>, StoreError> {
        self.write(ExpireOne { session }).await
    }

    /// Expires sessions that have been disconnected for at least `older_than` or, if they are silent
    /// ([`Store::session_disconnected`]), for at least `silent_older_than`: from now on they cannot be resumed. Returns them,
    /// with their rooms. Each is returned again until [`Store::end_session`], so that a monitor that dies before all rooms are
    /// notified leaves no dead members in them. At most 256: end those, then call again.
    pub async fn expire_sessions(
        &self,
        older_than: Duration,
        silent_older_than: Duration,
    ) -> Result<Vec<Expired>, StoreError> {
        self.write(Expire { older_than, silent_older_than, now: self.clock().now() }).await
    }

    /// The sessions of an edge, with their rooms in the order of joining: for a dead edge, the members to be dropped. Sessions
    /// that have resumed at another edge belong to that one. The first `limit`, or those after the last one of an earlier call.
    pub async fn sessions_of_edge(
        &self,
        edge: &MachineId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<(SessionId, Vec<RoomId>)>, StoreError> {
        self.read(OfEdge { edge: edge.clone(), after, limit }).await
    }

    /// The edge that has the session, and whether it is connected there, according to the store. `None`: it has ended.
    pub async fn session_edge(&self, session: SessionId) -> Result<Option<(MachineId, bool)>, StoreError> {
        self.read(EdgeOf { session }).await
    }
}

/// The columns of an expired session and of one of its rooms: its id, whether it was kicked, whether it was logged out, the room.
pub(crate) type ExpiredColumns = (Vec<u8>, bool, bool, Option<Vec<u8>>);

/// As [`by_session`], with the causes.
pub(crate) fn expired(rows: Vec<ExpiredColumns>) -> Result<Vec<Expired>, StoreError> {
    let cause = |kicked, logged_out| match (kicked, logged_out) {
        (true, _) => ExpiryCause::Kicked,
        (false, true) => ExpiryCause::LoggedOut,
        (false, false) => ExpiryCause::Disconnected,
    };
    let rows = rows.into_iter().map(|(session, kicked, logged_out, room)| (session, cause(kicked, logged_out), room));
    let sessions = grouped(rows)?.into_iter();
    Ok(sessions.map(|(session, cause, rooms)| Expired { session, rooms, cause }).collect())
}

/// Groups rows that are sorted by session. A session without rooms has one row without a room.
pub(crate) fn by_session(rows: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<Vec<(SessionId, Vec<RoomId>)>, StoreError> {
    let sessions = grouped(rows.into_iter().map(|(session, room)| (session, (), room)))?.into_iter();
    Ok(sessions.map(|(session, (), rooms)| (session, rooms)).collect())
}

/// `about` is the same in all rows of a session.
fn grouped<T>(
    rows: impl Iterator<Item = (Vec<u8>, T, Option<Vec<u8>>)>,
) -> Result<Vec<(SessionId, T, Vec<RoomId>)>, StoreError> {
    let mut sessions: Vec<(SessionId, T, Vec<RoomId>)> = Vec::new();
    for (session, about, room) in rows {
        let session = SessionId(Table("sessions").id(session)?);
        if sessions.last().is_none_or(|(last, ..)| *last != session) {
            sessions.push((session, about, Vec::new()));
        }
        if let Some(room) = room {
            let (.., rooms) = sessions.last_mut().expect("pushed above");
            rooms.push(RoomId(Table("memberships").id(room)?));
        }
    }
    Ok(sessions)
}

/// Its end in milliseconds.
#[derive(sqlx::FromRow)]
pub(crate) struct IdentityColumns {
    player: String,
    name: String,
    claims: Option<String>,
    token_expires_at: Option<i64>,
    token_id: Option<String>,
    guest: Option<String>,
}

pub(crate) fn identity(columns: IdentityColumns) -> Result<Identity, StoreError> {
    let IdentityColumns { player, name, claims, token_expires_at, token_id, guest } = columns;
    Ok(Identity {
        player: Player { id: player.into(), name: name.into() },
        claims: claims.map(Json::trusted),
        expires: token_expires_at.map(|at| Table("sessions").number(at).map(Time)).transpose()?,
        token_id: token_id.map(Into::into),
        guest: guest.map(Into::into),
    })
}

/// As [`identity`] reads it: claims and the end of the token.
pub(crate) fn token_columns(claims: &Option<Json>, expires: Option<Time>) -> (Option<String>, Option<i64>) {
    (claims.as_deref().map(str::to_owned), expires.map(|at| number(at.0)))
}

#[derive(sqlx::FromRow)]
pub(crate) struct KnownColumns {
    #[sqlx(flatten)]
    identity: IdentityColumns,
    kicked: Option<String>,
}

pub(crate) fn known(found: Option<KnownColumns>) -> Result<Option<Known>, StoreError> {
    let known = |KnownColumns { identity: columns, kicked }| Ok(Known { identity: identity(columns)?, kicked });
    found.map(known).transpose()
}

#[derive(sqlx::FromRow)]
pub(crate) struct ResumedColumns {
    pub id: Vec<u8>,
    #[sqlx(flatten)]
    identity: IdentityColumns,
    /// The other edge that was connected.
    replaced_edge: Option<String>,
}

pub(crate) fn rooms_of(rooms: Vec<Vec<u8>>) -> Result<Vec<RoomId>, StoreError> {
    rooms.into_iter().map(|room| Table("memberships").id(room).map(RoomId)).collect()
}

pub(crate) fn resumed(found: ResumedColumns, rooms: Vec<Vec<u8>>) -> Result<Resumed, StoreError> {
    Ok(Resumed {
        session: SessionId(Table("sessions").id(found.id)?),
        identity: identity(found.identity)?,
        rooms: rooms_of(rooms)?,
        replaced: found.replaced_edge.map(|edge| MachineId(edge.into())),
    })
}

pub(crate) struct Open {
    pub session: SessionRow,
    pub first_room: RoomId,
}

pub(crate) struct Resume {
    pub resume_hash: [u8; 32],
    pub new_hash: [u8; 32],
    pub edge: MachineId,
    pub by: Resuming,
}

pub(crate) struct Renew {
    pub session: SessionId,
    pub claims: Option<Json>,
    pub expires: Time,
    pub token_id: Option<Arc<str>>,
    pub edge: MachineId,
}

pub(crate) struct Confirm {
    pub session: SessionId,
    pub resume_hash: [u8; 32],
}

pub(crate) struct Join {
    pub session: SessionId,
    pub room: RoomId,
    pub edge: MachineId,
}

pub(crate) struct Move {
    pub session: SessionId,
    pub left: RoomId,
    pub room: RoomId,
    pub edge: MachineId,
}

pub(crate) struct Leave {
    pub session: SessionId,
    pub room: RoomId,
    pub edge: MachineId,
}

pub(crate) struct Disconnected {
    pub session: SessionId,
    pub edge: MachineId,
    pub silent: bool,
}

pub(crate) struct End {
    pub session: SessionId,
}

pub(crate) struct Kick {
    pub session: SessionId,
    pub reason: Box<str>,
}

pub(crate) struct Find {
    pub resume_hash: [u8; 32],
}

pub(crate) struct ExpireOne {
    pub session: SessionId,
}

pub(crate) struct Expire {
    pub older_than: Duration,
    pub silent_older_than: Duration,
    /// By the process's clock.
    pub now: Time,
}

pub(crate) struct OfEdge {
    pub edge: MachineId,
    pub after: Option<SessionId>,
    pub limit: u32,
}

pub(crate) struct EdgeOf {
    pub session: SessionId,
}
