//! The end of this process, and the next one in its place, at a button's request: what the front page shows.
//!
//! `exec` replaces the process's image: no destructor runs, no buffer is flushed, and the system closes sockets, files and their
//! locks, since all of them are opened close-on-exec (an end-to-end test checks that). For the log and the store that is as abrupt
//! as `kill -9`. The process keeps its id, its terminal and its arguments, so a shell or `npx` that has started it notices
//! nothing.
//!
//! What the next image has to find again is in one environment variable: the port, which `--port 0` would choose anew, and how
//! often this has happened. The next image does not wait for builds: it serves the components as they were last built, and builds
//! once it serves.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    process::Command,
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

/// `PORT KILLS`. Only a process that replaces itself sets it.
const VARIABLE: &str = "CHORUS_DEV_AGAIN";

/// This life of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Life {
    kills: u32,
    started: u64,
    /// Known once the server listens.
    port: Arc<OnceLock<u16>>,
}

/// The answer of `GET /dev/process`.
#[derive(Debug, Serialize)]
pub struct Shown {
    pid: u32,
    /// Milliseconds since 1970, by this machine's clock: a page that has asked before sees that this is another image.
    started: u64,
    /// How often this process has been replaced.
    kills: u32,
}

impl Life {
    /// This life, and the port of the life before it.
    pub fn begin() -> (Life, Option<u16>) {
        let before = env::var(VARIABLE).ok().and_then(|text| parse(&text));
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let kills = before.map_or(0, |(_, kills)| kills);
        (Life { kills, started, port: Arc::default() }, before.map(|(port, _)| port))
    }

    /// Whether another image was here before.
    pub fn is_again(&self) -> bool {
        self.kills > 0
    }

    pub fn listens_at(&self, port: u16) {
        // A process listens once.
        let _ = self.port.set(port);
    }

    pub fn show(&self) -> Shown {
        Shown { pid: std::process::id(), started: self.started, kills: self.kills }
    }

    /// Ends this image, and begins the next. Returns only if that is impossible.
    pub fn end(&self) -> io::Error {
        let port = self.port.get().copied().unwrap_or(0);
        eprintln!("chorus: killed by the button of the page; the next process follows");
        // The path of a binary that was built anew meanwhile is another's.
        let image = if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { env::current_exe() };
        let image = match image {
            Ok(image) => image,
            Err(error) => return error,
        };
        let mut arguments = env::args_os();
        let mut next = Command::new(image);
        if let Some(name) = arguments.next() {
            next.arg0(name);
        }
        next.args(arguments).env(VARIABLE, format!("{port} {}", self.kills.saturating_add(1))).exec()
    }
}

fn parse(text: &str) -> Option<(u16, u32)> {
    let (port, kills) = text.split_once(' ')?;
    Some((port.parse().ok()?, kills.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_earlier_life_is_none() {
        assert_eq!(parse("4000 3"), Some((4000, 3)));
        for bad in ["", "4000", "x 1", "4000 -1", "70000 1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
