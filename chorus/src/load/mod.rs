//! `chorus load`: scripted players, and their measurements of a server: latencies, rates, its CPU time and memory.
//!
//! ```text
//! scenario ─▶ players (closed loops) ⇄ server        `floor`: what one is compared with
//!     └─ window: warm-up, then all that counts ─▶ report
//! ```
//! Where to start: this file is the command; `player` is one connection, and `frames` reads what it receives; `measure` is the
//! window and the histograms; `process` reads the system's figures of the server; `floor` is the bare server, `colyseus` the protocol of the
//! one that chorus is compared with, `broker` a broker without chorus; the others are the scenarios, each with its measurement in its first line. `scripts/bench.mjs` runs them in turn and makes the table of
//! `docs/performance.md`.
//!
//! The server must run the fixture `bench-lobby` as its lobby, and must allow many sessions of one address to send as fast as
//! they can: `chorus dev --no-watch --fixtures --lobby bench-lobby --rate 1000000 --byte-rate 1000000000 --new-sessions 1000000
//! --new-connections 1000000 --max-connections-per-address 100000 --compute-rate 100000`. `hostile`, `siege` and `newcomer` measure
//! a server's limits, so they need its defaults.

mod broker;
mod colyseus;
mod comeback;
mod echo;
mod floor;
mod frames;
mod games;
mod hostile;
mod measure;
mod memory;
mod neighbour;
mod newcomer;
mod player;
mod process;
mod report;
mod siege;
mod swap;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use self::{
    games::Sharing,
    player::{Protocol, Server},
    report::Report,
};

use crate::seconds::Seconds;

/// Measures a server with scripted players
///
/// The server must run the lobby of the benchmarks, and must allow many sessions of one address to send as fast as they can:
/// `chorus dev --no-watch --fixtures --lobby bench-lobby --rate 1000000 --byte-rate 1000000000 --new-sessions 1000000
/// --new-connections 1000000 --max-connections-per-address 100000 --compute-rate 100000`. Players are closed loops: each sends its next message
/// when it has the answer to the last one.
#[derive(Debug, Args)]
pub struct Options {
    /// The server's address
    #[arg(long, global = true, value_name = "URL", default_value = "ws://127.0.0.1:4000/ws")]
    url: String,
    /// The duration of the measurement
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = Seconds::new(5))]
    seconds: Seconds,
    /// The duration of play before that
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = Seconds::new(1))]
    warm_up: Seconds,
    /// The server's process, when it is on this machine: its CPU time and its memory are measured too
    #[arg(long, global = true, value_name = "PID")]
    server_pid: Option<u32>,
    /// The certificate of a server that signs its own, in PEM: players connect by TLS
    #[arg(long, global = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The server is the floor, which has no rooms: every frame is an answer
    #[arg(long, global = true, hide = true)]
    raw: bool,
    /// The server is Colyseus, with the rooms of testing/peers/colyseus
    #[arg(long, global = true, hide = true, conflicts_with = "raw")]
    colyseus: bool,
    /// Prints one JSON object, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Rooms whose players each send to their room and wait for the answer
    Echo {
        #[arg(long, value_name = "N", default_value_t = 100)]
        rooms: usize,
        /// Players in each room
        #[arg(long, value_name = "N", default_value_t = 1)]
        clients: usize,
    },
    /// One room, in which one player sends to all
    FanOut {
        /// Players in the room, including the sender
        #[arg(long, value_name = "N", default_value_t = 100)]
        clients: usize,
    },
    /// Whole games of tic-tac-toe, one after the other in each room
    TicTacToe {
        #[arg(long, value_name = "N", default_value_t = 1000)]
        rooms: usize,
        #[command(flatten)]
        sharing: Sharing,
    },
    /// From a player's request in the lobby to the first answer of a room that was created for it
    Create {
        /// Players who request a room at the same time
        #[arg(long, value_name = "N", default_value_t = 1)]
        clients: usize,
    },
    /// More and more members of the lobby: what joining costs, the memory of each, and an echo beside them
    Lobby {
        /// The numbers of members
        #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "100,1000,3000,9000,15000")]
        members: Vec<usize>,
    },
    /// Games of tic-tac-toe that are played long, more and more rooms: the memory of each
    Played {
        /// Rooms that each step adds
        #[arg(long, value_name = "N", default_value_t = 500)]
        rooms: usize,
        #[arg(long, value_name = "N", default_value_t = 5)]
        steps: usize,
        /// Games in each room
        #[arg(long, value_name = "N", default_value_t = 10)]
        games: usize,
        #[command(flatten)]
        sharing: Sharing,
    },
    /// Games of tic-tac-toe that pause, more and more rooms: the memory of each when it hibernates, and waking
    Hibernated {
        /// Rooms that each step adds
        #[arg(long, value_name = "N", default_value_t = 1000)]
        rooms: usize,
        #[arg(long, value_name = "N", default_value_t = 7)]
        steps: usize,
        /// The value of the server's flag of that name
        #[arg(long, value_name = "SECONDS", default_value_t = Seconds::new(15))]
        hibernate_after: Seconds,
    },
    /// Games of tic-tac-toe that end, more rooms each time: the memory that they leave behind
    Ended {
        /// Rooms that each step adds
        #[arg(long, value_name = "N", default_value_t = 500)]
        rooms: usize,
        #[arg(long, value_name = "N", default_value_t = 4)]
        steps: usize,
    },
    /// The longest time that players of a room wait when it changes its component
    Swap {
        /// The source of the fixture `bench-room`, in the guests of a server that watches them. A line is added to it
        #[arg(long, value_name = "FILE")]
        source: PathBuf,
        #[arg(long, value_name = "N", default_value_t = 50)]
        rooms: usize,
    },
    /// From the server's kill to the first answer of each room. Prints `in play` when all games are; then the server is to be
    /// killed, and a line to be written to this process: `killed`, or `killed 0,3,5 of 8` for a host with these partitions
    Comeback {
        #[arg(long, value_name = "N", default_value_t = 4000)]
        rooms: usize,
        /// The time before each move
        #[arg(long, value_name = "SECONDS", default_value_t = Seconds::new(10))]
        pace: Seconds,
        /// The limit for all rooms to answer after the kill
        #[arg(long, value_name = "SECONDS", default_value_t = Seconds::new(120))]
        within: Seconds,
    },
    /// A room's latency, alone and while another room loops forever
    Neighbour {
        /// Rooms that are measured, one player in each
        #[arg(long, value_name = "N", default_value_t = 1)]
        rooms: usize,
    },
    /// The latency of honest players while others send the most expensive messages that are accepted: calm and attacks in
    /// turn, of --seconds each. The server must have the default --rate
    Hostile {
        #[arg(value_enum)]
        attack: hostile::Attack,
        /// Attackers; with host-calls, each has a room of its own
        #[arg(long, value_name = "N", default_value_t = 1)]
        attackers: usize,
        #[arg(long, value_name = "N", default_value_t = 3)]
        rounds: u32,
    },
    /// The latency of honest players while others attack connections: calm and attacks in turn, of --seconds each. The server must
    /// have its default limits
    Siege {
        #[arg(value_enum)]
        attack: siege::Siege,
        /// What this process does of it: it prints `ready`, and begins at the time that it reads, in milliseconds since 1970. Without
        /// this flag it does both, at once
        #[arg(long, value_enum)]
        part: Option<siege::Part>,
        #[arg(long, value_name = "N", default_value_t = 3)]
        rounds: u32,
    },
    /// From connecting to the lobby, for newcomers: alone, and while another address floods the server with new sessions
    Newcomer,
    /// From producing a record to consuming it, by a broker and nothing else
    Broker {
        #[arg(long, value_name = "HOST:PORT,…")]
        brokers: String,
        /// Copies of each record
        #[arg(long, value_name = "N", default_value_t = 1)]
        replication: u8,
    },
    /// A bare WebSocket server: it returns each message at /echo, and sends it to all connections at /all
    #[command(hide = true)]
    Floor {
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

/// Runs one scenario and prints its report.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let json = options.json;
    if let Scenario::Floor { port } = options.scenario {
        return floor::run(port).await;
    }
    // On a worker of the runtime, like the players: otherwise each message would be handed over between it and the main thread.
    let measured = tokio::spawn(measured(options)).await?;
    measured?.print(json);
    Ok(())
}

