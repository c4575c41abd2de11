//! The window of a measurement, and its histograms.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use hdrhistogram::Histogram;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Bench, process, report::Figure};

/// The time that counts: from the end of the warm-up to the end of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    from: Instant,
    until: Instant,
}

/// Latencies. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Latencies(Arc<Mutex<Histogram<u64>>>);

/// The server's figures of a window.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub elapsed: Duration,
    /// CPU time of the server.
    pub cpu: Option<Duration>,
}

impl Window {
    /// A window that opens after the warm-up, which starts now.
    pub fn open(bench: &Bench) -> Window {
        let from = Instant::now() + bench.warm_up;
        Window { from, until: from + bench.seconds }
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Runs `players` through the window. The first failure ends the measurement.
    pub async fn watch(
        self,
        bench: &Bench,
        mut players: JoinSet<anyhow::Result<()>>,
        mut at_edges: impl FnMut(),
    ) -> anyhow::Result<Seen> {
        let watching = async {
            sleep_until(self.from).await;
            let (began, before) = (Instant::now(), bench.pid.map(process::cpu_time).transpose()?);
            at_edges();
            sleep_until(self.until).await;
            at_edges();
            let (elapsed, after) = (began.elapsed(), bench.pid.map(process::cpu_time).transpose()?);
            Ok(Seen { elapsed, cpu: before.zip(after).map(|(before, after)| after.saturating_sub(before)) })
        };
        tokio::pin!(watching);
        let seen = loop {
            tokio::select! {
                seen = &mut watching => break seen,
                Some(ended) = players.join_next() => ended??,
            }
        };
        while let Some(ended) = players.join_next().await {
            ended??;
        }
        seen
    }
}

impl Latencies {
    pub fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these bounds are a histogram's");
        Latencies(Arc::new(Mutex::new(histogram)))
    }

    /// Counts an action that began at `began` and ends now, if it began within the window.
    pub fn record(&self, window: &Window, began: Instant) {
        let now = Instant::now();
        if began >= window.from && now <= window.until {
            self.lock().saturating_record((now - began).as_nanos() as u64);
        }
    }

    /// Counts a latency, even outside the window.
    pub fn count_one(&self, took: Duration) {
        self.lock().saturating_record(took.as_nanos() as u64);
    }

    /// In microseconds; not a number without any values.
    pub fn p50(&self) -> f64 {
        let histogram = self.lock();
        if histogram.is_empty() { f64::NAN } else { histogram.value_at_quantile(0.5) as f64 / 1e3 }
    }

    /// The same at 99 %.
    pub fn p99(&self) -> f64 {
        let histogram = self.lock();
        if histogram.is_empty() { f64::NAN } else { histogram.value_at_quantile(0.99) as f64 / 1e3 }
    }

    pub fn count(&self) -> u64 {
        self.lock().len()
    }

    /// In microseconds.
    pub fn figures(&self) -> Vec<Figure> {
        let histogram = self.lock();
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        vec![
            Figure::new("p50", at(0.5), "µs"),
            Figure::new("p99", at(0.99), "µs"),
            Figure::new("p99.9", at(0.999), "µs"),
            Figure::new("max", histogram.max() as f64 / 1e3, "µs"),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl Seen {
    /// A rate, and its cost per event for the server.
    pub fn figures(&self, rate: &'static str, count: u64) -> Vec<Figure> {
        let mut figures = vec![Figure::new(rate, count as f64 / self.elapsed.as_secs_f64(), "/s")];
        if let Some(cpu) = self.cpu {
            figures.push(Figure::new("server CPU each", cpu.as_secs_f64() * 1e6 / count.max(1) as f64, "µs"));
            figures.push(Figure::new("server busy", 100.0 * cpu.as_secs_f64() / self.elapsed.as_secs_f64(), "%"));
        }
        figures
    }
}
