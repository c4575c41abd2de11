//! How a host gets a room: from the store at its first record, and again after a lost append.

use super::{HostedRoom, Options};
use crate::{
    effect::RestoreReason,
    ids::{Offset, RoomId, Time},
    room::{self, BadSnapshot, Room, RoomClock},
};

/// The room as it stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Its latest snapshot.
    Snapshot(&'a [u8]),
    /// It has ended: it refuses every join.
    Ended,
    /// The store has no state of it. Its channel begins with its `Create`, or there is no such room.
    Nothing,
}

/// The takeover of a room's partition by this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    pub at: Time,
    /// The last record in the partition at that time, which another host may have applied.
    pub inherited: Option<Offset>,
}

impl HostedRoom {
    /// A room that this host serves from now on. `clock` is the one that [`super::Hibernation`] had when the room hibernated
    /// here.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    pub fn open(
        id: RoomId,
        found: Found<'_>,
        why: RestoreReason,
        takeover: Takeover,
        clock: Option<RoomClock>,
        options: Options,
        now: Time,
    ) -> Result<HostedRoom, BadSnapshot> {
        let mut room = found.open(id, why)?;
        takeover.inherited.into_iter().for_each(|offset| room.handle(room::Input::Inherited(offset)));
        let mut clock = clock.unwrap_or_else(|| RoomClock::new(takeover.at));
        // Timers that the room has now count from the takeover, later ones from when they are set.
        room.state().and_then(|state| clock.next_timer(state, now));
        Ok(HostedRoom::new(room, clock, options, now))
    }

    /// Begins again (*new instance ← snapshot ← tail*), since an output is lost and no output after it may leave. The records
    /// that this machine has applied count as applied by another machine, since their replies may have left. The clock is kept.
    ///
    /// # Errors
    /// When the snapshot cannot be read; the machine is as before.
    pub fn begin_again(&mut self, found: Found<'_>, inherited: Option<Offset>, now: Time) -> Result<(), BadSnapshot> {
        let mut room = found.open(self.room.id(), RestoreReason::Recovered)?;
        inherited.max(self.applied).into_iter().for_each(|offset| room.handle(room::Input::Inherited(offset)));
        let (clock, options) = (self.clock.clone(), self.schedule.options);
        let (draining, stored, scarcity) = (self.draining, self.stored, self.schedule.scarcity);
        let gate = self.gate.renewed();
        *self = HostedRoom { draining, stored, gate, ..HostedRoom::new(room, clock, options, now) };
        self.schedule.scarcity = scarcity;
        Ok(())
    }
}

impl Found<'_> {
    fn open(self, id: RoomId, why: RestoreReason) -> Result<Room, BadSnapshot> {
        match self {
            Found::Snapshot(bytes) => Room::restore(id, bytes, why),
            Found::Ended => Ok(Room::ended(id)),
            Found::Nothing => Ok(Room::new(id)),
        }
    }
}
