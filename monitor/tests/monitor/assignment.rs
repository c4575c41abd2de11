//! Monitors that assign partitions, take over from each other and leave. (In an embedded store no machine is ever silent, so none
//! dies here: see `deaths`.)

use chorus_monitor::MonitorError;
use chorus_store::Role;

use crate::support::*;

#[tokio::test]
async fn the_first_host_gets_all_partitions_and_a_second_one_half() {
    let world = World::start().await;
    let first = world.register(Role::Host).await;
    until("it has all", async || world.hosts().await == vec![first.clone(); 4]).await;
    let second = world.register(Role::Host).await;
    until("it has half", async || world.hosts().await.iter().filter(|host| **host == second).count() == 2).await;
    let assignments = world.store.assignments().await.expect("read");
    assert!(assignments.iter().all(|row| row.epoch == if row.host == Some(second.clone()) { 2 } else { 1 }));
}

#[tokio::test]
async fn a_host_that_is_drained_hands_over() {
    let world = World::start().await;
    let first = world.register(Role::Host).await;
    let second = world.register(Role::Host).await;
    until("both have some", async || world.hosts().await.contains(&second)).await;
    world.post(&format!("/v1/machines/{first}/drain"), "").await;
    until("the other has all", async || world.hosts().await == vec![second.clone(); 4]).await;
}

#[tokio::test]
async fn a_host_that_has_left_is_replaced() {
    let world = World::start().await;
    let first = world.register(Role::Host).await;
    until("it has all", async || world.hosts().await == vec![first.clone(); 4]).await;
    world.store.close_machine(&first).await.expect("closed");
    until("nobody hosts them", async || {
        let problems = world.good("/v1/status").await["problems"].to_string();
        problems.contains("4 partitions have no host that lives")
    })
    .await;
    let second = world.register(Role::Host).await;
    until("the other has all", async || world.hosts().await == vec![second.clone(); 4]).await;
}

#[tokio::test]
async fn of_two_monitors_one_acts_and_the_other_follows_at_once_when_it_leaves() {
    let world = World::start().await;
    until("the first acts", async || world.monitor.monitor.status().borrow().active).await;
    let second = world.another_monitor().await;
    let status = second.monitor.status();
    until("the second sees the first as the holder", async || {
        status.borrow().holder.as_ref() == Some(&world.monitor.id)
    })
    .await;
    assert!(!status.borrow().active);
    world.monitor.monitor.drain();
    until("the second acts", async || status.borrow().active).await;
    let host = world.register(Role::Host).await;
    until("it deals out", async || world.hosts().await == vec![host.clone(); 4]).await;
}

#[tokio::test]
async fn a_monitor_that_is_drained_leaves() {
    let mut world = World::start().await;
    let id = world.monitor.id.clone();
    world.post(&format!("/v1/machines/{id}/drain"), "").await;
    let ended = within("it leaves", &mut world.monitor.running).await.expect("it does not panic");
    assert!(ended.is_ok(), "{ended:?}");
    let machines = world.store.machines().await.expect("read");
    assert!(machines.iter().all(|machine| machine.id != id));
}

#[tokio::test]
async fn a_monitor_whose_row_was_deleted_stops() {
    let mut world = World::start().await;
    world.store.close_machine(&world.monitor.id).await.expect("closed");
    let ended = within("it stops", &mut world.monitor.running).await.expect("it does not panic");
    assert!(matches!(ended, Err(MonitorError::DeclaredDead { .. })), "{ended:?}");
}
