//! The room machine: everything that a room decides.
//!
//! A room is a deterministic state machine over the records of its channel. The shell (`host`) passes it records in offset
//! order with [`Room::record`], carries out the outputs of [`Room::poll_output`], and returns the results of guest calls with
//! [`Room::guest`]. The machine never waits and reads no clock: its time is that of the records.
//!
//! Where to look: this file drives the machine; `records` has what each command does; `effects` carries out the guest's
//! effects; `kicks` ends sessions; `rooms` bounds the rooms that a room creates; `frames` numbers, keeps and resends members'
//! frames; `state` is the content of a snapshot; `clock` decides when timers fire; `lobby_restart` restarts the lobby where another
//! room would end.
//!
//! **One way to start.** *New instance ← snapshot ← tail.* The machine keeps the last encoded state (`base`) and the records
//! since (`tail`). To start a room, to restore it after hibernation, or to take back a failed call, it returns to the base,
//! opens a new instance with the base's saved state, and replays the tail. Outputs that were emitted before are suppressed.
//!
//! **Failure.** A hook that *throws* has no effect, and does so in every replay, so nothing needs to be written. A *trap* or an
//! exhausted budget depends on more than the records (a heap's history, a host's limit), so the log decides it: the machine
//! appends `Fault{at}` and runs nothing until it has read that record back. From then on every replay skips the failed record.
//! Each member then gets a whole view, because a host on which the call succeeded may have sent other frames.
//!
//! **Charging.** A record that a client has caused ([`RoomCommand::client`]) runs with a budget of its own. Exhausting that
//! budget is charged to the session: the client gets an error, and the fault does not count towards the limit that ends the
//! room. A trap is charged to the room, even where a client caused the record. Both rules depend on the record and the `Fault`
//! alone. A record that may have been applied before runs with the room's budget, which is larger: a replay on another heap
//! must not exhaust its fuel on a record that has been answered. See `docs/adr/0007-charging-faults.md`.
//!
//! Bounds: the tail by [`TAIL_RECORDS`], [`TAIL_BYTES`] and [`TAIL_FUEL`] (at which the machine requests a snapshot), the ring
//! by [`RING_FRAMES`] and [`RING_BYTES`], members by [`Spec::MAX_MEMBERS`]; the inbox by the shell, which stops reading.

mod clock;
mod effects;
mod frames;
mod kicks;
mod lobby_restart;
mod records;
mod rooms;
mod spec;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

pub use clock::{GRACE_MS, Ring, RoomClock, wakes_at};
pub use frames::{RING_BYTES, RING_FRAMES};
pub use kicks::GONE;
pub use lobby_restart::{LobbyRestart, MOST_WAIT_MS, STEADY_MS};
pub use rooms::{ALLOWANCE, LOBBY_AT_ONCE, LOBBY_EVERY_MS, OF_ONE_SESSION, Placed};
pub use spec::Spec;
pub use state::{Member, State};

use crate::{
    command::{EdgeCommand, Fault, Joining, LeaveReason, OutputRef, Player, Record, RequestId, RoomCommand, RoomData},
    effect::{Effect, Event, LogLevel, Moment, RestoreReason, RoomInfo, Saved},
    frame::RoomFrame,
    ids::{ConnectionId, Digest, Kind, MachineId, Offset, OutputId, RoomId, Secret, Seed, SessionId, Time},
    json::Json,
    wire,
};

/// Records since the base at which a room requests a snapshot. A rebuild costs at most this many calls.
pub const TAIL_RECORDS: usize = 128;

/// Bytes of messages since the base at which a room requests a snapshot.
pub const TAIL_BYTES: usize = 32 * 1024;

/// Fuel burnt since the base at which a room requests a snapshot. 128 moves of tic-tac-toe burn a quarter of it. A rebuild
/// costs little more than one record may cost the room, however expensive the earlier messages were.
pub const TAIL_FUEL: u64 = 300_000_000;

/// Fuel that a client's record gets in addition for each byte of the last saved state: a script that reads its state parses and
/// prints all of it, even for a small message. Without this allowance a growing room would reach a size at which it refuses
/// every message.
pub const STATE_FUEL: u64 = 300;

/// Records after a swap during which a fault undoes the swap. They are kept in the room's state until then.
pub const PROBATION_RECORDS: usize = 64;

