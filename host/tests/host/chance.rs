//! Time and randomness come from a room's own records, and from nothing else.

use chorus_core::ids::{RoomId, Time};
use chorus_core::room::Room;
use serde_json::{Value, json};

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, join,
        stage::{ROOM, Stage, edge},
    },
};

#[tokio::test]
async fn every_clock_in_the_script_stands_at_the_records_time() {
    let mut stage = Stage::with("chance-and-time", json!({}), &[ANA]).await;
    for _ in 0..3 {
        let Time(now) = stage.now.plus(10);
        let drawn = stage.send(ANA, "draw", json!(null)).await.reply();
        for clock in ["now", "room", "performance"] {
            assert_eq!(drawn[clock], now, "{clock}");
        }
        assert_eq!(drawn["date"], "2023-11-14T22:13:20.0N0Z".replace('N', &(now / 10 % 10).to_string()));
    }
}

#[tokio::test]
async fn two_rooms_with_the_same_records_draw_differently_and_one_room_draws_the_same_again() {
    let one = draws_of(ROOM).await;
    let other = draws_of(RoomId(ROOM.0 + 1)).await;
    let again = draws_of(ROOM).await;
    assert_eq!(one, again);
    let numbers = |draws: &[Value]| -> Vec<String> {
        draws.iter().flat_map(|drawn| ["math", "random"].map(|key| drawn[key].to_string())).collect()
    };
    let mut all = [numbers(&one), numbers(&other)].concat();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "no number comes twice, in either generator, in either room");
}

#[tokio::test]
async fn what_was_drawn_is_drawn_again_in_a_replay() {
    let mut stage = Stage::with("chance-and-time", json!({}), &[ANA]).await;
    for kind in ["draw", "deal", "luck", "draw"] {
        stage.send(ANA, kind, json!(null)).await;
    }
    rebuilds_everywhere(ROOM, &stage.log, &["chance-and-time"]).await;
}

/// The random numbers of the room with this id, always for the same records.
async fn draws_of(room: RoomId) -> Vec<Value> {
    let mut stage = Stage::of("chance-and-time", &[]).await;
    stage.room = Room::new(room);
    stage.create("chance-and-time", json!({})).await;
    stage.record(join(ANA, &edge(), 0)).await;
    let mut draws = vec![];
    for _ in 0..20 {
        draws.push(stage.send(ANA, "draw", json!(null)).await.reply());
    }
    draws
}
