//! The latency of honest players while others attack connections themselves: handshakes that are never finished, sessions that are
//! dropped and opened again, clients that read nothing, and pings without end.
//!
//! Calm and attack alternate as in `hostile`, with the same honest players. Attackers come from other addresses than they do, and
//! come back as soon as they are cut off or refused. They may be another process than the honest players, of lower priority: else the
//! players' own process, and not the server, is what they wait for. Both processes print `ready`, and begin at the time that they read.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::ValueEnum;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout_at},
};

use super::{
    Bench,
    hostile::{Place, Plan, honest, spread},
    player::{AT_ONCE, Party, Player, Server},
    process::cpu_time,
    report::{Figure, Report},
};

/// How attackers use their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Siege {
    /// 500 handshakes that go on for ever, of HTTP and of TLS in turn: a byte each half second
    Slowloris,
    /// 64 clients that open a session, drop it, and connect again, as fast as they can
    Storm,
    /// 400 players that each request 16 KiB a second and read nothing
    SlowReaders,
    /// 32 players that send 2,000 pings a second each
    Pings,
    /// All of these at the same time
    All,
}

/// The part of a siege that one process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The honest players, who are measured
    Players,
    Attackers,
}

/// Attackers of each kind.
const SLOWLORIS: usize = 500;
const STORM: usize = 64;
const SLOW_READERS: usize = 400;
const PINGS: usize = 32;

/// Attackers of one address: as many sessions as one address may open at once, and more.
const PER_ADDRESS: usize = 64;

/// Honest players, in a room each.
const HONEST: usize = 8;

/// The interval of a handshake's bytes.
const DRIP: Duration = Duration::from_millis(500);

/// A slow reader's request, and its interval.
const REQUEST: usize = 4 << 10;
const REQUESTS: Duration = Duration::from_millis(250);

/// A flooder's pings come in bursts, 40 times as many as the default limit of frames allows. All flooders together leave the core of
/// the attackers idle most of the time, so that honest players on that core do not wait for it.
const PING_BURST: usize = 20;
const PING_BURSTS: Duration = Duration::from_millis(10);

/// After a connection that was refused, as a program would wait that wants to be let in, not to burn its own processor.
const PAUSE: Duration = Duration::from_millis(10);

const HTTP_HEAD: &[u8] = b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";

/// The head of a record with a ClientHello of 508 bytes.
const TLS_HEAD: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[derive(Clone, Debug)]
struct Attackers {
    bench: Bench,
    plan: Plan,
    /// Connections that attackers have made, and those that the server ended or refused.
    made: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    pings: Arc<AtomicU64>,
}

