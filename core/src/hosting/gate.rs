//! When commands to edges leave.
//!
//! Edges have channels of their own, which may be faster than a room's. A member that is moved to a new room must not arrive
//! there before that room's `Create` is in the log: its edge would find no such room, and the room would wait for a member that
//! never joins. So the move is held back until the append is confirmed, and so is every later command to any edge. The room
//! continues meanwhile.
//!
//! Bounds: [`MAX_HELD`] commands. The rooms whose `Create` is in flight are bounded by what one record may create, and by the
//! records that the room applies until the log confirms them.

use std::collections::VecDeque;

use crate::{
    command::EdgeCommand,
    ids::{MachineId, RoomId},
};

/// How many commands may be held back.
pub const MAX_HELD: usize = 1024;

/// The number of an append whose confirmation is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppendId(pub u64);

#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The number of the last append that was given one.
    last: u64,
    /// Rooms that this room has created and whose `Create` is not confirmed.
    creating: Vec<(RoomId, AppendId)>,
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    edge: MachineId,
    command: EdgeCommand,
    until: Option<AppendId>,
}

impl Gate {
    /// An empty gate, which gives numbers that this one has not given.
    pub fn renewed(&self) -> Gate {
        Gate { last: self.last, ..Gate::default() }
    }

    /// The `Create` of this room is appended. Returns the number under which it is confirmed.
    pub fn create(&mut self, room: RoomId) -> AppendId {
        self.last += 1;
        self.creating.push((room, AppendId(self.last)));
        AppendId(self.last)
    }

    pub fn confirm(&mut self, id: AppendId) {
        self.creating.retain(|(_, creating)| *creating != id);
    }

    /// Whether this command may leave at once.
    pub fn is_open_for(&self, command: &EdgeCommand) -> bool {
        self.held.is_empty() && self.awaited(command).is_none()
    }

    /// Holds the command back, behind those that are held already. There must be a place for it.
    pub fn hold(&mut self, edge: MachineId, command: EdgeCommand) {
        debug_assert!(self.held.len() < MAX_HELD, "the room waits for a place");
        let until = self.awaited(&command);
        self.held.push_back(Held { edge, command, until });
    }

    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The next command that need not be held any longer.
    pub fn release(&mut self) -> Option<(MachineId, EdgeCommand)> {
        let waits = |id: AppendId| self.creating.iter().any(|(_, creating)| *creating == id);
        let first = self.held.front()?;
        if first.until.is_some_and(waits) {
            return None;
        }
        self.held.pop_front().map(|Held { edge, command, .. }| (edge, command))
    }

    fn awaited(&self, command: &EdgeCommand) -> Option<AppendId> {
        let EdgeCommand::Move { room, .. } = command else { return None };
        self.creating.iter().find(|(creating, _)| creating == room).map(|(_, id)| *id)
    }
}