async fn measured(options: Options) -> anyhow::Result<Report> {
    let bench = Bench::of(&options)?;
    match options.scenario {
        Scenario::Echo { rooms, clients } => echo::round_trips(&bench, rooms, clients).await,
        Scenario::FanOut { clients } => echo::fan_out(&bench, clients).await,
        Scenario::TicTacToe { rooms, sharing } => games::play(&bench, rooms, sharing).await,
        Scenario::Create { clients } => echo::create(&bench, clients).await,
        Scenario::Lobby { members } => memory::lobby(&bench, &members).await,
        Scenario::Played { rooms, steps, games, sharing } => memory::played(&bench, rooms, steps, games, sharing).await,
        Scenario::Hibernated { rooms, steps, hibernate_after } => {
            memory::hibernated(&bench, rooms, steps, hibernate_after.0).await
        }
        Scenario::Ended { rooms, steps } => memory::ended(&bench, rooms, steps).await,
        Scenario::Swap { source, rooms } => swap::swap(&bench, &source, rooms).await,
        Scenario::Comeback { rooms, pace, within } => comeback::comeback(&bench, rooms, pace.0, within.0).await,
        Scenario::Neighbour { rooms } => neighbour::neighbour(&bench, rooms).await,
        Scenario::Hostile { attack, attackers, rounds } => hostile::hostile(&bench, attack, attackers, rounds).await,
        Scenario::Siege { attack, part, rounds } => siege::siege(&bench, attack, part, rounds).await,
        Scenario::Newcomer => newcomer::newcomer(&bench).await,
        Scenario::Broker { brokers, replication } => broker::produce_to_consume(&bench, &brokers, replication).await,
        Scenario::Floor { .. } => unreachable!("it was run above"),
    }
}

/// The parameters of every scenario.
#[derive(Clone, Debug)]
struct Bench {
    server: Server,
    warm_up: Duration,
    seconds: Duration,
    pid: Option<u32>,
}

impl Bench {
    fn of(options: &Options) -> anyhow::Result<Bench> {
        let protocol = match (options.raw, options.colyseus) {
            (true, _) => Protocol::Floor,
            (_, true) => Protocol::Colyseus,
            _ => Protocol::Chorus,
        };
        let server = Server::at(&options.url, protocol, options.certificate.as_deref())?;
        Ok(Bench { server, warm_up: options.warm_up.0, seconds: options.seconds.0, pid: options.server_pid })
    }

    /// For scenarios that measure memory.
    fn pid(&self) -> anyhow::Result<u32> {
        self.pid.ok_or_else(|| anyhow::anyhow!("the memory is that of the server: give its process by --server-pid"))
    }
}
