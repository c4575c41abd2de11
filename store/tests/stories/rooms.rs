//! Rooms and snapshots.

use std::time::Duration;

use chorus_core::{
    ids::{Digest, RoomId, Time},
    json::Json,
};
use chorus_store::{RoomFilter, RoomRow, RoomStatus, RoomUpdate, Store, StoreError, StoredRoom};

use super::cast::*;

async fn write(store: &Store, batch: impl IntoIterator<Item = RoomUpdate>) {
    store.write_rooms(batch.into_iter().collect()).await.expect("written");
}

pub async fn only_a_higher_snapshot_replaces(store: Store) {
    with_partitions(&store, 4).await;
    write(&store, []).await;
    assert_eq!(state_of(&store, 1).await, None);
    write(&store, [with_state(room(1, 5), "at 5")]).await;
    write(&store, [with_state(room(1, 3), "at 3, late")]).await;
    assert_eq!(state_of(&store, 1).await, Some((5, "at 5".into())));
    write(&store, [with_state(room(1, 5), "at 5")]).await;
    write(&store, [with_state(room(1, 8), "at 8")]).await;
    assert_eq!(state_of(&store, 1).await, Some((8, "at 8".into())));
    let stored = store.snapshot(RoomId(1)).await.expect("read").expect("there");
    assert_eq!((stored.hash, stored.component), (Digest::of(b"at 8"), Digest::of(b"tic-tac-toe")));
    assert_eq!(store.stored_room(RoomId(1)).await.expect("read"), StoredRoom::Snapshot(stored));
}

pub async fn a_host_finds_a_snapshot_an_end_or_nothing(store: Store) {
    with_partitions(&store, 4).await;
    let found = async |id| store.stored_room(RoomId(id)).await.expect("read");
    write(&store, [news(room(1, 1)), with_state(room(2, 1), "live")]).await;
    assert_eq!(found(1).await, StoredRoom::Nothing, "it is listed, and has no state");
    assert!(matches!(found(2).await, StoredRoom::Snapshot(_)));
    assert_eq!(found(3).await, StoredRoom::Nothing, "it is unknown");
    let failed = RoomRow { status: RoomStatus::Failed, ..ended(room(4, 2)) };
    write(&store, [news(ended(room(2, 2))), news(failed)]).await;
    assert_eq!((found(2).await, found(4).await), (StoredRoom::Ended, StoredRoom::Ended));
    assert_eq!(state_of(&store, 2).await, None);
}

pub async fn hashes_of_snapshots_are_kept_for_audits(store: Store) {
    with_partitions(&store, 4).await;
    write(&store, [with_state(room(1, 4), "before")]).await;
    assert_eq!(store.kept_hashes().await.expect("read"), [], "they were not requested");
    store.keep_hashes().await.expect("kept");
    store.keep_hashes().await.expect("kept as it was");
    write(&store, [with_state(room(1, 5), "at 5"), with_state(room(2, 1), "another")]).await;
    write(&store, [with_state(room(1, 3), "at 3, late")]).await;
    write(&store, [with_state(room(1, 8), "at 8")]).await;
    let kept = store.kept_hashes().await.expect("read");
    let kept: Vec<_> = kept.into_iter().map(|kept| (kept.room.0, kept.offset, kept.hash)).collect();
    let expected = [(1, 5, Digest::of(b"at 5")), (1, 8, Digest::of(b"at 8")), (2, 1, Digest::of(b"another"))];
    assert_eq!(kept, expected);
}

pub async fn two_states_at_one_offset_are_named_and_nothing_is_written(store: Store) {
    with_partitions(&store, 4).await;
    write(&store, [with_state(room(1, 5), "one"), with_state(room(2, 5), "two")]).await;
    let batch =
        vec![with_state(room(1, 6), "one later"), with_state(room(2, 5), "not two"), with_state(room(3, 5), "3")];
    let error = store.write_rooms(batch).await.expect_err("room 2 is not deterministic");
    assert!(matches!(error, StoreError::Diverged { room: RoomId(2), offset: 5 }), "{error}");
    assert_eq!(state_of(&store, 1).await, Some((5, "one".into())));
    assert_eq!(state_of(&store, 2).await, Some((5, "two".into())));
    assert_eq!(store.room(RoomId(3)).await.expect("read"), None);
    // Without that room, the others can be written.
    write(&store, [with_state(room(1, 6), "one later"), with_state(room(3, 5), "3")]).await;
    assert_eq!(state_of(&store, 1).await, Some((6, "one later".into())));
}

