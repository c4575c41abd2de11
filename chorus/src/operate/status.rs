//! `chorus status`: the overview.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

use super::{
    client::{Asking, print, print_json},
    table::{brief, table},
};
use crate::printable::printable;

/// Shows how the cluster stands
///
/// Machines, partitions, what each kind runs and how many rooms it has, and what an operator should look at.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    asking: Asking,
}

#[derive(Deserialize)]
struct Status {
    monitor: Option<Monitor>,
    machines: BTreeMap<String, Machines>,
    partitions: Partitions,
    kinds: Vec<Kind>,
    problems: Vec<String>,
}

#[derive(Deserialize)]
struct Monitor {
    id: String,
    in_charge: bool,
    active: Option<String>,
}

#[derive(Deserialize)]
struct Machines {
    alive: u64,
    draining: u64,
    dead: u64,
}

#[derive(Deserialize)]
struct Partitions {
    count: u64,
    hosted: u64,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
    version: u32,
    digest: String,
    rooms: Rooms,
}

#[derive(Deserialize)]
struct Rooms {
    live: u64,
    ended: u64,
    failed: u64,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let response = options.asking.client()?.get("/v1/status").await?;
    if options.asking.json {
        print_json(&response);
        return Ok(());
    }
    let status: Status = serde_json::from_value(response).context(super::UNEXPECTED)?;
    show(&status);
    Ok(())
}

fn show(status: &Status) {
    print(match &status.monitor {
        None => "one process with all in it (chorus dev)".to_owned(),
        Some(Monitor { id, in_charge: true, .. }) => format!("{id} is in charge"),
        Some(Monitor { id, active: Some(active), .. }) => format!("{id} stands by, {active} is in charge"),
        Some(Monitor { id, active: None, .. }) => format!("{id} stands by; nobody is in charge"),
    });
    if status.monitor.is_some() {
        print(format!("{} of {} partitions are hosted", status.partitions.hosted, status.partitions.count));
    }
    let counts = |(role, of): (&String, &Machines)| {
        [format!("{role}s"), of.alive.to_string(), of.draining.to_string(), of.dead.to_string()]
    };
    print(format!("\n{}", table(["MACHINES", "ALIVE", "DRAINING", "DEAD"], status.machines.iter().map(counts))));
    let kinds = status.kinds.iter().map(|Kind { kind, version, digest, rooms }| {
        let numbers = [rooms.live, rooms.ended, rooms.failed].map(|count| count.to_string());
        let [live, ended, failed] = numbers;
        [kind.clone(), version.to_string(), brief(digest), live, ended, failed]
    });
    print(format!("\n{}", table(["KIND", "VERSION", "COMPONENT", "LIVE", "ENDED", "FAILED"], kinds)));
    for problem in &status.problems {
        print(format!("\n! {}", printable(problem)));
    }
}
