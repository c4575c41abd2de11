//! The application of one record to a room's state.
//!
//! A step owns the state while its record is applied, also while the machine waits for the guest. A handler changes the state,
//! adds outputs, and returns what happens next; the driver carries that out. So a handler cannot leave a record half applied.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    Output,
    io::Notice,
    state::{Departure, Member, Probation, State},
};
use crate::{
    command::{EdgeCommand, Fault, Joining, OutputRef, Player, RoomCommand},
    effect::{CallContext, Event},
    frame::RoomFrame,
    ids::{Digest, MachineId, Offset, OutputId, RoomId, Seed, SessionId, Time},
    json::Json,
};

/// A record that is being applied.
#[derive(Debug)]
pub(super) struct Step {
    pub room: RoomId,
    /// The state that the record is applied to.
    pub state: Box<State>,
    pub offset: Offset,
    /// The time and the seed of the guest's calls for this record.
    pub context: CallContext,
    /// The client that has caused the record, if any.
    pub client: Option<SessionId>,
    pub origin: CallOrigin,
    /// A member that has just left, until the guest has processed its `leave`: an instance that is opened before that still has
    /// the member.
    pub departed: Option<Box<(SessionId, Member)>>,
    /// Members that leave by this record once the guest has processed the event in hand, one after the other.
    pub departing: VecDeque<(SessionId, Departure)>,
    /// The player that the record erases, until the guest is called for that.
    pub erases: Option<Arc<str>>,
    /// The kept frames are dropped, and the state is saved, once the record is applied: it erases a player.
    pub is_erasure: bool,
    /// Its outputs. They are emitted once the record is fully applied, or never.
    pub out: Vec<Output>,
    /// The patches of this record, by the old and the new view: members with the same views share a patch.
    pub patches: BTreeMap<(Json, Json), RoomFrame>,
    /// The next output's index.
    next_index: u32,
    rooms_created: u32,
}

/// What happens after a handler.
#[derive(Debug)]
#[must_use]
pub(super) enum Next {
    /// The record is applied.
    Done,
    /// The guest receives this event; its effects are carried out for this origin.
    Call(Event, CallOrigin),
    /// The instance is replaced by one of this component.
    Swap(Digest),
    /// The swap that is on probation is undone because of this fault.
    UndoSwap(Box<Probation>, Fault),
    /// The room ends.
    End(Ending),
}

/// How a room ends.
#[derive(Debug)]
pub(super) struct Ending {
    pub outcome: Json,
    /// The reason, if the room has failed.
    pub failed: Option<Box<str>>,
}

impl Ending {
    pub fn failed(reason: impl Into<Box<str>>) -> Ending {
        Ending { outcome: Json::null(), failed: Some(reason.into()) }
    }
}

/// The reason for a call, as far as the effects of the call, or its failure, depend on it.
#[derive(Debug)]
pub(super) enum CallOrigin {
    Create,
    /// A join that has no answer yet.
    Join(Box<Joining>),
    /// A message that has no answer yet.
    Message {
        session: SessionId,
        message_id: u64,
    },
    /// A held seat was freed for this newcomer, whose join follows.
    FreeSeat(Box<Joining>),
    Dispose {
        outcome: Json,
    },
    /// The member may get this identity.
    Identify {
        session: SessionId,
        player: Player,
    },
    /// An event that needs no answer, or already has one.
    Other,
}

impl CallOrigin {
    /// The join that is refused if the call fails.
    pub fn joining(&self) -> Option<&Joining> {
        match self {
            CallOrigin::Join(joining) | CallOrigin::FreeSeat(joining) => Some(joining),
            _ => None,
        }
    }

    /// Whether the machine has changed the state for the event, and keeps that change if the call fails. The instance has then
    /// missed an event.
    pub fn outlives_its_call(&self) -> bool {
        matches!(self, CallOrigin::FreeSeat(_) | CallOrigin::Other)
    }
}

impl Step {
    pub fn new(room: RoomId, state: Box<State>, offset: Offset, seed: Seed, client: Option<SessionId>) -> Step {
        let context = CallContext { now: state.clock, seed };
        Step {
            room,
            state,
            offset,
            context,
            client,
            origin: CallOrigin::Other,
            departed: None,
            departing: VecDeque::new(),
            erases: None,
            is_erasure: false,
            out: Vec::new(),
            patches: BTreeMap::new(),
            next_index: 1,
            rooms_created: 0,
        }
    }

    /// The room's time.
    pub fn now(&self) -> Time {
        self.context.now
    }

    pub fn is_lobby(&self) -> bool {
        self.room == RoomId::LOBBY
    }

    /// The number of the next output.
    pub fn number(&mut self) -> OutputId {
        let index = self.next_index;
        self.next_index += 1;
        OutputId { offset: self.offset, index }
    }

    /// The number of the next output, with this room's id.
    pub fn output_ref(&mut self) -> OutputRef {
        OutputRef { room: self.room, number: self.number() }
    }

    /// The id of the one timer that a record can set without its guest. Guests' timers begin at 1.
    pub fn timer_id(&self) -> OutputId {
        OutputId { offset: self.offset, index: 0 }
    }

    /// The id of the next room that this record creates.
    pub fn next_room(&mut self) -> RoomId {
        let room = self.context.seed.room(self.rooms_created);
        self.rooms_created += 1;
        room
    }

    pub fn edge(&mut self, edge: &MachineId, command: EdgeCommand) {
        self.out.push(Output::Edge(edge.clone(), command));
    }

    pub fn append(&mut self, room: RoomId, command: RoomCommand) {
        self.out.push(Output::Append(room, command));
    }

    pub fn notice(&mut self, notice: Notice) {
        self.out.push(Output::Notice(notice));
    }

    pub fn admitted(&mut self, joining: &Joining) {
        let Joining { session, request, from, .. } = *joining;
        self.edge(&joining.edge, EdgeCommand::Admitted { session, request, room: self.room, from });
    }

    /// Refuses a join.
    pub fn refuse(&mut self, joining: &Joining, reason: impl Into<Box<str>>) {
        self.edge(&joining.edge, joining.refused(self.room, reason));
    }
}

impl Joining {
    /// The answer to a join that is refused.
    pub(super) fn refused(&self, room: RoomId, reason: impl Into<Box<str>>) -> EdgeCommand {
        let Joining { session, request, from, .. } = *self;
        EdgeCommand::Refused { session, request, room, from, reason: reason.into() }
    }
}
