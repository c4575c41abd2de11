//! Stopping a process, within a time limit.

use std::{process, thread, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The time for closing the log and the store after everything else.
pub const CLOSING: Duration = Duration::from_secs(5);

/// Ctrl-C and SIGTERM.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// `within`: the limit from the signal to the end of the process. Then the process is ended, even if it is busy:
    /// acknowledged messages are in the log, and the next start continues from there, as after a `kill -9`.
    pub fn new(within: Duration) -> anyhow::Result<Stop> {
        let stop = Stop::listen()?;
        end_in_time(within)?;
        Ok(stop)
    }

    fn listen() -> anyhow::Result<Stop> {
        let on = |kind| signal(kind).context("signals cannot be handled");
        Ok(Stop { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Cancel safe.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// On a thread and a runtime of its own: a guest, or a bug, may block all threads of the main one.
fn end_in_time(within: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the process could not watch over its own end")?;
    let mut stop = {
        let _here = runtime.enter();
        Stop::listen()?
    };
    let watch = async move {
        stop.requested().await;
        tokio::time::sleep(within).await;
        eprintln!(
            "chorus: it did not stop within {} s, and is ended; nothing that was acknowledged is lost",
            within.as_secs()
        );
        process::exit(1);
    };
    let thread = thread::Builder::new().name("stop".to_owned()).spawn(move || runtime.block_on(watch));
    thread.map(drop).context("the process could not watch over its own end")
}

#[cfg(test)]
mod tests {
    use std::{env, io::Read as _, process::Command, time::Instant};

    use super::*;

    const CHILD: &str = "CHORUS_TEST_STUCK_CHILD";

    /// A process whose threads are all blocked, as by guests that never return.
    #[test]
    fn a_process_ends_in_time_though_all_of_its_threads_are_held() {
        if env::var_os(CHILD).is_some() {
            return stand_still();
        }
        let name = "stop::tests::a_process_ends_in_time_though_all_of_its_threads_are_held";
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        // The child prints a line once its threads are blocked.
        let mut output = child.stdout.take().unwrap();
        let mut all = Vec::new();
        while !all.ends_with(b"held\n") {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).unwrap(), 1, "it has ended: {}", String::from_utf8_lossy(&all));
            all.push(byte[0]);
        }
        let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let deadline = Instant::now() + Duration::from_secs(60);
        let ended = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("it did not stop in time");
            }
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(ended.code(), Some(1));
    }

    fn stand_still() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let _stop = Stop::new(Duration::from_millis(200)).unwrap();
            let held: Vec<_> = (0..2).map(|_| tokio::spawn(async { hold() })).collect();
            for one in held {
                one.await.unwrap();
            }
        });
    }

    /// Blocks its thread for ever. The second call prints a line.
    fn hold() {
        static HELD: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        if HELD.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            println!("held");
        }
        loop {
            thread::park();
        }
    }
}
