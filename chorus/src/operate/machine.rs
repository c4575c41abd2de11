//! `chorus machine`: edges, hosts and monitors.

use std::time::Duration;

use bytes::Bytes;
use chorus_monitor::api::Machines;
use chorus_store::{MachineState, Role};
use clap::{Args, Subcommand};

use super::{
    client::{Client, MonitorArgs, parse, print, print_json, segment},
    table::{duration, table},
};
use crate::printable::printable;

/// The interval between two checks of whether a machine has left.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Lists machines, and drains them
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists edges, hosts and monitors, with the partitions that each host has
    Ls {
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Drains a machine, which then leaves: an edge disconnects its players, a host hands over its rooms
    Drain {
        /// Its id in `chorus machine ls`
        id: String,
        /// Returns when it has left
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Ls { monitor } => list(&monitor).await,
        Command::Drain { id, wait, monitor } => drain(&id, wait, &monitor).await,
    }
}

async fn list(monitor: &MonitorArgs) -> anyhow::Result<()> {
    let response = monitor.client()?.get("/v1/machines").await?;
    if monitor.json {
        print_json(&response);
        return Ok(());
    }
    let Machines { machines } = parse(response)?;
    let rows = machines.into_iter().map(|machine| {
        let is_host = machine.role == Role::Host.as_str();
        let partitions = if is_host { machine.partitions.len().to_string() } else { "-".to_owned() };
        let address = machine.address.unwrap_or_else(|| "-".into());
        let (heard, age) = (duration(machine.silent_ms), duration(machine.registered_ms));
        [machine.id, machine.role, machine.state, partitions, heard, age, address]
    });
    print(table(["ID", "ROLE", "STATE", "PARTITIONS", "HEARD", "AGE", "ADDRESS"], rows));
    Ok(())
}

async fn drain(id: &str, wait: bool, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let client = monitor.client()?;
    let response = client.post(&format!("/v1/machines/{}/drain", segment(id)), Bytes::new()).await?;
    if wait {
        until_it_has_left(&client, id).await?;
    }
    match monitor.json {
        true => print_json(&response),
        false if wait => print(format!("{} has left", printable(id))),
        false => print(format!("{} hands over and leaves; see `chorus machine ls`", printable(id))),
    }
    Ok(())
}

async fn until_it_has_left(client: &Client, id: &str) -> anyhow::Result<()> {
    loop {
        let Machines { machines } = parse(client.get("/v1/machines").await?)?;
        match machines.iter().find(|machine| machine.id == id) {
            None => return Ok(()),
            Some(machine) => {
                anyhow::ensure!(machine.state != MachineState::Dead.as_str(), "{id} died before it had left")
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
