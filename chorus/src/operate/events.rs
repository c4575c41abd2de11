//! `chorus room events`: the records of a room's channel, until the end or followed.

use std::{fmt::Write as _, time::Duration};

use anyhow::bail;
use clap::Args;

use super::{
    client::{Client, MonitorArgs, print, segment},
    fields::{Fields, fields, pairs, value},
    table::clock,
};

/// The delay before a lost connection is opened again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub struct Options {
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
    monitor: MonitorArgs,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let client = options.monitor.client()?;
    let mut from = options.from;
    let mut connected = false;
    loop {
        match follow(&client, &options, &mut from, &mut connected).await {
            Ok(()) if !options.follow => return Ok(()),
            // A connection that was never established is not retried.
            Err(error) if !options.follow || !connected => return Err(error),
            Ok(()) => eprintln!("chorus: the monitor has closed the connection; reconnecting"),
            Err(error) => eprintln!("chorus: {}; reconnecting", crate::error_chain::of(&error)),
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Prints events until the connection ends. `from` is the offset from which to continue.
async fn follow(
    client: &Client,
    options: &Options,
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
        let text = |name: &str| fields.get(name).map(|field| value(field)).unwrap_or_default();
        match event.name.as_str() {
            "begin" => *from = number("from").or(*from),
            "error" => bail!("{}; {}", text("error"), text("do")),
            _ => {
                print(if options.monitor.json { event.data.get().to_owned() } else { line(&fields) });
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
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let event = r#"{"offset":12,"time":3723004,"command":"message","session":"ab","bytes":3,"from":null,"data":{"z":5e-324,"a":1e+21}}"#;
        let shown = line(&fields(&raw(event)).unwrap());
        assert_eq!(shown, r#"01:02:03.004        12  message       bytes=3 data={"z":5e-324,"a":1e+21} session=ab"#);
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }
}
