//! The room machine: how a room decides.
//!
//! A room is a deterministic state machine over the records of its channel. The shell (`host`) hands it records in the
//! order of their offsets with [`Room::record`], does what [`Room::poll_output`] says, and hands the guest's answers
//! back with [`Room::guest`]. The machine waits for nothing and reads no clock: its time is the records'.
//!
//! What to read in: this file drives; `records` says what each command does; `effects` carries out what a guest asked
//! for; `kicks` ends sessions; `frames` numbers, keeps and resends what members see; `state` is what a snapshot holds; `clock` is when its timers fire; `lives` is how the lobby,
//! which everybody needs, goes on where another room ends.
//!
//! **One way to life.** *New instance ← snapshot ← tail.* The machine keeps the last encoded state (`base`) and the
//! records since (`tail`). To start a room, to wake it, and to take back a call that failed, it goes back to the base,
//! asks for a new instance with the base's saved state, and applies the tail again, saying nothing that was said before.
//!
//! **Failure.** A hook that *throws* has no effect: the same in every replay, so nothing needs to be written. A *trap*
//! or an exhausted budget depends on more than the records (a heap's history, a host's limit), so it is decided by the
//! log: the machine appends `Fault{at}`, runs nothing until it has read that back, and from then on that record is
//! skipped by every replay. Members then get a full view, since a host that did not fail may have shown more.
//!
//! **Who is to blame.** A record that a client has caused ([`RoomCommand::client`]) runs with a budget of its own, and
//! exhausting it is charged to the session: the client is answered so, and it does not count among the faults that end the
//! room. A trap is the room's, whatever caused the record. This follows from the record and the `Fault` alone. A record
//! that may have been applied before runs with the room's budget, which is larger: a replay on another heap must not
//! exhaust what has been answered. See `docs/adr/0007-charging-faults.md`.
//!
//! Bounds: the tail by [`TAIL_RECORDS`], [`TAIL_BYTES`] and [`TAIL_FUEL`] (then it asks for a snapshot), the ring by
//! [`RING_FRAMES`] and [`RING_BYTES`], members by [`Spec::MAX_MEMBERS`]; the inbox by the shell, which stops reading.

mod clock;
mod effects;
mod frames;
mod kicks;
mod lives;
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
pub use lives::{Lives, MOST_WAIT_MS, STEADY_MS};
pub use rooms::{ALLOWANCE, LOBBY_AT_ONCE, LOBBY_EVERY_MS, OF_ONE_SESSION, Placed};
pub use spec::Spec;
pub use state::{Member, State};

use crate::{
    command::{EdgeCommand, Fault, LeaveReason, Player, Question, Record, RoomCommand, RoomData, Source},
    effect::{Effect, Event, LogLevel, Moment, RestoreReason, RoomInfo, Saved},
    frame::RoomFrame,
    ids::{ConnectionId, Digest, Kind, MachineId, Number, Offset, RoomId, Secret, Seed, SessionId, Time},
    json::Json,
    wire,
};

/// Records since the base that make a room ask for a snapshot. A rebuild costs at most this many calls.
pub const TAIL_RECORDS: usize = 128;

/// Bytes of messages since the base that make a room ask for a snapshot.
pub const TAIL_BYTES: usize = 32 * 1024;

/// Fuel burnt since the base that makes a room ask for a snapshot. 128 moves of tic-tac-toe burn a quarter of it. A rebuild
/// costs no more than about one record of the room's own may, however dear the messages before were.
pub const TAIL_FUEL: u64 = 300_000_000;

/// Fuel that a client's record has in addition for each byte of the state that the room was last saved with: a script that
/// looks at its state parses and prints it, whatever the message is. Without it a room that grows would come to a size at
/// which it refuses everything.
pub const STATE_FUEL: u64 = 300;

/// Records after a swap during which a fault takes the swap back. They are kept in the room's state until then.
pub const PROBATION_RECORDS: usize = 64;

