//! `chorus room`: lists rooms, and shows their states and events.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    client::{Asking, Client, print, print_json},
    machine::segment,
    table::{ago, brief, clock, table},
};
use crate::printable::printable;

/// Rooms in one request.
const PAGE: u32 = 500;

/// The delay before a lost connection is opened again.
const AGAIN: Duration = Duration::from_secs(1);

/// Lists rooms, and looks into them
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
        /// Only rooms with this status
        #[arg(long, value_enum)]
        status: Option<Status>,
        /// The number of rooms, at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        asking: Asking,
    },
    /// Shows one room: what it runs, who hosts it, what it ended with
    Get {
        /// 32 hexadecimal digits
        id: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Shows what a room's newest snapshot holds: its members, its timers, and what its script saved
    State {
        /// 32 hexadecimal digits
        id: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Shows what happens in a room: the records of its channel
    ///
    /// Without -f, the records that are kept so far. The content of messages is left out unless --content is given.
    Events(EventsOptions),
}

#[derive(Debug, Args)]
struct EventsOptions {
    /// 32 hexadecimal digits
    id: String,
    /// Follows new records until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Starts at this offset
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// Includes the content of messages, from players and scripts
    #[arg(long)]
    content: bool,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    /// Goes on
    Live,
    /// By its script or an operator
    Ended,
    /// By its faults
    Failed,
}

#[derive(Deserialize)]
struct Room {
    id: String,
    kind: String,
    status: String,
    component: String,
    members: u32,
    created_at: u64,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Ls { kind, status, limit, asking } => list(kind, status, limit, &asking).await,
        Command::Get { id, asking } => show(&asking, &format!("/v1/rooms/{}", segment(&id))).await,
        Command::State { id, asking } => show(&asking, &format!("/v1/rooms/{}/state", segment(&id))).await,
        Command::Events(options) => events(options).await,
    }
}

// ---- lists ----

async fn list(kind: Option<String>, status: Option<Status>, limit: u32, asking: &Asking) -> anyhow::Result<()> {
    let client = asking.client()?;
    let mut filter = String::new();
    if let Some(kind) = kind {
        let _ = write!(filter, "&kind={}", segment(&kind)); // A string accepts every write.
    }
    if let Some(status) = status {
        let name = status.to_possible_value().context("every status has a name")?;
        let _ = write!(filter, "&status={}", name.get_name());
    }
    let (rooms, more) = pages(&client, &filter, limit).await?;
    if asking.json {
        print_json(&json!({ "rooms": rooms }));
        return Ok(());
    }
    let rooms: Vec<Room> = serde_json::from_value(Value::Array(rooms)).context(super::UNEXPECTED)?;
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

/// Up to `limit` rooms, and whether there are more.
async fn pages(client: &Client, filter: &str, limit: u32) -> anyhow::Result<(Vec<Value>, bool)> {
    let (mut rooms, mut after) = (Vec::new(), String::new());
    loop {
        let left = limit.saturating_sub(rooms.len() as u32);
        if left == 0 {
            return Ok((rooms, true));
        }
        let mut page: Value = client.get(&format!("/v1/rooms?limit={}{filter}{after}", left.min(PAGE))).await?;
        match page["rooms"].take() {
            Value::Array(more) => rooms.extend(more),
            _ => bail!("{}", super::UNEXPECTED),
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", segment(next)),
            None => return Ok((rooms, false)),
        }
    }
}

// ---- one ----

/// JSON is printed unchanged where it was written by a script: it is not parsed, so it keeps its digits and its order.
async fn show(asking: &Asking, path: &str) -> anyhow::Result<()> {
    let response: Box<RawValue> = asking.client()?.get(path).await?;
    match asking.json {
        true => print(response.get()),
        false => print(lines(&response)?),
    }
    Ok(())
}

/// An object's fields, each with its original text.
type Fields = BTreeMap<String, Box<RawValue>>;

fn fields(response: &RawValue) -> anyhow::Result<Fields> {
    serde_json::from_str(response.get()).context(super::UNEXPECTED)
}

/// A line for each field, and a line below it for each element of a list.
fn lines(response: &RawValue) -> anyhow::Result<String> {
    let mut fields = fields(response)?;
    fields.retain(|_, field| field.get() != "null");
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (name, field) in &fields {
        match serde_json::from_str::<Vec<Fields>>(field.get()) {
            Ok(entries) => {
                let _ = writeln!(text, "{name:<width$}  {}", entries.len());
                for entry in &entries {
                    let _ = writeln!(text, "{:<width$}  {}", "", pairs(entry));
                }
            }
            Err(_) => {
                let _ = writeln!(text, "{name:<width$}  {}", value(field));
            }
        }
    }
    Ok(text.trim_end().to_owned())
}

fn pairs(fields: &Fields) -> String {
    let there = fields.iter().filter(|(_, field)| field.get() != "null");
    there.map(|(name, field)| format!("{name}={}", value(field))).collect::<Vec<_>>().join(" ")
}

fn value(value: &RawValue) -> String {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => printable(&text).into_owned(),
        Err(_) => printable(value.get()).into_owned(),
    }
}

