//! Cells: instances that several rooms of one kind share, where the kind opts in by `config.share` (`wit/room.wit`, "Slots";
//! docs/adr/0020-cells.md).
//!
//! A room has a [`Seat`]: a slot of a cell, for as long as its runner holds it. The calls of a cell's rooms run one after
//! another, in the order in which they began to wait. Each call selects its slot, and closes the slots of rooms that have left.
//!
//! A room's fault must be its own. An entry that throws, or that has used all of its limit, ends its room alone. Any other failure
//! ends the instance, and it may have another room's cause (memory is bounded for the cell as a whole), so it has no outcome: the
//! room carries out its call again in an instance of its own ([`GuestError::InCell`]), whose outcome counts. The other rooms open
//! again elsewhere ([`GuestError::OfCell`]).
//!
//! Bounds: `config.share` rooms, [`MAX_SHARE`] at most. A cell that uses more than half of its kind's memory takes no more rooms.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use chorus_core::{
    effect::{Effect, RoomInfo, SavedState},
    room::Entry,
};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::{
    engine::Component,
    fault::GuestError,
    instance::{BatchOutput, CallOutput, Instance, InstantiateError},
};

/// The most rooms of a cell: a slot is a bit of a word.
pub(crate) const MAX_SHARE: u32 = 64;

/// The cells of one component that may have a free slot, each once.
#[derive(Debug, Default)]
pub(super) struct Cells(Mutex<Vec<Weak<Cell>>>);

#[derive(Debug)]
struct Cell {
    state: AsyncMutex<State>,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
enum State {
    /// The first room that opens makes the instance.
    New,
    Running(Box<Instance>),
    Failed,
}

/// Sets of slots, as bits.
#[derive(Debug)]
struct Slots {
    taken: u64,
    /// Of rooms that have left: the next call closes them.
    left: u64,
    /// Those that no more rooms may take.
    withheld: u64,
    /// Whether it is among [`Cells`].
    listed: bool,
}

/// Which slot a call is for, and which slots it closes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub slot: u32,
    pub closes: u64,
}

/// A room's slot of a cell. The room leaves it when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    component: Component,
    cell: Arc<Cell>,
    slot: u32,
    busy: Duration,
    failed_log: Vec<Effect>,
}

/// Why a room has not been opened in a cell.
pub(super) enum NotOpened {
    Instance(InstantiateError),
    Guest(GuestError),
}

impl From<InstantiateError> for NotOpened {
    fn from(error: InstantiateError) -> NotOpened {
        NotOpened::Instance(error)
    }
}

impl From<GuestError> for NotOpened {
    fn from(error: GuestError) -> NotOpened {
        NotOpened::Guest(error)
    }
}

impl Cells {
    /// A slot of a cell that has one free, or of a new cell.
    pub(super) fn seat(&self, component: &Component) -> Seat {
        let mut free = self.free();
        while let Some(last) = free.last() {
            if let Some(cell) = last.upgrade()
                && let Some(slot) = cell.take_slot()
            {
                return Seat::new(component, cell, slot);
            }
            free.pop();
        }
        let mut slots = Slots::new(component.manifest().config.share);
        let slot = slots.take().expect("a new cell has a slot");
        let cell = Arc::new(Cell { state: AsyncMutex::new(State::New), slots: Mutex::new(slots) });
        free.push(Arc::downgrade(&cell));
        Seat::new(component, cell, slot)
    }