/// Rounds of a calm phase and a siege, of `--seconds` each. `part`: of this process; without one, both.
pub async fn siege(bench: &Bench, siege: Siege, part: Option<Part>, rounds: u32) -> anyhow::Result<Report> {
    let has = |one| part.is_none_or(|part| part == one);
    let is = |one| has(Part::Attackers) && (siege == one || siege == Siege::All);
    let party = Party { kind: "bench-room", key: "honest".into(), size: 1, options: "{}" };
    let players = bench.server.parties(if has(Part::Players) { HONEST } else { 0 }, &party).await?;
    let readers = if is(Siege::SlowReaders) { players_of(bench, 3, SLOW_READERS).await? } else { Vec::new() };
    let pinging = if is(Siege::Pings) { players_of(bench, 4, PINGS).await? } else { Vec::new() };

    let from = if part.is_some() { begin().await? } else { Instant::now() + bench.warm_up };
    let plan = Plan { from, phase: bench.seconds, rounds };
    let (place, attackers) = (Place::new(plan), Attackers::new(bench, plan));
    let mut all = JoinSet::new();
    for (n, player) in players.into_iter().flatten().enumerate() {
        all.spawn(honest(player, n, plan, place.clone()));
    }
    let busy = bench.pid.filter(|_| has(Part::Players)).map(|pid| tokio::spawn(busy(pid, plan)));
    let mut attacking = JoinSet::new();
    for n in 0..if is(Siege::Slowloris) { SLOWLORIS } else { 0 } {
        attacking.spawn(attackers.clone().slowloris(n));
    }
    for n in 0..if is(Siege::Storm) { STORM } else { 0 } {
        attacking.spawn(attackers.clone().storm(n));
    }
    for (n, player) in readers.into_iter().enumerate() {
        attacking.spawn(attackers.clone().slow_reader(n, player));
    }
    for (n, player) in pinging.into_iter().enumerate() {
        attacking.spawn(attackers.clone().pings(n, player));
    }
    while let Some(ended) = all.join_next().await {
        ended??;
    }
    sleep_until(plan.until()).await;
    attacking.abort_all();

    let mut figures = Vec::new();
    if has(Part::Players) {
        figures.extend(place.figures("of honest players"));
        figures.extend(place.tails("of honest players"));
    }
    if let Some(busy) = busy {
        figures.extend(busy.await??);
    }
    if has(Part::Attackers) {
        let count = |name, counter: &AtomicU64| Figure::new(name, counter.load(Ordering::Relaxed) as f64, "");
        figures.push(count("connections of the attackers", &attackers.made));
        figures.push(count("pings of the attackers", &attackers.pings));
        figures.push(count("times that attackers were cut off", &attackers.ended));
    }
    Ok(Report::new("siege", format!("{siege:?}, {rounds} rounds"), figures))
}

