//! Reports of players, and what the store has of one player.

use std::time::Duration;

use chorus_core::{
    command::Player,
    ids::{OutputId, RoomId, SessionId, Time},
    json::Json,
    room::Report,
};
use chorus_store::{ReportRow, Store};

use super::cast::*;

/// A report of this player, by room 5, made at this time by its output of that number.
fn report(player: &str, at: u64) -> ReportRow {
    let report = Report {
        number: OutputId { offset: at, index: 1 },
        at: Time(at),
        session: SessionId(7),
        player: Player { id: player.into(), name: "Ana 🎲".into() },
        reason: "spam".into(),
        data: Json::trusted(r#"{"b":1.50,"a":"…"}"#),
    };
    ReportRow { room: RoomId(5), kind: kind("chat"), report }
}

async fn add(store: &Store, row: &ReportRow) {
    store.add_report(row.clone()).await.expect("added");
}

async fn times(store: &Store, player: Option<&str>) -> Vec<u64> {
    let reports = store.reports(player, None, 100).await.expect("read");
    reports.into_iter().map(|row| row.report.at.0).collect()
}

pub async fn a_report_is_there_once_byte_for_byte(store: Store) {
    let first = report("u:ana", 3);
    add(&store, &first).await;
    let mut again = first.clone();
    again.report.reason = "another".into();
    add(&store, &again).await;
    assert_eq!(
        store.reports(None, None, 10).await.expect("read"),
        std::slice::from_ref(&first),
        "the first one counts"
    );
    let mut elsewhere = first.clone();
    elsewhere.room = RoomId(6);
    add(&store, &elsewhere).await;
    assert_eq!(store.reports(None, None, 10).await.expect("read"), [elsewhere, first]);
}

pub async fn reports_are_listed_latest_first_by_player_and_in_pages(store: Store) {
    for (player, at) in [("u:ana", 1), ("u:ben", 2), ("u:ana", 4), ("u:ana", 3)] {
        add(&store, &report(player, at)).await;
    }
    assert_eq!(times(&store, None).await, [4, 3, 2, 1]);
    assert_eq!(times(&store, Some("u:ana")).await, [4, 3, 1]);
    assert_eq!(times(&store, Some("u:cid")).await, [0u64; 0]);
    let page = store.reports(None, None, 3).await.expect("read");
    let next = store.reports(None, Some(page[2].place()), 3).await.expect("read");
    assert_eq!(next.iter().map(|row| row.report.at.0).collect::<Vec<_>>(), [1]);
}

pub async fn old_reports_and_those_beyond_the_bound_are_deleted(store: Store) {
    let now = store.clock().now().0;
    let hour = 3_600_000;
    for at in [now - 50 * hour, now - 3, now - 2, now - 1] {
        add(&store, &report("u:ana", at)).await;
    }
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(store.trim_reports(day, 100).await.expect("trimmed"), 1);
    assert_eq!(times(&store, None).await, [now - 1, now - 2, now - 3]);
    assert_eq!(store.trim_reports(day, 2).await.expect("trimmed"), 1);
    assert_eq!(times(&store, None).await, [now - 1, now - 2]);
    assert_eq!(store.trim_reports(day, 2).await.expect("trimmed"), 0);
}

pub async fn a_players_reports_are_deleted_and_no_others(store: Store) {
    for (player, at) in [("u:ana", 1), ("u:ben", 2), ("u:ana", 4)] {
        add(&store, &report(player, at)).await;
    }
    assert_eq!(store.delete_reports("u:ana").await.expect("deleted"), 2);
    assert_eq!(times(&store, None).await, [2]);
    assert_eq!(store.delete_reports("u:ana").await.expect("deleted"), 0);
}

pub async fn snapshots_are_searched_in_pages(store: Store) {
    with_partitions(&store, 4).await;
    let states = [(1, "{\"u:ana\":1}"), (2, "nobody"), (3, "the id u:\\\"o\\\"")];
    store.write_rooms(states.map(|(id, state)| with_state(room(id, 1), state)).into()).await.expect("written");
    let ana = ["u:ana".to_owned(), "u:\\\"o\\\"".to_owned()];
    let all = store.search_snapshots(&ana, None, 10).await.expect("searched");
    assert_eq!(all, [(RoomId(1), true), (RoomId(2), false), (RoomId(3), true)]);
    let rest = store.search_snapshots(&ana[..1], Some(RoomId(1)), 10).await.expect("searched");
    assert_eq!(rest, [(RoomId(2), false), (RoomId(3), false)]);
    assert_eq!(store.search_snapshots(&ana, None, 1).await.expect("searched"), [(RoomId(1), true)]);
}

pub async fn the_sessions_of_a_player_are_found_with_their_rooms(store: Store) {
    open_ana(&store).await;
    store.open_session(session(BEN, &edge(1), token(2)), LOBBY).await.expect("opened");
    assert!(store.join_membership(ANA, RoomId(5), &edge(1)).await.expect("joined"));
    let player = format!("player-{ANA}");
    let found = store.sessions_of_player(&player, None, 10).await.expect("read");
    let [ana] = &found[..] else { panic!("{found:?}") };
    assert_eq!((ana.session, ana.connected, &ana.rooms), (ANA, true, &vec![LOBBY, RoomId(5)]));
    store.kick_session(ANA, "erased").await.expect("kicked");
    let kicked = store.sessions_of_player(&player, None, 10).await.expect("read");
    assert_eq!((kicked[0].connected, kicked[0].kicked.as_deref()), (false, Some("erased")));
    assert_eq!(store.sessions_of_player(&player, Some(ANA), 10).await.expect("read"), []);
    store.end_session(ANA).await.expect("ended");
    assert_eq!(store.sessions_of_player(&player, None, 10).await.expect("read"), []);
}
