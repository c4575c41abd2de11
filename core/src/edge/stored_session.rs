//! A session's row in the store, as a machine.
//!
//! The stores implement these rules in SQL, for concurrent edges: `store/src/sqlite/sessions.rs` and
//! `store/src/postgres/sessions.rs`. The stories of both stores compare them with this machine, and the simulator runs it in
//! place of a store.

use std::sync::Arc;

use crate::{
    identity::{Identity, Known, Network},
    ids::{MachineId, RoomId, Time},
    json::Json,
};

/// A session that is open or can be resumed. `T` is a resume token, or its hash.
///
/// A token is meant for one use. But the `welcome` with the next token can be lost, so the token that was used last stays valid
/// until the client has confirmed the next token, or until the next token is used. The last token may be used again, by the
/// client or by an edge that stalled with the client's request. Such a use overtakes the next token, which may have reached the
/// client nevertheless: the overtaken token stays valid for as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession<T> {
    edge: MachineId,
    connected: bool,
    token: T,
    /// The token that was used last, until the client has confirmed `token`.
    previous: Option<T>,
    /// The token that `token` has overtaken, for as long as `previous`.
    overtaken: Option<T>,
    /// The edge that was connected when the session last resumed elsewhere.
    replaced: Option<MachineId>,
    rooms: Vec<RoomId>,
    identity: Identity,
    kicked: bool,
}

/// For whom a session is resumed, as [`crate::identity::admit`] has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resuming {
    /// The session's player by the row that the decision was made for. If the session has another one by now, it is not resumed.
    pub player: Arc<str>,
    /// What takes the place of the session's identity.
    pub identity: Option<Identity>,
    /// The network of the address from which it is resumed, for operators: nothing is decided by it.
    pub address: Option<Network>,
}

/// A resumed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    pub identity: Identity,
    /// In the order of joining.
    pub rooms: Vec<RoomId>,
    /// Another edge where the session is still connected: that edge gets [`crate::command::EdgeCommand::Replaced`].
    pub replaced: Option<MachineId>,
}

impl<T: Clone + PartialEq> StoredSession<T> {
    /// A new session, a member of its first room.
    pub fn open(edge: MachineId, token: T, first_room: RoomId, identity: Identity) -> StoredSession<T> {
        StoredSession {
            edge,
            connected: true,
            token,
            previous: None,
            overtaken: None,
            replaced: None,
            rooms: vec![first_room],
            identity,
            kicked: false,
        }
    }

    /// The edge that has the session, or had it last.
    pub fn edge(&self) -> &MachineId {
        &self.edge
    }

    /// Whether the session is connected to that edge, as far as the store has been notified.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// The rooms that it may be in, in the order of joining.
    pub fn rooms(&self) -> &[RoomId] {
        &self.rooms
    }

