//! The events of the queue.

use chorus_core::{
    command::{EdgeCommand, Record},
    frame::{CloseCode, Hello},
    hosting::{AppendId, Save},
    ids::{ConnectionId, Digest, MachineId, Offset, OutputId, RoomId, SessionId, Time},
    secret::Secret,
    session::StoreWrite,
};

/// A machine, in one incarnation.
pub(crate) type Life = u32;

/// A room's machine on a host, in one incarnation.
pub(crate) type Serial = u64;

#[derive(Debug)]
pub(crate) enum Event {
    // The log.
    Arrives(Life, Record),
    // Hosts.
    /// A record has arrived in the log of a room: its offset, and whether a client waits for its outcome.
    Read(Life, RoomId, Offset, bool),
    /// It is a room's turn to be restored.
    Restore(Life, RoomId),
    RoomTick(Life, RoomId, Serial, Time),
    Report(Life, RoomId, Serial, Report),
    Save(Life, RoomId, Serial, Box<Save>),
    EndSession(Life, RoomId, Serial, SessionId),
    Alarm(Life, RoomId, Time),
    TakenOver(Life, u32),
    PartitionStored(Life, u32),
    OwnershipTick(Life),
    // Edges.
    ToEdge(Life, Life, EdgeCommand),
    Frame(Life, ConnectionId, String),
    Pong(Life, ConnectionId),
    Lost(Life, ConnectionId),
    Opens(Life, ConnectionId, Box<Hello>),
    Renews(Life, ConnectionId, Secret),
    Written(Life, ConnectionId, StoreWrite),
    SessionTick(Life, ConnectionId),
    // All machines.
    Heartbeat(Life),
    HeartbeatAnswer(Life),
    // Monitors.
    MonitorTick(Life),
    SessionsDropped(Life, MachineId),
    // Players, operators, faults.
    ToClient(Life, usize, u32, ToClient),
    Act(usize),
    Fault,
    Recover(Life),
    Restart(Life),
    Activate(Digest),
}

/// What an edge sends to a client.
#[derive(Debug)]
pub(crate) enum ToClient {
    Frame(String),
    Ping,
    Close(CloseCode),
}

/// What a room's host reports to its machine.
#[derive(Debug)]
pub(crate) enum Report {
    Confirmed(AppendId),
    Flushed,
    Stored(Offset),
    Diverged(Offset),
    SessionEnded(SessionId, Vec<RoomId>),
    Performed(OutputId),
}

impl Event {
    /// The sender and the receiver of this event.
    pub fn machines(&self) -> (Option<Life>, Option<Life>) {
        match self {
            Event::Arrives(from, _) | Event::Save(from, ..) | Event::EndSession(from, ..) => (Some(*from), None),
            Event::ToEdge(from, edge, _) => (Some(*from), Some(*edge)),
            Event::ToClient(from, ..) => (Some(*from), None),
            Event::Read(at, ..)
            | Event::Restore(at, _)
            | Event::RoomTick(at, ..)
            | Event::Report(at, ..)
            | Event::Alarm(at, ..)
            | Event::TakenOver(at, _)
            | Event::PartitionStored(at, _)
            | Event::OwnershipTick(at)
            | Event::Frame(at, ..)
            | Event::Pong(at, _)
            | Event::Lost(at, _)
            | Event::Opens(at, ..)
            | Event::Renews(at, ..)
            | Event::Written(at, ..)
            | Event::SessionTick(at, _)
            | Event::Heartbeat(at)
            | Event::HeartbeatAnswer(at)
            | Event::MonitorTick(at)
            | Event::SessionsDropped(at, _) => (None, Some(*at)),
            Event::Act(_) | Event::Fault | Event::Recover(_) | Event::Restart(_) | Event::Activate(_) => (None, None),
        }
    }
}
