//! `chorus monitor`: detects dead machines, assigns partitions, and serves the operators' API.

use std::{net::SocketAddr, sync::Arc};

use chorus_bus::Bus;
use chorus_core::placement::Limits;
use chorus_host::guest;
use chorus_monitor::{Checked, Hooks, Monitor, MonitorError, Token};
use chorus_store::{Registration, Role, Store};
use clap::Args;

use super::{Machine, Shared};
use crate::{
    cache,
    seconds::Seconds,
    stop::{CLOSING, Stop},
};

/// Watches over machines, and answers operators
///
/// Run two or three: one acts, the others stand by and answer operators too. Games go on without any.
#[derive(Debug, Args)]
pub struct Options {
    /// Where operators reach it. Not to be open to others than them: there is no TLS here
    #[arg(long, env = "CHORUS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
    /// A name that operators reach it by, besides addresses and localhost; `*` is all. May be repeated
    #[arg(long = "host-name", env = "CHORUS_HOST_NAMES", value_name = "NAME", value_delimiter = ',')]
    host_names: Vec<String>,
    /// What operators show: 16 characters or more
    #[arg(long, env = "CHORUS_TOKEN", value_name = "SECRET", hide_env_values = true)]
    token: Token,
    /// A machine that has sent no heartbeat for this long is declared dead
    #[arg(long, env = "CHORUS_DEAD_AFTER", value_name = "SECONDS", default_value_t = Seconds::new(10))]
    dead_after: Seconds,
    /// A session that has had no connection for this long expires; one that was in the lobby only and sent no message, after
    /// two minutes
    #[arg(long, env = "CHORUS_SESSION_EXPIRY", value_name = "SECONDS", default_value_t = Seconds(chorus_monitor::EXPIRE_AFTER))]
    session_expiry: Seconds,
    #[command(flatten)]
    cache: cache::Options,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    machine: Machine,
}

/// Instances for components that are tried. One is enough; two do no harm.
const TRIED_AT_ONCE: u32 = 2;

/// Serves until SIGTERM, Ctrl-C, an operator's drain or its own death.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut stop = Stop::new(CLOSING + CLOSING)?;
    let every = options.machine.heartbeat()?;
    let (dead_after, expire_after) = (options.dead_after.0, options.session_expiry.0);
    let engine = guest::Engine::new(guest::Options {
        max_instances: TRIED_AT_ONCE,
        ..guest::Options::new(options.cache.dir()?)
    })?;
    let (bus, store) = options.shared.open().await?;
    let address = Some(options.listen.to_string());
    let registration = Registration { role: Role::Monitor, name: options.machine.name.clone(), address };
    let id = store.register_machine(&registration).await?.id;

    let dead_after_ms = u64::try_from(dead_after.as_millis()).unwrap_or(u64::MAX);
    let monitor_options = chorus_monitor::Options {
        listen: options.listen,
        host_names: options.host_names,
        limits: Limits { dead_after_ms, lease_ms: dead_after_ms, ..Limits::default() },
        every,
        expire_after,
        ..chorus_monitor::Options::new(id.clone(), options.token)
    };
    let hooks = Hooks { locator: locator(), ..Hooks::new(check(engine)) };
    let (monitor, watching) = chorus_monitor::start(monitor_options, bus.clone(), store.clone(), hooks).await?;
    println!("{id} answers operators at http://{}/", monitor.local_addr());

    tokio::pin!(watching);
    // Its loop sends the heartbeats, and ends when an operator drains this machine or it was declared dead.
    let ended = tokio::select! {
        ended = &mut watching => ended,
        () = stop.asked() => {
            monitor.drain();
            // It releases the lease, so that another monitor acts at once.
            watching.await
        }
    };
    leave(ended, monitor, bus, store).await
}

/// Its loop has ended, and has closed the monitor's row if possible.
async fn leave(ended: Result<(), MonitorError>, monitor: Monitor, bus: Bus, store: Store) -> anyhow::Result<()> {
    ended?;
    drop(monitor);
    bus.close().await?;
    store.close().await?;
    Ok(())
}

/// Translates positions in a component's text to its author's source.
pub fn locator() -> chorus_monitor::Locator {
    Arc::new(|wasm| {
        let map = guest::SourceMap::of(wasm);
        Arc::new(move |text| map.readable(text).into_owned())
    })
}

/// Tries a component as a host would.
pub fn check(engine: guest::Engine) -> chorus_monitor::Check {
    Arc::new(move |wasm| {
        let engine = engine.clone();
        Box::pin(async move {
            let digest = chorus_core::ids::Digest::of(&wasm);
            let loaded = engine.load(digest, &wasm).await.map_err(|error| error.to_string())?;
            Ok(Checked { state_version: loaded.manifest().state_version })
        })
    })
}
