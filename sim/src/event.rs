//! The events of the queue.

use chorus_core::{
    command::{EdgeCommand, Record},
    hosting::{AppendId, Save},
    ids::{ConnectionId, Digest, MachineId, Offset, RoomId, SessionId, Time},
    session::StoreWrite,
};

/// A machine, in one incarnation.
pub(crate) type Life = u32;

/// A room's machine on a host, in one incarnation.
pub(crate) type Serial = u64;

#[derive(Debug)]
pub(crate) enum What {
    // The log.
    Arrives(Life, Record),
    // Hosts.
    Read(Life, RoomId),
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
    Opens(Life, ConnectionId, Option<u64>),
    Written(Life, ConnectionId, StoreWrite),
    SessionTick(Life, ConnectionId),
    // All machines.
    Heartbeat(Life),
    HeartbeatAnswer(Life),
    // Monitors.
    MonitorTick(Life),
    SessionsDropped(Life, MachineId),
    // Players, operators, faults.
    ToClient(Life, usize, u32, Option<String>),
    Act(usize),
    Fault,
    Recover(Life),
    Restart(Life),
    Activate(Digest),
}

/// What a room's host reports to its machine.
#[derive(Debug)]
pub(crate) enum Report {
    Confirmed(AppendId),
    Flushed,
    Stored(Offset),
    Diverged(Offset),
    SessionEnded(SessionId, Vec<RoomId>),
}

impl What {
    /// The sender and the receiver of this event.
    pub fn machines(&self) -> (Option<Life>, Option<Life>) {
        match self {
            What::Arrives(from, _) | What::Save(from, ..) | What::EndSession(from, ..) => (Some(*from), None),
            What::ToEdge(from, edge, _) => (Some(*from), Some(*edge)),
            What::ToClient(from, ..) => (Some(*from), None),
            What::Read(at, _)
            | What::RoomTick(at, ..)
            | What::Report(at, ..)
            | What::Alarm(at, ..)
            | What::TakenOver(at, _)
            | What::PartitionStored(at, _)
            | What::OwnershipTick(at)
            | What::Frame(at, ..)
            | What::Pong(at, _)
            | What::Lost(at, _)
            | What::Opens(at, ..)
            | What::Written(at, ..)
            | What::SessionTick(at, _)
            | What::Heartbeat(at)
            | What::HeartbeatAnswer(at)
            | What::MonitorTick(at)
            | What::SessionsDropped(at, _) => (None, Some(*at)),
            What::Act(_) | What::Fault | What::Recover(_) | What::Restart(_) | What::Activate(_) => (None, None),
        }
    }
}
