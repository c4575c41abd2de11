//! The cast of the stories: sessions, rooms and machines, made from small numbers.

use bytes::Bytes;
use chorus_core::{
    command::Player,
    edge::Resuming,
    identity::Identity,
    ids::{Digest, MachineId, Offset, RoomId, SessionId, Time},
};
use chorus_store::{Expired, ExpiryCause, RoomRow, RoomStatus, RoomUpdate, SessionRow, Snapshot, Store};
pub use chorus_testing::cast::{ANA, BEN, kind, machine};

pub const LOBBY: RoomId = RoomId::LOBBY;

/// A token's hash.
pub fn token(n: u8) -> [u8; 32] {
    [n; 32]
}

pub fn edge(n: u32) -> MachineId {
    machine(&format!("edge-{n}"))
}

pub fn host(n: u32) -> MachineId {
    machine(&format!("host-{n}"))
}

pub fn session(id: SessionId, edge: &MachineId, resume_hash: [u8; 32]) -> SessionRow {
    let player = Player { id: format!("player-{id}").into(), name: "Ana 🎲".into() };
    SessionRow { id, identity: Identity::guest(player), edge: edge.clone(), resume_hash, address: None }
}

/// For the player whom the session of these stories has from its beginning.
pub fn as_player(id: SessionId) -> Resuming {
    Resuming { player: format!("player-{id}").into(), identity: None, address: None }
}

/// For the player whom the session with this token has.
pub async fn as_it_is(store: &Store, resume_hash: [u8; 32]) -> Resuming {
    let known = store.known_session(resume_hash).await.expect("answered");
    Resuming { player: known.map_or("nobody".into(), |known| known.identity.player.id), identity: None, address: None }
}

/// Ana has connected to `edge-1`, with token 1.
pub async fn open_ana(store: &Store) {
    store.open_session(session(ANA, &edge(1), token(1)), LOBBY).await.expect("opened");
}

pub fn expired(session: SessionId, rooms: &[RoomId], cause: ExpiryCause) -> Expired {
    Expired { session, rooms: rooms.to_vec(), cause }
}

/// A live tic-tac-toe room, created at the time `id`.
pub fn room(id: u128, offset: Offset) -> RoomRow {
    RoomRow {
        id: RoomId(id),
        offset,
        kind: kind("tic-tac-toe"),
        component: Digest::of(b"tic-tac-toe"),
        status: RoomStatus::Live,
        creator: Some(LOBBY),
        created_at: Time(id as u64),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: None,
        members: 2,
    }
}

pub fn ended(room: RoomRow) -> RoomRow {
    RoomRow { status: RoomStatus::Ended, ended_at: Some(Time(1)), members: 0, ..room }
}

/// An update without a snapshot.
pub fn news(row: RoomRow) -> RoomUpdate {
    RoomUpdate { row, snapshot: None }
}

pub fn with_state(row: RoomRow, state: &str) -> RoomUpdate {
    let (offset, component) = (row.offset, row.component);
    let snapshot = Snapshot { offset, component, state: Bytes::copy_from_slice(state.as_bytes()) };
    RoomUpdate { row, snapshot: Some(snapshot) }
}

/// A store whose log has this many partitions.
pub async fn with_partitions(store: &Store, partitions: u32) {
    assert_eq!(store.partitions(partitions).await.expect("written"), partitions);
}

pub async fn state_of(store: &Store, id: u128) -> Option<(Offset, String)> {
    let snapshot = store.snapshot(RoomId(id)).await.expect("read")?;
    Some((snapshot.offset, String::from_utf8(snapshot.state.to_vec()).expect("text")))
}
