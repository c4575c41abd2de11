//! The hosting machine: everything that a host decides about one of its rooms.
//!
//! [`core::room`](crate::room) decides what a room does. This machine decides how a host serves it: when outputs leave, when a
//! snapshot is due and when it may be stored, when a timer is appended, when the room hibernates, and what is kept when the room
//! begins again. The shell (`host/src/room_task.rs`, `sim/src/host/`) waits, carries out, and reports.
//!
//! ```text
//! loop { carry out poll_output() until there is none · wait for a record, a report or poll_timeout() · handle() }
//! ```
//!
//! Where to look: `outputs` carries out the room's outputs; `gate` holds commands to edges back; `schedule` has snapshots,
//! timers and hibernation, `scarcity` how much sooner; `open` restores a room from the store; `io` has the inputs and outputs; `ownership` decides which
//! partitions a host takes over and hands over, and `recovery` in which order the rooms of a new partition are restored.
//!
//! What it guarantees:
//! - **Outputs leave in order, or not at all.** An append that fails leaves a gap: the shell drops the machine's outputs and
//!   calls [`HostedRoom::begin_again`], which returns to the stored snapshot.
//! - **No member is moved to a room that does not exist.** A move to a room that this room has created, and every later command
//!   to an edge, is held back until the log has that room's `Create`.
//! - **A stored snapshot has no outputs in flight.** It is stored only when all outputs of its records have arrived, so a host
//!   that restores the room from it has nothing to send again. Until then the machine accepts no further records.
//! - **A timer is appended once** by each machine, however long its record is in flight.
//! - **A room hibernates only when nothing is lost by it:** all its records are stored or need not be, no output is held back,
//!   no kick and no request is pending, and its next timer is set as an alarm.
//!
//! Bounds: at most [`MAX_HELD`] commands are held back; then the machine waits, and accepts no records. The shell passes in no
//! record while [`HostedRoom::accepts_records`] is false.

mod gate;
mod io;
mod open;
mod outputs;
pub mod ownership;
pub mod recovery;
mod scarcity;
mod schedule;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

pub use gate::{AppendId, MAX_HELD};
pub use io::{Hibernation, Input, Output, RowEnd, Save, Summary};
pub use open::{Found, Takeover};
pub use scarcity::Scarcity;
pub use schedule::{ENDED_AFTER_MS, Options};

use crate::{
    command::{Answer, EdgeCommand, LeaveReason, OutputRef, Record, RoomCommand},
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, RoomSecret, SessionId, Time},
    json::Json,
    room::{self, Room, RoomClock},
};

use gate::Gate;
use schedule::Schedule;

/// One room, as a host serves it.
#[derive(Debug)]
pub struct HostedRoom {
    room: Room,
    now: Time,
    gate: Gate,
    schedule: Schedule,
    /// When the room's timers fire, by this host's clock.
    clock: RoomClock,
    identity: Option<Identity>,
    /// The last record that the room was given.
    applied: Option<Offset>,
    /// The offset of the last update that was output, and of the last one that is stored.
    saving: Option<Offset>,
    stored: Option<Offset>,
    kicks: BTreeSet<SessionId>,
    /// Requests of the room that the shell performs.
    performing: BTreeSet<OutputId>,
    waiting: Waiting,
    draining: bool,
    /// Hibernation was output, and no input has arrived since.
    offered: bool,
    outputs: VecDeque<Output>,
}

/// The fields of the room's row in the store that are needed even when the room has dropped its state.
#[derive(Clone, Debug)]
struct Identity {
    kind: Kind,
    component: Digest,
    creator: Option<RoomId>,
    created: Time,
}

/// What the next output of the room waits for.
#[derive(Debug)]
enum Waiting {
    Nothing,
    /// The kind's active component.
    Component(Box<Creation>),
    /// A place among the commands that are held back.
    Place(MachineId, EdgeCommand),
    /// The confirmation of all that was output so far, and the end of all kicks.
    Owing {
        save: Box<Save>,
        flushing: bool,
    },
}

