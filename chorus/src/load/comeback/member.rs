//! A player whose session outlives its connections, with the reconnects of clients/js/chorus.js: the delays and their random
//! part, the limits for `welcome` and for an answer, `resume` with `last`, and the unanswered message under its old id. The
//! client's own pings are left out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{bail, ensure};
use chorus_core::ids::RoomId;
use serde::Deserialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Answer, kill::Kill};
use crate::load::{
    frames::{numbered, reply_id},
    player::{Player, Server},
};

/// The client's `retry`, `stableMs`, `connectMs` and `answerMs`.
const RETRY_BASE: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(15);
const STABLE: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);

/// A connection may be lost this long before the line that reports the kill is read. Without a kill it must not be lost.
const NOTICE: Duration = Duration::from_secs(5);

/// The delay after which a message that the server could not accept is sent again.
const UNAVAILABLE: Duration = Duration::from_millis(100);

/// The value before there is a time.
const NEVER: u64 = u64::MAX;

/// The kill, and the connections after it. Shared by all players.
#[derive(Debug)]
pub struct Comeback {
    kill: watch::Receiver<Option<Kill>>,
    /// Microseconds since the kill.
    first_accepted: AtomicU64,
    first_resumed: AtomicU64,
    last_resumed: AtomicU64,
}

#[derive(Debug)]
pub struct Member {
    server: Server,
    player: Player,
    is_connected: bool,
    room: RoomId,
    /// The number of the room's last frame that was received here.
    seq: u64,
    unanswered: Option<Unanswered>,
    backoff: Backoff,
    resumed_at: Option<Instant>,
    comeback: Arc<Comeback>,
}

/// A message to send.
#[derive(Debug)]
pub struct Ask {
    pub msg_type: &'static str,
    pub data: String,
    pub answered: oneshot::Sender<Answered>,
}

#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub at: Instant,
    /// When the message was sent last.
    pub sent_at: Instant,
    resumed_at: Option<Instant>,
}

#[derive(Debug)]
struct Unanswered {
    ask: Ask,
    sent_at: Instant,
}

/// The delays of attempts to connect.
#[derive(Debug, Default)]
struct Backoff {
    attempts: u32,
}

impl Comeback {
    pub fn new(kill: watch::Receiver<Option<Kill>>) -> Comeback {
        let never = || AtomicU64::new(NEVER);
        Comeback { kill, first_accepted: never(), first_resumed: never(), last_resumed: AtomicU64::new(0) }
    }

    pub fn kill(&self) -> Option<Kill> {
        self.kill.borrow().clone()
    }

