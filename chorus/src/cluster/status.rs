//! A machine's interface for operators' tools: whether it answers, whether it is ready, and its metrics.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use chorus_gate::Hosts;
use clap::Args;
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use warp::{Filter as _, Reply as _, http::StatusCode, reply::Response};

use super::heartbeat::Health;
use chorus_store::MachineState;

/// A machine that has not reached the store for this long cannot take new work.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(5);

/// The flag of the roles that serve their status at an address of its own. A monitor serves it beside the operators' API.
#[derive(Debug, Args)]
pub struct Options {
    /// The address of `GET /healthz`, `/readyz` and `/metrics`; port 0 takes a free one
    #[arg(long, env = "CHORUS_STATUS", value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub status: SocketAddr,
}

/// Serves `/healthz`, `/readyz` and `/metrics`. It stops when it is dropped.
#[derive(Debug)]
pub struct Status {
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Status {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The machine's own part of `/readyz`, beside the health: an error is the reason why it is not ready.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

pub async fn serve(
    listen: SocketAddr,
    health: watch::Receiver<Health>,
    ready: Ready,
    metrics: Registry,
) -> anyhow::Result<Status> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen} (--status)"))?;
    let address = listener.local_addr().context("a socket has no address")?;
    let metrics = Arc::new(Mutex::new(metrics));
    let liveness = warp::path!("healthz").map(|| "ok\n".into_response());
    let readiness = warp::path!("readyz").map(move || readiness(*health.borrow(), &ready));
    let numbers = warp::path!("metrics").map(move || exposition(&metrics));
    let routes = warp::get().and(liveness.or(readiness).unify().or(numbers).unify()).boxed();
    let serving = tokio::spawn(chorus_gate::serve(listener, routes, Hosts::open(address.ip())));
    Ok(Status { address, serving })
}

fn readiness(health: Health, ready: &Ready) -> Response {
    let of_health = match health.state {
        MachineState::Alive if health.cut_off => Err("the broker does not answer".to_owned()),
        MachineState::Alive if health.store_reached.elapsed() > UNREACHABLE_AFTER => {
            Err("the store cannot be reached".to_owned())
        }
        MachineState::Alive => Ok(()),
        MachineState::Draining => Err("draining".to_owned()),
        MachineState::Dead => Err("declared dead".to_owned()),
    };
    match of_health.and_then(|()| ready()) {
        Ok(()) => "ready\n".into_response(),
        Err(why) => warp::reply::with_status(format!("{why}\n"), StatusCode::SERVICE_UNAVAILABLE).into_response(),
    }
}

fn exposition(metrics: &Mutex<Registry>) -> Response {
    let registry = metrics.lock().expect("nobody panics while holding it");
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => warp::reply::with_header(text, "content-type", chorus_monitor::OPEN_METRICS).into_response(),
        Err(error) => warp::reply::with_status(format!("{error}\n"), StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    }
}
