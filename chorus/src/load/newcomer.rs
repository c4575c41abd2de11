//! The time that newcomers wait for the lobby, alone and while another address floods the server with new sessions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use super::{
    Bench,
    measure::Latencies,
    player::{self, Player, Server},
    report::{Figure, Report},
};

/// The number of new sessions that the flooding address opens at the same time.
const FLOODING: usize = 4;

/// A newcomer without its lobby by then counts as refused.
const NEWCOMER_WAITS: Duration = Duration::from_secs(10);

/// The interval of newcomers.
const NEWCOMERS: Duration = Duration::from_millis(200);

/// The time from connecting to the lobby's `room` frame, for newcomers with an address each: first alone, then while another
/// address opens new sessions as fast as it can, each of which is dropped at once.
pub async fn newcomer(bench: &Bench) -> anyhow::Result<Report> {
    let mut figures = newcomers(bench, 1).await?.into_iter().map(|one| one.of("alone")).collect::<Vec<_>>();
    let until = Instant::now() + bench.warm_up + bench.seconds + NEWCOMER_WAITS;
    let opened = Arc::new(AtomicU64::new(0));
    let mut floods = JoinSet::new();
    for _ in 0..FLOODING {
        floods.spawn(flood(bench.server.clone(), until, opened.clone()));
    }
    tokio::time::sleep(bench.warm_up).await;
    let flooded = newcomers(bench, 2).await?;
    floods.abort_all();
    figures.extend(flooded.into_iter().map(|one| one.of("beside a flood")));
    figures.push(Figure::new("sessions of the flood", opened.load(Ordering::Relaxed) as f64, ""));
    Ok(Report::new("newcomer", format!("{FLOODING} sockets of one address open sessions"), figures))
}

async fn newcomers(bench: &Bench, network: u8) -> anyhow::Result<Vec<Figure>> {
    let (until, latencies) = (Instant::now() + bench.seconds, Latencies::new());
    let mut coming = JoinSet::new();
    let mut ticks = interval(NEWCOMERS);
    let mut count = 0_u64;
    while Instant::now() < until {
        ticks.tick().await;
        count += 1;
        let server = bench.server.from([127, 0, network, (count % 250) as u8 + 1])?;
        let latencies = latencies.clone();
        coming.spawn(async move {
            let began = Instant::now();
            if tokio::time::timeout(NEWCOMER_WAITS, Player::arrive(&server)).await.is_ok_and(|came| came.is_ok()) {
                latencies.count_one(began.elapsed());
            }
        });
    }
    coming.join_all().await;
    let let_in = 100.0 * latencies.count() as f64 / count as f64;
    Ok([vec![Figure::new("let in", let_in, "%")], latencies.figures()].concat())
}

async fn flood(server: Server, until: Instant, opened: Arc<AtomicU64>) {
    while Instant::now() < until {
        match tokio::time::timeout(player::TIMEOUT, Player::throwaway(&server)).await {
            Ok(Ok(())) => drop(opened.fetch_add(1, Ordering::Relaxed)),
            // Refused. The flood continues without a pause.
            _ => tokio::task::yield_now().await,
        }
    }
}
