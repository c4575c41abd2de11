//! The server at growing numbers: members of the lobby, rooms that are played, that hibernate, that have ended. Each scenario
//! reads its memory, and what else depends on the number, at several of them.
//!
//! The memory of one is the slope over these points, which `scripts/bench.mjs` computes: what the first ones leave behind, and
//! what does not grow with the number, is not in it. So no scenario subtracts two readings.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Bench,
    echo::WORDS,
    games::{self, Game, Sharing},
    measure::Latencies,
    player::{AT_ONCE, Party, Player, Protocol, Server, enter},
    process,
    report::{Figure, Report},
};

/// Rooms or players before the first point: they absorb the costs of the first one.
const BEFORE: usize = 50;

/// Players that join one after the other, at each number of members.
const JOINERS: usize = 300;

/// Messages of the player whose echo is measured beside the others.
const ECHOES: usize = 1_000;

/// Connections of a crowd that come from one address. An address has some 28,000 ports; once half of them are taken, the
/// kernel searches the whole other half for each connection, which takes a millisecond.
const OF_ONE_ADDRESS: usize = 4_000;

/// Rooms that are woken at each number of hibernated ones.
const WOKEN: usize = 50;

/// The time to settle: tasks have ended, snapshots are stored.
const SETTLE: Duration = Duration::from_secs(2);

/// What was read at one number.
type Point = Vec<Figure>;

/// Players who do nothing but answer pings.
type Idle = JoinSet<anyhow::Result<()>>;

/// More and more members of the lobby: what joining costs, what each takes, and how long an echo takes beside them.
pub async fn lobby(bench: &Bench, numbers: &[usize]) -> anyhow::Result<Report> {
    let (mut present, mut points) = (Idle::new(), Vec::new());
    for number in numbers {
        while present.len() < *number {
            let server = crowded(&bench.server, present.len())?;
            for player in server.players(OF_ONE_ADDRESS.min(number - present.len())).await? {
                present.spawn(player.idle());
            }
        }
        let mut point = settled(bench, present.len()).await?;
        point.push(Figure::new("p50 of an echo", echo_beside(bench).await?, "µs"));
        point.extend(joined(bench, &mut present).await?);
        points.push(point);
        check(&mut present)?;
    }
    Ok(Report::new("lobby", format!("to {} members", present.len()), vec![]).with("member of the lobby", points))
}

/// Games that are played long, `step` more of them at each point. Each point is read after all have been played.
pub async fn played(
    bench: &Bench,
    step: usize,
    steps: usize,
    rounds: usize,
    sharing: Sharing,
) -> anyhow::Result<Report> {
    if bench.server.protocol == Protocol::Chorus {
        fill_the_log(bench).await?;
    }
    let mut idle = Idle::new();
    watch(play(bench, BEFORE, "before", rounds, sharing).await?, &mut idle);
    let mut points = Vec::new();
    for number in 1..=steps {
        watch(play(bench, step, &format!("game-{number}"), rounds, sharing).await?, &mut idle);
        points.push(settled(bench, number * step).await?);
        check(&mut idle)?;
    }
    let what = format!("{} rooms of tic-tac-toe, {rounds} games in each, two players connected", step * steps);
    Ok(Report::new("played", what, vec![]).with("active room", points))
}

/// Rooms whose players stay while no one moves, `step` more of them at each point. At most so many are active at a time.
pub async fn hibernated(bench: &Bench, step: usize, steps: usize, after: Duration) -> anyhow::Result<Report> {
    fill_the_log(bench).await?;
    let mut waiting = played_before(bench, step * steps).await?;
    let (mut seated, mut points) = (Vec::new(), Vec::new());
    for number in 1..=steps {
        let rest = waiting.split_off(2 * step);
        let wave = in_games(std::mem::replace(&mut waiting, rest), &format!("wave-{number}")).await?;
        seated.extend(wave);
        quiet(&mut seated, &mut waiting, after).await?;
        let mut point = settled(bench, seated.len()).await?;
        point.push(Figure::new("p50 of waking", woken(&mut seated).await?, "µs"));
        points.push(point);
    }
    let what = format!("{} rooms of tic-tac-toe, two players connected to each", seated.len());
    Ok(Report::new("hibernated", what, vec![]).with("hibernated room", points))
}