// ---- events ----

async fn events(options: EventsOptions) -> anyhow::Result<()> {
    let client = options.asking.client()?;
    let mut from = options.from;
    let mut connected = false;
    loop {
        match watch(&client, &options, &mut from, &mut connected).await {
            Ok(()) if !options.follow => return Ok(()),
            // A connection that was never established is not retried.
            Err(error) if !options.follow || !connected => return Err(error),
            Ok(()) => eprintln!("chorus: the monitor has ended the line; trying again"),
            Err(error) => eprintln!("chorus: {}; trying again", crate::error_chain::of(&error)),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Prints events until the connection ends. `from` is the offset from which to continue.
async fn watch(
    client: &Client,
    options: &EventsOptions,
    from: &mut Option<u64>,
    connected: &mut bool,
) -> anyhow::Result<()> {
    let mut path =
        format!("/v1/rooms/{}/events?follow={}&content={}", segment(&options.id), options.follow, options.content);
    if let Some(from) = from {
        let _ = write!(path, "&from={from}");
    }
    let mut events = client.events(&path).await?;
    *connected = true;
    while let Some(event) = events.next().await? {
        let fields = fields(&event.data)?;
        let number = |name: &str| fields.get(name).and_then(|field| field.get().parse::<u64>().ok());
        let words = |name: &str| fields.get(name).map(|field| value(field)).unwrap_or_default();
        match event.name.as_str() {
            "begin" => *from = number("from").or(*from),
            "error" => bail!("{}; {}", words("error"), words("do")),
            _ => {
                print(if options.asking.json { event.data.get().to_owned() } else { line(&fields) });
                *from = number("offset").map(|offset| offset + 1).or(*from);
            }
        }
    }
    Ok(())
}

/// A record: its time, offset and type, and the other fields.
fn line(event: &Fields) -> String {
    let number = |name: &str| event.get(name).and_then(|field| field.get().parse().ok()).unwrap_or_default();
    let mut rest = event.clone();
    rest.retain(|name, _| !matches!(&**name, "offset" | "time" | "command"));
    let command = event.get("command").map(|command| value(command)).unwrap_or_default();
    format!("{}  {:>8}  {command:<12}  {}", clock(number("time")), number("offset"), pairs(&rest)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let event = r#"{"offset":12,"time":3723004,"command":"message","session":"ab","bytes":3,"from":null,"data":{"z":5e-324,"a":1e+21}}"#;
        let shown = line(&fields(&raw(event)).unwrap());
        assert_eq!(shown, r#"01:02:03.004        12  message       bytes=3 data={"z":5e-324,"a":1e+21} session=ab"#);
    }

    #[test]
    fn a_state_is_shown_field_by_field() {
        let state = r#"{"room":"7","locked":false,"timers":[{"name":"turn","due":5}],"state":{"z":0.30000000000000004,"a":1},"outcome":null}"#;
        let shown =
            "locked  false\nroom    7\nstate   {\"z\":0.30000000000000004,\"a\":1}\ntimers  1\n        due=5 name=turn";
        assert_eq!(lines(&raw(state)).unwrap(), shown);
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }
}