    /// Waits for the kill.
    pub async fn killed(&self) -> Kill {
        let mut kill = self.kill.clone();
        let waited = kill.wait_for(Option::is_some).await.map(|kill| kill.clone());
        match waited {
            Ok(kill) => kill.expect("it was waited for"),
            // The measurement is over.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for a kill by which this room has lost its host.
    pub async fn concerns(&self, room: RoomId) {
        if !self.killed().await.concerns(room) {
            std::future::pending().await
        }
    }

    /// From the kill to the first connection that the server has accepted.
    pub fn first_accepted(&self) -> Option<Duration> {
        let micros = self.first_accepted.load(Ordering::Relaxed);
        (micros != NEVER).then(|| Duration::from_micros(micros))
    }

    pub fn first_resumed(&self) -> Duration {
        Duration::from_micros(self.first_resumed.load(Ordering::Relaxed))
    }

    pub fn last_resumed(&self) -> Duration {
        Duration::from_micros(self.last_resumed.load(Ordering::Relaxed))
    }

    fn on_accepted(&self) {
        if let Some(micros) = self.micros() {
            self.first_accepted.fetch_min(micros, Ordering::Relaxed);
        }
    }

    fn on_resumed(&self) {
        if let Some(micros) = self.micros() {
            self.first_resumed.fetch_min(micros, Ordering::Relaxed);
            self.last_resumed.fetch_max(micros, Ordering::Relaxed);
        }
    }

    fn micros(&self) -> Option<u64> {
        self.kill().map(|kill| kill.at.elapsed().as_micros() as u64)
    }
}

impl Answered {
    pub fn since(&self, kill: &Kill) -> Answer {
        let resumed_at = self.resumed_at.filter(|resumed_at| *resumed_at >= kill.at);
        Answer { since_kill: self.at - kill.at, since_resume: resumed_at.map(|resumed_at| self.at - resumed_at) }
    }
}

impl Member {
    pub fn new(server: Server, player: Player, room: RoomId, comeback: Arc<Comeback>) -> Member {
        Member {
            server,
            player,
            is_connected: true,
            room,
            seq: 0,
            unanswered: None,
            backoff: Backoff::default(),
            resumed_at: None,
            comeback,
        }
    }

    /// Sends each message, receives, and reconnects after each loss, until no message can follow or the session is over.
    pub async fn run(mut self, mut asks: mpsc::Receiver<Ask>) -> anyhow::Result<()> {
        loop {
            if !self.is_connected {
                self.come_back().await?;
                continue;
            }
            let answer_by =
                self.unanswered.as_ref().map_or_else(Instant::now, |unanswered| unanswered.sent_at + ANSWER);
            tokio::select! {
                ask = asks.recv(), if self.unanswered.is_none() => match ask {
                    Some(ask) => self.send(ask).await,
                    None => return Ok(()),
                },
                frame = self.player.next() => match frame {
                    Ok(frame) => self.on_frame(&frame).await?,
                    Err(_) => self.on_lost(),
                },
                () = sleep_until(answer_by), if self.unanswered.is_some() => self.on_lost(),
            }
        }
    }

    async fn send(&mut self, ask: Ask) {
        let sent = self.player.send(ask.msg_type, &ask.data).await;
        self.unanswered = Some(Unanswered { ask, sent_at: Instant::now() });
        if sent.is_err() {
            self.on_lost();
        }
    }

    async fn on_frame(&mut self, frame: &str) -> anyhow::Result<()> {
        if let Some((room, seq)) = numbered(frame)
            && room == self.room
        {
            self.seq = seq;
            ensure!(!frame.starts_with(r#"{"t":"left""#), "a player has lost its seat: {frame}");
        }
        if reply_id(frame) == Some(self.player.last_id()) {
            self.on_answered();
        } else if frame.starts_with(r#"{"t":"error""#) {
            self.on_error(frame).await?;
        }
        Ok(())
    }

    async fn on_error(&mut self, frame: &str) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Error<'a> {
            id: Option<u64>,
            code: &'a str,
        }
        let error: Error = serde_json::from_str(frame)?;
        match error.code {
            // It was applied before the kill.
            "applied" if error.id == Some(self.player.last_id()) => self.on_answered(),
            "unavailable" => {
                if let Some(unanswered) = self.unanswered.take() {
                    sleep(UNAVAILABLE).await;
                    self.send(unanswered.ask).await;
                }
            }
            _ => bail!("the server sent {frame}"),
        }
        Ok(())
    }

    fn on_answered(&mut self) {
        if let Some(Unanswered { ask, sent_at }) = self.unanswered.take() {
            let (at, resumed_at) = (Instant::now(), self.resumed_at);
            // The game has ended if there is no receiver.
            let _ = ask.answered.send(Answered { at, sent_at, resumed_at });
        }
    }

    fn on_lost(&mut self) {
        self.is_connected = false;
        if self.resumed_at.is_none_or(|resumed_at| resumed_at.elapsed() > STABLE) {
            self.backoff = Backoff::default();
        }
    }

    /// One attempt to resume the session. A failure is followed by the next attempt.
    async fn come_back(&mut self) -> anyhow::Result<()> {
        sleep(self.backoff.next_delay(random())).await;
        if let Ok(Ok(is_recovered)) = timeout(CONNECT, self.resume()).await {
            ensure!(is_recovered, "the server no longer has the session");
            return Ok(());
        }
        let Ok(_) = timeout(NOTICE, self.comeback.killed()).await else {
            bail!("a connection was lost without a kill")
        };
        Ok(())
    }

    /// Returns whether the server still has the session.
    async fn resume(&mut self) -> anyhow::Result<bool> {
        let connection = Player::connect(&self.server).await?;
        self.comeback.on_accepted();
        let last = format!(r#"{{"{}":{}}}"#, self.room, self.seq);
        let welcome = self.player.resume_on(connection, &last).await?;
        self.comeback.on_resumed();
        self.is_connected = true;
        self.resumed_at = Some(Instant::now());
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.sent_at = Instant::now();
            self.player.send_again(unanswered.ask.msg_type, &unanswered.ask.data).await?;
        }
        Ok(welcome.contains(r#""recovered":true"#))
    }
}

impl Backoff {
    /// `part` is from 0 to 1: half of the delay is fixed and half is random.
    fn next_delay(&mut self, part: f64) -> Duration {
        let Some(doubled) = self.attempts.checked_sub(1) else {
            self.attempts = 1;
            return Duration::ZERO;
        };
        self.attempts = self.attempts.saturating_add(1);
        let full = RETRY_BASE.saturating_mul(1_u32.checked_shl(doubled).unwrap_or(u32::MAX)).min(RETRY_MAX);
        full.mul_f64(0.5 + part.clamp(0.0, 1.0) / 2.0)
    }
}

/// The room of a frame.
pub fn room_of(frame: &str) -> Option<RoomId> {
    numbered(frame).map(|(room, _)| room)
}

/// From 0 to 1.
pub fn random() -> f64 {
    // Without randomness, all of them are in step.
    getrandom::u32().map_or(0.5, |word| f64::from(word) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delays_are_those_of_the_client_library() {
        let delays = |part: f64| {
            let mut backoff = Backoff::default();
            (0..8).map(|_| backoff.next_delay(part).as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(delays(0.0), [0, 250, 500, 1_000, 2_000, 4_000, 7_500, 7_500]);
        assert_eq!(delays(1.0), [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        let mut backoff = Backoff { attempts: u32::MAX };
        assert_eq!(backoff.next_delay(1.0), RETRY_MAX);
    }
}
