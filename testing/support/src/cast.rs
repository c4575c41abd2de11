//! The cast of the stories: sessions, players and machines, and the records of what they do.

use std::sync::Arc;

use chorus_core::{
    command::{Joining, Player, RequestId, RoomCommand},
    ids::{ConnectionId, Digest, Kind, MachineId, RoomSecret, SessionId},
    json::Json,
};
use serde::Serialize;

pub const ANA: SessionId = SessionId(0xa);
pub const BEN: SessionId = SessionId(0xb);
pub const CLEO: SessionId = SessionId(0xc);

/// The first request of an edge that has one connection.
pub const FIRST: RequestId = RequestId { connection: ConnectionId(1), number: 1 };

/// A session's player, who has the session's name.
pub fn player(session: SessionId) -> Player {
    let name: Arc<str> = match session {
        ANA => "ana".into(),
        BEN => "ben".into(),
        CLEO => "cleo".into(),
        other => format!("p{:x}", other.0).into(),
    };
    Player { id: name.clone(), name }
}

/// # Panics
/// When the name cannot be a kind's.
pub fn kind(name: &str) -> Kind {
    Kind::new(name).expect("a kind's name")
}

pub fn machine(name: &str) -> MachineId {
    MachineId(name.into())
}

/// A room that no other room has created.
///
/// # Panics
/// When the options have no JSON.
pub fn create(kind: Kind, component: Digest, options: &impl Serialize) -> RoomCommand {
    let options = Json::of(options);
    RoomCommand::Create { kind, component, options, creator: None, secret: RoomSecret(7), allowance: 16 }
}

/// A session requests to be a member, as the edge's [`FIRST`] request.
pub fn join(session: SessionId, edge: &MachineId, message_id: u64) -> RoomCommand {
    let (player, edge, options) = (player(session), edge.clone(), Json::trusted("{}"));
    RoomCommand::Join(Joining { session, player, claims: None, edge, request: FIRST, message_id, options, from: None })
}

/// # Panics
/// When the data has no JSON.
pub fn message(session: SessionId, message_id: u64, msg_type: &str, data: &impl Serialize) -> RoomCommand {
    RoomCommand::Message { session, message_id, msg_type: msg_type.into(), data: Json::of(data) }
}
