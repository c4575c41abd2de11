//! Monitors at work on a database whose clock measures silence and leases.

use std::time::Duration;

use chorus_core::{command::RoomCommand, ids::MachineId, placement::Limits};
use chorus_services::Services;
use chorus_store::{MachineState, Role, Store};
use tokio::task::JoinHandle;

use crate::support::*;

/// Short, for short stories; long enough that a busy machine sends its heartbeat in time.
const LIMITS: Limits = Limits { refresh_ms: 20, dead_after_ms: 4_000, lease_ms: 4_000, clean_after_ms: 3_600_000 };

const HEARTBEAT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_silent_host_is_replaced_and_one_that_sends_heartbeats_stays() {
    let Some(database) = Services::database() else { return };
    let world = World::on_postgres(database.postgres(), LIMITS).await;
    let (dies, lives) = (Living::host(&world).await, Living::host(&world).await);
    until("both have some", async || world.hosts().await.iter().filter(|host| **host == lives.id).count() == 2).await;
    let dies = dies.dies();
    until("the other has all", async || world.hosts().await == vec![lives.id.clone(); 4]).await;
    assert_eq!(state_of(&world, &dies).await, Some(MachineState::Dead));
    assert_eq!(
        world.store.heartbeat(&dies).await.expect("answered"),
        MachineState::Dead,
        "its next heartbeat returns that"
    );
    assert_eq!(state_of(&world, &lives.id).await, Some(MachineState::Alive));
}

#[tokio::test]
async fn the_sessions_of_a_dead_edge_are_dropped_from_their_rooms() {
    let Some(database) = Services::database() else { return };
    let world = World::on_postgres(database.postgres(), LIMITS).await;
    let edge = world.register(Role::Edge).await;
    world.open_session(ANA, &edge, GAME).await;
    until("its room has the record", async || !world.records(GAME).await.is_empty()).await;
    assert_eq!(world.records(GAME).await, [RoomCommand::Drop { session: ANA, edge, code: 1006 }]);
}

#[tokio::test]
async fn a_standby_takes_over_from_a_monitor_that_was_killed() {
    let Some(database) = Services::database() else { return };
    let world = World::on_postgres(database.postgres(), LIMITS).await;
    until("the first acts", async || world.monitor.monitor.status().borrow().active).await;
    let second = world.another_monitor().await;
    let status = second.monitor.status();
    until("the second is on standby", async || status.borrow().holder.as_ref() == Some(&world.monitor.id)).await;
    world.monitor.running.abort();
    until("the second acts", async || status.borrow().active).await;
    let host = Living::host(&world).await;
    until("it assigns partitions", async || world.hosts().await == vec![host.id.clone(); 4]).await;
    until("the first is dead", async || state_of(&world, &world.monitor.id).await == Some(MachineState::Dead)).await;
}

#[tokio::test]
async fn no_machine_that_is_alive_is_declared_dead_because_the_database_was_unreachable() {
    let Some(mut database) = Services::database() else { return };
    let world = World::on_postgres(database.postgres(), LIMITS).await;
    let (dies, lives) = (Living::host(&world).await, Living::host(&world).await);
    until("both have some", async || world.hosts().await.contains(&lives.id)).await;
    // Commands block, while the machines continue.
    let command = |mut database: Services, command: &'static str| {
        tokio::task::spawn_blocking(move || {
            database.command(command);
            database
        })
    };
    database = command(database, "kill postgres").await.expect("killed");
    let dies = dies.dies();
    until("the monitor has noticed", async || world.monitor.monitor.status().borrow().state.is_err()).await;
    let _database = command(database, "start postgres").await.expect("started");
    until("the other has all", async || world.hosts().await == vec![lives.id.clone(); 4]).await;
    assert_eq!(state_of(&world, &dies).await, Some(MachineState::Dead));
    assert_eq!(state_of(&world, &lives.id).await, Some(MachineState::Alive));
}

/// A machine that sends heartbeats.
struct Living {
    id: MachineId,
    beating: JoinHandle<()>,
}

impl Living {
    async fn host(world: &World) -> Living {
        let id = world.register(Role::Host).await;
        let beating = tokio::spawn(beat(world.store.clone(), id.clone()));
        Living { id, beating }
    }

    fn dies(self) -> MachineId {
        self.beating.abort();
        self.id.clone()
    }
}

async fn beat(store: Store, id: MachineId) {
    loop {
        let _ = store.heartbeat(&id).await; // It tries again.
        tokio::time::sleep(HEARTBEAT).await;
    }
}

async fn state_of(world: &World, id: &MachineId) -> Option<MachineState> {
    let machines = world.store.machines().await.expect("read");
    machines.into_iter().find(|machine| machine.id == *id).map(|machine| machine.state)
}