/// Rooms that are active at the same time and then end, `step` more of them each time.
pub async fn ended(bench: &Bench, step: usize, steps: usize) -> anyhow::Result<Report> {
    fill_the_log(bench).await?;
    let mut waiting = played_before(bench, step * steps).await?;
    let (mut active, mut gone) = (Vec::new(), Vec::new());
    for number in 1..=steps {
        let rest = waiting.split_off(2 * step * number);
        let seated = in_games(waiting, &format!("peak-{number}")).await?;
        active.push(settled(bench, number * step).await?);
        waiting = go_home(seated).await?;
        gone.push(settled(bench, number * step).await?);
        waiting.extend(rest);
    }
    let what = format!("up to {} rooms of tic-tac-toe at once", step * steps);
    Ok(Report::new("ended", what, vec![]).with("active rooms", active).with("rooms that have ended", gone))
}

/// `count` games at once, `rounds` in each room.
async fn play(bench: &Bench, count: usize, key: &str, rounds: usize, sharing: Sharing) -> anyhow::Result<Vec<Game>> {
    let parties = bench.server.parties(count, &Party { key: key.into(), ..games::party(sharing) }).await?;
    stream::iter(parties).map(|party| play_long(party, rounds)).buffer_unordered(AT_ONCE).try_collect().await
}

async fn play_long(party: Vec<Player>, rounds: usize) -> anyhow::Result<Game> {
    let mut game = Game::of(party).await?;
    for _ in 1..rounds {
        game.play_one(|_| {}).await?;
        game.rematch().await?;
    }
    Ok(game)
}

fn watch(games: Vec<Game>, idle: &mut Idle) {
    for player in games.into_iter().flat_map(Game::into_players) {
        idle.spawn(player.idle());
    }
}

/// No player may have lost its connection.
fn check(idle: &mut Idle) -> anyhow::Result<()> {
    idle.try_join_next().map_or(Ok(()), |ended| ended?)
}

/// The server, for players who connect from an address that fewer than 2 × [`OF_ONE_ADDRESS`] connections of a crowd use.
fn crowded(server: &Server, present: usize) -> anyhow::Result<Server> {
    let addresses = u8::try_from(present / OF_ONE_ADDRESS).context("too many players")?;
    if server.is_on_loopback() { server.from([127, 0, 1, addresses + 1]) } else { Ok(server.clone()) }
}

/// One after the other, so that each finds the server at rest.
async fn joined(bench: &Bench, present: &mut Idle) -> anyhow::Result<Point> {
    let server = crowded(&bench.server, present.len())?;
    let (latencies, before) = (Latencies::new(), process::cpu_time(bench.pid()?)?);
    for _ in 0..JOINERS {
        let began = Instant::now();
        let player = Player::arrive(&server).await?;
        latencies.count_one(began.elapsed());
        present.spawn(player.idle());
    }
    let cpu = process::cpu_time(bench.pid()?)?.saturating_sub(before);
    let each = cpu.as_secs_f64() * 1e6 / JOINERS as f64;
    Ok(vec![Figure::new("p50 of joining", latencies.p50(), "µs"), Figure::new("CPU of joining", each, "µs")])
}

/// The echo of one player alone in a room, the median.
async fn echo_beside(bench: &Bench) -> anyhow::Result<f64> {
    let party = Party { kind: "bench-room", key: "beside".into(), size: 1, options: "{}" };
    let latencies = Latencies::new();
    for mut player in bench.server.parties(1, &party).await?.into_iter().flatten() {
        for _ in 0..ECHOES {
            let began = Instant::now();
            player.ask("echo", WORDS).await?;
            latencies.count_one(began.elapsed());
        }
    }
    Ok(latencies.p50())
}

/// Players of this many games, back in the lobby: so the points cover rooms, without the memory of a connection's first game.
async fn played_before(bench: &Bench, games: usize) -> anyhow::Result<Vec<Player>> {
    let mut back = Vec::new();
    while back.len() < 2 * games {
        let count = AT_ONCE.min(games - back.len() / 2);
        let games = play(bench, count, &format!("before-{}", back.len()), 1, Sharing::default()).await?;
        let seated = games.into_iter().map(Game::into_players).collect();
        back.extend(go_home(seated).await?);
    }
    Ok(back)
}

