//! `chorus status`: the overview.

use chorus_monitor::api::{KindStatus, MachineCounts, MonitorStatus, Status};
use clap::Args;

use super::{
    client::{MonitorArgs, parse, print, print_json},
    table::{brief, table},
};
use crate::printable::printable;

/// Shows the cluster's state
///
/// The machines, the partitions, the active version of each kind and the number of its rooms, and the problems that need an
/// operator's attention.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    monitor: MonitorArgs,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let response = options.monitor.client()?.get("/v1/status").await?;
    if options.monitor.json {
        print_json(&response);
        return Ok(());
    }
    show(&parse(response)?);
    Ok(())
}

fn show(status: &Status) {
    print(match &status.monitor {
        None => "one process with all in it (chorus dev)".to_owned(),
        Some(MonitorStatus { id, in_charge: true, .. }) => format!("{id} is in charge"),
        Some(MonitorStatus { id, active: Some(active), .. }) => format!("{id} stands by, {active} is in charge"),
        Some(MonitorStatus { id, active: None, .. }) => format!("{id} stands by; nobody is in charge"),
    });
    if status.monitor.is_some() {
        print(format!("{} of {} partitions are hosted", status.partitions.hosted, status.partitions.count));
    }
    let counts = |(role, of): (&String, &MachineCounts)| {
        [format!("{role}s"), of.alive.to_string(), of.draining.to_string(), of.dead.to_string()]
    };
    print(format!("\n{}", table(["MACHINES", "ALIVE", "DRAINING", "DEAD"], status.machines.iter().map(counts))));
    let kinds = status.kinds.iter().map(|KindStatus { kind, version, digest, rooms }| {
        let numbers = [rooms.live, rooms.ended, rooms.failed].map(|count| count.to_string());
        let [live, ended, failed] = numbers;
        [kind.clone(), version.to_string(), brief(digest), live, ended, failed]
    });
    print(format!("\n{}", table(["KIND", "VERSION", "COMPONENT", "LIVE", "ENDED", "FAILED"], kinds)));
    for problem in &status.problems {
        print(format!("\n! {}", printable(problem)));
    }
}