/// A room that this room creates.
#[derive(Debug)]
struct Creation {
    id: RoomId,
    kind: Kind,
    options: Json,
    source: OutputRef,
    secret: RoomSecret,
    allowance: u32,
}

impl HostedRoom {
    fn new(room: Room, clock: RoomClock, options: Options, now: Time) -> HostedRoom {
        HostedRoom {
            identity: Identity::of(&room),
            schedule: Schedule::new(options, now),
            room,
            now,
            gate: Gate::default(),
            clock,
            applied: None,
            saving: None,
            stored: None,
            kicks: BTreeSet::new(),
            performing: BTreeSet::new(),
            waiting: Waiting::Nothing,
            draining: false,
            offered: false,
            outputs: VecDeque::new(),
        }
    }

    /// # Panics
    /// When an input answers an output that was not made: a bug of the shell.
    pub fn handle(&mut self, input: Input, now: Time) {
        self.now = self.now.max(now);
        self.offered = false;
        match input {
            Input::Record(offset, record) => self.on_record(offset, record),
            Input::Guest { outcome, fuel } => self.room.handle(room::Input::Guest { outcome, fuel }),
            Input::InstanceLost => self.room.handle(room::Input::InstanceLost),
            Input::Component(component) => self.on_component(component),
            Input::ActiveComponent(component) => self.on_active_component(component),
            Input::Confirmed(id) => self.gate.confirm(id),
            Input::Flushed => self.on_flushed(),
            Input::SessionEnded { session, rooms } => self.on_session_ended(session, rooms),
            Input::Performed { number, result } => self.on_performed(number, result),
            Input::Stored(offset) => self.stored = self.stored.max(Some(offset)),
            Input::Diverged(offset) => self.on_diverged(offset),
            Input::Drain => self.draining = true,
            Input::Instances(scarcity) => self.schedule.scarcity = scarcity,
            Input::Tick => self.on_tick(),
        }
        if self.draining && !self.room.is_saved() {
            self.room.handle(room::Input::TakeSnapshot);
        }
    }

