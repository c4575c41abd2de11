//! `chorus player`: players, their sessions, and what operators do with them.

use bytes::Bytes;
use chorus_core::ids::millis;
use chorus_monitor::api::{
    Ban, BanOrder, Banned, Bans, KickOrder, Kicked, LiftOrder, Lifted, Logout, LogoutOrder, PlayerSession, Players,
};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    client::{Client, MonitorArgs, parse, print, print_json, segment},
    fields::lines,
    player_data,
    span::Span,
    table::{ago, duration, table},
};
use crate::printable::printable;

/// Rows in one request.
const PAGE: u32 = 500;

/// Lists players and shows their sessions; kicks, bans, logs out, exports and erases them
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the sessions that are connected or held, by player
    Ls {
        /// The number of sessions, at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Shows one player: its ban, its sessions and their rooms
    Get {
        /// The player's id, as scripts have it: u:42, or g: and 32 hexadecimal digits
        player: String,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Ends all sessions of a player, who may come again
    Kick {
        /// The player's id
        player: String,
        /// What the player reads, at most 120 bytes
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Refuses a player, or a network of addresses, and ends its sessions
    ///
    /// The ban takes effect at every edge. A guest that has signed in and its account are banned together, as far as a session
    /// shows that they are one player.
    Ban {
        #[command(flatten)]
        whom: Whom,
        /// What the player reads, at most 120 bytes
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// What operators read, at most 1,000 bytes
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// How long the ban lasts: 90s, 30m, 12h, 7d or 2w [default: until it is lifted]
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<Span>,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Lifts a ban
    Unban {
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Lists the bans that have not ended
    Bans {
        /// The number of bans, at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    /// Ends all sessions of a player, and refuses the tokens that were issued to it until now
    Logout {
        /// The player's id
        #[arg(required_unless_present = "token_id")]
        player: Option<String>,
        /// The token with this id (its claim `jti`) instead
        #[arg(long, value_name = "JTI", conflicts_with = "player")]
        token_id: Option<String>,
        /// How long the tokens are refused; at least as long as tokens last [default: 30d]
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<Span>,
        #[command(flatten)]
        monitor: MonitorArgs,
    },
    #[command(flatten)]
    Data(player_data::Command),
}

/// A player or a network.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The player's id
    player: Option<String>,
    /// An address or a network: 192.0.2.7, 192.0.2.0/24. An IPv6 address stands for its /64
    #[arg(long, value_name = "CIDR")]
    address: Option<String>,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Ls { limit, monitor } => list(limit, &monitor).await,
        Command::Get { player, monitor } => get(&player, &monitor).await,
        Command::Kick { player, reason, monitor } => kick(&player, reason, &monitor).await,
        Command::Ban { whom: Whom { player, address }, reason, note, lasts, monitor } => {
            let for_ms = lasts.map(|Span(lasts)| millis(lasts));
            ban(BanOrder { player, address, reason, note, for_ms }, &monitor).await
        }
        Command::Unban { whom: Whom { player, address }, monitor } => {
            let lifted: Lifted = match order("/v1/bans/lift", &LiftOrder { player, address }, &monitor).await? {
                Some(lifted) => lifted,
                None => return Ok(()),
            };
            print(format!("{} is not banned any more", printable(&lifted.target)));
            Ok(())
        }
        Command::Bans { limit, monitor } => bans(limit, &monitor).await,
        Command::Logout { player, token_id, lasts, monitor } => log_out(player, token_id, lasts, &monitor).await,
        Command::Data(command) => player_data::run(command).await,
    }
}

// ---- lists ----

async fn list(limit: u32, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let page = |page: Value| parse(page).map(|Players { sessions, next }: Players<Value>| (sessions, next));
    let (sessions, more) = pages(&monitor.client()?, "/v1/players", limit, page).await?;
    if monitor.json {
        print_json(&json!({ "sessions": sessions }));
        return Ok(());
    }
    let sessions: Vec<PlayerSession> = parse(Value::Array(sessions))?;
    let rows = sessions.into_iter().map(|session| {
        let state = match (&session.kicked, session.connected) {
            (Some(_), _) => "kicked",
            (None, true) => "connected",
            (None, false) => "away",
        };
        let (rooms, age) = (session.rooms.len().to_string(), ago(session.created_at));
        let address = session.address.unwrap_or_else(|| "-".into());
        [session.player, session.name, state.to_owned(), address, session.edge, rooms, age, session.session]
    });
    print(table(["PLAYER", "NAME", "STATE", "ADDRESS", "EDGE", "ROOMS", "AGE", "SESSION"], rows));
    print_more(more);
    Ok(())
}

async fn bans(limit: u32, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let page = |page: Value| parse(page).map(|Bans { bans, next }: Bans<Value>| (bans, next));
    let (bans, more) = pages(&monitor.client()?, "/v1/bans", limit, page).await?;
    if monitor.json {
        print_json(&json!({ "bans": bans }));
        return Ok(());
    }
    let bans: Vec<Ban> = parse(Value::Array(bans))?;
    let rows = bans.into_iter().map(|ban| {
        let left = ban.ends_at.map(|end| duration(end.saturating_sub(chorus_store::wall_clock().0)));
        let (left, note) = (left.unwrap_or_else(|| "-".into()), ban.note.unwrap_or_default());
        [ban.target, ago(ban.created_at), left, ban.reason, note]
    });
    print(table(["BANNED", "AGE", "LEFT", "REASON", "NOTE"], rows));
    print_more(more);
    Ok(())
}

fn print_more(more: bool) {
    if more {
        print("… and more: see --limit");
    }
}

/// Up to `limit` rows, unchanged for `--json`, and whether there are more.
async fn pages(
    client: &Client,
    path: &str,
    limit: u32,
    parse: impl Fn(Value) -> anyhow::Result<(Vec<Value>, Option<String>)>,
) -> anyhow::Result<(Vec<Value>, bool)> {
    let (mut rows, mut after) = (Vec::<Value>::new(), String::new());
    loop {
        let left = limit.saturating_sub(rows.len() as u32);
        if left == 0 {
            return Ok((rows, true));
        }
        let (page, next) = parse(client.get(&format!("{path}?limit={}{after}", left.min(PAGE))).await?)?;
        rows.extend(page);
        match next {
            Some(next) => after = format!("&after={}", segment(&next)),
            None => return Ok((rows, false)),
        }
    }
}

// ---- one ----

async fn get(player: &str, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let response: Box<RawValue> = monitor.client()?.get(&format!("/v1/players/{}", segment(player))).await?;
    match monitor.json {
        true => print(response.get()),
        false => print(lines(&response)?),
    }
    Ok(())
}

async fn kick(player: &str, reason: Option<String>, monitor: &MonitorArgs) -> anyhow::Result<()> {
    let path = format!("/v1/players/{}/kick", segment(player));
    if let Some(Kicked { sessions, .. }) = order(&path, &KickOrder { reason }, monitor).await? {
        print(format!("{} is out of {}", printable(player), counted(sessions)));
    }
    Ok(())
}

async fn ban(ban: BanOrder, monitor: &MonitorArgs) -> anyhow::Result<()> {
    if let Some(Banned { bans, sessions }) = order("/v1/bans", &ban, monitor).await? {
        bans.iter().for_each(|ban| print(format!("{} is banned", printable(&ban.target))));
        if ban.player.is_some() {
            print(format!("{} ended", counted(sessions)));
        }
    }
    Ok(())
}

async fn log_out(
    player: Option<String>,
    token_id: Option<String>,
    lasts: Option<Span>,
    monitor: &MonitorArgs,
) -> anyhow::Result<()> {
    let path = match (&player, &token_id) {
        (Some(player), _) => format!("/v1/players/{}/logout", segment(player)),
        (None, Some(token_id)) => format!("/v1/tokens/{}/logout", segment(token_id)),
        (None, None) => unreachable!("one of them is required"),
    };
    let for_ms = lasts.map(|Span(lasts)| millis(lasts));
    if let Some(Logout { sessions, refused_ms, .. }) = order(&path, &LogoutOrder { for_ms }, monitor).await? {
        print(format!("{} ended", counted(sessions)));
        match refused_ms {
            Some(ms) => print(format!("tokens of before are refused for {}", duration(ms))),
            None => print("a guest keeps its token: to refuse that too, ban the guest"),
        }
    }
    Ok(())
}

/// Sends an order. `None`: the answer was printed as JSON.
async fn order<T: serde::de::DeserializeOwned>(
    path: &str,
    order: &impl Serialize,
    monitor: &MonitorArgs,
) -> anyhow::Result<Option<T>> {
    let body = serde_json::to_vec(order)?;
    let response = monitor.client()?.post(path, Bytes::from(body)).await?;
    if monitor.json {
        print_json(&response);
        return Ok(None);
    }
    parse(response).map(Some)
}

fn counted(sessions: u64) -> String {
    format!("{sessions} session{}", if sessions == 1 { "" } else { "s" })
}
