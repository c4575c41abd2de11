//! Ages are measured by the database's clock, and a leap of it has no effect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chorus_core::ids::Time;
use chorus_store::{Clock, MachineState, Registration, Role, Store};
use chorus_testing::cast::ANA;

use crate::{
    database::{admin, fresh},
    stories::cast::{edge, open_ana},
};

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
    assert_eq!(store.expire_sessions(HALF_AN_HOUR, HALF_AN_HOUR).await.expect("answered"), []);
    time.fetch_add(1_900_000, Ordering::Relaxed);
    assert_eq!(store.expire_sessions(HALF_AN_HOUR, HALF_AN_HOUR).await.expect("answered").len(), 1);
    store.close().await.expect("closed");
    place.leave().await;
}

#[tokio::test]
async fn whether_a_machine_is_dead_is_judged_by_the_databases_clock() {
    const MINUTE: Duration = Duration::from_secs(60);
    let Some(place) = fresh("").await else { return };
    let store = &place.store;
    let host = store.register_machine(&Registration::new(Role::Host)).await.expect("registered").id;
    assert!(!store.declare_dead(&host, MINUTE).await.expect("answered"), "it has just registered");

    place.tamper("UPDATE machines SET heartbeat_at = now() - interval '2 minutes'").await;
    assert_eq!(store.heartbeat(&host).await.expect("recorded"), MachineState::Alive, "no monitor has declared it dead");
    assert!(!store.declare_dead(&host, MINUTE).await.expect("answered"), "its heartbeat is recent");

    place.tamper("UPDATE machines SET heartbeat_at = now() - interval '2 minutes'").await;
    let limit = Duration::from_millis(1);
    assert!(store.declare_dead(&host, limit).await.expect("answered"));
    assert!(store.declare_dead(&host, MINUTE).await.expect("answered"), "a dead machine stays dead");
    assert_eq!(store.heartbeat(&host).await.expect("recorded"), MachineState::Dead);
    assert!(!store.drain_machine(&host).await.expect("answered"));
    let listed = &store.machines().await.expect("listed")[0];
    assert_eq!(listed.state, MachineState::Dead);
    assert_eq!(
        store.heartbeat(&host).await.expect("recorded"),
        MachineState::Dead,
        "and a heartbeat does not change that"
    );
    store.close_machine(&host).await.expect("closed");
    assert!(store.declare_dead(&host, MINUTE).await.expect("answered"), "a closed machine counts as dead");
    place.leave().await;
}

#[tokio::test]
async fn nobody_is_dead_because_the_database_was() {
    let Some(place) = fresh("").await else { return };
    let store = &place.store;
    let host = store.register_machine(&Registration::new(Role::Host)).await.expect("registered").id;
    place.tamper("UPDATE machines SET heartbeat_at = '1900-01-01'").await;
    // No server has been up for a hundred years: the machine may have sent heartbeats all the time.
    assert!(!store.declare_dead(&host, Duration::MAX).await.expect("answered"));
    let up = {
        let up = "SELECT extract(epoch FROM now() - pg_postmaster_start_time())::float8";
        sqlx::query_scalar::<_, f64>(up).fetch_one(&mut admin().await).await.expect("read")
    };
    let silent = store.machines().await.expect("listed")[0].silent_for;
    assert!(silent.as_secs_f64() < up + 60.0, "{silent:?} of silence, of a database that has been up for {up} s");
    place.leave().await;
}
