//! Broken connections, lost packets, held rows: pauses, or errors in time.

use std::time::Duration;

use chorus_store::{OpenError, PostgresOptions, Store, StoreError, migrate_postgres};
use chorus_testing::{cast::ANA, free_port};
use sqlx::{AssertSqlSafe, Row};

use crate::{
    database::{admin, fresh, in_schema},
    proxy,
    stories::cast::*,
};

/// Connections die again and again during the calls, and no caller notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_not_seen() {
    let Some(place) = fresh("").await else { return };
    let store = &place.store;
    with_partitions(store, 2).await;
    open_ana(store).await;
    let (written, mut progress) = tokio::sync::watch::channel(0);
    let players = (0..4_u8).map(|n| {
        let (store, written) = (store.clone(), written.clone());
        tokio::spawn(async move {
            let id = u128::from(n) + 1;
            for offset in 1..=100 {
                let state = format!("{n} at {offset}");
                store.write_rooms(vec![with_state(room(id, offset), &state)]).await.expect("written");
                assert_eq!(state_of(&store, id).await, Some((offset, state)));
                written.send_modify(|count| *count += 1);
            }
        })
    });
    let players: Vec<_> = players.collect();
    drop(written);
    let mut db = admin().await;
    let mut broken = 0;
    for next in (10..).step_by(10) {
        if progress.wait_for(|count| *count >= next).await.is_err() {
            break;
        }
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
        let cut = sqlx::query(cut).bind(&place.schema).fetch_one(&mut db).await.expect("cut");
        broken += cut.get::<i64, _>(0);
    }
    for player in players {
        player.await.expect("it saw nothing of it");
    }
    assert!(broken > 0, "nothing was broken, so nothing was tested");
    place.leave().await;
}

/// A caller times out and drops its call, and with it the connection; other callers never notice.
#[tokio::test]
async fn calls_that_are_given_up_take_nothing_from_others() {
    let Some(place) = fresh("").await else { return };
    open_ana(&place.store).await;
    let mut few = place.options.clone();
    few.connections = 2;
    few.give_up_after = Duration::from_secs(30);
    let store = Store::open_postgres(&few).await.expect("opens");
    let mut db = admin().await;
    let hold = format!("SET search_path = {}; BEGIN; UPDATE sessions SET name = 'held'", place.schema);
    sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut db).await.expect("held");
    for _ in 0..5 {
        let wait = Duration::from_millis(20);
        let call = tokio::time::timeout(wait, store.session_disconnected(ANA, &edge(1), false)).await;
        assert!(call.is_err(), "the row is held");
    }
    store.machines().await.expect("there is a connection");
    sqlx::query("ROLLBACK").execute(&mut db).await.expect("let go");
    store.session_disconnected(ANA, &edge(1), false).await.expect("noted");
    store.close().await.expect("closed");
    place.leave().await;
}

/// No refusal, and no end of the connection: packets no longer arrive.
#[tokio::test]
async fn a_network_that_swallows_everything_is_a_pause() {
    let Some(place) = fresh("").await else { return };
    open_ana(&place.store).await;
    let proxy = proxy::Proxy::before(&chorus_services::postgres().expect("checked")).await;
    let mut through = in_schema(&proxy.url, &place.schema);
    through.connections = 2;
    through.acquire = Duration::from_millis(500);
    // The statement's limit; the store adds two seconds before it takes the connection for dead.
    through.statement = Duration::from_millis(100);
    let store = Store::open_postgres(&through).await.expect("opens");

    proxy.swallow();
    let calls = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.session_edge(ANA).await })
    });
    let calls: Vec<_> = calls.collect();
    proxy.has_swallowed().await;
    // The network recovers, but the packets lost before stay lost.
    proxy.heal();
    for call in calls {
        let edge_of = call.await.expect("no panic").expect("a pause, no error");
        assert_eq!(edge_of, Some((edge(1), true)));
    }
    store.close().await.expect("closed");
    place.leave().await;
}

/// A process that was stopped in the middle of a transaction holds its rows; a call that needs them waits, then fails with the
/// reason.
#[tokio::test]
async fn a_row_that_is_held_for_ever_is_an_error_in_time() {
    let Some(place) = fresh("").await else { return };
    open_ana(&place.store).await;
    let mut hasty = place.options.clone();
    hasty.lock = Duration::from_millis(20);
    hasty.give_up_after = Duration::from_millis(200);
    let store = Store::open_postgres(&hasty).await.expect("opens");
    let mut db = admin().await;
    let hold = format!("SET search_path = {}; BEGIN; UPDATE sessions SET name = 'held'", place.schema);
    sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut db).await.expect("held");
    let error = store.session_disconnected(ANA, &edge(1), false).await.expect_err("it cannot");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    sqlx::query("ROLLBACK").execute(&mut db).await.expect("let go");
    store.session_disconnected(ANA, &edge(1), false).await.expect("it may be tried again");
    assert_eq!(store.session_edge(ANA).await.expect("read"), Some((edge(1), false)));
    store.close().await.expect("closed");
    place.leave().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_that_names_it() {
    let port = free_port();
    let url = format!("postgres://chorus:secret@127.0.0.1:{port}/chorus");
    let mut options: PostgresOptions = url.parse().expect("a URL");
    options.acquire = Duration::from_millis(50);
    options.give_up_after = Duration::from_millis(100);
    let error = Store::open_postgres(&options).await.expect_err("nobody there");
    assert!(matches!(error, OpenError::Store { source: StoreError::Unavailable { .. }, .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()) && !error.to_string().contains("secret"), "{error}");
    let error = migrate_postgres(&options).await.expect_err("nobody there");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}
