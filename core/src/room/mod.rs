//! The room machine: everything that a room decides.
//!
//! A room is a deterministic state machine over the records of its channel. The shell ([`crate::hosting`], then `host`) passes
//! it records in offset order with [`Room::handle`], carries out the outputs of [`Room::poll_output`], and returns the results
//! of guest calls as further inputs. The machine never waits and reads no clock: its time is that of the records.
//!
//! A step applies one record, and owns the state while it does so. A handler changes the state, adds outputs and returns what
//! happens next; the driver carries that out, in one place.
//!
//! | file | what it has |
//! | --- | --- |
//! | `driver` | the control flow: the next record, and what follows a handler |
//! | `phase`, `step` | what the machine waits for; the application of one record |
//! | `batch` | which records are handed to the guest in one call |
//! | `rebuild`, `history`, `tail` | snapshots, replays, failures of the guest, giving up |
//! | `commands` | what each command does: membership, messages, timers, other rooms, swaps, faults, the end |
//! | `effects` | what each effect of the guest does |
//! | `frames` | numbering, sending and resending members' frames |
//! | `resend_buffer` | the frames that are kept for members that reconnect |
//! | `packed` | bytes that are rarely read, compressed |
//! | `roles` | which members are players and which are spectators |
//! | `kicks` | the end of a session by its room |
//! | `reports` | what a script reports of players to operators |
//! | `allowance` | how many rooms a room may create |
//! | `lobby_restart` | the restart of the lobby where another room would end |
//! | `charge` | the client that the room's work is charged to |
//! | `open` | what an instance is opened with |
//! | `state`, `spec` | the content of a snapshot; the properties of a component |
//! | `clock` | when a room's timers fire on its host |
//! | `io` | the types of inputs and outputs |
//!
//! **Charging.** A record that a client has caused ([`crate::command::RoomCommand::client`]) runs with a budget of its own.
//! Exhausting that budget is charged to the session: the client gets an error, and the fault does not count towards the limit
//! that ends the room. A trap is charged to the room, even where a client caused the record. Both rules depend on the record and
//! the `Fault` alone. A record that may have been applied before runs with the room's budget, which is larger: a replay on
//! another heap must not exhaust its fuel on a record that has been answered. See `docs/adr/0007-charging-faults.md`.
//!
//! Bounds: the tail by [`TAIL_RECORDS`], [`TAIL_BYTES`] and [`TAIL_FUEL`] (at which the machine requests a snapshot), the
//! resend buffer by [`RESEND_FRAMES`] and [`RESEND_BYTES`], members by [`ComponentSpec::MAX_MEMBERS`]; the inbox by the shell,
//! which stops reading.

mod allowance;
mod batch;
mod charge;
mod clock;
mod commands;
mod driver;
mod effects;
mod frames;
mod history;
mod io;
mod kicks;
mod lobby_restart;
mod open;
mod packed;
mod phase;
mod rebuild;
mod reports;
mod requests;
mod resend_buffer;
mod roles;
mod spec;
mod state;
mod step;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

pub use allowance::{
    CreatedByClients, LOBBY_CREATE_BURST, LOBBY_CREATES_PER_MS, LobbyRooms, MAX_ALLOWANCE, MAX_ROOMS_PER_SESSION,
};
pub use batch::{ALONE_RECORDS, BATCH_BYTES, BATCH_FUEL, BATCH_RECORDS};
pub use charge::Account;
pub use clock::{GRACE_MS, RoomClock, TimerDue, wakes_at};
pub use commands::swap::{PROBATION_MS, PROBATION_RECORDS};
pub use driver::STATE_FUEL;
pub use history::{TAIL_BYTES, TAIL_FUEL, TAIL_RECORDS};
pub use io::{Call, Entry, Input, Notice, Outcome, Output, SwappedTo};
pub use kicks::MAX_DEPARTURES;
pub use lobby_restart::{LobbyRestart, MAX_RESTART_DELAY_MS, STEADY_RUN_MS};
pub use reports::{REPORT_BURST, REPORT_INTERVAL_MS, Report};
pub use requests::{MAX_REQUESTS, Request, RequestKind};
pub use resend_buffer::{RESEND_BYTES, RESEND_FRAMES, ResendBuffer};
pub use spec::ComponentSpec;
pub use state::{Member, State};

use self::{batch::Batch, charge::Charges, history::History, phase::Phase};
use crate::{
    command::Record,
    effect::RestoreReason,
    ids::{Offset, OutputId, RoomId, SessionId, Time},
    planted::{Bug, planted},
    wire,
};

/// One room.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    phase: Phase,
    /// Records that are not applied yet.
    inbox: VecDeque<(Offset, Record)>,
    history: History,
    batch: Batch,
    charges: Charges,
    /// Whether the shell holds an instance of the state's component that has received all calls.
    has_instance: bool,
    /// The instance has missed an event whose call failed. It is replaced after the next save.
    instance_is_stale: bool,
    /// Why the next instance is opened.
    restore_reason: RestoreReason,
    wants_snapshot: bool,
    /// Kicks that were output to the shell.
    requested_kicks: BTreeSet<SessionId>,
    /// Requests that were output to the shell.
    performed: BTreeMap<OutputId, Request>,
    outputs: VecDeque<Output>,
}

