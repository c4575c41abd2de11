//! The store of a cluster: the promises of every store, and the behaviour that only Postgres has.
//!
//! `node testing/services/services.mjs postgres -- cargo test -p chorus-store` starts a database. Each story creates a schema of
//! its own there, and drops it; the story of the restart runs a server of its own.

mod clocks;
mod database;
mod failures;
mod migrations;
mod proxy;
mod restart;
#[path = "../stories/mod.rs"]
mod stories;

use chorus_core::ids::RoomId;
use chorus_store::{PostgresOptions, StoreError};
use database::{admin, fresh};
use sqlx::AssertSqlSafe;
use stories::cast::*;

tell_all_stories!(fresh);

#[tokio::test]
async fn offsets_of_other_partitions_do_not_count() {
    let Some(place) = fresh("").await else { return };
    let store = &place.store;
    let unknown = store.write_rooms(vec![news(room(1, 1))]).await.expect_err("whose is it?");
    assert!(matches!(unknown, StoreError::NoPartitions), "{unknown}");
    with_partitions(store, 2).await;
    let of = |partition| (1..).find(|id| RoomId(*id).partition(2) == partition).expect("one of them");
    store.write_rooms(vec![news(room(of(0), 5)), news(room(of(1), 1_000_000))]).await.expect("written");
    assert_eq!(store.highest_offset(0).await.expect("read"), Some(5));
    assert_eq!(store.highest_offset(1).await.expect("read"), Some(1_000_000));
    place.leave().await;
}

#[tokio::test]
async fn no_binary_can_break_the_rule_of_snapshots() {
    let Some(place) = fresh("").await else { return };
    with_partitions(&place.store, 2).await;
    place.store.write_rooms(vec![with_state(room(1, 5), "at 5")]).await.expect("written");
    let mut db = admin().await;
    let schema = sqlx::query(AssertSqlSafe(format!("SET search_path = {}", place.schema))).execute(&mut db).await;
    schema.expect("set");
    for wrong in [r#"UPDATE snapshots SET "offset" = 4"#, "UPDATE snapshots SET hash = sha256('another')"] {
        let error = sqlx::query(wrong).execute(&mut db).await.expect_err("refused");
        assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("CH001"), "{error}");
    }
    sqlx::query(r#"UPDATE snapshots SET "offset" = 6"#).execute(&mut db).await.expect("a higher one may");
    place.leave().await;
}

#[test]
fn an_address_is_checked_and_its_password_not_shown() {
    let options: PostgresOptions = "postgres://chorus:secret@db:5433/games?sslmode=disable".parse().expect("a URL");
    assert_eq!(options.to_string(), "postgres://db:5433/games");
    assert!(!format!("{options:?}").contains("secret"));
    for bad in ["", "db:5432", "mysql://db/games", "postgres://db:port/games"] {
        let error = bad.parse::<PostgresOptions>().expect_err(bad);
        assert!(error.to_string().contains("postgres://user"), "{error}");
    }
}
