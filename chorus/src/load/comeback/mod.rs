//! The comeback of rooms whose server is killed: from the kill to the first answer of each room.
//!
//! ```text
//! games begin ─▶ "in play" on stdout ─▶ a line on stdin: killed ─▶ the first answer of each room ─▶ report
//! ```
//! This process survives the kill; `scripts/bench/comeback.mjs` kills the server and starts it again. Where to start: this
//! file is the scenario; `kill` is the line on stdin; `game` is a game at a person's pace; `member` is one of its players, with
//! the reconnects of the client library. Bounds: the games all have to begin, the kill has to follow within [`KILL_WAIT`], and
//! the measurement ends after `--within`.

mod game;
mod kill;
mod member;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use chorus_core::ids::RoomId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use self::{
    game::PacedGame,
    member::{Comeback, Member},
};
use super::{
    Bench,
    games::{self, Game},
    player::{AT_ONCE, Party},
    report::{Figure, Report},
};

/// The limit for the kill, from the moment at which all games are in play.
const KILL_WAIT: Duration = Duration::from_secs(600);

/// The first answer of a room after the kill.
#[derive(Clone, Copy, Debug)]
struct Answer {
    since_kill: Duration,
    /// Since the player has resumed its session and sent its message again; `None` if its connection was never lost.
    since_resume: Option<Duration>,
}

/// The first answers of the rooms.
#[derive(Debug, Default)]
struct Outcome {
    answers: Vec<Answer>,
    /// Games that could not continue.
    lost: usize,
}

/// `rooms` games, in which each player waits for `pace` before a move, until the server is killed. From then on the player whose
/// turn it is sends at once, and again after each resume.
pub async fn comeback(bench: &Bench, rooms: usize, pace: Duration, within: Duration) -> anyhow::Result<Report> {
    let (killed, kill) = watch::channel(None);
    let comeback = Arc::new(Comeback::new(kill));
    // A game that ends in an error is detected after the kill.
    let (answered, mut answers) = mpsc::channel(rooms.max(1));
    let mut games = JoinSet::new();
    let mut ids = Vec::new();
    let mut begun = stream::iter((0..rooms).map(|number| begin(bench, number, &comeback))).buffer_unordered(AT_ONCE);
    while let Some(game) = begun.try_next().await? {
        ids.push(game.room());
        games.spawn(game.play(pace, comeback.clone(), answered.clone()));
    }
    drop((begun, answered));
    // After this time each game has had a move at that pace.
    sleep(pace).await;
    println!("in play");
    let kill = kill::line(KILL_WAIT).await?;
    let concerned = ids.iter().filter(|room| kill.concerns(**room)).count();
    killed.send_replace(Some(kill.clone()));
    let outcome = until_all_answered(&mut games, &mut answers, concerned, kill.at + within).await?;
    let what = format!("{rooms} games of two, of which {concerned} lost their server");
    Ok(Report::new("comeback", what, figures(&comeback, outcome, concerned)))
}

/// Two players enter their room and play a first game.
async fn begin(bench: &Bench, number: usize, comeback: &Arc<Comeback>) -> anyhow::Result<PacedGame> {
    let party = Party { key: format!("comeback-{number}"), ..games::party(games::Sharing::default()) };
    let mut players = bench.server.players(party.size).await?;
    for player in &mut players {
        player.wish(&party).await?;
    }
    let mut room = None;
    for player in &mut players {
        room = member::room_of(&player.shown(party.kind).await?);
    }
    let room: RoomId = room.context("a room without an id")?;
    let (players, turn) = Game::of(players).await?.into_parts();
    let members = players.map(|player| Member::new(bench.server.clone(), player, room, comeback.clone()));
    Ok(PacedGame::new(room, members, turn))
}

async fn until_all_answered(
    games: &mut JoinSet<anyhow::Result<()>>,
    answers: &mut mpsc::Receiver<Answer>,
    concerned: usize,
    deadline: Instant,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let all = async {
        while outcome.answers.len() + outcome.lost < concerned {
            tokio::select! {
                Some(answer) = answers.recv() => outcome.answers.push(answer),
                Some(ended) = games.join_next() => {
                    let error = ended?.err().context("a game has ended by itself")?;
                    if outcome.lost == 0 {
                        eprintln!("a game was lost: {error:#}");
                    }
                    outcome.lost += 1;
                }
                else => break,
            }
        }
        anyhow::Ok(())
    };
    // After the deadline, the others have not answered.
    timeout_at(deadline, all).await.unwrap_or(Ok(()))?;
    games.abort_all();
    Ok(outcome)
}

fn figures(comeback: &Comeback, Outcome { answers, lost }: Outcome, concerned: usize) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(first) = comeback.first_accepted() {
        figures.push(Figure::new("serving", millis(first), "ms"));
        figures.push(Figure::new("first resume", millis(comeback.first_resumed()), "ms"));
        figures.push(Figure::new("last resume", millis(comeback.last_resumed()), "ms"));
    }
    figures.extend(quantiles("first answer", answers.iter().map(|answer| answer.since_kill)));
    figures.extend(quantiles("answer after resume", answers.iter().filter_map(|answer| answer.since_resume)));
    let silent = concerned.saturating_sub(answers.len() + lost);
    figures.push(Figure::new("rooms that answered", answers.len() as f64, ""));
    figures.push(Figure::new("rooms that were lost", lost as f64, ""));
    figures.push(Figure::new("rooms that were silent", silent as f64, ""));
    figures
}

/// In milliseconds; no figures if there are no times.
fn quantiles(what: &str, times: impl Iterator<Item = Duration>) -> Vec<Figure> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else { return Vec::new() };
    let at = |quantile: f64| millis(times[(last as f64 * quantile).round() as usize]);
    let named = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
    named.map(|(name, quantile)| Figure::new(format!("{name} of {what}"), at(quantile), "ms")).into()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
