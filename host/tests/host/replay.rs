//! A room is its log: the snapshot at any offset and the records after it restore the same room, to the byte.

use chorus_core::{
    command::{EdgeCommand, Record, RoomCommand},
    effect::RestoreReason,
    ids::{Offset, RoomId, SessionId},
    room::{Output, Room, State},
};
use serde_json::json;

use crate::support::{
    ANA, BEN, CLEO, FIRST,
    stage::Stage,
    world::{Edge, Setup, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn games_and_their_lobby_are_rebuilt_at_every_offset() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("lobby", "lobby").await;
    world.publish("tic-tac-toe", "tic-tac-toe").await;
    world.create(RoomId::LOBBY, "lobby", json!({})).await;
    for session in [CLEO, BEN, ANA] {
        world.edge.join(session, RoomId::LOBBY).await;
    }
    let found = json!({ "kind": "tic-tac-toe" });
    let asked =
        [("games", json!(null)), ("joinOrCreate", found.clone()), ("joinOrCreate", found), ("cancel", json!(null))];
    for (kind, data) in asked {
        world.edge.request(CLEO, RoomId::LOBBY, kind, data).await.unwrap();
    }
    world
        .edge
        .request(CLEO, RoomId::LOBBY, "joinOrCreate", json!({ "kind": "chess" }))
        .await
        .expect_err("there is no such game");
    let game = find_each_other(&mut world, ANA, BEN).await;
    world.edge.request(CLEO, RoomId::LOBBY, "watch", json!({ "room": game.to_string() })).await.unwrap();
    world.edge.until("the watcher to see the game", |edge| edge.of(CLEO, game).first().map(|_| ())).await;
    play(&mut world, game, &[0, 1, 4, 2, 8]).await;
    world.edge.request(ANA, game, "rematch", json!({})).await.unwrap();
    world.edge.request(BEN, game, "rematch", json!({})).await.unwrap();
    play(&mut world, game, &[4, 3]).await;
    // One member loses its connection and resumes; then both leave.
    let edge = world.edge.id.clone();
    world.append(game, RoomCommand::Drop { session: BEN, edge: edge.clone(), code: 1006 }).await;
    world.append(game, RoomCommand::Reconnect { session: BEN, edge, request: FIRST, last_seq: Some(3) }).await;
    for session in [ANA, BEN] {
        world.edge.request(session, game, "leave", json!({})).await.unwrap();
    }
    for room in [RoomId::LOBBY, game] {
        let kinds = ["lobby", "tic-tac-toe"];
        assert_rebuilt(&world, room, &kinds).await;
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chance_time_timers_and_rooms_that_talk_are_rebuilt_at_every_offset() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), Setup::default()).await;
    world.publish("chance-and-time", "chance-and-time").await;
    let room = RoomId(0x71);
    world.create(room, "chance-and-time", json!({ "rounds": 6, "everyMs": 20 })).await;
    for session in [BEN, ANA] {
        world.edge.join(session, room).await;
    }
    let other = world.edge.request(ANA, room, "create", json!(null)).await.unwrap();
    let other: RoomId = other.as_str().unwrap().parse().unwrap();
    for round in 0..8 {
        world.edge.request(ANA, room, "draw", json!(null)).await.unwrap();
        world.edge.request(BEN, room, "deal", json!(null)).await.unwrap();
        world.edge.request(BEN, room, "later", json!(10)).await.unwrap();
        world.edge.request(ANA, room, "ping", json!({ "hops": round })).await.unwrap();
        world.edge.request(BEN, room, "luck", json!(null)).await.unwrap();
    }
    let rounds = |edge: &Edge| {
        let drawn = edge.of(ANA, room).into_iter().filter(|frame| frame.text.contains(r#""why":"round""#)).count();
        (drawn >= 6).then_some(())
    };
    world.edge.until("all rounds", rounds).await;
    for room in [room, other] {
        assert_rebuilt(&world, room, &["chance-and-time"]).await;
    }
    world.close().await;
}

/// Two sessions request a game from the lobby. Returns the room that they are then in.
async fn find_each_other(world: &mut World, one: SessionId, other: SessionId) -> RoomId {
    for session in [one, other] {
        world.edge.request(session, RoomId::LOBBY, "joinOrCreate", json!({ "kind": "tic-tac-toe" })).await.unwrap();
    }
    let game = world
        .edge
        .until("a game", |edge| {
            let room = edge.frames.get(&one)?.iter().map(|frame| frame.room).find(|room| *room != RoomId::LOBBY)?;
            edge.of(other, room).first().map(|_| room)
        })
        .await;
    // Until the lobby has received their `Leave`, it holds their seats.
    for session in [one, other] {
        let left = |edge: &Edge| {
            edge.received
                .iter()
                .any(|c| matches!(c, EdgeCommand::Left { session: who, room: RoomId::LOBBY, .. } if *who == session))
                .then_some(())
        };
        world.edge.until("the lobby to let them go", left).await;
    }
    game
}

/// The player whose turn it is takes these cells, one after the other. The turn is found by trying the wrong player, too.
async fn play(world: &mut World, game: RoomId, cells: &[u32]) {
    for cell in cells {
        if world.edge.request(ANA, game, "move", json!({ "cell": cell })).await.is_err() {
            world.edge.request(BEN, game, "move", json!({ "cell": cell })).await.expect("it is the other one's turn");
        }
    }
}

/// Rebuilds a room of a running host, and compares with what the host has sent and stored.
async fn assert_rebuilt(world: &World, room: RoomId, kinds: &[&str]) {
    let log = world.log_of(room).await;
    assert!(log.len() > 15, "a log worth the name: {} records", log.len());
    let rebuilt = rebuilds_everywhere(room, &log, kinds).await;

    let sent: Vec<&EdgeCommand> = world.edge.received.iter().filter(|command| room_of(command) == room).collect();
    let outputs: Vec<&EdgeCommand> = rebuilt.outputs.iter().filter_map(to_edge).collect();
    // The host may have sent commands that the paper edge has not received yet.
    assert!(sent.len() <= outputs.len());
    assert_eq!(sent, outputs[..sent.len()], "the host has sent what the log says");
    if let Some(stored) = world.store.snapshot(room).await.unwrap() {
        let at = rebuilt.points.iter().find(|point| point.offset == stored.offset).expect("it is a record's offset");
        assert_eq!(stored.state, at.snapshot[..], "the host's snapshot at {}", stored.offset);
    }
}

fn to_edge(output: &Output) -> Option<&EdgeCommand> {
    match output {
        Output::Edge(_, command) => Some(command),
        _ => None,
    }
}

fn room_of(command: &EdgeCommand) -> RoomId {
    match command {
        EdgeCommand::Move { from, .. } => from.room,
        EdgeCommand::Deliver(deliveries) => deliveries.iter().next().expect("no command is empty").1.room_id(),
        EdgeCommand::Left { room, .. }
        | EdgeCommand::Kick { room, .. }
        | EdgeCommand::Admitted { room, .. }
        | EdgeCommand::Refused { room, .. }
        | EdgeCommand::Resumed { room, .. } => *room,
        EdgeCommand::Replaced { .. } | EdgeCommand::Spent { .. } | EdgeCommand::End(_) => {
            unreachable!("no room sends it: there is one edge, and no operator")
        }
    }
}

/// A room, rebuilt from a log.
pub struct Rebuilt {
    /// All outputs of the room.
    pub outputs: Vec<Output>,
    pub points: Vec<Point>,
}

/// The room after one of its records.
pub struct Point {
    pub offset: Offset,
    pub snapshot: Vec<u8>,
    /// How many of the outputs have left the room by then.
    outputs: usize,
}

/// Rebuilds a room from the snapshot at each of its offsets and the records after, and compares it with the room that
/// went through all of them: the state's bytes, and all outputs.
pub async fn rebuilds_everywhere(room: RoomId, log: &[(Offset, Record)], kinds: &[&str]) -> Rebuilt {
    let mut straight = empty(room, kinds).await;
    let outputs = straight.replay(log).await.external();
    let last = state(&mut straight).await;

    let mut step_by_step = empty(room, kinds).await;
    let (mut points, mut so_far) = (vec![], vec![]);
    for entry in log {
        let out = step_by_step.replay(std::slice::from_ref(entry)).await;
        let own = out.0.iter().rev().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        so_far.extend(out.external());
        if let Some(bytes) = step_by_step.snapshot().await.or(own) {
            points.push(Point { offset: entry.0, snapshot: bytes.to_vec(), outputs: so_far.len() });
        }
    }
    assert_same(&so_far, &outputs, "step by step");
    assert!(state(&mut step_by_step).await == last, "the same state, step by step");

    for point in &points {
        let mut rebuilt = empty(room, kinds).await;
        rebuilt.room = Room::restore(room, &point.snapshot, RestoreReason::Recovered).unwrap();
        let out = rebuilt.replay(log).await;
        assert_same(&out.external(), &outputs[point.outputs..], &format!("from offset {}", point.offset));
        assert!(state(&mut rebuilt).await == last, "the same state, from offset {}", point.offset);
    }
    Rebuilt { outputs, points }
}

async fn empty(room: RoomId, kinds: &[&str]) -> Stage {
    let mut stage = Stage::of(kinds[0], kinds).await;
    stage.room = Room::new(room);
    stage
}

/// The state's bytes; `None` for a room that has ended.
async fn state(stage: &mut Stage) -> Option<Vec<u8>> {
    stage.snapshot().await;
    stage.room.state().map(State::encode)
}

/// Names the first difference: the whole of either list is too much to read.
fn assert_same(found: &[Output], expected: &[Output], whence: &str) {
    let same = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    let next = (found.get(same), expected.get(same));
    assert!(found == expected, "{whence}: after {same} outputs, {:#?} in place of {:#?}", next.0, next.1);
}
