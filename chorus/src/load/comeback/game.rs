//! Games of tic-tac-toe at a person's pace, one after the other, which continue after a lost connection.

use std::{sync::Arc, time::Duration};

use chorus_core::ids::RoomId;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Answer,
    kill::Kill,
    member::{Answered, Ask, Comeback, Member, random},
};
use crate::load::games::CELLS;

/// An answer to a message that was sent before the kill counts only if it arrives at least this long after the kill: an earlier
/// answer may have left the server before.
const IN_FLIGHT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct PacedGame {
    room: RoomId,
    /// By seat.
    members: [Member; 2],
    script: Script,
}

/// The messages of a game: nine moves in turn, then both players' request for a rematch.
#[derive(Debug)]
struct Script {
    /// The seat whose move is next.
    turn: usize,
    /// Messages of this game that are answered.
    step: usize,
}

/// Both players as a game sees them.
type Players = [mpsc::Sender<Ask>; 2];

impl PacedGame {
    /// No move of the present game is made yet.
    pub fn new(room: RoomId, members: [Member; 2], turn: usize) -> PacedGame {
        PacedGame { room, members, script: Script { turn, step: 0 } }
    }

    pub fn room(&self) -> RoomId {
        self.room
    }

    /// Plays until it is aborted, or cannot continue. Both players receive all the time.
    pub async fn play(
        self,
        pace: Duration,
        comeback: Arc<Comeback>,
        answers: mpsc::Sender<Answer>,
    ) -> anyhow::Result<()> {
        let PacedGame { room, members: [first, second], script } = self;
        let (to_first, of_first) = mpsc::channel(1);
        let (to_second, of_second) = mpsc::channel(1);
        tokio::select! {
            ended = first.run(of_first) => ended,
            ended = second.run(of_second) => ended,
            ended = script.play([to_first, to_second], room, pace, comeback, answers) => ended,
        }
    }
}

impl Script {
    async fn play(
        mut self,
        players: Players,
        room: RoomId,
        pace: Duration,
        comeback: Arc<Comeback>,
        answers: mpsc::Sender<Answer>,
    ) -> anyhow::Result<()> {
        let mut due = Instant::now() + pace.mul_f64(random());
        let mut has_answered = false;
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                () = comeback.concerns(room), if !has_answered => {}
            }
            let answered = self.ask(&players).await?;
            due = answered.at + pace;
            let kill = comeback.kill().filter(|kill| kill.concerns(room) && proves_life(&answered, kill));
            if let Some(kill) = kill.filter(|_| !has_answered) {
                has_answered = true;
                answers.send(answered.since(&kill)).await?;
            }
        }
    }

    /// Sends the next message, and waits for its answer.
    async fn ask(&mut self, players: &Players) -> anyhow::Result<Answered> {
        let (seat, msg_type, data) = self.next();
        let (sender, answered) = oneshot::channel();
        players[seat].send(Ask { msg_type, data, answered: sender }).await?;
        let answered = answered.await?;
        self.advance();
        Ok(answered)
    }

    fn next(&self) -> (usize, &'static str, String) {
        match CELLS.get(self.step) {
            Some(cell) => (self.turn, "move", format!(r#"{{"cell":{cell}}}"#)),
            None => (self.step - CELLS.len(), "rematch", "null".to_owned()),
        }
    }

    fn advance(&mut self) {
        if self.step < CELLS.len() {
            self.turn = 1 - self.turn;
        }
        self.step = (self.step + 1) % (CELLS.len() + 2);
    }
}

/// Whether the answer came from a room after the kill.
fn proves_life(answered: &Answered, kill: &Kill) -> bool {
    answered.sent_at >= kill.at || answered.at >= kill.at + IN_FLIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_players_move_in_turn_and_then_both_ask_for_a_rematch() {
        let mut script = Script { turn: 1, step: 0 };
        let mut seats = Vec::new();
        for _ in 0..13 {
            let (seat, msg_type, _) = script.next();
            seats.push((seat, &msg_type[..1]));
            script.advance();
        }
        // The other player begins the second game.
        let game = [1, 0, 1, 0, 1, 0, 1, 0, 1].map(|seat| (seat, "m"));
        let rest = [(0, "r"), (1, "r"), (0, "m"), (1, "m")];
        assert_eq!(seats, [&game[..], &rest].concat());
    }
}
