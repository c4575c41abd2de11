//! The inputs and outputs of the room machine, with the guest work among its outputs and the outcomes of that work.

use std::sync::Arc;

use super::{ComponentSpec, Report, RequestKind};
use crate::{
    command::{EdgeCommand, Fault, OutputRef, Record, RoomCommand},
    effect::{CallContext, Effect, Event, LogLevel, RoomInfo, SavedState},
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, RoomSecret, SessionId},
    json::Json,
};

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Records up to this offset were in the channel before this machine was created: another machine may have applied them.
    Inherited(Offset),
    /// The next record of this room's channel. Offsets rise; a record at or below the highest known offset is ignored.
    Record(Offset, Record),
    /// The log has a `Fault` for the record at `offset`. A shell that has found the `Fault` record may pass this in before it
    /// passes in that record.
    FaultDecided { offset: Offset, fault: Fault },
    /// The outcome of [`Output::Guest`], and the fuel that the call has burnt.
    Guest { outcome: Outcome, fuel: u64 },
    /// The instance was lost, and no record caused the loss: its host lacked a resource, or dropped an instance that had grown
    /// too large. Takes the place of an outcome if one is awaited.
    InstanceLost,
    /// A snapshot is needed as soon as possible: on hibernation, on drain, or after some time. Has no effect if no record was
    /// applied since the last snapshot.
    TakeSnapshot,
}

/// Work for the shell, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Guest work. The machine continues with [`Input::Guest`] or [`Input::InstanceLost`].
    Guest(Call),
    /// Appends to this room's channel or another's. Appended in order, or not at all.
    Append(RoomId, RoomCommand),
    /// Creates a room of `kind` with that kind's active component, or replies that it cannot be created.
    Create { id: RoomId, kind: Kind, options: Json, source: OutputRef, secret: RoomSecret, allowance: u32 },
    /// To an edge's channel.
    Edge(MachineId, EdgeCommand),
    /// Ends the session in the store, then appends `Leave` for [`LeaveReason::Kicked`] to all its rooms, to this one last.
    /// Retried until it succeeds; repeating it does no harm. Only [`Output::Ended`] waits for it.
    ///
    /// [`LeaveReason::Kicked`]: crate::command::LeaveReason::Kicked
    Kick { session: SessionId, reason: Box<str> },
    /// Performs a request. The machine continues; the shell appends `Answer` with the number and the result, or with why there is
    /// none. Repeating it does no harm: only the first answer in the log has an effect.
    Perform { number: OutputId, kind: RequestKind, data: Json },
    /// For operators. Written to the store under its number, retried until it is there; repeating it does no harm.
    Report(Box<Report>),
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
///
/// `repeats`: the call may have been made before, here or on another host, and its outputs may have left. A shell must not
/// report a fault then that its clock decides, such as the end of a time limit: the call has no outcome, and is made again
/// ([`Input::InstanceLost`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Opens a new instance in place of any old one. Outcome: [`Outcome::Opened`].
    Open { component: Digest, info: Box<RoomInfo>, saved: Option<SavedState>, repeats: bool },
    /// Outcome: [`Outcome::Called`].
    Handle(Entry),
    /// Several records, in their order. Outcome: [`Outcome::CalledAll`].
    HandleAll(Vec<Entry>),
    /// Outcome: [`Outcome::Saved`].
    Save,
    /// Saves, and opens the new component with the saved state; drops the old instance, or the new one if that fails. Outcome:
    /// [`Outcome::Swapped`], [`Outcome::Saved`] with the fault if saving failed, or [`Outcome::Called`] with the fault if it is
    /// one that the log has to decide.
    Swap { component: Digest, info: Box<RoomInfo>, repeats: bool },
}

/// What the guest gets for one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub offset: Offset,
    pub context: CallContext,
    pub event: Event,
    /// The budget of the record; `None` stands for the component's budget for a record.
    pub fuel: Option<u64>,
    /// As for [`Call`].
    pub repeats: bool,
}

/// The result of guest work.
#[derive(Debug, Clone)]
pub enum Outcome {
    Opened(Result<Arc<ComponentSpec>, Fault>),
    Called(Result<Vec<Effect>, Fault>),
    /// The results of the first entries, up to and including the first that has failed. None of them: the call has failed as a
    /// whole, and may not fail for each entry alone; the instance is dropped.
    CalledAll(Vec<Result<Vec<Effect>, Fault>>),
    Saved(Result<SavedState, Fault>),
    /// An error is the reason why the swap was refused; the old instance must still exist.
    Swapped(Result<SwappedTo, Box<str>>),
}

/// The result of a swap that succeeded.
#[derive(Debug, Clone)]
pub struct SwappedTo {
    /// The state that the old component saved.
    pub before: SavedState,
    pub spec: Arc<ComponentSpec>,
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
    RestartScheduled {
        failed: Option<Box<str>>,
        in_ms: u64,
    },
}