/// When the phases begin, for both processes: milliseconds since 1970, as a line on stdin.
async fn begin() -> anyhow::Result<Instant> {
    println!("ready");
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = read.await??;
    let at = UNIX_EPOCH + Duration::from_millis(line.trim().parse().context("a time in milliseconds was expected")?);
    Ok(Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The server's share of one core in calm phases and in sieges, as medians.
async fn busy(pid: u32, plan: Plan) -> anyhow::Result<Vec<Figure>> {
    let (mut calm, mut attacked) = (Vec::new(), Vec::new());
    sleep_until(plan.from).await;
    for phase in 0..2 * plan.rounds {
        let before = cpu_time(pid)?;
        sleep_until(plan.from + plan.phase * (phase + 1)).await;
        let percent = 100.0 * (cpu_time(pid)? - before).as_secs_f64() / plan.phase.as_secs_f64();
        if phase % 2 == 0 { calm.push(percent) } else { attacked.push(percent) }
    }
    let figure = |when, values| Figure::new(format!("server busy, {when}"), spread(values)[1], "% of a core");
    Ok(vec![figure("calm", calm), figure("attacked", attacked)])
}

/// The server, for the n-th attacker of this kind.
fn seen_from(bench: &Bench, kind: u8, n: usize) -> anyhow::Result<Server> {
    let address = u8::try_from(n / PER_ADDRESS + 1).unwrap_or(u8::MAX);
    bench.server.from([127, 9, kind, address])
}

/// Players with a room each.
async fn players_of(bench: &Bench, kind: u8, count: usize) -> anyhow::Result<Vec<Player>> {
    let arriving = (0..count).map(|n| {
        let party = Party { kind: "bench-room", key: format!("{kind}-{n}"), size: 1, options: "{}" };
        async move {
            let mut player = Player::arrive(&seen_from(bench, kind, n)?).await?;
            player.enter(&party).await?;
            anyhow::Ok(player)
        }
    });
    stream::iter(arriving).buffer_unordered(AT_ONCE).try_collect().await
}

impl Attackers {
    fn new(bench: &Bench, plan: Plan) -> Attackers {
        Attackers { bench: bench.clone(), plan, made: Arc::default(), ended: Arc::default(), pings: Arc::default() }
    }

    /// The end of this attack, or, in a calm phase, of the next one after waiting for it. `None`: there is none left.
    async fn next_attack(&self) -> Option<Instant> {
        let now = Instant::now();
        if !self.plan.is_attack(now) {
            sleep_until(self.plan.next_phase(now)).await;
        }
        let now = Instant::now();
        (now < self.plan.until()).then(|| self.plan.next_phase(now))
    }

    fn count_made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// The server has ended a connection, or refused it.
    async fn count_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
    }

    async fn slowloris(self, n: usize) -> anyhow::Result<()> {
        let server = seen_from(&self.bench, 1, n)?;
        let head = if n.is_multiple_of(2) { HTTP_HEAD } else { TLS_HEAD };
        while let Some(end) = self.next_attack().await {
            self.count_made();
            let handshake = async {
                let mut stream = server.tcp().await?;
                stream.write_all(head).await?;
                let mut drip = interval(DRIP);
                let mut answer = [0; 64];
                loop {
                    tokio::select! {
                        _ = drip.tick() => stream.write_all(b"x").await?,
                        read = stream.read(&mut answer) => if read? == 0 { return anyhow::Ok(()) },
                    }
                }
            };
            self.until(end, handshake).await;
        }
        Ok(())
    }

    async fn storm(self, n: usize) -> anyhow::Result<()> {
        let server = seen_from(&self.bench, 2, n)?;
        while let Some(end) = self.next_attack().await {
            self.count_made();
            match timeout_at(end, Player::throwaway(&server)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => self.count_ended().await,
                Err(_) => continue,
            }
        }
        Ok(())
    }

    async fn slow_reader(self, n: usize, mut player: Player) -> anyhow::Result<()> {
        let server = seen_from(&self.bench, 3, n)?;
        let data = format!("\"{}\"", "x".repeat(REQUEST));
        let mut requests = interval(REQUESTS);
        requests.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.calm(&mut player).await;
        while let Some(end) = self.next_attack().await {
            self.until(end, request_without_end(&mut player, &data, &mut requests)).await;
            self.back(&server, &mut player).await;
            self.calm(&mut player).await;
        }
        Ok(())
    }

    async fn pings(self, n: usize, mut player: Player) -> anyhow::Result<()> {
        let server = seen_from(&self.bench, 4, n)?;
        self.calm(&mut player).await;
        while let Some(end) = self.next_attack().await {
            self.until(end, self.ping_without_end(&mut player)).await;
            self.back(&server, &mut player).await;
            self.calm(&mut player).await;
        }
        Ok(())
    }

    async fn ping_without_end(&self, player: &mut Player) -> anyhow::Result<()> {
        let mut bursts = interval(PING_BURSTS);
        bursts.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            bursts.tick().await;
            for _ in 0..PING_BURST {
                player.ping().await?;
                self.pings.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Attacks until the phase or the connection ends.
    async fn until(&self, end: Instant, attack: impl Future<Output = anyhow::Result<()>>) {
        if timeout_at(end, attack).await.is_ok() {
            self.count_ended().await;
        }
    }

    /// A new connection for the session: a client that has read nothing begins anew.
    async fn back(&self, server: &Server, player: &mut Player) {
        self.count_made();
        if player.resume(server).await.is_err() {
            self.count_ended().await;
        }
    }

    /// In a calm phase, frames are read and dropped until it ends.
    async fn calm(&self, player: &mut Player) {
        let now = Instant::now();
        if !self.plan.is_attack(now) {
            let _ = timeout_at(self.plan.next_phase(now), player.drain()).await;
        }
    }
}

async fn request_without_end(player: &mut Player, data: &str, requests: &mut Interval) -> anyhow::Result<()> {
    loop {
        requests.tick().await;
        player.send("echo", data).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_record_of_an_attacker_is_not_complete() {
        let length = usize::from(u16::from_be_bytes([TLS_HEAD[3], TLS_HEAD[4]]));
        // A minute of bytes.
        assert!(TLS_HEAD.len() + 120 < length);
        assert!(!HTTP_HEAD.ends_with(b"\r\n"));
    }
}
