//! Many rooms with records behind the checkpoint: each is restored by the next host, needed or not, or by the one after it.

use std::path::Path;

use chorus_core::{command::RoomCommand, ids::RoomId};
use serde_json::json;

use crate::{
    checkpoints::reaches_the_end,
    crash::life,
    support::{
        ANA, BEN,
        world::{Setup, World},
    },
};

const ROOMS: u64 = 40;

fn room(n: u64) -> RoomId {
    RoomId(0x7a00 + u128::from(n))
}

/// Each room has counted to two, and has the record of a third message. Returns the number of messages.
async fn dies_with_records_in_each_room(dir: &Path) -> u64 {
    let mut world = World::open(dir, Setup::default()).await;
    world.publish("counter", "counter-v1").await;
    for n in 1..=ROOMS {
        world.create(room(n), "counter", json!({})).await;
        world.edge.join(ANA, room(n)).await;
        for count in 1..=2 {
            assert_eq!(world.edge.request(ANA, room(n), "add", json!(1)).await, Ok(json!(count)));
        }
    }
    let mut last = 0;
    for n in 1..=ROOMS {
        last = world.edge.send(ANA, room(n), "add", json!(1)).await;
    }
    last
}

#[test]
fn rooms_that_are_not_needed_are_restored_behind_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let last = life(dies_with_records_in_each_room(dir.path()));
    life(async {
        let mut world = World::open(dir.path(), Setup::default()).await;
        world.edge.continue_from(ANA, last);
        // The room with the latest records is the last one in the background.
        assert_eq!(world.edge.request(ANA, room(ROOMS), "add", json!(1)).await, Ok(json!(4)));
        for (n, id) in (1..=ROOMS).zip(last + 1 - ROOMS..) {
            assert_eq!(world.edge.answer(ANA, id).await, Ok(json!(3)), "room {n}");
        }
        world.close().await;
    });
}

#[test]
fn a_host_that_hands_over_at_once_leaves_the_records_of_waiting_rooms_to_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let last = life(dies_with_records_in_each_room(dir.path()));
    life(async {
        World::open(dir.path(), Setup::default()).await.close().await;
    });
    life(async {
        let mut world = World::open(dir.path(), Setup::restless()).await;
        world.edge.continue_from(ANA, last);
        for n in 1..=ROOMS {
            assert_eq!(world.edge.request(ANA, room(n), "add", json!(1)).await, Ok(json!(4)), "room {n}");
        }
        world.close().await;
    });
}

#[test]
fn the_members_of_a_lost_edge_are_dropped_behind_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    life(async {
        let mut world = World::open(dir.path(), Setup::restless()).await;
        world.publish("counter", "counter-v1").await;
        for n in 1..=ROOMS {
            world.create(room(n), "counter", json!({})).await;
            world.edge.join(ANA, room(n)).await;
        }
        world.edge.join(BEN, room(ROOMS)).await;
        world.quiet().await;
        let edge = world.edge.id.clone();
        for n in 1..=ROOMS {
            world.append(room(n), RoomCommand::Drop { session: ANA, edge: edge.clone(), code: 1006 }).await;
        }
        // The room with the latest record is needed before the others have applied theirs.
        assert_eq!(world.edge.request(BEN, room(ROOMS), "add", json!(1)).await, Ok(json!(1)));
        reaches_the_end(&world).await;
        world.close().await;
    });
}