    /// As [`crate::identity::admit`] takes it.
    pub fn known(&self) -> Known {
        Known { identity: self.identity.clone(), kicked: self.kicked.then(|| "kicked".to_owned()) }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it was kicked. Then no token resumes it.
    pub fn is_kicked(&self) -> bool {
        self.kicked
    }

    /// Whether this is one of its valid tokens.
    pub fn has_token(&self, token: &T) -> bool {
        [Some(&self.token), self.previous.as_ref(), self.overtaken.as_ref()].contains(&Some(token))
    }

    /// Moves the session to `edge` if `used` is a valid token, and makes `next` its token. A repetition of a call, with the
    /// same `next`, has the same result.
    pub fn resume(&mut self, used: &T, next: T, edge: &MachineId, by: &Resuming) -> Option<Resumed> {
        let is_repetition = self.token == next;
        let is_decided = is_repetition || self.identity.player.id == by.player;
        if self.kicked || !self.has_token(used) || !is_decided {
            return None;
        }
        if !is_repetition {
            self.overtaken = (self.previous.as_ref() == Some(used)).then(|| self.token.clone());
        }
        if !(is_repetition && self.edge == *edge) {
            self.replaced = (self.connected && self.edge != *edge).then(|| self.edge.clone());
        }
        (self.previous, self.token) = (Some(used.clone()), next);
        (self.edge, self.connected) = (edge.clone(), true);
        if let Some(identity) = &by.identity {
            self.identity = identity.clone();
        }
        let (identity, rooms, replaced) = (self.identity.clone(), self.rooms.clone(), self.replaced.clone());
        Some(Resumed { identity, rooms, replaced })
    }

    /// The session's player has another token, at `edge`. No effect if the session has moved to another edge, or has a token that ends
    /// later: a write of an earlier connection may come late.
    pub fn renew(&mut self, claims: Option<Json>, expires: Time, token_id: Option<Arc<str>>, edge: &MachineId) {
        if self.edge == *edge && self.identity.expires.is_none_or(|present| present <= expires) {
            (self.identity.claims, self.identity.expires, self.identity.token_id) = (claims, Some(expires), token_id);
        }
    }

    /// The client has this token: the earlier ones become invalid. No effect once the session has another token, which the client
    /// may not have.
    pub fn confirm(&mut self, token: &T) {
        if self.token == *token {
            (self.previous, self.overtaken) = (None, None);
        }
    }

    /// Makes the session a member of `room` if it is still at `edge`. Returns whether it is; if not, no join may be sent.
    pub fn join(&mut self, room: RoomId, edge: &MachineId) -> bool {
        let joins = self.edge == *edge && !self.kicked;
        if joins && !self.rooms.contains(&room) {
            self.rooms.push(room);
        }
        joins
    }

    /// The session is no member of `room`, if it is still at `edge`.
    pub fn leave(&mut self, room: RoomId, edge: &MachineId) {
        if self.edge == *edge {
            self.rooms.retain(|other| *other != room);
        }
    }

    /// The session's connection to `edge` is lost, if it is still there.
    pub fn disconnect(&mut self, edge: &MachineId) {
        self.connected &= self.edge != *edge;
    }

    /// A room or an operator kicks the session: its time to expire starts, whether or not it has a connection.
    pub fn kick(&mut self) {
        (self.kicked, self.connected) = (true, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Player;

    const LOBBY: RoomId = RoomId::LOBBY;
    const GAME: RoomId = RoomId(7);

    fn edge(n: u32) -> MachineId {
        MachineId(format!("edge-{n}").into())
    }

    /// A session that has connected to `edge-1`, with token 1.
    fn ana() -> StoredSession<u32> {
        StoredSession::open(edge(1), 1, LOBBY, identity("u:ana", 10))
    }

    fn identity(player: &str, expires: u64) -> Identity {
        let player = Player { id: player.into(), name: "Ana".into() };
        Identity { expires: Some(Time(expires)), ..Identity::guest(player) }
    }

    fn as_ana() -> Resuming {
        Resuming { player: "u:ana".into(), identity: None, address: None }
    }

    fn resumed(rooms: &[RoomId], replaced: Option<MachineId>) -> Option<Resumed> {
        Some(Resumed { identity: identity("u:ana", 10), rooms: rooms.to_vec(), replaced })
    }

    #[test]
    fn a_token_is_valid_until_its_successor_is_confirmed() {
        let mut ana = ana();
        assert_eq!(ana.resume(&1, 2, &edge(1), &as_ana()), resumed(&[LOBBY], None));
        assert!(ana.has_token(&1) && ana.has_token(&2), "the welcome with token 2 may be lost");
        ana.confirm(&2);
        assert!(!ana.has_token(&1));
        assert_eq!(ana.resume(&1, 3, &edge(1), &as_ana()), None);
        assert_eq!(ana.resume(&2, 3, &edge(1), &as_ana()), resumed(&[LOBBY], None));
    }

    #[test]
    fn a_token_that_its_predecessor_overtakes_stays_valid() {
        let mut ana = ana();
        ana.resume(&1, 2, &edge(2), &as_ana()).expect("valid");
        ana.resume(&1, 3, &edge(1), &as_ana()).expect("valid: a stalled edge handles an old hello");
        assert_eq!(ana.resume(&2, 4, &edge(2), &as_ana()), resumed(&[LOBBY], Some(edge(1))), "the client has token 2");
        assert!(!ana.has_token(&1) && !ana.has_token(&3));
    }

    #[test]
    fn a_late_confirmation_of_an_earlier_token_confirms_nothing() {
        let mut ana = ana();
        ana.resume(&1, 2, &edge(1), &as_ana()).expect("valid");
        ana.resume(&2, 3, &edge(1), &as_ana()).expect("valid");
        ana.confirm(&2);
        assert!(ana.has_token(&2), "the welcome with token 3 may be lost, also at the same edge");
        ana.confirm(&3);
        assert!(!ana.has_token(&2));
    }

    #[test]
    fn a_repeated_resume_has_the_same_result() {
        let mut ana = ana();
        let first = ana.resume(&1, 2, &edge(2), &as_ana());
        assert_eq!(first, resumed(&[LOBBY], Some(edge(1))));
        assert_eq!(ana.resume(&1, 2, &edge(2), &as_ana()), first);
        let row = ana.clone();
        assert_eq!(ana.resume(&1, 2, &edge(2), &as_ana()), first);
        assert_eq!(ana, row);
    }

    #[test]
    fn an_edge_without_the_session_changes_nothing() {
        let mut ana = ana();
        ana.resume(&1, 2, &edge(2), &as_ana()).expect("valid");
        let row = ana.clone();
        assert!(!ana.join(GAME, &edge(1)));
        ana.leave(LOBBY, &edge(1));
        ana.disconnect(&edge(1));
        assert_eq!(ana, row);
    }

    #[test]
    fn rooms_are_a_set_in_the_order_of_joining() {
        let mut ana = ana();
        assert!(ana.join(GAME, &edge(1)) && ana.join(LOBBY, &edge(1)));
        assert_eq!(ana.rooms(), [LOBBY, GAME]);
        ana.leave(LOBBY, &edge(1));
        assert!(ana.join(LOBBY, &edge(1)));
        assert_eq!(ana.rooms(), [GAME, LOBBY]);
    }

    #[test]
    fn a_session_that_is_not_connected_replaces_no_edge() {
        let mut ana = ana();
        ana.disconnect(&edge(1));
        assert!(!ana.is_connected());
        assert_eq!(ana.resume(&1, 2, &edge(2), &as_ana()), resumed(&[LOBBY], None));
        assert_eq!((ana.edge(), ana.is_connected()), (&edge(2), true));
    }

    #[test]
    fn a_session_that_was_kicked_neither_resumes_nor_joins() {
        let mut ana = ana();
        ana.kick();
        assert!(ana.is_kicked() && ana.has_token(&1) && !ana.is_connected());
        assert_eq!(ana.resume(&1, 2, &edge(1), &as_ana()), None);
        assert!(!ana.join(GAME, &edge(1)));
    }

    #[test]
    fn a_session_is_resumed_for_the_player_that_it_has() {
        let mut ana = ana();
        let signs_in = Resuming { identity: Some(identity("u:bea", 20)), ..as_ana() };
        let first = ana.resume(&1, 2, &edge(1), &signs_in).expect("valid");
        assert_eq!(first.identity, identity("u:bea", 20));
        assert_eq!(ana.resume(&1, 2, &edge(1), &signs_in), Some(first), "a repetition");
        assert_eq!(ana.resume(&2, 3, &edge(1), &signs_in), None, "it was decided for another player");
        assert_eq!(ana.identity(), &identity("u:bea", 20));
    }

    #[test]
    fn a_renewal_at_the_sessions_edge_counts() {
        let mut ana = ana();
        ana.renew(None, Time(30), None, &edge(2));
        assert_eq!(ana.identity().expires, Some(Time(10)));
        ana.renew(None, Time(30), None, &edge(1));
        assert_eq!(ana.identity().expires, Some(Time(30)));
    }

    /// A connection that stalled has renewed before the present one did.
    #[test]
    fn a_late_renewal_does_not_bring_an_earlier_end_back() {
        let mut ana = ana();
        ana.renew(None, Time(30), Some("new".into()), &edge(1));
        ana.renew(None, Time(20), Some("old".into()), &edge(1));
        assert_eq!((ana.identity().expires, ana.identity().token_id.as_deref()), (Some(Time(30)), Some("new")));
        ana.renew(None, Time(30), Some("as new".into()), &edge(1));
        assert_eq!(ana.identity().token_id.as_deref(), Some("as new"));
    }
}