pub async fn a_room_that_has_ended_stays_so_and_keeps_no_snapshot(store: Store) {
    with_partitions(&store, 4).await;
    let won = Json::trusted(r#"{"winner":1}"#);
    write(&store, [with_state(room(1, 5), "alive")]).await;
    let over = RoomRow { outcome: Some(won.clone()), ..ended(room(1, 9)) };
    write(&store, [with_state(over.clone(), "its last")]).await;
    assert_eq!(state_of(&store, 1).await, None);
    assert_eq!(store.room(RoomId(1)).await.expect("read"), Some(over.clone()));

    write(&store, [with_state(room(1, 12), "a ghost"), with_state(room(1, 7), "late")]).await;
    assert_eq!(state_of(&store, 1).await, None);
    assert_eq!(store.room(RoomId(1)).await.expect("read"), Some(over));
}

pub async fn a_stale_host_takes_no_row_back(store: Store) {
    with_partitions(&store, 4).await;
    write(&store, [with_state(room(1, 5), "at 5")]).await;
    let later = RoomRow { members: 7, next_timer_at: Some(Time(99)), ..room(1, 20) };
    write(&store, [news(later.clone())]).await;

    // Its row is older than the stored one, its snapshot is not: the log will be truncated below that snapshot's offset.
    write(&store, [with_state(room(1, 12), "at 12")]).await;
    assert_eq!(store.room(RoomId(1)).await.expect("read"), Some(later.clone()));
    assert_eq!(state_of(&store, 1).await, Some((12, "at 12".into())));
    // The same offset with more information.
    let swapped = RoomRow { component: Digest::of(b"another"), ..later };
    write(&store, [news(swapped.clone())]).await;
    assert_eq!(store.room(RoomId(1)).await.expect("read"), Some(swapped));
}

pub async fn one_batch_may_have_a_room_twice(store: Store) {
    with_partitions(&store, 4).await;
    let twice = [with_state(room(1, 5), "at 5"), news(room(2, 1)), news(RoomRow { members: 9, ..room(1, 6) })];
    write(&store, twice).await;
    assert_eq!(state_of(&store, 1).await, Some((5, "at 5".into())));
    assert_eq!(store.room(RoomId(1)).await.expect("read").map(|row| (row.offset, row.members)), Some((6, 9)));
    let other = vec![with_state(room(1, 8), "one"), with_state(room(1, 8), "other")];
    let error = store.write_rooms(other).await.expect_err("two states");
    assert!(matches!(error, StoreError::Diverged { room: RoomId(1), offset: 8 }), "{error}");
}

/// A replaced host and its successor write the same rooms, in different orders.
pub async fn two_hosts_write_the_same_rooms_at_once(store: Store) {
    with_partitions(&store, 4).await;
    let host = |store: Store, backwards: bool| async move {
        for offset in 1..=20 {
            let mut batch: Vec<_> = (1..=40).map(|id| with_state(room(id, offset), &format!("at {offset}"))).collect();
            if backwards {
                batch.reverse();
            }
            write(&store, batch).await;
        }
    };
    let zombie = tokio::spawn(host(store.clone(), true));
    host(store.clone(), false).await;
    zombie.await.expect("it wrote as well");
    for id in 1..=40 {
        assert_eq!(state_of(&store, id).await, Some((20, "at 20".into())));
    }
}

fn of_kind(name: &str) -> RoomFilter {
    RoomFilter { kind: Some(kind(name)), ..RoomFilter::default() }
}

pub async fn rooms_are_listed_latest_first_by_kind_and_status(store: Store) {
    with_partitions(&store, 4).await;
    let lobby = RoomRow { kind: kind("lobby"), creator: None, ..room(3, 1) };
    // Two rooms created at the same time are in the order of their ids.
    let twin = RoomRow { created_at: Time(2), ..room(9, 1) };
    write(&store, [news(room(1, 1)), news(ended(room(2, 1))), news(lobby), news(room(4, 1)), news(twin)]).await;

    let list = async |filter: RoomFilter, page: u32| {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let rooms = store.rooms(&filter, after, page).await.expect("listed");
            assert!(rooms.len() <= page as usize);
            let Some(last) = rooms.last() else { return ids };
            after = Some((last.created_at, last.id));
            ids.extend(rooms.iter().map(|row| row.id.0));
        }
    };
    assert_eq!(list(RoomFilter::default(), 100).await, [4, 3, 9, 2, 1]);
    assert_eq!(list(RoomFilter::default(), 1).await, [4, 3, 9, 2, 1]);
    assert_eq!(list(of_kind("tic-tac-toe"), 2).await, [4, 9, 2, 1]);
    let live = RoomFilter { status: Some(RoomStatus::Live), ..of_kind("tic-tac-toe") };
    assert_eq!(list(live, 2).await, [4, 9, 1]);
    assert_eq!(list(of_kind("chess"), 2).await, []);
    let behind = |name| RoomFilter { other_than: Some(Digest::of(name)), ..of_kind("tic-tac-toe") };
    assert_eq!(list(behind(b"tic-tac-toe"), 2).await, [], "all run this component");
    assert_eq!(list(behind(b"its next version"), 2).await, [4, 9, 2, 1]);

    let counts = store.count_rooms().await.expect("counted");
    let game = kind("tic-tac-toe");
    let expected =
        [(kind("lobby"), RoomStatus::Live, 1), (game.clone(), RoomStatus::Ended, 1), (game, RoomStatus::Live, 3)];
    assert_eq!(counts, expected);
}

