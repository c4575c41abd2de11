//! The parts that the stories are made of.

pub mod guests;
pub mod stage;
pub mod world;

use std::sync::Arc;

use chorus_core::{
    command::{Joining, Player, RequestId, RoomCommand},
    ids::{ConnectionId, MachineId, SessionId},
    json::Json,
};
use serde_json::Value;

pub const ANA: SessionId = SessionId(0xa);
pub const BEA: SessionId = SessionId(0xb);
pub const CLEO: SessionId = SessionId(0xc);

/// The request of every join: these edges have one connection.
pub const FIRST: RequestId = RequestId { connection: ConnectionId(1), number: 1 };

/// A session's player has the session's name.
pub fn player(session: SessionId) -> Player {
    let name: Arc<str> = match session {
        ANA => "ana".into(),
        BEA => "bea".into(),
        CLEO => "cleo".into(),
        other => format!("p{:x}", other.0).into(),
    };
    Player { id: name.clone(), name }
}

pub fn join(session: SessionId, edge: &MachineId, message_id: u64) -> RoomCommand {
    let (player, edge, options) = (player(session), edge.clone(), Json::trusted("{}"));
    RoomCommand::Join(Joining { session, player, claims: None, edge, request: FIRST, message_id, options, from: None })
}

pub fn message(session: SessionId, message_id: u64, msg_type: &str, data: &Value) -> RoomCommand {
    RoomCommand::Message { session, message_id, msg_type: msg_type.into(), data: Json::of(data) }
}
