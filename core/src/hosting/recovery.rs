//! In which order the rooms of a new partition are restored.
//!
//! A room with records above its partition's checkpoint has to be restored by the partition's new host: the outputs of these
//! records may not have left the previous host. A restore takes milliseconds, and a host takes over thousands of such rooms at
//! once. So a room is restored at once when it is needed, for a record or for a timer that is due, and no player waits for
//! other rooms. The rooms that are not needed are restored in the background, those with the oldest records first. So are rooms
//! in hibernation that get a record whose outcome no client waits for ([`is_awaited`]): an edge that fails drops thousands of
//! members at once.
//!
//! Bounds: `parallel` restores at a time in the background; the rooms that wait by the rooms of the partitions. A restore in
//! the background takes no more than its share of the cores from the restores that are needed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    command::RoomCommand,
    ids::{Offset, RoomId},
};

/// The rooms of one host that are to be restored, over all of its partitions.
#[derive(Debug)]
pub struct Recovery {
    parallel: usize,
    /// The rooms that wait, each with its oldest record.
    waiting: BTreeMap<RoomId, Offset>,
    by_age: BTreeSet<(Offset, RoomId)>,
    /// The rooms that are being restored in the background.
    restoring: BTreeSet<RoomId>,
    outputs: VecDeque<RoomId>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The oldest record that the room has not applied; at a takeover, its oldest record above the checkpoint.
    Found(RoomId, Offset),
    /// A record has arrived for the room, or its timer is due. Without effect for a room that does not wait.
    Needed(RoomId),
    /// The room has applied all of its records, or its task has ended.
    Restored(RoomId),
    /// The room is not this host's any longer.
    Left(RoomId),
}

/// Whether a room without a task is restored at once for this record. A `Drop` can wait: it starts the time for which a
/// member's seat is held, and that time counts from the record's own time.
pub fn is_awaited(command: &RoomCommand) -> bool {
    !matches!(command, RoomCommand::Drop { .. })
}

impl Recovery {
    /// Restores at most `parallel` rooms at a time in the background, and at least one.
    pub fn new(parallel: usize) -> Recovery {
        Recovery {
            parallel: parallel.max(1),
            waiting: BTreeMap::new(),
            by_age: BTreeSet::new(),
            restoring: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Found(room, oldest) => self.on_found(room, oldest),
            Input::Needed(room) => {
                if self.remove(room) {
                    self.outputs.push_back(room);
                }
            }
            Input::Restored(room) => drop(self.restoring.remove(&room)),
            Input::Left(room) => {
                self.remove(room);
                self.restoring.remove(&room);
            }
        }
    }

    /// The next room to restore, until there is none.
    pub fn poll_output(&mut self) -> Option<RoomId> {
        self.outputs.pop_front().or_else(|| self.next_in_background())
    }

    /// Whether this room waits.
    pub fn waits(&self, room: RoomId) -> bool {
        self.waiting.contains_key(&room)
    }

    /// How many rooms wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn on_found(&mut self, room: RoomId, oldest: Offset) {
        self.remove(room);
        self.waiting.insert(room, oldest);
        self.by_age.insert((oldest, room));
    }

    fn next_in_background(&mut self) -> Option<RoomId> {
        if self.restoring.len() >= self.parallel {
            return None;
        }
        let (_, room) = self.by_age.pop_first()?;
        self.waiting.remove(&room);
        self.restoring.insert(room);
        Some(room)
    }

    fn remove(&mut self, room: RoomId) -> bool {
        let oldest = self.waiting.remove(&room);
        oldest.is_some_and(|oldest| self.by_age.remove(&(oldest, room)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::LeaveReason,
        ids::{MachineId, SessionId},
    };

    const ROOMS: [RoomId; 4] = [RoomId(40), RoomId(30), RoomId(20), RoomId(10)];

    fn taken_over(parallel: usize) -> Recovery {
        let mut recovery = Recovery::new(parallel);
        for (oldest, room) in (100..).zip(ROOMS) {
            recovery.handle(Input::Found(room, oldest));
        }
        recovery
    }

    fn outputs(recovery: &mut Recovery) -> Vec<RoomId> {
        std::iter::from_fn(|| recovery.poll_output()).collect()
    }

    #[test]
    fn the_rooms_with_the_oldest_records_are_restored_first_and_only_a_few_at_a_time() {
        let mut recovery = taken_over(2);
        assert_eq!(outputs(&mut recovery), ROOMS[..2]);
        assert_eq!(recovery.waiting(), 2);
        recovery.handle(Input::Restored(ROOMS[1]));
        assert_eq!(outputs(&mut recovery), ROOMS[2..3]);
        recovery.handle(Input::Restored(ROOMS[0]));
        recovery.handle(Input::Restored(ROOMS[2]));
        assert_eq!(outputs(&mut recovery), ROOMS[3..]);
        assert_eq!(recovery.waiting(), 0);
    }

    #[test]
    fn a_room_that_is_needed_waits_for_no_other() {
        let mut recovery = taken_over(1);
        assert_eq!(outputs(&mut recovery), ROOMS[..1]);
        recovery.handle(Input::Needed(ROOMS[3]));
        recovery.handle(Input::Needed(ROOMS[2]));
        assert_eq!(outputs(&mut recovery), [ROOMS[3], ROOMS[2]]);
        recovery.handle(Input::Restored(ROOMS[3]));
        assert_eq!(outputs(&mut recovery), [], "the first one is still being restored");
        recovery.handle(Input::Restored(ROOMS[0]));
        assert_eq!(outputs(&mut recovery), ROOMS[1..2]);
    }

    #[test]
    fn each_room_is_restored_once() {
        let mut recovery = taken_over(1);
        recovery.handle(Input::Needed(ROOMS[0]));
        recovery.handle(Input::Needed(ROOMS[0]));
        recovery.handle(Input::Needed(RoomId(99)));
        assert_eq!(outputs(&mut recovery), ROOMS[..2], "the needed one, and one in the background");
        recovery.handle(Input::Needed(ROOMS[1]));
        assert_eq!(outputs(&mut recovery), []);
    }

    #[test]
    fn a_room_that_has_left_is_not_restored_and_holds_no_place() {
        let mut recovery = taken_over(1);
        assert_eq!(outputs(&mut recovery), ROOMS[..1]);
        recovery.handle(Input::Left(ROOMS[1]));
        recovery.handle(Input::Left(ROOMS[0]));
        assert_eq!(outputs(&mut recovery), ROOMS[2..3]);
    }

    #[test]
    fn a_room_that_is_found_again_waits_with_its_oldest_record() {
        let mut recovery = taken_over(1);
        recovery.handle(Input::Found(ROOMS[3], 1));
        assert_eq!(recovery.waiting(), 4);
        assert_eq!(outputs(&mut recovery), ROOMS[3..]);
    }

    #[test]
    fn only_a_lost_connection_can_wait() {
        let (session, edge) = (SessionId(1), MachineId("edge-1".into()));
        assert!(!is_awaited(&RoomCommand::Drop { session, edge, code: 1006 }));
        assert!(is_awaited(&RoomCommand::Leave { session, reason: LeaveReason::Left }));
    }

    #[test]
    fn at_least_one_room_is_restored_at_a_time() {
        assert_eq!(outputs(&mut taken_over(0)), ROOMS[..1]);
    }
}
