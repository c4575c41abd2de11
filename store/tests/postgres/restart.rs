//! A database of a test's own, and the story of its crashes.

use chorus_services::Services;
use chorus_store::{Lease, MONITOR_LEASE, MachineState, PostgresOptions, Registration, Role, Store, migrate_postgres};
use chorus_testing::{DEADLINE, cast::ANA, within};
use tokio::sync::watch;

use crate::stories::cast::*;

/// A host writes, a session moves from edge to edge, and a monitor holds its lease, while the database crashes, is shut down,
/// and crashes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_pause() {
    let Some(mut database) = Services::database() else { return };
    let mut options: PostgresOptions = database.postgres().parse().expect("a URL");
    options.give_up_after = DEADLINE;
    migrate_postgres(&options).await.expect("migrated");
    let store = Store::open_postgres(&options).await.expect("opens");
    with_partitions(&store, 4).await;
    let ana = session(ANA, &edge(1), numbered(0));
    store.open_session(ana, LOBBY).await.expect("opened");
    let monitor = store.register_machine(&Registration::new(Role::Monitor)).await.expect("registered").id;

    let (stop, stopped) = watch::channel(false);
    let host = repeat(&stopped, &store, async |db, n| {
        let batch = (1..=20).map(|id| with_state(room(id, n), &format!("at {n}"))).collect();
        db.write_rooms(batch).await.expect("a pause, no error");
        db.set_checkpoint(0, n).await.expect("a pause, no error");
    });
    let player = repeat(&stopped, &store, async |db, n| {
        let by = as_player(ANA);
        let back = db.resume_session(numbered(n - 1), numbered(n), &edge_of(n), &by).await.expect("a pause, no error");
        assert!(back.is_some(), "token {n} was lost");
    });
    let holder = monitor.clone();
    let holder = repeat(&stopped, &store, async move |db, _| {
        let lease = db.acquire_lease(MONITOR_LEASE, &holder, DEADLINE).await.expect("a pause, no error");
        assert_eq!(lease, Lease::Held { lasts: DEADLINE });
        assert_eq!(db.heartbeat(&holder).await.expect("a pause, no error"), MachineState::Alive);
    });

    let mut all = [host, player, holder];
    for end in ["kill postgres", "stop postgres", "kill postgres"] {
        wait_for_progress(&mut all).await;
        tokio::task::block_in_place(|| {
            database.command(end);
            database.command("start postgres");
        });
        assert!(!store.declare_dead(&monitor, DEADLINE).await.expect("a pause"), "the database was away, not it");
    }
    wait_for_progress(&mut all).await;
    stop.send_replace(true);
    for one in &mut all {
        while within("the end of its work", one.changed()).await.is_ok() {}
    }

    let [written, resumed, _] = all.map(|one| *one.borrow());
    for id in 1..=20 {
        assert_eq!(state_of(&store, id).await, Some((written, format!("at {written}"))));
    }
    assert_eq!(store.checkpoint(0).await.expect("read"), written);
    let last = store
        .resume_session(numbered(resumed), token(2), &edge(9), &as_player(ANA))
        .await
        .expect("answered")
        .expect("good");
    assert_eq!((last.session, last.replaced), (ANA, Some(edge_of(resumed))));
    store.close().await.expect("closed");
}

fn edge_of(n: u64) -> chorus_core::ids::MachineId {
    edge(1 + (n % 2) as u32)
}

fn numbered(n: u64) -> [u8; 32] {
    let mut hash = token(0xee);
    hash[..8].copy_from_slice(&n.to_be_bytes());
    hash
}

/// Repeats the work until it is stopped, and reports how often it has succeeded.
fn repeat<W>(stop: &watch::Receiver<bool>, store: &Store, work: W) -> watch::Receiver<u64>
where
    W: AsyncFn(Store, u64) + Send + 'static,
{
    let (done, progress) = watch::channel(0);
    let (stop, store) = (stop.clone(), store.clone());
    // A thread of its own: the future of an async closure cannot be declared `Send`.
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        for n in 1.. {
            runtime.block_on(work(store.clone(), n));
            done.send_replace(n);
            if *stop.borrow() {
                return;
            }
        }
    });
    progress
}

/// Waits until each has made progress. One that has failed has ended, with its reason printed above.
async fn wait_for_progress(all: &mut [watch::Receiver<u64>]) {
    for one in all {
        let target = *one.borrow_and_update() + 20;
        within("progress", one.wait_for(|n| *n >= target)).await.expect("it continues");
    }
}