    /// The next output, until there is none. Each is carried out before the next one is polled.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some((edge, command)) = self.gate.release() {
                return Some(Output::Send { edge, command });
            }
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            let output = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
                Waiting::Nothing => match self.room.poll_output() {
                    Some(output) => self.carry_out(output),
                    None => return self.hibernate(),
                },
                waiting => match self.go_on(waiting) {
                    None if !self.accepts_records() => return None,
                    output => output,
                },
            };
            if output.is_some() {
                return output;
            }
        }
    }

    /// When to pass in [`Input::Tick`] if no other input arrives before.
    pub fn poll_timeout(&mut self) -> Option<Time> {
        let over = self.room.state().is_none();
        let due = self.schedule.next(over);
        let timer = self.next_timer().filter(|timer| !self.schedule.is_appended(timer.id));
        Some(timer.map_or(due, |timer| timer.at.min(due)))
    }

    /// Whether records may be passed in. If not, an output of an earlier record waits for a report.
    pub fn accepts_records(&self) -> bool {
        matches!(self.waiting, Waiting::Nothing)
    }

    /// Whether the confirmation of an append is awaited: see [`Input::Confirmed`].
    pub fn awaits_confirmation(&self) -> bool {
        self.gate.held() > 0
    }

    /// The room itself, for inspection.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The record up to which the log is not needed any longer, if the store has all that must be kept of this room's records.
    /// Nothing must be kept of a room that never existed, or of records that the snapshot already contains.
    pub fn needs_no_record_through(&self) -> Option<Offset> {
        self.is_stored().then_some(self.applied).flatten()
    }

    /// The kind, even of a room that has ended.
    pub fn kind(&self) -> Option<&Kind> {
        self.identity.as_ref().map(|identity| &identity.kind)
    }

    /// The component that the room runs, or ran last.
    pub fn component(&self) -> Option<Digest> {
        self.identity.as_ref().map(|identity| identity.component)
    }

    // ---- inputs ----

    fn on_record(&mut self, offset: Offset, record: Record) {
        if let RoomCommand::Create { kind, component, creator, .. } = &record.command
            && self.identity.is_none()
        {
            let (kind, creator) = (kind.clone(), creator.map(|creator| creator.room));
            self.identity = Some(Identity { kind, component: *component, creator, created: record.time });
        }
        self.applied = Some(offset);
        self.schedule.on_record(self.now);
        self.room.handle(room::Input::Record(offset, record));
    }

    fn on_component(&mut self, component: Option<Digest>) {
        let Waiting::Component(creation) = std::mem::replace(&mut self.waiting, Waiting::Nothing) else {
            panic!("the shell reports a component that was not requested");
        };
        let Creation { id, kind, options, source, secret, allowance } = *creation;
        match component {
            Some(component) => {
                let receipt = Some(self.gate.create(id));
                let creator = Some(source);
                let command = RoomCommand::Create { kind, component, options, creator, secret, allowance };
                self.outputs.push_back(Output::Append { room: id, time: self.now, command, receipt });
            }
            None => {
                let reason = format!("there is no kind {kind}").into();
                let answer = Answer::CreateFailed { room: id, reason };
                self.append(self.room.id(), RoomCommand::Answer { request: source.number, answer });
            }
        }
    }

    /// A room's creator may have used a component that is no longer the active one.
    fn on_active_component(&mut self, component: Digest) {
        if self.room.state().is_some_and(|state| state.component != component) {
            self.append(self.room.id(), RoomCommand::Swap { component, rollout: None });
        }
    }

    fn on_flushed(&mut self) {
        let Waiting::Owing { save, flushing: true } = std::mem::replace(&mut self.waiting, Waiting::Nothing) else {
            panic!("the shell reports a flush that was not requested");
        };
        let save = self.save(*save);
        self.outputs.push_back(save);
    }

    /// Ends the session in each of its rooms, and in this room last: until then this room's state keeps the kick, and a host
    /// that restores the room repeats it.
    fn on_session_ended(&mut self, session: SessionId, rooms: Vec<RoomId>) {
        let this = self.room.id();
        for room in rooms.into_iter().filter(|room| *room != this).chain([this]) {
            let reason = LeaveReason::Kicked;
            self.append(room, RoomCommand::Leave { session, reason });
        }
        self.kicks.remove(&session);
    }

    /// The room may have given the request up meanwhile: then the answer has no effect.
    fn on_performed(&mut self, number: OutputId, result: Result<Json, Box<str>>) {
        if self.performing.remove(&number) {
            self.append(self.room.id(), RoomCommand::Answer { request: number, answer: Answer::Result(result) });
        }
    }

    /// The same records have led to two states, and nothing shows which of them is right. Members may see either, so the room
    /// cannot be trusted. A `Close` in its channel ends it on every host. To continue would mean a state that depends on the
    /// host, and a log that can never be truncated.
    fn on_diverged(&mut self, offset: Offset) {
        let reason = format!("its state after the record at {offset} came out in two ways").into();
        self.append(self.room.id(), RoomCommand::Close { reason });
    }

    /// The room's row, for lists before its first snapshot: no host restores a room from it.
    pub fn summary(&self) -> Summary {
        let identity = self.identity.as_ref().expect("what is stored was restored, or created by a record");
        let state = self.room.state();
        Summary {
            id: self.room.id(),
            kind: identity.kind.clone(),
            component: identity.component,
            creator: identity.creator,
            created: identity.created,
            // A kick or a request that is not done yet counts as a timer: the host that restores the room repeats it.
            next_timer: state.and_then(|state| match state.kicks.is_empty() && state.requests.is_empty() {
                true => state.next_timer().map(|(due, _)| due),
                false => Some(state.clock),
            }),
            clock: state.map_or(Time(0), |state| state.clock),
            metadata: state.and_then(|state| state.metadata.clone()),
            members: state.map_or(0, |state| state.members.len() as u32),
        }
    }
}

impl Identity {
    fn of(room: &Room) -> Option<Identity> {
        let state = room.state()?;
        Some(Identity {
            kind: state.kind.clone(),
            component: state.component,
            creator: state.creator.map(|creator| creator.room),
            created: state.created,
        })
    }
}

/// A snapshot's bytes.
pub type Bytes = Arc<[u8]>;
