//! The sessions that have a connection at one edge.

use std::collections::BTreeMap;

use crate::{
    command::EdgeCommand,
    ids::{MachineId, SessionId},
    planted::{Bug, planted},
    session::{Input, StoreWrite},
};

/// Which connection each session has at this edge: the latest one that has opened it here. `C` identifies a connection.
///
/// Bounded by the number of connections: a connection has one session, and releases it when it ends.
#[derive(Debug)]
pub struct Registry<C> {
    edge: MachineId,
    connections: BTreeMap<SessionId, C>,
}

impl<C: PartialEq> Registry<C> {
    /// The registry of the edge with this id.
    pub fn new(edge: MachineId) -> Registry<C> {
        Registry { edge, connections: BTreeMap::new() }
    }

    /// Assigns an opened session to `connection`. Returns the connection that had it: that one gets
    /// [`Input::Replaced`], before `connection` gets [`Input::Opened`].
    ///
    /// The machine of `connection` may have ended while the store opened the session; then the session is released at once.
    #[must_use = "the earlier connection is replaced"]
    pub fn assign(&mut self, session: SessionId, connection: C) -> Option<C> {
        self.connections.insert(session, connection)
    }

    /// The machine of `connection` has ended. Nothing changes if another connection has the session now.
    pub fn release(&mut self, session: SessionId, connection: &C) {
        if self.is_assigned(session, connection) {
            self.connections.remove(&session);
        }
    }

    /// The session's connection at this edge.
    pub fn connection(&self, session: SessionId) -> Option<&C> {
        self.connections.get(&session)
    }

    /// The connections of all sessions.
    pub fn connections(&self) -> impl Iterator<Item = &C> {
        self.connections.values()
    }

    /// Whether this connection has the session.
    pub fn is_assigned(&self, session: SessionId, connection: &C) -> bool {
        self.connection(session) == Some(connection)
    }

    /// The part of a write of `connection` that is still to be made when its turn comes. The end of a membership or of a
    /// connection is void once another connection of this edge has the session: by then the session has resumed, perhaps in the
    /// same room, and the store cannot distinguish two connections of one edge. An extra membership that is left in the store
    /// does no harm.
    pub fn still_valid(&self, write: StoreWrite, connection: &C) -> Option<StoreWrite> {
        let is_late = |session: SessionId| {
            self.connection(session).is_some_and(|current| current != connection) && !planted(Bug::LateWrite)
        };
        match write {
            StoreWrite::Leave(session, _) | StoreWrite::Disconnected { session, .. } if is_late(session) => None,
            StoreWrite::Move { session, room, .. } if is_late(session) => Some(StoreWrite::Join(session, room)),
            write => Some(write),
        }
    }

    /// The input that follows [`Delivery::CheckOwner`]. `owner` is the edge in the session's row; none when the session has
    /// ended. A row that still has this edge means that the sender's information is older than the connection here.
    pub fn ownership(&self, session: SessionId, owner: Option<&MachineId>) -> Input<'static> {
        match owner == Some(&self.edge) {
            true => Input::Contested,
            false => Input::Command(EdgeCommand::Replaced { session }),
        }
    }

    /// The number of sessions with a connection.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether no session has a connection.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}

/// The effect of a command on one of its sessions.
#[derive(Debug)]
pub enum Delivery<'a> {
    /// An input of its connection.
    Input(Input<'a>),
    /// Another edge may have the session: the edge in its row decides, by [`Registry::ownership`].
    CheckOwner,
}

