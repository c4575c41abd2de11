//! `chorus machine`: edges, hosts and monitors.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    client::{Asking, Client, print, print_json},
    table::{duration, table},
};
use crate::printable::printable;

/// How often to look whether a machine has left.
const LOOK: Duration = Duration::from_millis(500);

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
        asking: Asking,
    },
    /// Has a machine hand over and leave: an edge sends its players elsewhere, a host its rooms
    Drain {
        /// As `chorus machine ls` lists it
        id: String,
        /// Returns when it has left
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Deserialize)]
struct Machines {
    machines: Vec<Machine>,
}

#[derive(Deserialize)]
struct Machine {
    id: String,
    role: String,
    address: Option<String>,
    state: String,
    silent_ms: u64,
    registered_ms: u64,
    partitions: Vec<u32>,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Ls { asking } => list(&asking).await,
        Command::Drain { id, wait, asking } => drain(&id, wait, &asking).await,
    }
}

async fn list(asking: &Asking) -> anyhow::Result<()> {
    let response = asking.client()?.get("/v1/machines").await?;
    if asking.json {
        print_json(&response);
        return Ok(());
    }
    let Machines { machines } = serde_json::from_value(response).context(super::UNEXPECTED)?;
    let rows = machines.into_iter().map(|machine| {
        let partitions = if machine.role == "host" { machine.partitions.len().to_string() } else { "-".to_owned() };
        let address = machine.address.unwrap_or_else(|| "-".into());
        let (heard, age) = (duration(machine.silent_ms), duration(machine.registered_ms));
        [machine.id, machine.role, machine.state, partitions, heard, age, address]
    });
    print(table(["ID", "ROLE", "STATE", "PARTITIONS", "HEARD", "AGE", "ADDRESS"], rows));
    Ok(())
}

async fn drain(id: &str, wait: bool, asking: &Asking) -> anyhow::Result<()> {
    let client = asking.client()?;
    let response = client.post(&format!("/v1/machines/{}/drain", segment(id)), Bytes::new()).await?;
    if wait {
        until_it_has_left(&client, id).await?;
    }
    match asking.json {
        true => print_json(&response),
        false if wait => print(format!("{} has left", printable(id))),
        false => print(format!("{} hands over and leaves; see `chorus machine ls`", printable(id))),
    }
    Ok(())
}

async fn until_it_has_left(client: &Client, id: &str) -> anyhow::Result<()> {
    loop {
        let Machines { machines } = serde_json::from_value(client.get("/v1/machines").await?)?;
        match machines.iter().find(|machine| machine.id == id) {
            None => return Ok(()),
            Some(machine) => anyhow::ensure!(machine.state != "dead", "{id} died before it had left"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The unreserved characters of RFC 3986 stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_between_its_slashes() {
        assert_eq!(segment("host-left-17"), "host-left-17");
        assert_eq!(segment("../x y?é"), "..%2Fx%20y%3F%C3%A9");
    }
}
