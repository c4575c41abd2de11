//! The effect of a swap on players: the longest wait for an answer before it, during the build, and during the swap.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Bench,
    player::{Party, Player},
    report::{Figure, Report},
};

const KIND: &str = "bench-room";

/// The pause between a room's messages: without it, the number of waiting messages would dominate.
const BETWEEN: Duration = Duration::from_millis(20);

/// The phases, in this order.
const PHASES: [&str; 3] = ["before", "of the build", "of the swap"];

/// The longest wait of any player, in each phase.
#[derive(Debug, Default)]
struct Pauses {
    phase: AtomicUsize,
    longest: [AtomicU64; 4],
}

/// `rooms` rooms with a player each, who sends again and again while the source of their kind is changed.
pub async fn swap(bench: &Bench, source: &Path, rooms: usize) -> anyhow::Result<Report> {
    let mut events = Events::follow(bench.server.address).await?;
    let party = Party { kind: KIND, key: "swap".into(), size: 1, options: "{}" };
    let parties = bench.server.parties(rooms, &party).await?;
    let pauses = Arc::new(Pauses::default());
    let mut players = JoinSet::new();
    for player in parties.into_iter().flatten() {
        players.spawn(ask_and_ask(player, pauses.clone()));
    }
    sleep(bench.warm_up).await;
    // The warm-up does not count.
    pauses.longest[0].store(0, Ordering::Relaxed);
    sleep(bench.seconds).await;
    pauses.begin(1);
    touch(source)?;
    events.state("built").await?;
    pauses.begin(2);
    let began = Instant::now();
    let swapped = events.state("swapped").await?;
    let took = began.elapsed();
    sleep(Duration::from_millis(500)).await;
    pauses.begin(3);
    if let Some(ended) = players.try_join_next() {
        ended??;
    }
    let longest = |(at, phase): (usize, &&str)| {
        let micros = pauses.longest[at].load(Ordering::Relaxed) as f64 / 1e3;
        Figure::new(format!("longest pause {phase}"), micros, "ms")
    };
    let mut figures: Vec<Figure> = PHASES.iter().enumerate().map(longest).collect();
    figures.push(Figure::new("from build to last room", took.as_secs_f64() * 1e3, "ms"));
    Ok(Report::new("swap", format!("{rooms} rooms, one player in each; {swapped}"), figures))
}

impl Pauses {
    fn begin(&self, phase: usize) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn observe(&self, pause: Duration) {
        let longest = &self.longest[self.phase.load(Ordering::Relaxed)];
        longest.fetch_max(pause.as_micros() as u64, Ordering::Relaxed);
    }
}

async fn ask_and_ask(mut player: Player, pauses: Arc<Pauses>) -> anyhow::Result<()> {
    loop {
        let sent_at = Instant::now();
        player.ask("echo", "null").await?;
        pauses.observe(sent_at.elapsed());
        sleep(BETWEEN).await;
    }
}

/// Changes the component, but not its behaviour.
fn touch(source: &Path) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().append(true).open(source);
    let mut file = file.with_context(|| format!("{} cannot be changed", source.display()))?;
    // A comment would be dropped by the build, and the component would stay the same.
    writeln!(file, "globalThis.bench = {};", chorus_store::wall_clock().0)?;
    Ok(())
}

/// The events of `chorus dev` about builds and swaps.
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn follow(address: SocketAddr) -> anyhow::Result<Events> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /dev/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        Ok(Events(BufReader::new(stream).lines()))
    }

    /// Waits until the kind is in this state, and returns that event.
    async fn state(&mut self, wanted: &str) -> anyhow::Result<String> {
        while let Some(line) = self.0.next_line().await? {
            let Some(data) = line.strip_prefix("data:") else { continue };
            let status: serde_json::Value = serde_json::from_str(data.trim())?;
            let state = status["state"].as_str().unwrap_or_default();
            if status["kind"] != KIND {
                continue;
            }
            if state == wanted {
                return Ok(format!("{state} {}", status["rooms"]));
            }
            if state.contains("failed") || state.contains("refused") {
                bail!("the swap went wrong: {data}");
            }
        }
        bail!("the server closed its stream of builds: does it watch its guests?")
    }
}