/// Calls `deliver` for each session that a command is for. If the session has no connection at this edge, the delivery is
/// dropped: the room gets a record of the lost connection, and sends again what is missing when the session resumes.
pub fn for_each_session(command: EdgeCommand, mut deliver: impl FnMut(SessionId, Delivery<'_>)) {
    match command {
        EdgeCommand::Deliver(deliveries) => {
            for (target, frame) in deliveries.iter() {
                deliver(target.session, Delivery::Input(Input::Deliver { target, frame }));
            }
        }
        EdgeCommand::Replaced { session } => deliver(session, Delivery::CheckOwner),
        // Which of its connections an ending is for is found by the shell, with `Session::is_among`.
        EdgeCommand::End(_) => {}
        EdgeCommand::Move { session, .. }
        | EdgeCommand::Left { session, .. }
        | EdgeCommand::Kick { session, .. }
        | EdgeCommand::Admitted { session, .. }
        | EdgeCommand::Refused { session, .. }
        | EdgeCommand::Spent { session, .. }
        | EdgeCommand::Resumed { session, .. } => deliver(session, Delivery::Input(Input::Command(command))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::{Deliveries, Target},
        frame::RoomFrame,
        ids::{ConnectionId, Kind, RoomId},
        json::Json,
    };

    const ANA: SessionId = SessionId(0xa4a);
    const BEN: SessionId = SessionId(0xbe4);
    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);
    const GAME: RoomId = RoomId(7);

    fn edge(n: u32) -> MachineId {
        MachineId(format!("edge-{n}").into())
    }

    fn registry() -> Registry<ConnectionId> {
        Registry::new(edge(1))
    }

    /// The session of each delivery of a command, and the delivery's `Debug` up to its first field.
    fn deliveries(command: EdgeCommand) -> Vec<(SessionId, String)> {
        let mut all = Vec::new();
        for_each_session(command, |session, delivery| {
            let name = match delivery {
                Delivery::Input(Input::Deliver { target, frame }) => {
                    format!("{:?} {} of room {}", frame.tag(), target.seq, frame.room_id().0)
                }
                Delivery::Input(Input::Command(command)) => format!("command to {:?}", command.connection()),
                other => format!("{other:?}"),
            };
            all.push((session, name));
        });
        all
    }

    #[test]
    fn the_latest_connection_has_the_session_and_the_earlier_one_is_replaced() {
        let mut registry = registry();
        assert_eq!(registry.assign(ANA, FIRST), None);
        assert_eq!(registry.assign(BEN, ConnectionId(3)), None);
        assert_eq!(registry.assign(ANA, SECOND), Some(FIRST));
        assert_eq!(registry.connection(ANA), Some(&SECOND));
        assert_eq!(registry.len(), 2);
    }

    #[test]
    fn a_connection_that_was_replaced_releases_nothing() {
        let mut registry = registry();
        let _ = registry.assign(ANA, FIRST);
        let _ = registry.assign(ANA, SECOND);
        registry.release(ANA, &FIRST);
        assert!(registry.is_assigned(ANA, &SECOND));
        registry.release(ANA, &SECOND);
        assert!(registry.is_empty());
    }

    #[test]
    fn a_late_leave_or_disconnect_is_void_once_the_session_has_resumed_here() {
        let mut registry = registry();
        let leave = StoreWrite::Leave(ANA, GAME);
        let moves = StoreWrite::Move { session: ANA, left: GAME, room: RoomId::LOBBY };
        let disconnected = StoreWrite::Disconnected { session: ANA, silent: false };
        let valid =
            |registry: &Registry<_>, write: &StoreWrite, connection| registry.still_valid(write.clone(), connection);
        let _ = registry.assign(ANA, FIRST);
        assert_eq!(valid(&registry, &leave, &FIRST), Some(leave.clone()));
        assert_eq!(valid(&registry, &moves, &FIRST), Some(moves.clone()));

        registry.release(ANA, &FIRST);
        assert_eq!(valid(&registry, &disconnected, &FIRST), Some(disconnected.clone()), "no other one has the session");

        let _ = registry.assign(ANA, SECOND);
        assert_eq!(valid(&registry, &leave, &FIRST), None);
        assert_eq!(valid(&registry, &disconnected, &FIRST), None);
        assert_eq!(
            valid(&registry, &moves, &FIRST),
            Some(StoreWrite::Join(ANA, RoomId::LOBBY)),
            "the rest of it counts"
        );
        assert_eq!(valid(&registry, &leave, &SECOND), Some(leave));
        let of_another = StoreWrite::Leave(BEN, GAME);
        assert_eq!(valid(&registry, &of_another, &FIRST), Some(of_another));
    }

    #[test]
    fn the_other_late_writes_count() {
        let mut registry = registry();
        let _ = registry.assign(ANA, FIRST);
        let _ = registry.assign(ANA, SECOND);
        let confirm = StoreWrite::Confirm { session: ANA, token: "x".into() };
        for write in [StoreWrite::Join(ANA, GAME), confirm, StoreWrite::End(ANA)] {
            assert_eq!(registry.still_valid(write.clone(), &FIRST), Some(write));
        }
    }

    #[test]
    fn the_row_decides_whether_a_session_was_replaced() {
        let registry = registry();
        assert!(matches!(registry.ownership(ANA, Some(&edge(1))), Input::Contested));
        for owner in [Some(&edge(2)), None] {
            let replaced = registry.ownership(ANA, owner);
            assert!(matches!(replaced, Input::Command(EdgeCommand::Replaced { session: ANA })), "{owner:?}");
        }
    }

    #[test]
    fn frames_go_to_their_targets_in_order() {
        let target = |session, connection, seq| Target { session, connection, seq };
        let shared = RoomFrame::room(GAME, &Kind::lobby(), 0, &Json::null());
        let mut frames = Deliveries::one(shared.clone(), target(BEN, FIRST, 4));
        assert!(frames.add_frame(&shared));
        frames.add_target(target(ANA, SECOND, 9));
        assert!(frames.add_frame(&RoomFrame::left(GAME, "left")));
        frames.add_target(target(BEN, FIRST, 5));
        let names = [
            (BEN, "Room 4 of room 7".to_owned()),
            (ANA, "Room 9 of room 7".to_owned()),
            (BEN, "Left 5 of room 7".to_owned()),
        ];
        assert_eq!(deliveries(EdgeCommand::Deliver(frames)), names);
    }

    #[test]
    fn every_other_command_goes_to_its_session_and_a_replacement_is_checked_first() {
        assert_eq!(deliveries(EdgeCommand::Replaced { session: ANA }), [(ANA, "CheckOwner".to_owned())]);
        let spent = EdgeCommand::Spent { session: BEN, connection: FIRST, micros: 1 };
        assert_eq!(deliveries(spent), [(BEN, format!("command to {:?}", Some(FIRST)))]);
    }
}
