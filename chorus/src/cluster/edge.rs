//! `chorus edge`: players' WebSockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chorus_edge::Edge;
use chorus_store::MachineState;
use clap::Args;
use prometheus_client::registry::Registry;

use super::{
    process::{self, Process, Role},
    status::{self, Ready},
};
use crate::{admission::Admission, identity::IdentityOptions, page, seconds::Seconds, tls::Tls};

/// Serves players' WebSockets
///
/// Any number of edges may run, behind any load balancer: a session resumes on whichever edge its client connects to. On
/// SIGTERM, an edge disconnects its players (4001), spread over --drain-over, and leaves; they reconnect to other edges.
#[derive(Debug, Args)]
pub struct Options {
    /// The address for players
    #[arg(long, env = "CHORUS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    #[command(flatten)]
    admission: Admission,
    #[command(flatten)]
    identity: IdentityOptions,
    #[command(flatten)]
    tls: Tls,
    /// Serves the page to play on, too
    #[arg(long, env = "CHORUS_PAGE")]
    page: bool,
    /// When this edge drains, it spreads the disconnects over this many seconds
    #[arg(long, env = "CHORUS_DRAIN_OVER", value_name = "SECONDS", default_value_t = Seconds::new(5))]
    drain_over: Seconds,
    #[command(flatten)]
    status: status::Options,
    #[command(flatten)]
    process: process::Options,
}

/// The time for cleanup after the last player was disconnected.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A running edge.
pub struct Serving {
    edge: Edge,
    drain_over: Duration,
}

impl Role for Serving {
    type Options = Options;

    const ROLE: chorus_store::Role = chorus_store::Role::Edge;

    fn process(options: &Options) -> &process::Options {
        &options.process
    }

    fn address(options: &Options) -> Option<SocketAddr> {
        Some(options.listen)
    }

    fn status(options: &Options) -> Option<SocketAddr> {
        Some(options.status.status)
    }

    fn leaves_within(options: &Options) -> Duration {
        options.drain_over.0.saturating_add(CLOSE_TIMEOUT)
    }

    async fn start(options: Options, process: &Process) -> anyhow::Result<Serving> {
        let serving = options.admission.apply(chorus_edge::Options::new(process.id.clone(), options.listen));
        let serving = options.identity.apply(serving, false)?;
        let serving = chorus_edge::Options { tls: options.tls.files(), ..serving };
        let routes = if options.page { page::files() } else { chorus_edge::no_routes() };
        let edge = chorus_edge::serve(serving, process.bus.clone(), process.store.clone(), routes).await?;
        Ok(Serving { edge, drain_over: options.drain_over.0 })
    }

    fn register(&self, registry: &mut Registry) {
        self.edge.register(registry.sub_registry_with_prefix("chorus_edge"));
    }

    fn ready(&self) -> Ready {
        let edge = self.edge.clone();
        Arc::new(move || edge.readiness())
    }

    fn announcement(&self) -> String {
        format!("serves players at {}", self.edge.url())
    }

    async fn leave(&mut self, why: MachineState, _: &mut Process) -> anyhow::Result<MachineState> {
        let over = if why == MachineState::Dead { Duration::ZERO } else { self.drain_over };
        self.edge.drain(over, CLOSE_TIMEOUT).await;
        Ok(why)
    }
}
