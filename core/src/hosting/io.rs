//! The inputs and outputs of a hosted room.

use super::{AppendId, Bytes, Scarcity};
use crate::{
    command::{EdgeCommand, Record, RoomCommand},
    effect::LogLevel,
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, SessionId, Time},
    json::Json,
    room::{Call, Notice, Outcome, Report, RequestKind, RoomClock},
};

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The next record of the room's channel. One that was passed in before is ignored.
    Record(Offset, Record),
    /// The outcome of [`Output::Guest`], and the fuel that the call has burnt.
    Guest { outcome: Outcome, fuel: u64 },
    /// The instance was lost, or the call could not be made, through no fault of the record.
    InstanceLost,
    /// In answer to [`Output::FindComponent`]: the kind's active component, if there is one.
    Component(Option<Digest>),
    /// The active component of the room's own kind, when the room was created or a component was activated.
    ActiveComponent(Digest),
    /// The log has the append with this receipt. Needed only while [`super::HostedRoom::awaits_confirmation`].
    Confirmed(AppendId),
    /// In answer to [`Output::Flush`].
    Flushed,
    /// In answer to [`Output::EndSession`]: the session is ended in the store, and was in these rooms.
    SessionEnded { session: SessionId, rooms: Vec<RoomId> },
    /// In answer to [`Output::Perform`]: the result, or why there is none.
    Performed { number: OutputId, result: Result<Json, Box<str>> },
    /// The store has the update at this offset.
    Stored(Offset),
    /// The store has another state after the record at this offset.
    Diverged(Offset),
    /// The room's partition is to be handed over: the room hibernates as soon as it is stored.
    Drain,
    /// How scarce this host's instances are: idle rooms hibernate sooner by it.
    Instances(Scarcity),
    /// Time has passed.
    Tick,
}

/// Work for the shell, in this order.
#[derive(Debug)]
pub enum Output {
    /// Guest work, answered by [`Input::Guest`] or [`Input::InstanceLost`].
    Guest(Call),
    /// Drops the instance, if there is one.
    DropInstance,
    /// Appends to a room's channel. Waits while the log's queue is full; if the append fails in any other way, at once or later,
    /// the shell drops this machine's outputs and calls [`super::HostedRoom::begin_again`]. With a receipt the shell reports the
    /// confirmation.
    Append { room: RoomId, time: Time, command: RoomCommand, receipt: Option<AppendId> },
    /// Sends to an edge's channel.
    Send { edge: MachineId, command: EdgeCommand },
    /// Looks up the active component of this kind, which may have been published a moment ago. Answered by [`Input::Component`].
    FindComponent(Kind),
    /// Waits until everything that was output so far has arrived. Answered by [`Input::Flushed`].
    Flush,
    /// Stores the update. Answered by [`Input::Stored`] or [`Input::Diverged`], if at all; not waited for.
    Save(Box<Save>),
    /// Ends the session in the store, which is retried until it succeeds. Answered by [`Input::SessionEnded`]; not waited for.
    EndSession { session: SessionId, reason: Box<str> },
    /// Performs the request. Answered by [`Input::Performed`], with an error if it takes too long; not waited for.
    Perform { number: OutputId, kind: RequestKind, data: Json },
    /// Writes the report to the store, which is retried until it succeeds. [`Output::Flush`] waits for it.
    Report(Box<Report>),
    /// Drops this machine, unless a record has arrived meanwhile: then the shell ignores this output.
    Hibernate(Hibernation),
    /// The room has ended, and why it failed if it did: for watchers.
    Ended { failed: Option<Box<str>> },
    /// For the author.
    Log { level: LogLevel, text: Box<str> },
    /// For the operator.
    Notice(Notice),
}

/// What a host keeps of a room that hibernates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hibernation {
    /// When the room must be restored although no record has arrived: its next timer fires.
    pub alarm: Option<Time>,
    /// The room's clock, for the machine that restores it on this host. `None` where a new one would be the same.
    pub clock: Option<RoomClock>,
}

/// An update of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Save {
    /// The last record that it includes.
    pub offset: Offset,
    pub summary: Summary,
    /// The room's state; `None` of a room that has ended.
    pub snapshot: Option<Bytes>,
    pub ended: Option<RowEnd>,
}

/// How a room has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RowEnd {
    pub at: Time,
    pub outcome: Json,
    /// Why it has failed.
    pub failed: Option<Box<str>>,
}

/// A room's row in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub id: RoomId,
    pub kind: Kind,
    pub component: Digest,
    pub creator: Option<RoomId>,
    pub created: Time,
    /// When its next timer is due, by its own time.
    pub next_timer: Option<Time>,
    /// Its own time.
    pub clock: Time,
    pub metadata: Option<Json>,
    pub members: u32,
}
