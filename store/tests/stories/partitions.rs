//! Partitions, plans and leases.

use std::time::Duration;

use chorus_core::ids::MachineId;
use chorus_store::{Assigned, Assignment, Lease, MONITOR_LEASE, Store};

use super::cast::*;

const LONG: Duration = Duration::from_secs(60);

fn monitor(n: u32) -> MachineId {
    MachineId(format!("monitor-{n}").into())
}

async fn takes_the_lease(store: &Store, n: u32) -> bool {
    let lease = store.acquire_lease(MONITOR_LEASE, &monitor(n), LONG).await.expect("answered");
    matches!(lease, Lease::Held { .. })
}

fn assign(partition: u32, host_n: u32, epoch: u64) -> Assignment {
    Assignment { partition, host: host(host_n), epoch }
}

async fn hosts(store: &Store) -> Vec<(Option<MachineId>, u64)> {
    let all = store.assignments().await.expect("read");
    all.into_iter().map(|assignment| (assignment.host, assignment.epoch)).collect()
}

pub async fn the_number_of_partitions_is_written_once(store: Store) {
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.partitions(8).await.expect("written") }
    });
    let second = store.partitions(16).await.expect("written");
    let count = first.await.expect("no panic");
    assert_eq!(count, second);
    assert_eq!(store.partitions(1).await.expect("read"), count);
    let all = store.assignments().await.expect("read");
    assert_eq!(all.iter().map(|assignment| assignment.partition).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
    assert!(all.iter().all(|assignment| assignment.host.is_none() && assignment.epoch == 0));
}

pub async fn a_checkpoint_only_rises(store: Store) {
    with_partitions(&store, 2).await;
    assert_eq!(store.checkpoint(1).await.expect("read"), 0);
    store.set_checkpoint(1, 7).await.expect("set");
    store.set_checkpoint(1, 5).await.expect("answered");
    assert_eq!(store.checkpoint(1).await.expect("read"), 7);
    assert_eq!(store.checkpoint(0).await.expect("read"), 0);
    assert_eq!(store.assignments().await.expect("read")[1].checkpoint, 7);
}

pub async fn a_plan_is_carried_out_as_a_whole_by_the_holder_of_the_lease(store: Store) {
    with_partitions(&store, 3).await;
    let plan = [assign(0, 1, 1), assign(1, 1, 1), assign(2, 2, 1)];
    assert_eq!(store.assign(&monitor(1), &plan).await.expect("answered"), Assigned::NotActive);
    assert!(takes_the_lease(&store, 1).await);
    assert_eq!(store.assign(&monitor(1), &plan).await.expect("answered"), Assigned::Done);
    let first = [(Some(host(1)), 1), (Some(host(1)), 1), (Some(host(2)), 1)];
    assert_eq!(hosts(&store).await, first);
    assert_eq!(store.assign(&monitor(1), &plan).await.expect("again"), Assigned::Done);
    assert_eq!(store.assign(&monitor(1), &[]).await.expect("nothing to do"), Assigned::Done);

    // Partition 1 has another epoch than the one that this plan replaces; so partition 0 stays too.
    let old = [assign(0, 2, 2), assign(1, 2, 1)];
    assert_eq!(store.assign(&monitor(1), &old).await.expect("answered"), Assigned::Overtaken { partition: 1 });
    let nowhere = [assign(0, 2, 2), assign(7, 2, 1)];
    assert_eq!(store.assign(&monitor(1), &nowhere).await.expect("answered"), Assigned::Overtaken { partition: 7 });
    assert_eq!(hosts(&store).await, first);

    // Monitor 1 is suspended while 2 takes over, then carries out its old plan.
    store.release_lease(MONITOR_LEASE, &monitor(1)).await.expect("released");
    assert!(takes_the_lease(&store, 2).await);
    assert_eq!(store.assign(&monitor(1), &[assign(0, 2, 2)]).await.expect("answered"), Assigned::NotActive);
    assert_eq!(hosts(&store).await, first);
}

pub async fn a_lease_has_one_holder_at_a_time(store: Store) {
    let acquire = async |n: u32, ttl: Duration| store.acquire_lease("x", &monitor(n), ttl).await.expect("answered");
    assert_eq!(acquire(1, LONG).await, Lease::Held { lasts: LONG });
    match acquire(2, LONG).await {
        Lease::HeldBy { holder, lasts } => assert!(holder == monitor(1) && lasts <= LONG && lasts > LONG / 2),
        held => panic!("{held:?} by two"),
    }
    assert_eq!(store.acquire_lease("y", &monitor(2), LONG).await.expect("another name"), Lease::Held { lasts: LONG });
    store.release_lease("x", &monitor(2)).await.expect("it is not its own to give");
    assert!(matches!(acquire(2, LONG).await, Lease::HeldBy { .. }));
    // The holder renews it with a duration of zero: it has run out.
    assert_eq!(acquire(1, Duration::ZERO).await, Lease::Held { lasts: Duration::ZERO });
    assert_eq!(acquire(2, LONG).await, Lease::Held { lasts: LONG });
    assert!(matches!(acquire(1, LONG).await, Lease::HeldBy { .. }));
    store.release_lease("x", &monitor(2)).await.expect("released");
    store.release_lease("x", &monitor(2)).await.expect("released again");
    assert_eq!(acquire(1, LONG).await, Lease::Held { lasts: LONG });
}

pub async fn of_many_who_want_a_lease_one_gets_it(store: Store) {
    let all = (0..16).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { takes_the_lease(&store, n).await })
    });
    let mut holders = 0;
    for one in all.collect::<Vec<_>>() {
        holders += u32::from(one.await.expect("no panic"));
    }
    assert_eq!(holders, 1);
}
