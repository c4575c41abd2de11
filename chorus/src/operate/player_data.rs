//! `chorus player reports`, `export` and `erase`: what is kept of players.

use bytes::Bytes;
use chorus_monitor::api::{Erased, Report, Reports};
use clap::Subcommand;
use serde_json::{Value, json, value::RawValue};

use super::{
    client::{Client, MonitorArgs, parse, print, print_json, segment},
    table::{ago, table},
};
use crate::printable::printable;

/// Reports in one request.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists what rooms' scripts have reported of players, the latest first
    Reports {
        /// Only of the player with this id
        player: Option<String>,
        /// The number of reports, at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Writes what the store and the snapshots of rooms hold of a player, as JSON
    ///
    /// docs/privacy.md has its limits, and what is kept elsewhere.
    Export {
        /// The player's id, as scripts have it: u:42, or g: and 32 hexadecimal digits
        player: String,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Ends all sessions of a player, and removes it from the rooms that hold or held it and from the store
    ///
    /// What scripts have stored of the player is removed by their `onErase`. docs/privacy.md has what remains, and for how long. It
    /// can be repeated.
    Erase {
        /// The player's id
        player: String,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Reports { player, limit, monitor } => reports(player.as_deref(), limit, &monitor).await,
        Command::Export { player, monitor } => export(&player, &monitor).await,
        Command::Erase { player, monitor } => erase(&player, &monitor).await,
    }
}

/// Lists reports, of all players or of one.
async fn reports(player: Option<&str>, limit: u32, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let filter = player.map_or(String::new(), |player| format!("&player={}", segment(player)));
    let (reports, more) = pages(&monitor.client()?, &filter, limit).await?;
    if monitor.json {
        print_json(&json!({ "reports": reports }));
        return Ok(());
    }
    let reports: Vec<Report> = parse(Value::Array(reports))?;
    let rows = reports.into_iter().map(|report| {
        let data = report.data.map_or(String::new(), |data| data.get().to_owned());
        [report.player, report.name, report.reason, data, report.kind, report.room, ago(report.at)]
    });
    print(table(["PLAYER", "NAME", "REASON", "DATA", "KIND", "ROOM", "AGE"], rows));
    if more {
        print("… and more: see --limit");
    }
    Ok(())
}

/// Up to `limit` reports, unchanged for `--json`, and whether there are more.
async fn pages(client: &Client, filter: &str, limit: u32) -> anyhow::Result<(Vec<Value>, bool)> {
    let (mut reports, mut after) = (Vec::<Value>::new(), String::new());
    loop {
        let left = limit.saturating_sub(reports.len() as u32);
        if left == 0 {
            return Ok((reports, true));
        }
        let page = client.get(&format!("/v1/reports?limit={}{filter}{after}", left.min(PAGE))).await?;
        let page: Reports<Value> = parse(page)?;
        reports.extend(page.reports);
        match page.next {
            Some(next) => after = format!("&after={}", segment(&next)),
            None => return Ok((reports, false)),
        }
    }
}

/// Prints the JSON as it came.
async fn export(player: &str, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let response: Box<RawValue> = monitor.client()?.get(&format!("/v1/players/{}/export", segment(player))).await?;
    print(response.get());
    Ok(())
}

async fn erase(player: &str, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let response = monitor.client()?.post(&format!("/v1/players/{}/erase", segment(player)), Bytes::new()).await?;
    if monitor.json {
        print_json(&response);
        return Ok(());
    }
    print(summary(player, &parse(response)?));
    Ok(())
}

fn summary(player: &str, Erased { sessions, rooms, reports, .. }: &Erased) -> String {
    let player = printable(player);
    if (*sessions, *rooms, *reports) == (0, 0, 0) {
        return format!("nothing is kept of {player}");
    }
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (sessions, rooms, reports) = (count(*sessions, "session"), count(*rooms, "room"), count(*reports, "report"));
    format!(
        "{player} is erased: {sessions} ended, {reports} deleted, {rooms} to erase it\n\
         the record log is cut behind that within a minute"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_is_counted() {
        let erased = |sessions, rooms, reports| Erased { player: "u:42".into(), sessions, rooms, reports };
        assert_eq!(summary("u:42", &erased(0, 0, 0)), "nothing is kept of u:42");
        let text = summary("u:42", &erased(1, 2, 0));
        assert!(
            text.starts_with("u:42 is erased: 1 session ended, 0 reports deleted, 2 rooms to erase it\n"),
            "{text}"
        );
    }
}