/// How long after a swap a fault undoes it, in milliseconds.
pub const PROBATION_MS: u64 = 60_000;

/// One room.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    /// `None` until it is created, and after it has ended.
    state: Option<State>,
    ended: bool,
    /// The last encoded state; `None` before the first snapshot: then the tail begins with `Create`.
    base: Option<Base>,
    tail: Vec<(Offset, Record)>,
    tail_bytes: usize,
    tail_fuel: u64,
    inbox: VecDeque<(Offset, Record)>,
    /// Records to skip, by offset: the log has a `Fault` for each.
    skips: BTreeMap<Offset, Fault>,
    /// Records whose hook threw, by offset, so that a replay need not call it again.
    threw: BTreeMap<Offset, Box<str>>,
    /// Outputs of records up to this offset have been emitted.
    said: Option<Offset>,
    /// The highest record that was ever begun. Records up to it are a replay.
    reached: Option<Offset>,
    /// Records up to this offset were in the log before this machine was created: another one may have applied them.
    inherited: Option<Offset>,
    /// The client on whose behalf the machine and its guest work now.
    account: Option<Account>,
    /// Whether that work takes back a failed record of this client.
    takes_back: bool,
    /// The clients whose records were skipped, by offset, until the `Fault` record itself is applied.
    accounts: BTreeMap<Offset, Account>,
    phase: Phase,
    /// Why the next instance is opened.
    why: RestoreReason,
    /// Whether the shell holds an instance of the state's component that has received all calls.
    instance: bool,
    /// The instance has missed an event whose call failed. It is replaced after the next save.
    stale: bool,
    wants_snapshot: bool,
    /// Kicks that were output to the shell.
    asked_kicks: BTreeSet<SessionId>,
    outputs: VecDeque<Output>,
}

/// A client's session, and its latest connection in the room's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub session: SessionId,
    pub edge: MachineId,
    pub connection: ConnectionId,
    /// The record that the client has caused.
    pub offset: Offset,
}

/// The state that a rebuild returns to.
#[derive(Debug)]
struct Base {
    offset: Offset,
    bytes: Arc<[u8]>,
}

/// The input that the machine waits for.
#[derive(Debug)]
enum Phase {
    /// The next record.
    Idle,
    /// An instance, for this call.
    Opening(Box<Step>, Event),
    /// An instance of the old component, so that it can save.
    OpeningToSwap(Box<Step>, Digest),
    /// The outcome of this call.
    Calling(Box<Step>),
    /// The outcome of a swap.
    Swapping(Box<Step>, Digest),
    /// The guest's state.
    Saving,
    /// Its own `Fault` record.
    Deciding,
    /// Its own `Close` record.
    Hopeless,
}

/// A record that is being applied.
#[derive(Debug)]
struct Step {
    offset: Offset,
    /// Its outputs. They are emitted once the record is fully applied, or never.
    out: Vec<Output>,
    /// Patches by the two views, for members with the same views.
    patches: BTreeMap<(Json, Json), RoomFrame>,
    /// The next output's index.
    index: u32,
    /// Rooms created so far.
    created: u32,
    moment: Moment,
    /// The client that has caused the record, if any.
    client: Option<SessionId>,
    cause: CallOrigin,
    /// A member that has just left, if the guest has not processed that event yet: an instance that is opened now still gets
    /// it.
    leaver: Option<Box<(SessionId, Member)>>,
}

/// The event of a call, as far as its effects depend on it.
#[derive(Debug)]
enum CallOrigin {
    Create,
    Join {
        session: SessionId,
        player: Player,
        edge: MachineId,
        request: RequestId,
        message_id: u64,
        from: Option<OutputRef>,
    },
    Message {
        session: SessionId,
        id: u64,
    },
    Dispose {
        outcome: Json,
        failed: Option<Box<str>>,
    },
    /// A held seat was freed for this newcomer.
    MakeRoom(Box<Joining>),
    Other,
}

