//! `chorus edge`: players' WebSockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use chorus_edge::Edge;
use chorus_store::{MachineState, Registration, Role};
use clap::Args;
use prometheus_client::registry::Registry;

use super::{Machine, Shared, heartbeat::Heartbeat, status};
use crate::{
    admission::Admission,
    page,
    seconds::Seconds,
    stop::{CLOSING, Stop},
};

/// Serves players' WebSockets
///
/// Any number of them, behind any load balancer: a session resumes on whichever it comes to. On SIGTERM it tells its
/// players to reconnect elsewhere (4001), spread over --drain-over, and leaves.
#[derive(Debug, Args)]
pub struct Options {
    /// Where players connect
    #[arg(long, env = "CHORUS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    #[command(flatten)]
    admission: Admission,
    /// Serves the page to play on, too
    #[arg(long, env = "CHORUS_PAGE")]
    page: bool,
    /// When this edge drains, it spreads the disconnects over this many seconds
    #[arg(long, env = "CHORUS_DRAIN_OVER", value_name = "SECONDS", default_value_t = Seconds::new(5))]
    drain_over: Seconds,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    machine: Machine,
}

/// The time for cleanup after the last player was sent away.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves until SIGTERM, Ctrl-C, an operator's drain or its own death.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut stop = Stop::new(options.drain_over.0.saturating_add(FAREWELL + CLOSING))?;
    let every = options.machine.heartbeat()?;
    let (bus, store) = options.shared.open().await?;
    let address = Some(options.listen.to_string());
    let registration = Registration { role: Role::Edge, name: options.machine.name.clone(), address };
    let id = store.register_machine(&registration).await?.id;
    let mut heartbeat = Heartbeat::start(store.clone(), Some(bus.clone()), id.clone(), every);

    let mut metrics = Registry::with_prefix("chorus_edge");
    let serving = options.admission.apply(chorus_edge::Options::new(id.clone(), options.listen));
    let routes = if options.page { page::files() } else { chorus_edge::no_routes() };
    let edge = chorus_edge::serve(serving, bus.clone(), store.clone(), routes).await?;
    edge.register(&mut metrics);
    let ready = {
        let edge = edge.clone();
        Arc::new(move || edge.readiness())
    };
    let status = status::serve(options.machine.status, heartbeat.health(), ready, metrics).await?;
    println!("{id} serves players at http://{}/, its status at http://{}/", edge.local_addr(), status.address);

    let why = tokio::select! {
        () = stop.asked() => MachineState::Draining,
        state = heartbeat.leaves() => state,
    };
    if why == MachineState::Draining {
        // So that load balancers, which query /readyz, and the monitor are notified.
        let told = store.drain_machine(&id).await;
        told.map(drop).unwrap_or_else(|error| tracing::warn!(%error, "the store was not told of the drain"));
        edge.drain(options.drain_over.0, FAREWELL).await;
        store.close_machine(&id).await.context("the store does not know that this edge has left")?;
    } else {
        edge.drain(Duration::ZERO, FAREWELL).await;
    }
    drop((heartbeat, status));
    leave(edge, why)?;
    bus.close().await?;
    store.close().await?;
    Ok(())
}

fn leave(edge: Edge, why: MachineState) -> anyhow::Result<()> {
    let id = edge.id().clone();
    drop(edge);
    anyhow::ensure!(
        why != MachineState::Dead,
        "{id} was declared dead: it was not heard for too long. Restart it; it then has a new id"
    );
    Ok(())
}
