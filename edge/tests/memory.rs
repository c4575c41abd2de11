//! The memory that connections cost. One test, so that this process does nothing else.
//!
//! `CHORUS_IDLE=10000` opens that many; the clients are in this process too, as bare sockets.

mod support;

use std::net::SocketAddr;

use chorus_core::session::Limits;
use support::{Raw, World, frame, until, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Several times what a connection takes, since allocators and debug builds differ: 8 KB in a debug build.
const MAX_IDLE: usize = 64 << 10;

/// The edge buffers no part of a flood: what remains is the noise of an allocator.
const MAX_FLOOD: usize = 8 << 20;

#[tokio::test]
async fn an_idle_connection_is_small_and_a_ping_flood_takes_no_memory() {
    let many: usize = std::env::var("CHORUS_IDLE").ok().and_then(|many| many.parse().ok()).unwrap_or(500);
    let limits = Limits { ping_ms: 600_000, ..Limits::default() };
    let world = World::start_with(|options| {
        (options.limits, options.max_per_address, options.new_sessions) = (limits, 1_000_000, 1_000_000);
        options.new_connections = 1_000_000;
    })
    .await;

    // One-time allocations are made before the measurement begins.
    let warm = connect(&world, 100).await;
    let before = resident();
    let clients = connect(&world, many).await;
    let each = resident().saturating_sub(before) / many;
    println!(
        "{each} bytes of memory for each of {many} idle connections (its room's member and client's socket included)"
    );
    assert!(each < MAX_IDLE, "{each} bytes for each idle connection");
    drop((warm, clients));

    let mut raw = world.raw_web_socket().await;
    let pings = frame(0x89, &[b'x'; 125]).repeat(1000);
    let before = resident();
    // Nothing is read until the server closes the connection.
    within("the end", async { while raw.0.write_all(&pings).await.is_ok() {} }).await;
    let flood = resident().saturating_sub(before);
    println!("a ping flood: {} KiB more", flood / 1024);
    assert!(flood < MAX_FLOOD, "{flood} bytes for a ping flood");
}

/// Opens clients that join the lobby and send nothing more.
async fn connect(world: &World, many: usize) -> Vec<TcpStream> {
    let mut clients = Vec::with_capacity(many);
    let joined = world.edge.sessions() + many;
    for _ in 0..many {
        clients.push(within("a client", join(world.address())).await);
    }
    until("their sessions", async || world.edge.sessions() == joined).await;
    clients
}

async fn join(edge: SocketAddr) -> TcpStream {
    let mut raw = Raw::connect(edge).await;
    raw.upgrade().await;
    raw.send_frame(0x81, br#"{"t":"hello","name":"Ana"}"#).await;
    let mut seen = Vec::new();
    while !seen.windows(12).any(|part| part == br#""view":{"her"#) {
        seen.push(raw.0.read_u8().await.expect("a byte"));
    }
    raw.0
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
