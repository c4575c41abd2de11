//! Memory of idle connections, of rooms between two moves, and of hibernated rooms.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Bench,
    games::{self, Game},
    player::{Party, Player, enter},
    process::{self, Memory},
    report::{Figure, Report},
};

/// Connections or rooms before the measurement: they absorb the costs of the first one.
const BEFORE: usize = 50;

/// The multiple of `rooms` that hibernate until the remains of the first ones are settled.
const EARLIER: usize = 2;

/// The multiple of `rooms` that hibernate after that, and are measured.
const LATER: usize = 3;

/// The time to settle: tasks have ended, snapshots are stored.
const SETTLE: Duration = Duration::from_secs(2);

/// `clients` idle players in the lobby, after the same number of others, which use the memory left over from the start.
pub async fn idle(bench: &Bench, clients: usize) -> anyhow::Result<Report> {
    let pid = bench.pid()?;
    let _first = bench.server.players(clients).await?;
    let before = settled(pid).await?;
    let _players = bench.server.players(clients).await?;
    let after = settled(pid).await?;
    let figures = each("connection", before, after, clients);
    Ok(Report::new("idle", format!("{clients} players in the lobby, and as many before"), figures))
}

/// `rooms` games, each played to its end once. Then no player moves until the rooms hibernate; after that, some games continue.
///
/// The memory of a hibernated room is measured with [`LATER`] times as many rooms, which hibernate after these and [`EARLIER`]
/// times as many others: the memory left by rooms that were active *at the same time* is reused by later ones, and is a
/// separate figure.
pub async fn rooms(bench: &Bench, rooms: usize, hibernate_after: Duration) -> anyhow::Result<Report> {
    let pid = bench.pid()?;
    let mut others = JoinSet::new();
    for player in in_games(bench.server.players(2 * BEFORE).await?, "first").await?.into_iter().flatten() {
        others.spawn(player.idle());
    }
    fill_the_log(bench).await?;
    let mut players = played_before(bench, rooms * (1 + EARLIER + LATER)).await?;
    quiet(&mut players, hibernate_after).await?;
    let before = settled(pid).await?;
    let mut waiting = players.split_off(2 * rooms);
    let mut played = in_games(players, "game").await?;
    let active = settled(pid).await?;
    quiet(played.iter_mut().flatten().chain(&mut waiting), hibernate_after).await?;
    let aside = settled(pid).await?;
    let mut settled_down = aside;
    for wave in 0..EARLIER + LATER {
        let rest = waiting.split_off(2 * rooms);
        played.extend(in_games(std::mem::replace(&mut waiting, rest), &format!("later-{wave}")).await?);
        quiet(played.iter_mut().flatten().chain(&mut waiting), hibernate_after).await?;
        if wave + 1 == EARLIER {
            settled_down = settled(pid).await?;
        }
    }
    let all_aside = settled(pid).await?;
    let mut figures = each("active room", before, active, rooms);
    figures.extend(each("hibernated room", settled_down, all_aside, LATER * rooms));
    figures.extend(each("room that others were active with", before, aside, rooms));
    figures.push(Figure::new("p50 of waking", woken(&mut played).await?, "µs"));
    Ok(Report::new(
        "rooms",
        format!("{rooms} rooms of tic-tac-toe, two players in each, and {} later", (EARLIER + LATER) * rooms),
        figures,
    ))
}

/// Players of this many games, back in the lobby: so the measurement covers rooms, without the memory of a connection's first
/// game.
async fn played_before(bench: &Bench, games: usize) -> anyhow::Result<Vec<Player>> {
    let mut back = Vec::new();
    for game in 0..games {
        for mut players in in_games(bench.server.players(2).await?, &format!("before-{game}")).await? {
            for player in &mut players {
                player.go_home("leave").await?;
            }
            back.extend(players);
        }
        // Players that do not answer pings would be disconnected.
        if game % 500 == 499 {
            quiet(&mut back, Duration::from_millis(100)).await?;
        }
    }
    Ok(back)
}

/// Fills the window of newest records in memory up to its bound, so that it does not count for a room.
async fn fill_the_log(bench: &Bench) -> anyhow::Result<()> {
    let party = Party { kind: "bench-room", key: "noise".into(), size: 1, options: "{}" };
    let mut talking = JoinSet::new();
    for mut player in bench.server.parties(8, &party).await?.into_iter().flatten() {
        talking.spawn(async move {
            for _ in 0..5_000 {
                player.ask("echo", r#"{"text":"a word or two of a game"}"#).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = talking.join_next().await {
        done??;
    }
    Ok(())
}

/// Plays a first game in each room and starts a second one, one room after the other. Returns the players.
async fn in_games(players: Vec<Player>, key: &str) -> anyhow::Result<Vec<[Player; 2]>> {
    let mut players = players.into_iter();
    let mut games = Vec::new();
    while players.len() > 0 {
        let mut party: Vec<Player> = players.by_ref().take(2).collect();
        enter(&mut party, &Party { key: format!("{key}-{}", games.len()), ..games::party() }).await?;
        games.push(Game::of(party).await?.into_players());
    }
    Ok(games)
}

/// No player sends a message for this time.
async fn quiet(players: impl IntoIterator<Item = &mut Player>, time: Duration) -> anyhow::Result<()> {
    let then = Instant::now() + time;
    try_join_all(players.into_iter().map(|player| player.idle_until(then))).await.map(drop)
}

/// The latency of the first message to a hibernated room in microseconds, the median of a hundred.
async fn woken(games: &mut [[Player; 2]]) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for players in games.iter_mut().take(100) {
        let began = Instant::now();
        // Refused before this game's end: the room is restored to refuse it.
        let _ = players[0].ask("rematch", "null").await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

async fn settled(pid: u32) -> anyhow::Result<Memory> {
    sleep(SETTLE).await;
    process::memory(pid)
}

fn each(what: &str, before: Memory, after: Memory, count: usize) -> Vec<Figure> {
    let kib = |before: f64, after: f64| (after - before) / 1024.0 / count.max(1) as f64;
    vec![
        Figure::new(format!("memory of a {what}"), kib(before.pss, after.pss), "KiB"),
        Figure::new(format!("page tables of a {what}"), kib(before.tables, after.tables), "KiB"),
    ]
}
