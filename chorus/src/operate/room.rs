//! `chorus room`: lists rooms, and shows their states and events.

use std::fmt::Write as _;

use chorus_monitor::api::{Room, Rooms};
use chorus_store::RoomStatus;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Value, json, value::RawValue};

use super::{
    client::{Client, MonitorArgs, parse, print, print_json, segment},
    events,
    fields::lines,
    table::{ago, brief, table},
};

/// Rooms in one request.
const PAGE: u32 = 500;

/// Lists rooms, and shows their states and events
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists rooms, the latest first
    Ls {
        /// Only of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only rooms with this status: live, ended by their script or an operator, or failed by their faults
        #[arg(long, value_parser = PossibleValuesParser::new(RoomStatus::ALL.map(RoomStatus::as_str)))]
        status: Option<String>,
        /// The number of rooms, at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Shows one room: its component, its host, its outcome
    Get {
        /// 32 hexadecimal digits
        id: String,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Shows a room's newest snapshot: its members, its timers, and the state that its script saved
    State {
        /// 32 hexadecimal digits
        id: String,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Shows a room's events: the records of its channel
    ///
    /// Without -f, the records that are in the log so far. The content of messages is left out unless --content is given.
    Events(events::Options),
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Ls { kind, status, limit, monitor } => list(kind, status, limit, &monitor).await,
        Command::Get { id, monitor } => show(&monitor, &format!("/v1/rooms/{}", segment(&id))).await,
        Command::State { id, monitor } => show(&monitor, &format!("/v1/rooms/{}/state", segment(&id))).await,
        Command::Events(options) => events::run(options).await,
    }
}

// ---- lists ----

async fn list(kind: Option<String>, status: Option<String>, limit: u32, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let client = monitor.client()?;
    let mut filter = String::new();
    if let Some(kind) = kind {
        let _ = write!(filter, "&kind={}", segment(&kind)); // A string accepts every write.
    }
    if let Some(status) = status {
        let _ = write!(filter, "&status={status}");
    }
    let (rooms, more) = pages(&client, &filter, limit).await?;
    if monitor.json {
        print_json(&json!({ "rooms": rooms }));
        return Ok(());
    }
    let rooms: Vec<Room> = parse(Value::Array(rooms))?;
    let rows = rooms.into_iter().map(|room| {
        let (component, age) = (brief(&room.component), ago(room.created_at));
        [room.id, room.kind, room.status, room.members.to_string(), component, age]
    });
    print(table(["ID", "KIND", "STATUS", "MEMBERS", "COMPONENT", "AGE"], rows));
    if more {
        print("… and more: see --limit, --kind and --status");
    }
    Ok(())
}

/// Up to `limit` rooms, unchanged for `--json`, and whether there are more.
async fn pages(client: &Client, filter: &str, limit: u32) -> anyhow::Result<(Vec<Value>, bool)> {
    let (mut rooms, mut after) = (Vec::<Value>::new(), String::new());
    loop {
        let left = limit.saturating_sub(rooms.len() as u32);
        if left == 0 {
            return Ok((rooms, true));
        }
        let page = client.get(&format!("/v1/rooms?limit={}{filter}{after}", left.min(PAGE))).await?;
        let page: Rooms<Value> = parse(page)?;
        rooms.extend(page.rooms);
        match page.next {
            Some(next) => after = format!("&after={}", segment(&next)),
            None => return Ok((rooms, false)),
        }
    }
}

// ---- one ----

/// JSON is printed unchanged where it was written by a script: it is not parsed, so it keeps its digits and its order.
async fn show(monitor: &MonitorArgs, path: &str) -> anyhow::Result<()> {
    let response: Box<RawValue> = monitor.client()?.get(path).await?;
    match monitor.json {
        true => print(response.get()),
        false => print(lines(&response)?),
    }
    Ok(())
}
