//! Whole games of tic-tac-toe: each move is sent, answered, and received by the opponent before the next one.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Bench,
    measure::{Latencies, Window},
    player::{AT_ONCE, Party, Player},
    report::Report,
};

/// A game without a winner, which has the most moves.
pub const CELLS: [usize; 9] = [0, 1, 2, 4, 3, 5, 7, 6, 8];

/// Whether rooms share instances.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Sharing {
    /// The games are those of the fixture `tic-tac-toe-cell`, of which 32 share an instance
    #[arg(long)]
    cells: bool,
}

/// A room of two players. Turns do not expire while a benchmark waits.
pub fn party(Sharing { cells }: Sharing) -> Party {
    let kind = if cells { "tic-tac-toe-cell" } else { "tic-tac-toe" };
    Party { kind, key: "game".into(), size: 2, options: r#"{"turnSeconds":3600}"# }
}

/// `rooms` games at once, each followed by a rematch.
pub async fn play(bench: &Bench, rooms: usize, sharing: Sharing) -> anyhow::Result<Report> {
    let parties = stream::iter(bench.server.parties(rooms, &party(sharing)).await?);
    let games: Vec<Game> = parties.map(Game::of).buffer_unordered(AT_ONCE).try_collect().await?;
    let (window, latencies) = (Window::open(bench), Latencies::new());
    let mut players = JoinSet::new();
    for mut game in games {
        let latencies = latencies.clone();
        players.spawn(async move {
            while !window.is_over() {
                game.play_one(|began| latencies.record(&window, began)).await?;
                game.rematch().await?;
            }
            Ok(())
        });
    }
    let seen = window.watch(bench, players, || {}).await?;
    let figures = [seen.figures("moves", latencies.count()), latencies.figures()].concat();
    Ok(Report::new("tic-tac-toe", format!("{rooms} rooms, two players in each"), figures))
}

/// Two players, and the one whose turn it is.
#[derive(Debug)]
pub struct Game {
    /// By seat.
    players: [Player; 2],
    turn: usize,
}

impl Game {
    /// The players have entered. The room decides the seats and the first turn, which are found by trial: a move out of turn is
    /// refused.
    pub async fn of(party: Vec<Player>) -> anyhow::Result<Game> {
        let players = <[Player; 2]>::try_from(party);
        let mut players = players.map_err(|party| anyhow::anyhow!("a game has two players, not {}", party.len()))?;
        // The player with the first turn begins, and the game continues with the rest of `CELLS`.
        let first_begins = players[0].ask("move", r#"{"cell":0}"#).await.is_ok();
        if !first_begins {
            players[1].ask("move", r#"{"cell":0}"#).await?;
        }
        let turn = usize::from(!first_begins);
        players[1 - turn].event("moved").await?;
        let mut game = Game { players, turn: 1 - turn };
        game.moves(&CELLS[1..], |_| {}).await?;
        game.rematch().await?;
        Ok(game)
    }

    /// Plays one whole game; reports each completed move with its start.
    pub async fn play_one(&mut self, done: impl FnMut(Instant)) -> anyhow::Result<()> {
        self.moves(&CELLS, done).await
    }

    async fn moves(&mut self, cells: &[usize], mut done: impl FnMut(Instant)) -> anyhow::Result<()> {
        for cell in cells {
            let began = Instant::now();
            self.players[self.turn].ask("move", &format!(r#"{{"cell":{cell}}}"#)).await?;
            done(began);
            self.turn = 1 - self.turn;
            self.players[self.turn].event("moved").await?;
        }
        Ok(())
    }

    /// Starts a new game, with the other player's turn. A game has nine moves, so the player whose turn it is now did not begin
    /// it.
    pub async fn rematch(&mut self) -> anyhow::Result<()> {
        for player in &mut self.players {
            player.ask("rematch", "null").await?;
        }
        Ok(())
    }

    pub fn into_players(self) -> [Player; 2] {
        self.players
    }

    /// The players, and the one whose turn it is.
    pub fn into_parts(self) -> ([Player; 2], usize) {
        (self.players, self.turn)
    }
}
