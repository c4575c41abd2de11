//! The life of a machine of a cluster, which is the same for every role:
//!
//! ```text
//! connect ─▶ register ─▶ start ─▶ serve ─▶ leave ─▶ close
//!                 └─ heartbeats, status ──────┘
//! ```
//! It leaves on SIGTERM or Ctrl-C, when an operator drains it, or when it was declared dead. What differs between roles is in
//! their implementations of [`Role`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use chorus_bus::Bus;
use chorus_core::ids::MachineId;
use chorus_store::{MachineState, Registration, Store};
use clap::Args;
use prometheus_client::registry::Registry;

use super::{
    connect,
    heartbeat::Heartbeat,
    status::{self, Ready},
};
use crate::{
    seconds::Seconds,
    stop::{CLOSING, Stop},
};

/// The flags of every machine of a cluster.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub connection: connect::Options,
    /// The name of this machine in lists; its id is the name and a number that no machine had before
    #[arg(long, env = "CHORUS_NAME", value_name = "NAME", help_heading = "Machine")]
    name: Option<String>,
    /// Heartbeat interval
    #[arg(long, env = "CHORUS_HEARTBEAT", value_name = "SECONDS", default_value_t = Seconds::new(1), help_heading = "Machine")]
    heartbeat: Seconds,
}

/// A role's own part of the life of its machines.
pub trait Role: Sized {
    /// The flags of its command.
    type Options;

    /// Its name in the table of machines.
    const ROLE: chorus_store::Role;

    /// Whether the role itself writes its heartbeats and its end to the table of machines.
    const WRITES_OWN_ROW: bool = false;

    /// Refuses options that cannot be used, before anything is done.
    fn check(_options: &Self::Options) -> anyhow::Result<()> {
        Ok(())
    }

    fn process(options: &Self::Options) -> &Options;

    /// The address at which operators and other machines reach it.
    fn address(options: &Self::Options) -> Option<SocketAddr>;

    /// Where it serves its status. `None`: the role serves that at its own address.
    fn status(_options: &Self::Options) -> Option<SocketAddr> {
        None
    }

    /// The limit of [`Role::leave`].
    fn leaves_within(options: &Self::Options) -> Duration;

    async fn start(options: Self::Options, process: &Process) -> anyhow::Result<Self>;

    /// Registers its metrics.
    fn register(&self, _registry: &mut Registry) {}

    /// Its own part of `/readyz`.
    fn ready(&self) -> Ready {
        Arc::new(|| Ok(()))
    }

    /// What it serves, and where: `runs rooms`.
    fn announcement(&self) -> String;

    /// Serves until the machine is to leave, and returns why.
    async fn serve(&mut self, process: &mut Process) -> anyhow::Result<MachineState> {
        Ok(process.leaves().await)
    }

    /// Ends its work: all of it at once if the machine was declared dead, otherwise in good order. Returns the machine's last
    /// state.
    async fn leave(&mut self, why: MachineState, process: &mut Process) -> anyhow::Result<MachineState>;
}

/// A registered machine.
pub struct Process {
    pub id: MachineId,
    pub bus: Bus,
    pub store: Store,
    /// The heartbeat interval.
    pub every: Duration,
    stop: Stop,
    /// `None`: the role sends its own.
    heartbeat: Option<Heartbeat>,
}

/// Serves until SIGTERM, Ctrl-C, an operator's drain or the machine's own death.
pub async fn run<R: Role>(options: R::Options) -> anyhow::Result<()> {
    R::check(&options)?;
    let listen = R::status(&options);
    let mut process = Process::register::<R>(&options).await?;
    let mut role = R::start(options, &process).await?;
    let status = match (listen, &process.heartbeat) {
        (Some(listen), Some(heartbeat)) => {
            let mut metrics = Registry::default();
            role.register(&mut metrics);
            Some(status::serve(listen, heartbeat.health(), role.ready(), metrics).await?)
        }
        _ => None,
    };
    let at = status.as_ref().map(|status| format!(", its status at http://{}/", status.address)).unwrap_or_default();
    println!("{} {}{at}", process.id, role.announcement());

    let why = role.serve(&mut process).await?;
    if why == MachineState::Draining {
        process.announce_drain().await;
    }
    let last = role.leave(why, &mut process).await?;
    if last == MachineState::Draining {
        process.close_row().await?;
    }
    let Process { id, bus, store, heartbeat, .. } = process;
    drop((heartbeat, status, role));
    anyhow::ensure!(
        last != MachineState::Dead,
        "{id} was declared dead: its heartbeats were missing for too long. Restart it; it then has a new id"
    );
    bus.close().await?;
    store.close().await?;
    Ok(())
}

impl Process {
    async fn register<R: Role>(options: &R::Options) -> anyhow::Result<Process> {
        let Options { connection, name, heartbeat: Seconds(every), .. } = R::process(options);
        anyhow::ensure!(*every > Duration::ZERO, "--heartbeat must be more than 0");
        let stop = Stop::new(R::leaves_within(options).saturating_add(CLOSING))?;
        let (bus, store) = connection.open().await?;
        let address = R::address(options).map(|address| address.to_string());
        let registration = Registration { role: R::ROLE, name: name.clone(), address };
        let id = store.register_machine(&registration).await?.id;
        let heartbeat =
            (!R::WRITES_OWN_ROW).then(|| Heartbeat::start(store.clone(), Some(bus.clone()), id.clone(), *every));
        Ok(Process { id, bus, store, every: *every, stop, heartbeat })
    }

    /// Resolves when the machine is to leave, with the reason as its state. Cancel safe.
    pub async fn leaves(&mut self) -> MachineState {
        let drained_or_dead = async {
            match &mut self.heartbeat {
                Some(heartbeat) => heartbeat.leaves().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.requested() => MachineState::Draining,
            state = drained_or_dead => state,
        }
    }

    pub fn is_dead(&self) -> bool {
        self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.health().borrow().state == MachineState::Dead)
    }

    /// Load balancers read this at `/readyz`, and monitors in the table.
    async fn announce_drain(&self) {
        if self.heartbeat.is_none() {
            return;
        }
        if let Err(error) = self.store.drain_machine(&self.id).await {
            tracing::warn!(%error, "the drain could not be written to the store");
        }
    }

    async fn close_row(&self) -> anyhow::Result<()> {
        if self.heartbeat.is_none() {
            return Ok(());
        }
        let closed = self.store.close_machine(&self.id).await;
        closed.with_context(|| format!("the end of {} could not be written to the store", self.id))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, error::ErrorKind};

    use super::{
        super::{edge, host, monitor},
        *,
    };

    #[test]
    fn a_monitor_has_no_flag_for_a_status_that_it_serves_at_its_own_address() {
        let parsed = |role: Command| {
            let error = role.try_get_matches_from(["role", "--status", "127.0.0.1:0"]).err();
            error.map(|error| error.kind())
        };
        assert_eq!(parsed(edge::Options::augment_args(Command::new("role"))), None);
        assert_eq!(parsed(host::Options::augment_args(Command::new("role"))), None);
        assert_eq!(parsed(monitor::Options::augment_args(Command::new("role"))), Some(ErrorKind::UnknownArgument));
    }
}
