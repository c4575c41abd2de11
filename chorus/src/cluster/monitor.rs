//! `chorus monitor`: detects dead machines, assigns partitions, and serves the operators' API.

use std::{net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use chorus_core::{ids::millis, placement::Limits};
use chorus_host::guest;
use chorus_monitor::{Checked, Hooks, Monitor, MonitorError, Token};
use chorus_store::MachineState;
use clap::Args;

use super::process::{self, Process, Role};
use crate::{cache, groups::SessionOptions, seconds::Seconds, secrets, stop::CLOSING};

/// Detects dead machines, assigns partitions to hosts, and serves operators
///
/// Run two or three: one acts, and the others are on standby and serve operators too. Games continue without any.
#[derive(Debug, Args)]
pub struct Options {
    /// The address for operators. Only they should be able to reach it: there is no TLS here
    #[arg(long, env = "CHORUS_LISTEN", value_name = "ADDRESS", default_value_t = chorus_monitor::Options::LISTEN)]
    listen: SocketAddr,
    /// A name under which operators reach it, besides addresses and localhost; `*` is all. May be repeated
    #[arg(long = "host-name", env = "CHORUS_HOST_NAMES", value_name = "NAME", value_delimiter = ',')]
    host_names: Vec<String>,
    /// The file with the operators' token, of 16 characters or more. The environment variable CHORUS_TOKEN has the same text in
    /// place of a file
    #[arg(long, env = "CHORUS_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A machine that has sent no heartbeat for this long is declared dead
    #[arg(long, env = "CHORUS_DEAD_AFTER", value_name = "SECONDS", default_value_t = Seconds(Duration::from_millis(Limits::default().dead_after_ms)))]
    dead_after: Seconds,
    #[command(flatten)]
    sessions: SessionOptions,
    #[command(flatten)]
    cache: cache::Options,
    #[command(flatten)]
    process: process::Options,
}

/// Instances for components that are tried. One is enough; two do no harm.
const TRIED_AT_ONCE: u32 = 2;

/// A running monitor. Its loop sends the heartbeats, and ends when an operator drains this machine or it was declared dead.
pub struct Serving {
    monitor: Monitor,
    control_loop: Pin<Box<dyn Future<Output = Result<(), MonitorError>>>>,
}

impl Role for Serving {
    type Options = Options;

    const ROLE: chorus_store::Role = chorus_store::Role::Monitor;

    const WRITES_OWN_ROW: bool = true;

    fn check(options: &Options) -> anyhow::Result<()> {
        token(&options.token_file).map(drop)
    }

    fn process(options: &Options) -> &process::Options {
        &options.process
    }

    fn address(options: &Options) -> Option<SocketAddr> {
        Some(options.listen)
    }

    fn leaves_within(_: &Options) -> Duration {
        CLOSING
    }

    async fn start(options: Options, process: &Process) -> anyhow::Result<Serving> {
        let engine = guest::Engine::new(guest::Options {
            max_instances: TRIED_AT_ONCE,
            ..guest::Options::new(options.cache.dir()?)
        })?;
        let dead_after_ms = millis(options.dead_after.0);
        let monitor_options = chorus_monitor::Options {
            listen: options.listen,
            host_names: options.host_names,
            limits: Limits {
                refresh_ms: millis(process.every),
                dead_after_ms,
                lease_ms: dead_after_ms,
                ..Limits::default()
            },
            expire_after: options.sessions.expiry(),
            ..chorus_monitor::Options::new(process.id.clone(), token(&options.token_file)?)
        };
        let hooks = Hooks { locator: locator(), ..Hooks::new(check(engine)) };
        let (bus, store) = (process.bus.clone(), process.store.clone());
        let (monitor, control_loop) = chorus_monitor::start(monitor_options, bus, store, hooks).await?;
        Ok(Serving { monitor, control_loop: Box::pin(control_loop) })
    }

    fn announcement(&self) -> String {
        format!("answers operators at http://{}/", self.monitor.local_addr())
    }

    async fn serve(&mut self, process: &mut Process) -> anyhow::Result<MachineState> {
        tokio::select! {
            ended = &mut self.control_loop => ended?,
            _ = process.leaves() => {
                self.monitor.drain();
                // It releases the lease, so that another monitor acts at once, and closes its row if possible.
                (&mut self.control_loop).await?;
            }
        }
        Ok(MachineState::Draining)
    }

    async fn leave(&mut self, why: MachineState, _: &mut Process) -> anyhow::Result<MachineState> {
        Ok(why)
    }
}

fn token(file: &Option<PathBuf>) -> anyhow::Result<Token> {
    secrets::required_token(file.as_ref())?.expose().parse().context("the operators' token")
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