/// The capacity that an empty queue of a room keeps. A rebuild, or a record with many outputs, needs more for a moment.
const KEPT_CAPACITY: usize = 4;

fn release_spare<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT_CAPACITY {
        *queue = VecDeque::new();
    }
}

/// A snapshot that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot of room {room} cannot be read: {cause}")]
pub struct BadSnapshot {
    pub room: RoomId,
    pub cause: wire::DecodeError,
}

impl Room {
    /// A room without a snapshot: its channel begins with `Create`.
    pub fn new(id: RoomId) -> Room {
        Room {
            id,
            phase: Phase::Absent,
            inbox: VecDeque::new(),
            history: History::default(),
            batch: Batch::default(),
            charges: Charges::default(),
            has_instance: false,
            instance_is_stale: false,
            restore_reason: RestoreReason::Recovered,
            wants_snapshot: false,
            requested_kicks: BTreeSet::new(),
            performed: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Restores a room from a snapshot that a room machine has output. Records that the snapshot contains are ignored.
    pub fn restore(id: RoomId, snapshot: &[u8], reason: RestoreReason) -> Result<Room, BadSnapshot> {
        let state = State::decode(snapshot).map_err(|cause| BadSnapshot { room: id, cause })?;
        let history = History::from(state.offset, snapshot);
        let requested_kicks = state.kicks.keys().copied().filter(|_| planted(Bug::LostKick)).collect();
        let phase = Phase::Idle(Box::new(state));
        let mut room = Room { phase, history, restore_reason: reason, requested_kicks, ..Room::new(id) };
        room.request_kicks();
        room.perform_requests();
        Ok(room)
    }

    /// A room that has ended: it refuses every join.
    pub fn ended(id: RoomId) -> Room {
        Room { phase: Phase::Ended, ..Room::new(id) }
    }

    /// # Panics
    /// When an outcome does not match the guest work that was output: a bug of the shell.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Inherited(offset) => self.history.inherit(offset),
            Input::Record(offset, record) => self.on_record(offset, record),
            Input::FaultDecided { offset, fault } => self.on_fault_decided(offset, fault),
            Input::Guest { outcome, fuel } => self.on_guest(outcome, fuel),
            Input::InstanceLost => self.on_instance_lost(),
            Input::TakeSnapshot => self.wants_snapshot = !self.history.tail().is_empty(),
        }
        self.advance();
    }

    /// The next output, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        match self.outputs.pop_front() {
            Some(Output::Guest(Call::Handle(entry))) => Some(Output::Guest(self.call_with_waiting(entry))),
            None => {
                release_spare(&mut self.outputs);
                None
            }
            output => output,
        }
    }

    /// The next timer by the room's own time. [`RoomClock`] decides when the shell must append `Timer` with its id.
    pub fn poll_timeout(&self) -> Option<(Time, OutputId)> {
        self.state().and_then(State::next_timer)
    }

    pub fn id(&self) -> RoomId {
        self.id
    }

    /// The present state, for inspection. `None` when the room was never created, or has ended.
    pub fn state(&self) -> Option<&State> {
        self.phase.state()
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The script's name of a timer.
    pub fn timer_name(&self, id: OutputId) -> Option<Arc<str>> {
        self.state()?.timer_name(id)
    }

    /// The client on whose behalf the machine works, including the replay after a failed record of that client.
    pub fn account(&self) -> Option<&Account> {
        self.charges.current()
    }

    /// The client on whose behalf this call to the guest runs; for [`Call::HandleAll`], [`Room::accounts_of`] has the clients.
    /// Instances are opened and saved on behalf of all members, unless a client's failure made that necessary.
    pub fn account_for(&self, call: &Call) -> Option<&Account> {
        self.charges.account_for(call)
    }

    /// The client on whose behalf each entry of [`Call::HandleAll`] is handed over.
    pub fn accounts_of(&self, entries: &[Entry]) -> Vec<Option<Account>> {
        let Some(state) = self.state() else { return vec![None; entries.len()] };
        let others = self.inbox.iter().take(entries.len().saturating_sub(1)).map(|(offset, record)| {
            match self.history.is_replay(*offset) {
                true => self.charges.current().cloned(),
                false => Account::of(*offset, &record.command, state),
            }
        });
        std::iter::once(self.charges.current().cloned()).chain(others).collect()
    }

    /// The record whose guest work the machine waits for.
    pub fn in_hand(&self) -> Option<Offset> {
        self.phase.in_hand()
    }

    /// Whether the machine has no work.
    pub fn is_idle(&self) -> bool {
        self.phase.is_ready() && self.inbox.is_empty() && self.outputs.is_empty()
    }

    /// Whether the last snapshot contains every record that the room has received, so that the room may hibernate.
    pub fn is_saved(&self) -> bool {
        self.is_idle() && self.history.tail().is_empty()
    }

    /// The oldest record that is in no snapshot: the log must be kept from there.
    pub fn needs_log_from(&self) -> Option<Offset> {
        self.history.tail().first().or(self.inbox.front().map(|(offset, _)| *offset))
    }
}