/// Work for the shell, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Guest work. The machine continues when it gets the outcome, by [`Room::guest`].
    Guest(Call),
    /// Appends to this room's channel or another's. Appended in order, or not at all.
    Append(RoomId, RoomCommand),
    /// Creates a room of `kind` with that kind's active component, or replies that it cannot be created.
    Create { id: RoomId, kind: Kind, options: Json, source: OutputRef, secret: Secret, allowance: u32 },
    /// To an edge's channel.
    Edge(MachineId, EdgeCommand),
    /// Ends the session in the store, then appends `Leave` for [`LeaveReason::Kicked`] to all its rooms, to this one last.
    /// Retried until it succeeds; repeating it does no harm. Only [`Output::Ended`] waits for it.
    Kick { session: SessionId, reason: Box<str> },
    /// A snapshot at `offset`, to be stored once all outputs of the records up to there are confirmed.
    Snapshot { offset: Offset, bytes: Arc<[u8]> },
    /// The room has ended. Its snapshot may be deleted once all earlier outputs are confirmed.
    Ended { outcome: Json, failed: Option<Box<str>> },
    /// For the author.
    Log { level: LogLevel, text: Box<str> },
    /// For the operator.
    Notice(Notice),
}

/// Guest work. A trap ends the instance: the shell drops it and reports the fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Opens a new instance in place of any old one. Outcome: [`Outcome::Opened`].
    Open { component: Digest, info: Box<RoomInfo>, saved: Option<Saved> },
    /// Outcome: [`Outcome::Called`].
    /// `fuel` is the budget; `None` is that of the component for any record.
    Handle { at: Moment, event: Event, fuel: Option<u64> },
    /// Outcome: [`Outcome::Saved`].
    Save,
    /// Saves, and opens the new component with the saved state; drops the old instance, or the new one if that fails. Outcome:
    /// [`Outcome::Swapped`], or [`Outcome::Saved`] with the fault if saving failed.
    Swap { component: Digest, info: Box<RoomInfo> },
}

/// The result of guest work.
#[derive(Debug, Clone)]
pub enum Outcome {
    Opened(Result<Arc<Spec>, Fault>),
    Called(Result<Vec<Effect>, Fault>),
    Saved(Result<Saved, Fault>),
    /// An error is the reason why the swap was refused; the old instance must still exist.
    Swapped(Result<SwappedTo, Box<str>>),
}

/// The result of a swap that succeeded.
#[derive(Debug, Clone)]
pub struct SwappedTo {
    /// The state that the old component saved.
    pub before: Saved,
    pub spec: Arc<Spec>,
    pub effects: Vec<Effect>,
}

