//! The tables of a database, and the builds of chorus that may use them.

use chorus_store::{OpenError, Store, migrate_postgres};

use crate::database::{MIGRATIONS, Place, empty, fresh};

#[tokio::test]
async fn a_database_that_nobody_has_migrated_is_refused() {
    let Some((options, schema)) = empty().await else { return };
    let error = Store::open_postgres(&options).await.expect_err("there is nothing");
    assert!(matches!(error, OpenError::NotMigrated { migration: 1, .. }), "{error}");
    assert!(error.to_string().contains("chorus migrate"), "{error}");

    // Two operators at once.
    let (one, other) = tokio::join!(migrate_postgres(&options), migrate_postgres(&options));
    let mut all = [one.expect("migrated"), other.expect("migrated")].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, MIGRATIONS, "each by one of them at least");
    assert!(migrate_postgres(&options).await.expect("nothing to do").is_empty());
    let store = Store::open_postgres(&options).await.expect("opens");
    Place { store, options, schema }.leave().await;
}

#[tokio::test]
async fn a_newer_chorus_says_whether_older_ones_may_run() {
    let Some(place) = fresh("").await else { return };
    place
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (99, 'the future', true, '\\x00', 0)",
        )
        .await;
    Store::open_postgres(&place.options).await.expect("it only adds").close().await.expect("closed");
    place.tamper("UPDATE settings SET value = 99 WHERE name = 'needs_migration'").await;
    let error = Store::open_postgres(&place.options).await.expect_err("newer");
    assert!(matches!(error, OpenError::Newer { migration: 99, .. }), "{error}");
    let error = migrate_postgres(&place.options).await.expect_err("an old binary migrates nothing");
    assert!(matches!(error, OpenError::Newer { migration: 99, .. }), "{error}");
    place.leave().await;
}

#[tokio::test]
async fn a_database_of_another_build_is_refused_by_name() {
    let Some(place) = fresh("").await else { return };
    place.tamper("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await;
    let error = Store::open_postgres(&place.options).await.expect_err("changed");
    assert!(matches!(error, OpenError::Changed { migration: 1, .. }), "{error}");
    let error = migrate_postgres(&place.options).await.expect_err("changed");
    assert!(matches!(error, OpenError::Changed { migration: 1, .. }), "{error}");
    place.leave().await;
}
