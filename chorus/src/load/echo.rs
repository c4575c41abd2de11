//! Round trips: an answer from a room, an answer from a new room, and one message to many.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{task::JoinSet, time::Instant};

use super::{
    Bench,
    colyseus::Matchmaker,
    measure::{Latencies, Window},
    player::{Party, Player, Protocol},
    report::Report,
};

/// The players' message: with its frame about as large as a game's.
pub const WORDS: &str = r#"{"text":"a word or two of a game"}"#;

fn party(size: usize) -> Party {
    Party { kind: "bench-room", key: "echo".into(), size, options: "{}" }
}

/// `rooms` rooms of `clients` players, each of which sends a message and waits for its answer.
pub async fn round_trips(bench: &Bench, rooms: usize, clients: usize) -> anyhow::Result<Report> {
    let parties = bench.server.parties(rooms, &party(clients)).await?;
    let (window, latencies) = (Window::open(bench), Latencies::new());
    let mut players = JoinSet::new();
    for player in parties.into_iter().flatten() {
        players.spawn(echo(player, window, latencies.clone()));
    }
    let seen = window.watch(bench, players, || {}).await?;
    let figures = [seen.figures("messages", latencies.count()), latencies.figures()].concat();
    Ok(Report::new("echo", format!("{rooms} rooms, {clients} players in each"), figures))
}

/// Sends and waits until the window is over.
pub async fn echo(mut player: Player, window: Window, latencies: Latencies) -> anyhow::Result<()> {
    while !window.is_over() {
        let began = Instant::now();
        player.ask("echo", WORDS).await?;
        latencies.record(&window, began);
    }
    Ok(())
}

/// `clients` players in one room. One of them sends its next message when it has the answer to the last.
pub async fn fan_out(bench: &Bench, clients: usize) -> anyhow::Result<Report> {
    let mut parties = bench.server.parties(1, &party(clients)).await?;
    let mut members = parties.pop().unwrap_or_default().into_iter();
    let (window, latencies, heard) = (Window::open(bench), Latencies::new(), Arc::new(AtomicU64::new(0)));
    let mut players = JoinSet::new();
    let talker = members.next();
    let mut listening = JoinSet::new();
    for member in members {
        listening.spawn(listen(member, heard.clone()));
    }
    if let Some(talker) = talker {
        players.spawn(talk(talker, window, latencies.clone(), heard.clone()));
    }
    let mut at_edges = Vec::new();
    let seen = window.watch(bench, players, || at_edges.push(heard.load(Ordering::Relaxed))).await?;
    if let Some(ended) = listening.try_join_next() {
        ended??;
    }
    let deliveries = at_edges[1] - at_edges[0];
    let figures = [seen.figures("deliveries", deliveries), latencies.figures()].concat();
    Ok(Report::new("fan-out", format!("one room, {clients} players, one talks"), figures))
}

async fn talk(mut player: Player, window: Window, latencies: Latencies, heard: Arc<AtomicU64>) -> anyhow::Result<()> {
    while !window.is_over() {
        let began = Instant::now();
        // Its own copy comes before the answer; at the floor it is the answer.
        player.ask("say", WORDS).await?;
        heard.fetch_add(1, Ordering::Relaxed);
        latencies.record(&window, began);
    }
    Ok(())
}

async fn listen(mut player: Player, heard: Arc<AtomicU64>) -> anyhow::Result<()> {
    loop {
        player.event("said").await?;
        heard.fetch_add(1, Ordering::Relaxed);
    }
}

/// Measures the time from a player's request for a room to the new room's first answer: in the lobby of chorus, or at the
/// matchmaker of Colyseus. With the floor: to a new connection's.
pub async fn create(bench: &Bench, clients: usize) -> anyhow::Result<Report> {
    // At Colyseus there is no connection before the room's.
    let lobby = match bench.server.protocol {
        Protocol::Chorus => bench.server.players(clients).await?,
        Protocol::Floor | Protocol::Colyseus => Vec::new(),
    };
    let (window, latencies) = (Window::open(bench), Latencies::new());
    let mut players = JoinSet::new();
    for player in lobby {
        players.spawn(come_and_go(player, window, latencies.clone()));
    }
    for _ in players.len()..clients {
        match bench.server.protocol {
            Protocol::Colyseus => players.spawn(join_and_leave(bench.clone(), window, latencies.clone())),
            _ => players.spawn(connect(bench.clone(), window, latencies.clone())),
        };
    }
    let seen = window.watch(bench, players, || {}).await?;
    let figures = [seen.figures("rooms", latencies.count()), latencies.figures()].concat();
    Ok(Report::new("create", format!("{clients} players, one room after the other"), figures))
}

async fn come_and_go(mut player: Player, window: Window, latencies: Latencies) -> anyhow::Result<()> {
    let party = party(1);
    while !window.is_over() {
        let began = Instant::now();
        player.enter(&party).await?;
        player.ask("echo", WORDS).await?;
        latencies.record(&window, began);
        player.go_home("home").await?;
    }
    Ok(())
}

/// The matchmaker's connection is kept; the room's is a new one each time, as Colyseus has it.
async fn join_and_leave(bench: Bench, window: Window, latencies: Latencies) -> anyhow::Result<()> {
    let mut matchmaker = Matchmaker::connect(bench.server.address).await?;
    while !window.is_over() {
        let began = Instant::now();
        let seat = matchmaker.create(&party(1)).await?;
        let mut player = Player::sit_down(&bench.server, &seat).await?;
        player.ask("echo", WORDS).await?;
        latencies.record(&window, began);
        player.stand_up().await?;
    }
    Ok(())
}

async fn connect(bench: Bench, window: Window, latencies: Latencies) -> anyhow::Result<()> {
    while !window.is_over() {
        let began = Instant::now();
        Player::arrive(&bench.server).await?.ask("echo", WORDS).await?;
        latencies.record(&window, began);
    }
    Ok(())
}
