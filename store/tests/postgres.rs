//! The store of a cluster: the promises of every store, and the behaviour that only Postgres has.
//!
//! `CHORUS_TEST_POSTGRES` is the URL of a database, for its superuser. Each story creates a schema of its own there, and drops
//! it. The story of the restart runs a server of its own, with the binaries of that server.

use std::{
    env,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use chorus_core::ids::{RoomId, Time};
use chorus_store::{
    Clock, MachineState, OpenError, PostgresOptions, Registration, Role, Store, StoreError, migrate_postgres,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

mod postgres_server;
mod proxy;
mod stories;

use stories::cast::*;

const URL: &str = "CHORUS_TEST_POSTGRES";
const MIGRATIONS: [i64; 5] = [1, 2, 3, 4, 5];

/// A store in a schema of its own.
struct Place {
    store: Store,
    options: PostgresOptions,
    schema: String,
}

/// `None` without a database; reports that where it cannot be missed.
fn url() -> Option<String> {
    let url = env::var(URL).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        loudly(&format!("{URL} is not set, so Postgres is NOT tested. Give it a superuser's URL."));
    }
    url
}

/// Prints once, bypassing the test harness, which hides what a passing test prints with `eprintln`.
fn loudly(what: &str) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: {what}\n");
    });
}

/// An address of a schema with an unused name, which does not exist yet.
fn address(url: &str) -> (PostgresOptions, String) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let schema = format!("chorus_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    (in_schema(url, &schema), schema)
}

/// Its connections have the schema's name, so that a story can identify them.
fn in_schema(url: &str, schema: &str) -> PostgresOptions {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options[search_path]={schema}&application_name={schema}");
    url.parse().expect("a URL")
}

async fn empty() -> Option<(PostgresOptions, String)> {
    let (options, schema) = address(&url()?);
    run(&format!("CREATE SCHEMA {schema}")).await;
    Some((options, schema))
}

async fn fresh(_story: &str) -> Option<Place> {
    let (options, schema) = empty().await?;
    assert_eq!(migrate_postgres(&options).await.expect("migrated"), MIGRATIONS);
    let store = Store::open_postgres(&options).await.expect("opens");
    Some(Place { store, options, schema })
}

impl Place {
    async fn leave(self) {
        // The story may have closed it.
        let _ = self.store.close().await;
        run(&format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }

    /// Makes a change that no store would make.
    async fn tamper(&self, sql: &str) {
        run(&format!("SET search_path = {}; {sql}", self.schema)).await;
    }
}

async fn admin() -> PgConnection {
    PgConnection::connect(&url().expect("checked")).await.expect("a database")
}

async fn run(sql: &str) {
    let mut db = admin().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.expect(sql);
    db.close().await.expect("closed");
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

tell_all_stories!(fresh);

#[tokio::test]
async fn a_leap_of_the_databases_clock_expires_nobody() {
    const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);
    let Some(mut place) = fresh("").await else { return };
    // The database's clock was set forward by an hour, the process's was not, and Ana has just left.
    let time = Arc::new(AtomicU64::new(place.store.clock().now().0 - 3_600_000));
    place.options.clock = Some(Clock::of({
        let time = time.clone();
        move || Time(time.load(Ordering::Relaxed))
    }));
    let store = Store::open_postgres(&place.options).await.expect("opens");
    open_ana(&store).await;
    store.session_disconnected(ANA, &edge(1), false).await.expect("noted");
    place.tamper("UPDATE sessions SET disconnected_at = now() - interval '1 hour'").await;
    assert_eq!(store.expire_sessions(HALF_AN_HOUR, HALF_AN_HOUR).await.expect("asked"), []);
    time.fetch_add(1_900_000, Ordering::Relaxed);
    assert_eq!(store.expire_sessions(HALF_AN_HOUR, HALF_AN_HOUR).await.expect("asked").len(), 1);
    store.close().await.expect("closed");
    place.leave().await;
}

#[tokio::test]
async fn whether_a_machine_is_dead_is_judged_by_the_databases_clock() {
    const MINUTE: Duration = Duration::from_secs(60);
    let Some(place) = fresh("").await else { return };
    let store = &place.store;
    let host = store.register_machine(&Registration::new(Role::Host)).await.expect("registered").id;
    assert!(!store.declare_dead(&host, MINUTE).await.expect("asked"), "it has just come");

    place.tamper("UPDATE machines SET heartbeat_at = now() - interval '2 minutes'").await;
    assert_eq!(store.heartbeat(&host).await.expect("heard"), MachineState::Alive, "nobody had judged");
    assert!(!store.declare_dead(&host, MINUTE).await.expect("asked"), "it was heard in time");

    place.tamper("UPDATE machines SET heartbeat_at = now() - interval '2 minutes'").await;
    let limit = Duration::from_millis(1);
    assert!(store.declare_dead(&host, limit).await.expect("asked"));
    assert!(store.declare_dead(&host, MINUTE).await.expect("asked"), "dead is for ever");
    assert_eq!(store.heartbeat(&host).await.expect("heard"), MachineState::Dead);
    assert!(!store.drain_machine(&host).await.expect("asked"));
    let listed = &store.machines().await.expect("listed")[0];
    assert_eq!(listed.state, MachineState::Dead);
    assert_eq!(store.heartbeat(&host).await.expect("heard"), MachineState::Dead, "and cannot come back by itself");
    store.close_machine(&host).await.expect("closed");
    assert!(store.declare_dead(&host, MINUTE).await.expect("asked"), "gone is as good as dead");
    place.leave().await;
}

#[tokio::test]
async fn nobody_is_dead_because_the_database_was() {
    let Some(place) = fresh("").await else { return };
    let store = &place.store;
    let host = store.register_machine(&Registration::new(Role::Host)).await.expect("registered").id;
    place.tamper("UPDATE machines SET heartbeat_at = '1900-01-01'").await;
    // No server has been up for a hundred years: the machine may have sent heartbeats all the time.
    assert!(!store.declare_dead(&host, Duration::MAX).await.expect("asked"));
    let up = {
        let up = "SELECT extract(epoch FROM now() - pg_postmaster_start_time())::float8";
        sqlx::query_scalar::<_, f64>(up).fetch_one(&mut admin().await).await.expect("read")
    };
    let silent = store.machines().await.expect("listed")[0].silent_for;
    assert!(silent.as_secs_f64() < up + 60.0, "{silent:?} of silence, of a database that has been up for {up} s");
    place.leave().await;
}

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
    let proxy = proxy::Proxy::before(&url().expect("checked")).await;
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
