//! Memory of what waits: connections that do nothing, rooms between two moves, rooms that were put aside.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Bench,
    games::{self, Game},
    player::Player,
    process::{self, Memory},
    report::{Figure, Report},
};

/// Connections, or rooms, that come before anything is measured: what the first one needs is not each one's.
const BEFORE: usize = 50;

/// What was done has settled by then: tasks have ended, snapshots are stored.
const SETTLE: Duration = Duration::from_secs(2);

/// `clients` players in the lobby who say nothing.
pub async fn idle(bench: &Bench, clients: usize) -> anyhow::Result<Report> {
    let pid = bench.pid()?;
    let _first = bench.server.players(BEFORE).await?;
    let before = settled(pid).await?;
    let _players = bench.server.players(clients).await?;
    let after = settled(pid).await?;
    let figures = each("connection", before, after, clients);
    Ok(Report::new("idle", format!("{clients} players in the lobby"), figures))
}

/// `rooms` games, each played to its end once. Then nobody moves, until the rooms have been put aside; then some go on.
pub async fn rooms(bench: &Bench, rooms: usize, hibernate_after: Duration) -> anyhow::Result<Report> {
    let pid = bench.pid()?;
    let _first = games(bench, BEFORE).await?;
    // They have been here before: what is measured is the rooms, not their players.
    let lobby = bench.server.players(2 * rooms).await?;
    let before = settled(pid).await?;
    let games = games_of(lobby, rooms).await?;
    let active = settled(pid).await?;
    let mut games: Vec<Vec<Player>> = games.into_iter().map(|game| game.into_players().into()).collect();
    sleep(hibernate_after + SETTLE).await;
    let aside = settled(pid).await?;
    let mut figures = each("active room", before, active, rooms);
    figures.extend(each("hibernated room", before, aside, rooms));
    figures.push(Figure::new("p50 of waking", woken(&mut games).await?, "µs"));
    Ok(Report::new("rooms", format!("{rooms} rooms of tic-tac-toe, two players in each"), figures))
}

async fn games(bench: &Bench, rooms: usize) -> anyhow::Result<Vec<Game>> {
    games_of(bench.server.players(2 * rooms).await?, rooms).await
}

/// Rooms whose first game is over and whose second one has begun.
async fn games_of(players: Vec<Player>, rooms: usize) -> anyhow::Result<Vec<Game>> {
    let mut players = players.into_iter();
    let mut games = Vec::with_capacity(rooms);
    for number in 0..rooms {
        let mut party: Vec<Player> = players.by_ref().take(2).collect();
        let wish = games::party();
        let key = format!("{}-{rooms}-{number}", wish.key);
        super::player::enter(&mut party, &super::player::Party { key, ..wish }).await?;
        games.push(Game::of(party).await?);
    }
    Ok(games)
}

/// Microseconds that the first message to a room that was put aside takes, the median of a hundred.
async fn woken(games: &mut [Vec<Player>]) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for players in games.iter_mut().take(100) {
        let began = Instant::now();
        // Not before this game's end: the room wakes to say no.
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