/// How long after a swap a fault takes it back, in milliseconds.
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
    /// Offsets to skip, by the log's word.
    skips: BTreeMap<Offset, Fault>,
    /// Offsets whose hook threw, so that a replay need not find out again.
    threw: BTreeMap<Offset, Box<str>>,
    /// Outputs of records up to here have left before.
    said: Option<Offset>,
    /// The highest record that was ever begun; below it, records are a replay.
    reached: Option<Offset>,
    /// Records up to here were in the log before this machine was: another one may have applied them.
    inherited: Option<Offset>,
    /// The client on whose behalf the machine and its guest work now.
    account: Option<Account>,
    /// What they do is to take a failure of this client's back.
    takes_back: bool,
    /// The clients whose records the log takes out, until it has said so.
    accounts: BTreeMap<Offset, Account>,
    phase: Phase,
    /// Why the next instance is needed.
    why: RestoreReason,
    /// Whether the shell holds an instance of the state's component that has heard all of its calls.
    instance: bool,
    /// The instance has missed an event that failed; after the next save another takes its place.
    stale: bool,
    wants_snapshot: bool,
    /// Kicks that the shell was asked for.
    asked_kicks: BTreeSet<SessionId>,
    outputs: VecDeque<Output>,
}

/// A client's session, and its latest connection that the room knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub session: SessionId,
    pub edge: MachineId,
    pub connection: ConnectionId,
    /// The record.
    pub offset: Offset,
}

/// A state to go back to.
#[derive(Debug)]
struct Base {
    offset: Offset,
    bytes: Arc<[u8]>,
}

/// What the machine waits for.
#[derive(Debug)]
enum Phase {
    /// The next record.
    Idle,
    /// An instance, for this call.
    Opening(Box<Turn>, Event),
    /// An instance of the old component, for it to save.
    OpeningToSwap(Box<Turn>, Digest),
    /// The guest's answer to this call.
    Calling(Box<Turn>),
    /// The guest's answer to a swap.
    Swapping(Box<Turn>, Digest),
    /// The guest's state.
    Saving,
    /// Its own `Fault` record.
    Deciding,
    /// Its own `Close` record.
    Hopeless,
}

/// One record that is being applied.
#[derive(Debug)]
struct Turn {
    offset: Offset,
    /// What it has caused. Leaves when the record is applied whole, or never.
    out: Vec<Output>,
    /// Frames from one view to another, which more than one member may get.
    patches: BTreeMap<(Json, Json), RoomFrame>,
    /// The next output's index.
    index: u32,
    /// Rooms created so far.
    created: u32,
    moment: Moment,
    /// Who has caused the record, where it was a client.
    client: Option<SessionId>,
    cause: Cause,
    /// Who has just left, and whom a guest that is opened for this has yet to hear of.
    leaver: Option<Box<(SessionId, Member)>>,
}

/// What a call is about, as far as its effects depend on it.
#[derive(Debug)]
enum Cause {
    Create,
    Join {
        session: SessionId,
        player: Player,
        edge: MachineId,
        question: Question,
        client_seq: u64,
        from: Option<Source>,
    },
    Message {
        session: SessionId,
        id: u64,
    },
    Dispose {
        outcome: Json,
        failed: Option<Box<str>>,
    },
    /// A member has left so that another may come.
    MakeRoom(Box<records::Joining>),
    Other,
}

/// What the shell must do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Guest work. The machine goes on when it has the outcome, by [`Room::guest`].
    Guest(Call),
    /// To this room's own channel or another's. Leaves in order, or not at all.
    Append(RoomId, RoomCommand),
    /// Creates a room of `kind` with that kind's active component, or answers that it cannot.
    Create { id: RoomId, kind: Kind, options: Json, source: Source, secret: Secret, allowance: u32 },
    /// To an edge's channel.
    Edge(MachineId, EdgeCommand),
    /// Ends the session in the store, then appends `Leave` for [`LeaveReason::Kicked`] to all its rooms, to this one last.
    /// Tried until it is done; done twice it does no harm. Nothing else waits for it but [`Output::Ended`].
    Kick { session: SessionId, reason: Box<str> },
    /// A snapshot at `offset`: to be stored when all that the records up to there caused is confirmed.
    Snapshot { offset: Offset, bytes: Arc<[u8]> },
    /// The room is no more. Its snapshot may go when all that came before is confirmed.
    Ended { outcome: Json, failed: Option<Box<str>> },
    /// For the author.
    Log { level: LogLevel, text: Box<str> },
    /// For the operator.
    Notice(Notice),
}

/// Guest work. An instance's trap is its end: the shell drops it and reports the fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// A new instance in place of any old one, opened. Outcome: [`Outcome::Opened`].
    Open { component: Digest, info: Box<RoomInfo>, saved: Option<Saved> },
    /// Outcome: [`Outcome::Called`].
    /// `fuel` is the budget; `None` is that of the component for any record.
    Handle { at: Moment, event: Event, fuel: Option<u64> },
    /// Outcome: [`Outcome::Saved`].
    Save,
    /// Saves, and opens a new component with that; drops the old instance, or the new one when that fails.
    /// Outcome: [`Outcome::Swapped`], or [`Outcome::Saved`] with the fault of the saving.
    Swap { component: Digest, info: Box<RoomInfo> },
}