    fn leave(&self, cell: &Arc<Cell>, slot: u32) {
        let mut free = self.free();
        if cell.slots().leave(slot) {
            free.push(Arc::downgrade(cell));
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Cell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cell {
    /// Drops the instance, and with it all that its rooms have in it.
    fn fail(&self, state: &mut State) {
        *state = State::Failed;
        self.slots().withhold_all();
    }

    fn take_slot(&self) -> Option<u32> {
        self.slots().take()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn new(share: u32) -> Slots {
        let withheld = u64::MAX.checked_shl(share).unwrap_or(0);
        Slots { taken: 0, left: 0, withheld, listed: true }
    }

    /// Without a free slot, the cell is not listed any more.
    fn take(&mut self) -> Option<u32> {
        let slot = (self.taken | self.withheld).trailing_ones();
        self.listed = slot < u64::BITS;
        self.listed.then(|| {
            self.taken |= 1 << slot;
            slot
        })
    }

    /// The slot is free at once: the call that opens another room in it closes it first. Returns whether the cell is to be listed.
    fn leave(&mut self, slot: u32) -> bool {
        self.taken &= !(1 << slot);
        self.left |= 1 << slot;
        !std::mem::replace(&mut self.listed, true)
    }

    fn take_left(&mut self) -> u64 {
        std::mem::take(&mut self.left)
    }

    fn withhold_all(&mut self) {
        self.withheld = u64::MAX;
    }
}

impl Seat {
    fn new(component: &Component, cell: Arc<Cell>, slot: u32) -> Seat {
        Seat { component: component.clone(), cell, slot, busy: Duration::ZERO, failed_log: Vec::new() }
    }

    pub(super) fn component(&self) -> &Component {
        &self.component
    }

    /// As [`Instance::open`]. The first room of a cell makes its instance.
    pub(super) async fn open(
        &mut self,
        info: &RoomInfo,
        saved: Option<&SavedState>,
        repeats: bool,
    ) -> Result<CallOutput, NotOpened> {
        self.start(info).await?;
        let mut turn = self.turn().await?;
        let result = turn.instance()?.open(info, saved, repeats).await;
        Ok(turn.end(result)?)
    }

    async fn start(&mut self, info: &RoomInfo) -> Result<(), InstantiateError> {
        let mut state = self.cell.state.lock().await;
        if let State::New = *state {
            let instance = self.component.instantiate(info.id, &info.context).await?;
            *state = State::Running(Box::new(instance));
        }
        Ok(())
    }

    /// As [`Instance::handle`].
    pub(super) async fn handle(&mut self, entry: &Entry) -> Result<CallOutput, GuestError> {
        let mut turn = self.turn().await?;
        let result = turn.instance()?.handle(&entry.context, &entry.event, entry.fuel, entry.repeats).await;
        turn.end(result)
    }

    /// As [`Instance::handle_all`].
    pub(super) async fn handle_all(&mut self, entries: &[Entry]) -> Result<BatchOutput, GuestError> {
        let mut turn = self.turn().await?;
        let result = turn.instance()?.handle_all(entries).await;
        turn.end(result)
    }

    /// As [`Instance::save`].
    pub(super) async fn save(&mut self) -> Result<SavedState, GuestError> {
        let mut turn = self.turn().await?;
        let result = turn.instance()?.save().await;
        turn.end(result)
    }

    /// As [`Instance::release_stack`], when no room of the cell has been called for `idle`.
    pub(super) async fn release_stack(&mut self, idle: Duration) {
        let Ok(mut state) = self.cell.state.try_lock() else { return };
        if let State::Running(instance) = &mut *state
            && instance.idle() >= idle
        {
            instance.release_stack().await;
        }
    }

    /// As [`Instance::is_overgrown`]. A cell that is being called is not.
    pub(super) fn is_overgrown(&self) -> bool {
        self.cell
            .state
            .try_lock()
            .is_ok_and(|state| matches!(&*state, State::Running(instance) if instance.is_overgrown()))
    }

    pub(super) fn take_busy(&mut self) -> Duration {
        std::mem::take(&mut self.busy)
    }

    pub(super) fn take_failed_log(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.failed_log)
    }

    /// Waits until no other room of the cell is called.
    async fn turn(&mut self) -> Result<Turn<'_>, GuestError> {
        let mut state = self.cell.state.lock().await;
        let State::Running(instance) = &mut *state else { return Err(GuestError::OfCell) };
        if instance.is_poisoned() {
            // A call of another room was dropped half-way.
            self.cell.fail(&mut state);
            return Err(GuestError::OfCell);
        }
        instance.select(Selection { slot: self.slot, closes: self.cell.slots().take_left() });
        Ok(Turn { state, cell: &self.cell, busy: &mut self.busy, failed_log: &mut self.failed_log })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.component.cells().leave(&self.cell, self.slot);
    }
}

/// A call of one room, while no other room of its cell is called.
struct Turn<'a> {
    state: MutexGuard<'a, State>,
    cell: &'a Cell,
    busy: &'a mut Duration,
    failed_log: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    fn instance(&mut self) -> Result<&mut Instance, GuestError> {
        match &mut *self.state {
            State::Running(instance) => Ok(instance),
            State::New | State::Failed => Err(GuestError::OfCell),
        }
    }

    fn end<T>(mut self, result: Result<T, GuestError>) -> Result<T, GuestError> {
        let instance = self.instance()?;
        let (busy, log, failed) = (instance.take_busy(), instance.take_failed_log(), instance.is_poisoned());
        let is_full = instance.uses_most_of_its_memory();
        *self.busy += busy;
        if failed {
            self.cell.fail(&mut self.state);
            return Err(GuestError::InCell);
        }
        *self.failed_log = log;
        if is_full {
            self.cell.slots().withhold_all();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_as_many_slots_as_its_kind_shares() {
        for share in [1, 2, 63, 64] {
            let mut slots = Slots::new(share);
            let taken = std::iter::from_fn(|| slots.take()).collect::<Vec<_>>();
            assert_eq!(taken, (0..share).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slot_that_is_left_is_closed_once_and_taken_again() {
        let mut slots = Slots::new(3);
        while slots.take().is_some() {}
        assert_eq!((slots.leave(1), slots.leave(2)), (true, false), "listed once");
        assert_eq!((slots.take(), slots.take(), slots.take()), (Some(1), Some(2), None));
        assert_eq!((slots.take_left(), slots.take_left()), (0b110, 0));
    }

    #[test]
    fn a_cell_that_is_full_of_memory_gives_no_slot_away() {
        let mut slots = Slots::new(3);
        slots.take();
        slots.withhold_all();
        slots.leave(0);
        assert_eq!(slots.take(), None);
    }
}