pub async fn timers_come_in_pages_for_the_partitions_that_are_asked_for(store: Store) {
    const PARTITIONS: u32 = 4;
    with_partitions(&store, PARTITIONS).await;
    let clock = |id: u128| Time(id as u64 + 7);
    let due = |id: u128, at: u64| news(RoomRow { next_timer_at: Some(Time(at)), clock: clock(id), ..room(id, 1) });
    // Every second room has a timer, and two rooms at a time the same one.
    write(&store, (1..=60).map(|id| if id % 2 == 0 { due(id, (id as u64).div_ceil(4)) } else { news(room(id, 1)) }))
        .await;

    for partitions in [&[0, 1, 2, 3][..], &[2], &[3, 0], &[]] {
        let mut expected: Vec<_> =
            (1..=30).map(|n| (Time((2 * n as u64).div_ceil(4)), RoomId(2 * n), clock(2 * n))).collect();
        expected.retain(|(_, room, _)| partitions.contains(&room.partition(PARTITIONS)));
        expected.sort_unstable();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.timers(partitions, after, 4).await.expect("listed");
            assert!(page.len() <= 4);
            after = page.last().map(|(due, room, _)| (*due, *room));
            if after.is_none() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, expected, "of {partitions:?}");
    }
    // A removed timer is not listed.
    write(&store, [news(room(2, 2))]).await;
    let all = store.timers(&[0, 1, 2, 3], None, 100).await.expect("listed");
    assert!(all.len() == 29 && !all.iter().any(|(_, room, _)| *room == RoomId(2)));
}

pub async fn the_highest_offset_is_known(store: Store) {
    with_partitions(&store, 1).await;
    assert_eq!(store.highest_offset(0).await.expect("read"), None);
    write(&store, [with_state(room(1, 5), "a"), news(room(2, 9)), news(room(3, 7))]).await;
    assert_eq!(store.highest_offset(0).await.expect("read"), Some(9));
}

pub async fn rooms_are_deleted_long_after_their_end(store: Store) {
    with_partitions(&store, 4).await;
    write(&store, [with_state(room(1, 1), "live"), news(ended(room(2, 1)))]).await;
    assert_eq!(store.delete_ended_rooms(Duration::MAX).await.expect("answered"), 0);
    assert_eq!(store.delete_ended_rooms(Duration::from_secs(3600)).await.expect("answered"), 1, "it ended in 1970");
    assert_eq!(store.room(RoomId(2)).await.expect("read"), None);
    assert_eq!(state_of(&store, 1).await, Some((1, "live".into())));
}

pub async fn a_rooms_json_comes_back_byte_for_byte(store: Store) {
    with_partitions(&store, 4).await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for (id, text) in [(1, r#"{"b":1, "a":"\ud800\u0000"}"#), (2, deep.as_str()), (3, "\"é 🎲\"")] {
        let row = RoomRow { metadata: Some(Json::trusted(text)), outcome: Some(Json::trusted(text)), ..room(id, 1) };
        write(&store, [news(row.clone())]).await;
        assert!(store.room(RoomId(id)).await.expect("read") == Some(row), "room {id}");
    }
}

/// A room with a snapshot is never given up, whichever rooms are requested.
pub async fn a_live_room_without_a_snapshot_is_found_and_can_be_given_up(store: Store) {
    with_partitions(&store, 4).await;
    let lobby = RoomRow { id: LOBBY, ..room(0, 1) };
    write(&store, [with_state(room(1, 1), "kept"), news(room(2, 1)), news(ended(room(3, 1))), news(lobby)]).await;
    for partition in 0..4 {
        let mut expected = vec![RoomId(2), LOBBY];
        expected.retain(|room| room.partition(4) == partition);
        assert_eq!(store.rooms_without_snapshot(partition).await.expect("read"), expected);
    }
    for _ in 0..2 {
        let all = [RoomId(1), RoomId(2), RoomId(3), LOBBY];
        store.give_up_rooms(&all, "it is \"lost\"").await.expect("given up");
    }
    let row = async |id: u128| store.room(RoomId(id)).await.expect("read");
    let given_up = row(2).await.expect("listed");
    assert_eq!(given_up.status, RoomStatus::Failed);
    assert_eq!(given_up.outcome.as_ref().map(Json::as_str), Some(r#""it is \"lost\"""#));
    assert_eq!(row(1).await.expect("listed").status, RoomStatus::Live);
    assert_eq!(row(3).await.expect("listed").status, RoomStatus::Ended);
    assert_eq!(row(LOBBY.0).await, None, "it is made anew");
    for partition in 0..4 {
        assert_eq!(store.rooms_without_snapshot(partition).await.expect("read"), []);
    }
}