/// What came of guest work.
#[derive(Debug, Clone)]
pub enum Outcome {
    Opened(Result<Arc<Spec>, Fault>),
    Called(Result<Vec<Effect>, Fault>),
    Saved(Result<Saved, Fault>),
    /// An error is the reason why the room stays as it is; the old instance must still be there.
    Swapped(Result<SwappedTo, Box<str>>),
}

/// A component that has taken a room over.
#[derive(Debug, Clone)]
pub struct SwappedTo {
    /// What the old one saved.
    pub before: Saved,
    pub spec: Arc<Spec>,
    pub effects: Vec<Effect>,
}

/// What an operator wants to know of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Created {
        kind: Kind,
        component: Digest,
    },
    /// `handler` is what of the script was called.
    Threw {
        offset: Offset,
        handler: Box<str>,
        text: Box<str>,
    },
    Faulted {
        offset: Offset,
        handler: Box<str>,
        fault: Fault,
        /// The session that it is charged to; `None` where it is the room.
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
    /// The lobby has ended, and begins anew in so many milliseconds: for why, if it has failed.
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
    /// A room of which nothing is known but its id: its channel begins with `Create`.
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

    /// A room from a snapshot that this machine once put out. Records that are in it are ignored.
    pub fn restore(id: RoomId, snapshot: &[u8], why: RestoreReason) -> Result<Room, BadSnapshot> {
        let state = State::decode(snapshot).map_err(|cause| BadSnapshot { room: id, cause })?;
        let base = Some(Base { offset: state.offset, bytes: snapshot.into() });
        let at = Some(state.offset);
        let mut room = Room { said: at, reached: at, base, state: Some(state), why, ..Room::new(id) };
        room.ask_for_kicks();
        Ok(room)
    }

    /// A room that has ended: it turns everyone away.
    pub fn ended(id: RoomId) -> Room {
        Room { ended: true, ..Room::new(id) }
    }

    /// Records up to `offset` were in the channel before: another machine may have applied them.
    pub fn inherits(&mut self, offset: Offset) {
        self.inherited = self.inherited.max(Some(offset));
    }

    /// The next record of this room's channel. Offsets rise; one that is known already is ignored.
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

    /// What came of the guest work that was asked for.
    ///
    /// # Panics
    /// When it was not asked for: the shell is wrong.
    pub fn guest(&mut self, outcome: Outcome) {
        match (std::mem::replace(&mut self.phase, Phase::Idle), outcome) {
            (Phase::Opening(turn, event), Outcome::Opened(result)) => self.on_opened(*turn, event, result),
            (Phase::OpeningToSwap(turn, to), Outcome::Opened(result)) => self.on_opened_to_swap(*turn, to, result),
            (Phase::Calling(turn), Outcome::Called(Ok(effects))) => self.on_called(*turn, effects),
            (Phase::Calling(turn), Outcome::Called(Err(fault))) => self.on_failed(*turn, fault),
            (Phase::Swapping(turn, to), Outcome::Swapped(result)) => self.on_swapped(*turn, to, result),
            (Phase::Saving, Outcome::Saved(result)) => self.on_saved(result),
            // The old component could not even be asked what there is to carry over.
            (Phase::Swapping(..), Outcome::Saved(Err(fault))) => self.on_saved(Err(fault)),
            (phase, outcome) => panic!("the shell answered {outcome:?} to {phase:?}"),
        }
        self.advance();
    }

    /// What the call in hand has burnt. Before [`Room::guest`], which has its outcome.
    pub fn burnt(&mut self, fuel: u64) {
        self.tail_fuel = self.tail_fuel.saturating_add(fuel);
        self.wants_snapshot |= self.tail_fuel >= TAIL_FUEL;
    }

    /// The client on whose behalf the machine works, also while it goes back and forth because that client's record failed.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The same for a call to the guest. Instances are opened and saved for all members alike, unless a failure asks for it.
    pub fn account_for(&self, call: &Call) -> Option<&Account> {
        self.account.as_ref().filter(|_| self.takes_back || matches!(call, Call::Handle { .. }))
    }

    /// The instance is gone through no fault of the record's: the machine it was on was out of something. In place of
    /// [`Room::guest`].
    pub fn instance_lost(&mut self) {
        self.why = RestoreReason::Recovered;
        self.rebuild();
        self.advance();
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The record whose call the machine waits for.
    pub fn in_hand(&self) -> Option<Offset> {
        match &self.phase {
            Phase::Opening(turn, _)
            | Phase::OpeningToSwap(turn, _)
            | Phase::Calling(turn)
            | Phase::Swapping(turn, _) => Some(turn.offset),
            Phase::Idle | Phase::Saving | Phase::Deciding | Phase::Hopeless => None,
        }
    }

    /// The next timer by the room's own time. When the shell must append `Timer` with its id is [`RoomClock`]'s to say.
    pub fn poll_timeout(&self) -> Option<(Time, Number)> {
        self.state.as_ref().and_then(State::next_timer)
    }

    /// The script's name of a timer.
    pub fn timer_name(&self, id: Number) -> Option<Arc<str>> {
        let timers = &self.state.as_ref()?.timers;
        timers.iter().find(|(_, timer)| timer.id == id).map(|(name, _)| name.clone())
    }

    /// Asks for a snapshot as soon as may be: on hibernation, drain, or after a time. Nothing when there is nothing new.
    pub fn snapshot(&mut self) {
        self.wants_snapshot = !self.tail.is_empty();
        self.advance();
    }

    /// Whether it has nothing left to do, now.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.inbox.is_empty() && self.outputs.is_empty()
    }

    /// Whether every record that it has seen is in its last snapshot: it may be put aside.
    pub fn is_saved(&self) -> bool {
        self.is_idle() && self.tail.is_empty()
    }

    pub fn id(&self) -> RoomId {
        self.id
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What it is now, for those who watch. `None` when it was never created, or has ended.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The oldest record that only the log has: the log must be kept from there.
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

    /// The record is applied whole: what it caused may leave now. A replay says nothing that was said before.
    fn finish(&mut self, turn: Turn) {
        if let Some(state) = &mut self.state {
            state.offset = turn.offset;
        }
        if self.said.is_none_or(|said| turn.offset > said) {
            self.said = Some(turn.offset);
            self.outputs.extend(turn.out);
        }
        self.phase = Phase::Idle;
    }

    /// Asks for the guest's word on `event`; for an instance first, when there is none.
    fn call(&mut self, turn: Turn, event: Event) {
        if let Some(text) = self.threw.get(&turn.offset) {
            let fault = Fault::Threw(text.clone());
            return self.skip_call(turn, event.handler(), fault);
        }
        if let Some(fault) = self.skips.get(&turn.offset).cloned() {
            return self.skip_call(turn, event.handler(), fault);
        }
        if self.instance {
            let fuel = self.fuel(&turn);
            self.outputs.push_back(Output::Guest(Call::Handle { at: turn.moment, event, fuel }));
            self.phase = Phase::Calling(Box::new(turn));
            return;
        }
        let state = self.state.as_ref().expect("only a room that exists calls its guest");
        let restored = (!matches!(turn.cause, Cause::Create)).then_some(self.why);
        let mut info = self.room_info(state, turn.moment, restored);
        info.members = state.member_infos(turn.leaver.as_deref());
        as_before(&mut info, &event);
        let (component, saved) = (state.component, state.saved.clone());
        self.outputs.push_back(Output::Guest(Call::Open { component, info: Box::new(info), saved }));
        self.phase = Phase::Opening(Box::new(turn), event);
    }

    /// What a client's record may burn, unless it may have been applied before. A room ends once, whoever has caused that.
    fn fuel(&self, turn: &Turn) -> Option<u64> {
        turn.client.filter(|_| !matches!(turn.cause, Cause::Dispose { .. }) && !self.is_replay(turn.offset))?;
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

    fn on_opened(&mut self, turn: Turn, event: Event, result: Result<Arc<Spec>, Fault>) {
        match result {
            Ok(spec) => {
                self.state.as_mut().expect("only a room that exists is opened").spec = Some(spec);
                self.instance = true;
                self.call(turn, event);
            }
            // What was saved cannot be opened again: there is nothing to go back to.
            Err(fault) => {
                self.turn_away(&turn);
                self.give_up(format!("its script cannot be opened: {fault}"));
            }
        }
    }

    fn on_called(&mut self, turn: Turn, effects: Vec<Effect>) {
        match self.check_effects(&effects) {
            Ok(()) => self.carry_out(turn, effects),
            Err(fault) => self.on_failed(turn, fault),
        }
    }

    /// The call failed. Its instance is spent either way.
    fn on_failed(&mut self, mut turn: Turn, fault: Fault) {
        self.instance = false;
        self.takes_back = true;
        self.why = RestoreReason::Faulted;
        match fault {
            // Nobody is left to whom it would make a difference.
            fault if matches!(turn.cause, Cause::Dispose { .. }) => {
                turn.out.push(Output::Log { level: LogLevel::Error, text: format!("onDispose {fault}").into() });
                self.skip_call(turn, "onDispose".into(), fault);
            }
            Fault::Threw(text) => {
                if !self.is_told(turn.offset) {
                    let at = Number { offset: turn.offset, index: 0 };
                    self.outputs.push_back(Output::Append(self.id, RoomCommand::Threw { at, text: text.clone() }));
                }
                self.threw.insert(turn.offset, text);
                self.rebuild();
                // The next throw finds a fresh base: what a player can make throw costs one instance, not one tail.
                self.wants_snapshot = true;
            }
            fault => {
                let at = Number { offset: turn.offset, index: 0 };
                self.outputs.push_back(Output::Append(self.id, RoomCommand::Fault { at, fault }));
                self.phase = Phase::Deciding;
            }
        }
    }

    /// The log has spoken on the record at `offset`. Also for a shell that knows it before the `Fault` itself is handed in.
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

    /// Whether the log has this throw already, as far as is known here. To say it twice does no harm.
    fn is_told(&self, offset: Offset) -> bool {
        let tells = |(_, record): &(Offset, Record)| matches!(&record.command, RoomCommand::Threw { at, .. } if at.offset == offset);
        Some(offset) <= self.said || self.inbox.iter().any(tells)
    }

    /// Back to the base, to go forward through the tail once more without what failed.
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

    /// The room cannot go on. It is the log that says so: until then, nothing happens.
    fn give_up(&mut self, reason: String) {
        self.instance = false;
        // A replay finds what was said the first time.
        if self.inbox.iter().any(|(_, record)| matches!(record.command, RoomCommand::Close { .. })) {
            return self.end_hopeless();
        }
        self.outputs.push_back(Output::Append(self.id, RoomCommand::Close { reason: reason.into() }));
        self.phase = Phase::Hopeless;
    }

    /// A room that has given up does nothing but end; what came before that is turned away.
    fn end_hopeless(&mut self) {
        self.phase = Phase::Idle;
        let closes = |(_, record): &(Offset, Record)| matches!(record.command, RoomCommand::Close { .. });
        while let Some((offset, record)) = self.inbox.pop_front_if(|entry| !closes(entry)) {
            match record.command {
                RoomCommand::Join { session, edge, question, from, .. } => {
                    self.refuse_unheard(offset, edge, (session, question), from);
                }
                RoomCommand::Reconnect { session, edge, question, .. } => {
                    let (room, reason) = (self.id, LeaveReason::Left);
                    self.answer_unheard(offset, edge, EdgeCommand::Leave { session, question, room, reason });
                }
                _ => {}
            }
        }
    }

    /// Whoever is asking to be let in by this turn, which comes to nothing, is not.
    fn turn_away(&mut self, turn: &Turn) {
        let asker = match &turn.cause {
            Cause::Join { session, edge, question, from, .. } => (edge, *session, *question, *from),
            Cause::MakeRoom(joining) => joining.asker(),
            _ => return,
        };
        let (edge, session, question, from) = asker;
        self.refuse_unheard(turn.offset, edge.clone(), (session, question), from);
    }

    fn refuse_unheard(
        &mut self,
        offset: Offset,
        edge: MachineId,
        (session, question): (SessionId, Question),
        from: Option<Source>,
    ) {
        let reason = "the room's script cannot go on".into();
        self.answer_unheard(offset, edge, EdgeCommand::Refused { session, question, room: self.id, from, reason });
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
            // Nothing has been called since the base, so what it saved still holds.
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

    /// What is, becomes the base.
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

/// The machine has already done its part of `event`; a guest that is opened for it has yet to hear of it.
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
    /// Roughly what it holds in memory beyond its own size, in bytes.
    fn size(&self) -> usize {
        match self {
            RoomCommand::Create { options, .. } | RoomCommand::Join { options, .. } => options.len(),
            RoomCommand::Message { data, .. } => data.len(),
            RoomCommand::RoomMessage { data: RoomData::Message(data), .. } => data.len(),
            _ => 0,
        }
    }
}