/// Something about a room that is reported to operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Created {
        kind: Kind,
        component: Digest,
    },
    /// `handler` is the script's handler that was called.
    Threw {
        offset: Offset,
        handler: Box<str>,
        text: Box<str>,
    },
    Faulted {
        offset: Offset,
        handler: Box<str>,
        fault: Fault,
        /// The session that the fault is charged to; `None` where it is charged to the room.
        charged: Option<SessionId>,
    },
    Swapped {
        component: Digest,
    },
    SwapRefused {
        component: Digest,
        reason: Box<str>,
    },
    SwapUndone {
        component: Digest,
        fault: Fault,
    },
    /// The lobby has ended and restarts in this many milliseconds; with the failure, if it has failed.
    BeginsAnew {
        failed: Option<Box<str>>,
        in_ms: u64,
    },
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
            state: None,
            ended: false,
            base: None,
            tail: Vec::new(),
            tail_bytes: 0,
            tail_fuel: 0,
            inbox: VecDeque::new(),
            skips: BTreeMap::new(),
            threw: BTreeMap::new(),
            said: None,
            reached: None,
            inherited: None,
            account: None,
            takes_back: false,
            accounts: BTreeMap::new(),
            phase: Phase::Idle,
            why: RestoreReason::Recovered,
            instance: false,
            stale: false,
            wants_snapshot: false,
            asked_kicks: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A room from a snapshot that this machine has output before. Records that the snapshot contains are ignored.
    pub fn restore(id: RoomId, snapshot: &[u8], why: RestoreReason) -> Result<Room, BadSnapshot> {
        let state = State::decode(snapshot).map_err(|cause| BadSnapshot { room: id, cause })?;
        let base = Some(Base { offset: state.offset, bytes: snapshot.into() });
        let at = Some(state.offset);
        let mut room = Room { said: at, reached: at, base, state: Some(state), why, ..Room::new(id) };
        room.ask_for_kicks();
        Ok(room)
    }

    /// A room that has ended: it refuses every join.
    pub fn ended(id: RoomId) -> Room {
        Room { ended: true, ..Room::new(id) }
    }

    /// Records up to `offset` were in the channel before this machine was created: another one may have applied them.
    pub fn inherits(&mut self, offset: Offset) {
        self.inherited = self.inherited.max(Some(offset));
    }

    /// The next record of this room's channel. Offsets rise; a record at or below the highest known offset is ignored.
    pub fn record(&mut self, offset: Offset, record: Record) {
        let newest = self.inbox.back().map(|(offset, _)| *offset).max(self.reached);
        if newest.is_some_and(|newest| offset <= newest) {
            return;
        }
        if let RoomCommand::Fault { at, fault } = &record.command {
            self.decide_fault(at.offset, fault.clone());
        }
        let closes = matches!(record.command, RoomCommand::Close { .. });
        self.inbox.push_back((offset, record));
        if closes && matches!(self.phase, Phase::Hopeless) {
            self.end_hopeless();
        }
        self.advance();
    }

    /// The outcome of the guest work that was output.
    ///
    /// # Panics
    /// When no such work was output: the shell is wrong.
    pub fn guest(&mut self, outcome: Outcome) {
        match (std::mem::replace(&mut self.phase, Phase::Idle), outcome) {
            (Phase::Opening(step, event), Outcome::Opened(result)) => self.on_opened(*step, event, result),
            (Phase::OpeningToSwap(step, to), Outcome::Opened(result)) => self.on_opened_to_swap(*step, to, result),
            (Phase::Calling(step), Outcome::Called(Ok(effects))) => self.on_called(*step, effects),
            (Phase::Calling(step), Outcome::Called(Err(fault))) => self.on_failed(*step, fault),
            (Phase::Swapping(step, to), Outcome::Swapped(result)) => self.on_swapped(*step, to, result),
            (Phase::Saving, Outcome::Saved(result)) => self.on_saved(result),
            // The old component could not save the state to carry over.
            (Phase::Swapping(..), Outcome::Saved(Err(fault))) => self.on_saved(Err(fault)),
            (phase, outcome) => panic!("the shell answered {outcome:?} to {phase:?}"),
        }
        self.advance();
    }

    /// The fuel that the current call has burnt. Reported before [`Room::guest`], which has its outcome.
    pub fn burnt(&mut self, fuel: u64) {
        self.tail_fuel = self.tail_fuel.saturating_add(fuel);
        self.wants_snapshot |= self.tail_fuel >= TAIL_FUEL;
    }

    /// The client on whose behalf the machine works, including the replay after a failed record of that client.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The same for a call to the guest. Instances are opened and saved on behalf of all members, unless a client's failure
    /// made that necessary.
    pub fn account_for(&self, call: &Call) -> Option<&Account> {
        self.account.as_ref().filter(|_| self.takes_back || matches!(call, Call::Handle { .. }))
    }

    /// The instance was lost through no fault of the record: its host was out of some resource. Called in place of
    /// [`Room::guest`].
    pub fn instance_lost(&mut self) {
        self.why = RestoreReason::Recovered;
        self.rebuild();
        self.advance();
    }

    /// The next output, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The record whose guest work the machine waits for.
    pub fn in_hand(&self) -> Option<Offset> {
        match &self.phase {
            Phase::Opening(step, _)
            | Phase::OpeningToSwap(step, _)
            | Phase::Calling(step)
            | Phase::Swapping(step, _) => Some(step.offset),
            Phase::Idle | Phase::Saving | Phase::Deciding | Phase::Hopeless => None,
        }
    }

    /// The next timer by the room's own time. [`RoomClock`] decides when the shell must append `Timer` with its id.
    pub fn poll_timeout(&self) -> Option<(Time, OutputId)> {
        self.state.as_ref().and_then(State::next_timer)
    }

    /// The script's name of a timer.
    pub fn timer_name(&self, id: OutputId) -> Option<Arc<str>> {
        let timers = &self.state.as_ref()?.timers;
        timers.iter().find(|(_, timer)| timer.id == id).map(|(name, _)| name.clone())
    }

    /// Requests a snapshot as soon as possible: on hibernation, on drain, or after some time. Does nothing when nothing is new.
    pub fn snapshot(&mut self) {
        self.wants_snapshot = !self.tail.is_empty();
        self.advance();
    }

    /// Whether it has nothing to do at present.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.inbox.is_empty() && self.outputs.is_empty()
    }

    /// Whether the last snapshot contains every record that the room has received: it may hibernate.
    pub fn is_saved(&self) -> bool {
        self.is_idle() && self.tail.is_empty()
    }

    pub fn id(&self) -> RoomId {
        self.id
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The present state, for inspection. `None` when the room was never created, or has ended.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The oldest record that is in no snapshot: the log must be kept from there.
    pub fn needs_log_from(&self) -> Option<Offset> {
        let oldest = self.tail.first().or(self.inbox.front());
        oldest.map(|(offset, _)| *offset)
    }

    fn advance(&mut self) {
        while matches!(self.phase, Phase::Idle) {
            if self.wants_snapshot && self.can_save() {
                self.save();
            } else if let Some((offset, record)) = self.inbox.pop_front() {
                self.apply(offset, record);
            } else {
                return self.ask_for_kicks();
            }
        }
    }

    fn apply(&mut self, offset: Offset, record: Record) {
        if self.state.as_ref().is_some_and(|state| offset <= state.offset) {
            return;
        }
        if !self.ended {
            self.tail_bytes += record.command.size();
            self.tail.push((offset, record.clone()));
        }
        self.reached = self.reached.max(Some(offset));
        self.keep_for_probation(offset, &record);
        self.begin(offset, record);
        if self.tail.len() >= TAIL_RECORDS || self.tail_bytes >= TAIL_BYTES {
            self.wants_snapshot = true;
        }
    }

    /// The record is fully applied, so its outputs may be emitted, unless this is a replay of a record whose outputs were.
    fn finish(&mut self, step: Step) {
        if let Some(state) = &mut self.state {
            state.offset = step.offset;
        }
        if self.said.is_none_or(|said| step.offset > said) {
            self.said = Some(step.offset);
            self.outputs.extend(step.out);
        }
        self.phase = Phase::Idle;
    }

    /// Calls the guest with `event`; opens an instance first when there is none.
    fn call(&mut self, step: Step, event: Event) {
        if let Some(text) = self.threw.get(&step.offset) {
            let fault = Fault::Threw(text.clone());
            return self.skip_call(step, event.handler(), fault);
        }
        if let Some(fault) = self.skips.get(&step.offset).cloned() {
            return self.skip_call(step, event.handler(), fault);
        }
        if self.instance {
            let fuel = self.fuel(&step);
            self.outputs.push_back(Output::Guest(Call::Handle { at: step.moment, event, fuel }));
            self.phase = Phase::Calling(Box::new(step));
            return;
        }
        let state = self.state.as_ref().expect("only a room that exists calls its guest");
        let restored = (!matches!(step.cause, CallOrigin::Create)).then_some(self.why);
        let mut info = self.room_info(state, step.moment, restored);
        info.members = state.member_infos(step.leaver.as_deref());
        as_before(&mut info, &event);
        let (component, saved) = (state.component, state.saved.clone());
        self.outputs.push_back(Output::Guest(Call::Open { component, info: Box::new(info), saved }));
        self.phase = Phase::Opening(Box::new(step), event);
    }

    /// The fuel of a client's record; `None` for any other, and for a record that may have been applied before. A room ends
    /// only once, so its last call has the room's budget even where a client has caused it.
    fn fuel(&self, step: &Step) -> Option<u64> {
        step.client.filter(|_| !matches!(step.cause, CallOrigin::Dispose { .. }) && !self.is_replay(step.offset))?;
        let state = self.state.as_ref()?;
        let size = state.saved.as_ref().map_or(0, |saved| saved.state.len() as u64);
        state.spec.as_ref().map(|spec| spec.fuel_per_message.saturating_add(STATE_FUEL * size))
    }

    fn is_replay(&self, offset: Offset) -> bool {
        Some(offset) <= self.said.max(self.inherited)
    }

    fn room_info(&self, state: &State, at: Moment, restored: Option<RestoreReason>) -> RoomInfo {
        RoomInfo {
            id: self.id,
            kind: state.kind.clone(),
            creator: state.creator.map(|creator| creator.room),
            at,
            members: state.member_infos(None),
            timers: state.timers.keys().cloned().collect(),
            locked: state.locked,
            rooms: state.rooms_info(self.id),
            restored,
        }
    }

    fn on_opened(&mut self, step: Step, event: Event, result: Result<Arc<Spec>, Fault>) {
        match result {
            Ok(spec) => {
                self.state.as_mut().expect("only a room that exists is opened").spec = Some(spec);
                self.instance = true;
                self.call(step, event);
            }
            // The saved state cannot be opened, so there is no state to return to.
            Err(fault) => {
                self.turn_away(&step);
                self.give_up(format!("its script cannot be opened: {fault}"));
            }
        }
    }

    fn on_called(&mut self, step: Step, effects: Vec<Effect>) {
        match self.check_effects(&effects) {
            Ok(()) => self.carry_out(step, effects),
            Err(fault) => self.on_failed(step, fault),
        }
    }

    /// The call failed. Its instance is dropped in every case.
    fn on_failed(&mut self, mut step: Step, fault: Fault) {
        self.instance = false;
        self.takes_back = true;
        self.why = RestoreReason::Faulted;
        match fault {
            // The room ends all the same, so the fault has no further effect.
            fault if matches!(step.cause, CallOrigin::Dispose { .. }) => {
                step.out.push(Output::Log { level: LogLevel::Error, text: format!("onDispose {fault}").into() });
                self.skip_call(step, "onDispose".into(), fault);
            }
            Fault::Threw(text) => {
                if !self.is_told(step.offset) {
                    let at = OutputId { offset: step.offset, index: 0 };
                    self.outputs.push_back(Output::Append(self.id, RoomCommand::Threw { at, text: text.clone() }));
                }
                self.threw.insert(step.offset, text);
                self.rebuild();
                // With a new base the next throw costs one instance, not a replay of the tail.
                self.wants_snapshot = true;
            }
            fault => {
                let at = OutputId { offset: step.offset, index: 0 };
                self.outputs.push_back(Output::Append(self.id, RoomCommand::Fault { at, fault }));
                self.phase = Phase::Deciding;
            }
        }
    }

    /// The log has a `Fault` for the record at `offset`. A shell that has found it may call this before it passes in the
    /// `Fault` record itself.
    pub fn decide_fault(&mut self, offset: Offset, fault: Fault) {
        let in_base = self.base.as_ref().is_some_and(|base| offset <= base.offset);
        if self.ended || in_base || self.skips.contains_key(&offset) {
            return;
        }
        self.skips.insert(offset, fault);
        if self.tail.iter().any(|(at, _)| *at == offset) {
            self.rebuild();
        }
    }

    /// Whether the log is known to contain this throw. Appending it twice does no harm.
    fn is_told(&self, offset: Offset) -> bool {
        let tells = |(_, record): &(Offset, Record)| matches!(&record.command, RoomCommand::Threw { at, .. } if at.offset == offset);
        Some(offset) <= self.said || self.inbox.iter().any(tells)
    }

    /// Returns to the base and moves the tail back to the inbox, to be replayed.
    fn rebuild(&mut self) {
        self.state = self.base.as_ref().map(|base| State::decode(&base.bytes).expect("read once, or written, by us"));
        self.instance = false;
        self.stale = false;
        self.phase = Phase::Idle;
        self.outputs.retain(|output| !matches!(output, Output::Guest(_)));
        for entry in std::mem::take(&mut self.tail).into_iter().rev() {
            self.inbox.push_front(entry);
        }
        self.tail_bytes = 0;
        self.tail_fuel = 0;
    }

    /// The room cannot continue. It ends when it reads its own `Close` record; until then it applies nothing.
    fn give_up(&mut self, reason: String) {
        self.instance = false;
        // On a replay that record is in the inbox already.
        if self.inbox.iter().any(|(_, record)| matches!(record.command, RoomCommand::Close { .. })) {
            return self.end_hopeless();
        }
        self.outputs.push_back(Output::Append(self.id, RoomCommand::Close { reason: reason.into() }));
        self.phase = Phase::Hopeless;
    }

    /// A room that has given up applies only its `Close`. Joins and reconnects before that are refused.
    fn end_hopeless(&mut self) {
        self.phase = Phase::Idle;
        let closes = |(_, record): &(Offset, Record)| matches!(record.command, RoomCommand::Close { .. });
        while let Some((offset, record)) = self.inbox.pop_front_if(|entry| !closes(entry)) {
            match record.command {
                RoomCommand::Join(Joining { session, edge, request, from, .. }) => {
                    self.refuse_unheard(offset, edge, (session, request), from);
                }
                RoomCommand::Reconnect { session, edge, request, .. } => {
                    let (room, reason) = (self.id, LeaveReason::Left);
                    self.answer_unheard(offset, edge, EdgeCommand::Leave { session, request, room, reason });
                }
                _ => {}
            }
        }
    }

    /// The record cannot be applied: the join that it is part of, if any, is refused.
    fn turn_away(&mut self, step: &Step) {
        let asker = match &step.cause {
            CallOrigin::Join { session, edge, request, from, .. } => (edge, *session, *request, *from),
            CallOrigin::MakeRoom(joining) => joining.asker(),
            _ => return,
        };
        let (edge, session, request, from) = asker;
        self.refuse_unheard(step.offset, edge.clone(), (session, request), from);
    }

    fn refuse_unheard(
        &mut self,
        offset: Offset,
        edge: MachineId,
        (session, request): (SessionId, RequestId),
        from: Option<OutputRef>,
    ) {
        let reason = "the room's script cannot go on".into();
        self.answer_unheard(offset, edge, EdgeCommand::Refused { session, request, room: self.id, from, reason });
    }

    fn answer_unheard(&mut self, offset: Offset, edge: MachineId, answer: EdgeCommand) {
        if self.said.is_none_or(|said| offset > said) {
            self.outputs.push_back(Output::Edge(edge, answer));
        }
    }

    fn can_save(&self) -> bool {
        let caught_up = self.state.as_ref().is_some_and(|state| Some(state.offset) >= self.reached);
        caught_up && !self.tail.is_empty()
    }

    fn save(&mut self) {
        self.wants_snapshot = false;
        if self.instance {
            self.outputs.push_back(Output::Guest(Call::Save));
            self.phase = Phase::Saving;
        } else {
            // No call was made since the base, so its saved state is still valid.
            self.put_base();
        }
    }

    fn on_saved(&mut self, result: Result<Saved, Fault>) {
        match result {
            Ok(saved) => {
                self.state.as_mut().expect("only a room that exists is saved").saved = Some(saved);
                self.instance &= !self.stale;
                self.stale = false;
                self.put_base();
            }
            Err(fault) => self.give_up(format!("its state cannot be saved: {fault}")),
        }
    }

    /// Makes the present state the base.
    fn put_base(&mut self) {
        let Some(state) = &self.state else { return };
        let offset = state.offset;
        let bytes: Arc<[u8]> = state.encode().into();
        self.base = Some(Base { offset, bytes: bytes.clone() });
        self.tail = Vec::new();
        self.tail_bytes = 0;
        self.tail_fuel = 0;
        self.skips.retain(|at, _| *at > offset);
        self.threw.retain(|at, _| *at > offset);
        self.outputs.push_back(Output::Snapshot { offset, bytes });
    }
}

/// The machine has already applied its part of `event`, but a guest that is opened for it has yet to process it: the guest sees
/// the member as it was before.
fn as_before(info: &mut RoomInfo, event: &Event) {
    let (session, was_connected) = match event {
        Event::Drop { session } => (session, true),
        Event::Reconnect { session } => (session, false),
        _ => return,
    };
    if let Some(member) = info.members.iter_mut().find(|member| member.session == *session) {
        member.connected = was_connected;
    }
}

impl Moment {
    fn of(room: RoomId, secret: Secret, offset: Offset, now: Time) -> Moment {
        Moment { now, seed: Seed::of(room, secret, offset) }
    }
}

impl RoomCommand {
    /// Roughly the memory that it takes beyond its own size, in bytes.
    fn size(&self) -> usize {
        match self {
            RoomCommand::Create { options, .. } | RoomCommand::Join(Joining { options, .. }) => options.len(),
            RoomCommand::Message { data, .. } => data.len(),
            RoomCommand::RoomMessage { data: RoomData::Message(data), .. } => data.len(),
            _ => 0,
        }
    }
}
