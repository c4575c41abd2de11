//! The cleanup after sessions and machines.

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
};
use chorus_monitor::{EXPIRE_AFTER, SILENT_EXPIRE_AFTER};
use chorus_store::{Clock, Role};

use crate::support::*;

#[tokio::test]
async fn the_sessions_of_a_dead_edge_are_dropped_from_their_rooms_and_disconnected() {
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
async fn a_silent_session_expires_soon_and_another_one_stays() {
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
async fn sessions_whose_operators_process_died_leave_for_its_reason() {
    let world = World::without_a_monitor().await;
    let edge = world.register(Role::Edge).await;
    for session in [ANA, BEN] {
        world.open_session(session, &edge, GAME).await;
    }
    world.store.kick_session(ANA, "cheating").await.expect("kicked");
    world.store.expire_session(BEN).await.expect("logged out");
    assert_eq!(chorus_monitor::expire(Duration::ZERO, &world.bus, &world.store).await.expect("done"), 2);
    let leave = |session, reason| RoomCommand::Leave { session, reason };
    assert_eq!(world.records(GAME).await, [leave(ANA, LeaveReason::Kicked), leave(BEN, LeaveReason::Left)]);
}

#[tokio::test]
async fn sessions_that_are_not_resumed_leave_their_rooms_and_end() {
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
async fn the_rows_and_channels_of_machines_that_are_gone_are_deleted() {
    let world = World::without_a_monitor().await;
    let [stays, leaves, died] = [0, 1, 2].map(|_| async {
        let edge = world.register(Role::Edge).await;
        let channel = world.bus.edge_channel(&edge).await.expect("opened");
        (edge, channel)
    });
    let (stays, leaves, died) = (stays.await, leaves.await, died.await);
    world.store.close_machine(&leaves.0).await.expect("closed");
    world.open_session(ANA, &died.0, GAME).await;
    chorus_monitor::clean_up(&died.0, Role::Edge, &world.bus, &world.store).await.expect("done");
    chorus_monitor::delete_channels(&world.bus, &world.store).await.expect("done");
    assert_eq!(world.bus.machines().await.expect("listed"), std::slice::from_ref(&stays.0));
    let machines = world.store.machines().await.expect("read");
    assert!(machines.iter().all(|machine| machine.id != died.0));
    assert_eq!(world.records(GAME).await, [RoomCommand::Drop { session: ANA, edge: died.0, code: 1006 }]);
}