/// All leave their rooms, which end.
async fn go_home(seated: Vec<[Player; 2]>) -> anyhow::Result<Vec<Player>> {
    let players = stream::iter(seated.into_iter().flatten());
    players.map(Player::left_for_home).buffer_unordered(AT_ONCE).try_collect().await
}

/// Plays a first game in each room and starts a second one. Returns the players.
async fn in_games(players: Vec<Player>, key: &str) -> anyhow::Result<Vec<[Player; 2]>> {
    let (mut players, mut parties) = (players.into_iter(), Vec::new());
    while players.len() > 0 {
        parties.push(players.by_ref().take(2).collect::<Vec<_>>());
    }
    let games = parties.into_iter().enumerate().map(|(number, members)| in_game(members, format!("{key}-{number}")));
    stream::iter(games).buffer_unordered(AT_ONCE).try_collect().await
}

async fn in_game(mut members: Vec<Player>, key: String) -> anyhow::Result<[Player; 2]> {
    enter(&mut members, &Party { key, ..games::party(Sharing::default()) }).await?;
    Ok(Game::of(members).await?.into_players())
}

/// Fills the window of newest records in memory up to its bound, so that it does not count for a room.
async fn fill_the_log(bench: &Bench) -> anyhow::Result<()> {
    let party = Party { kind: "bench-room", key: "noise".into(), size: 1, options: "{}" };
    let players = bench.server.parties(8, &party).await?.into_iter().flatten();
    try_join_all(players.map(echoes)).await.map(drop)
}

async fn echoes(mut player: Player) -> anyhow::Result<()> {
    for _ in 0..5_000 {
        player.ask("echo", WORDS).await?;
    }
    Ok(())
}

/// No player sends a message for this time.
async fn quiet(seated: &mut [[Player; 2]], waiting: &mut [Player], time: Duration) -> anyhow::Result<()> {
    let then = Instant::now() + time;
    let players = seated.iter_mut().flatten().chain(waiting);
    try_join_all(players.map(|player| player.idle_until(then))).await.map(drop)
}

/// The latency of the first message to a hibernated room in microseconds, the median of those that have hibernated longest.
async fn woken(games: &mut [[Player; 2]]) -> anyhow::Result<f64> {
    let latencies = Latencies::new();
    for players in games.iter_mut().take(WOKEN) {
        let began = Instant::now();
        // Refused before this game's end: the room is restored to refuse it.
        let _ = players[0].ask("rematch", "null").await;
        latencies.count_one(began.elapsed());
    }
    Ok(latencies.p50())
}

/// The server's memory at this number, and its work while nothing is asked of it.
async fn settled(bench: &Bench, number: usize) -> anyhow::Result<Point> {
    collect_garbage(bench).await?;
    sleep(SETTLE).await;
    let before = process::cpu_time(bench.pid()?)?;
    sleep(SETTLE).await;
    let cpu = process::cpu_time(bench.pid()?)?.saturating_sub(before);
    let memory = process::memory(bench.pid()?)?;
    Ok(vec![
        Figure::new("number", number as f64, ""),
        Figure::new("pss", memory.pss / 1024.0, "KiB"),
        Figure::new("page tables", memory.tables / 1024.0, "KiB"),
        Figure::new("busy at rest", 100.0 * cpu.as_secs_f64() / SETTLE.as_secs_f64(), "%"),
    ])
}

/// A heap with a collector has garbage until it is collected, which would count for rooms.
async fn collect_garbage(bench: &Bench) -> anyhow::Result<()> {
    if bench.server.protocol != Protocol::Colyseus {
        return Ok(());
    }
    let party = Party { kind: "bench-room", key: "collect".into(), size: 1, options: "{}" };
    for mut player in bench.server.parties(1, &party).await?.into_iter().flatten() {
        player.ask("collect", "null").await?;
        player.stand_up().await?;
    }
    Ok(())
}
