//! Monitors at work. (In an embedded store no machine is ever silent, so none dies here: see `deaths.rs`.)

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chorus_core::{
    command::{LeaveReason, RoomCommand},
    ids::{RoomId, SessionId, Time},
    placement,
};
use chorus_monitor::{EXPIRE_AFTER, MonitorError, SILENT_EXPIRE_AFTER};
use chorus_store::{Clock, Role};
use support::*;

const GAME: RoomId = RoomId(7);

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
    until("the second knows the first", async || status.borrow().holder.as_ref() == Some(&world.monitor.id)).await;
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
async fn a_monitor_that_was_given_up_stops() {
    let mut world = World::start().await;
    world.store.close_machine(&world.monitor.id).await.expect("closed");
    let ended = within("it stops", &mut world.monitor.running).await.expect("it does not panic");
    assert!(matches!(ended, Err(MonitorError::DeclaredDead { .. })), "{ended:?}");
}

#[tokio::test]
async fn the_rooms_of_a_dead_edges_sessions_are_told_and_the_sessions_disconnected() {
    let world = World::without_a_monitor().await;
    let edge = world.register(Role::Edge).await;
    // More than one page of them.
    for n in 1..=300 {
        world.open_session(SessionId(n), &edge, GAME).await;
    }
    let dropped = chorus_monitor::drop_sessions(&edge, &world.bus, &world.store).await.expect("done");
    assert_eq!(dropped, 300);
    let records = world.records(GAME).await;
    assert_eq!(records.len(), 300);
    assert_eq!(records[0], RoomCommand::Drop { session: SessionId(1), edge: edge.clone(), code: 1006 });
    let at = world.store.session_edge(SessionId(300)).await.expect("read");
    assert_eq!(at, Some((edge, false)), "it can come back, and expires if it does not");
}

#[tokio::test]
async fn a_silent_session_is_over_soon_and_another_one_stays() {
    let time = Arc::new(AtomicU64::new(1_000));
    let clock = Clock::of({
        let time = time.clone();
        move || Time(time.load(Ordering::Relaxed))
    });
    let world = World::by_the_clock(Some(clock)).await;
    let edge = world.register(Role::Edge).await;
    for (session, silent) in [(ANA, true), (BEN, false)] {
        world.open_session(session, &edge, RoomId::LOBBY).await;
        world.store.session_disconnected(session, &edge, silent).await.expect("noted");
    }
    let passes = SILENT_EXPIRE_AFTER.as_millis() as u64;
    time.store(1_000 + passes - 1, Ordering::Relaxed);
    assert_eq!(chorus_monitor::expire(EXPIRE_AFTER, &world.bus, &world.store).await.expect("done"), 0);
    time.store(1_000 + passes, Ordering::Relaxed);
    assert_eq!(chorus_monitor::expire(EXPIRE_AFTER, &world.bus, &world.store).await.expect("done"), 1);
    assert_eq!(world.store.session_edge(ANA).await.expect("read"), None);
    assert_eq!(world.store.session_edge(BEN).await.expect("read"), Some((edge, false)));
}

#[tokio::test]
async fn sessions_that_do_not_come_back_leave_their_rooms_and_end() {
    let world = World::without_a_monitor().await;
    let edge = world.register(Role::Edge).await;
    world.open_session(ANA, &edge, GAME).await;
    world.store.session_disconnected(ANA, &edge, false).await.expect("noted");
    let expired = chorus_monitor::expire(Duration::ZERO, &world.bus, &world.store).await.expect("done");
    assert_eq!(expired, 1);
    assert_eq!(world.records(GAME).await, [RoomCommand::Leave { session: ANA, reason: LeaveReason::TimedOut }]);
    assert_eq!(world.store.session_edge(ANA).await.expect("read"), None);
}

#[tokio::test]
async fn nothing_is_left_of_machines_that_are_gone() {
    let world = World::without_a_monitor().await;
    let [stays, leaves, died] = [0, 1, 2].map(|_| async {
        let edge = world.register(Role::Edge).await;
        let channel = world.bus.edge_channel(&edge).await.expect("opened");
        (edge, channel)
    });
    let (stays, leaves, died) = (stays.await, leaves.await, died.await);
    world.store.close_machine(&leaves.0).await.expect("closed");
    world.open_session(ANA, &died.0, GAME).await;
    chorus_monitor::clean_up(&died.0, placement::Role::Edge, &world.bus, &world.store).await.expect("done");
    chorus_monitor::delete_channels(&world.bus, &world.store).await.expect("done");
    assert_eq!(world.bus.machines().await.expect("listed"), std::slice::from_ref(&stays.0));
    let machines = world.store.machines().await.expect("read");
    assert!(machines.iter().all(|machine| machine.id != died.0));
    assert_eq!(world.records(GAME).await, [RoomCommand::Drop { session: ANA, edge: died.0, code: 1006 }]);
}
