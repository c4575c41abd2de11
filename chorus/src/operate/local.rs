//! Where the server of a data directory is: `DIR/server`, a file for its owner alone, written when the server listens and removed
//! when it stops in good order.
//!
//! The file of a process that was killed stays. So it also names the process, and is ignored when there is no such process; a
//! number that another process has by now leads to a connection that is refused, or to an answer that is no server's.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// The operators' token in a data directory.
pub const TOKEN: &str = "token";

const SERVER: &str = "server";

/// A server's address. Only this process writes its own.
#[derive(Debug, Serialize, Deserialize)]
struct Local {
    /// As `http://127.0.0.1:4000`.
    url: String,
    pid: u32,
}

/// A server that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub url: String,
    /// Whether this user runs it. The superuser finds those of others, too.
    pub is_own: bool,
}

/// Removes the file when it is dropped.
#[derive(Debug)]
pub struct Announced(PathBuf);

/// Writes where this process serves.
pub fn announce(data: &Path, bound: SocketAddr) -> anyhow::Result<Announced> {
    // An address of all networks is none to connect to.
    let ip = if bound.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound.ip() };
    // Also where players use TLS: requests of this machine need none.
    let local = Local { url: format!("http://{}", SocketAddr::new(ip, bound.port())), pid: std::process::id() };
    let (path, new) = (data.join(SERVER), data.join("server.new"));
    let unwritable = || format!("{} cannot be written", path.display());
    let mut file = chorus_private::open(OpenOptions::new().write(true).create(true).truncate(true), &new)?;
    let text = serde_json::to_string(&local).context("an address has no text")?;
    writeln!(file, "{text}").and_then(|()| fs::rename(&new, &path)).with_context(unwritable)?;
    Ok(Announced(path))
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // What stays is ignored: the process has ended by then.
    }
}

/// The server of a data directory. `None`: none runs.
pub fn find(data: &Path) -> anyhow::Result<Option<Found>> {
    let path = data.join(SERVER);
    let unreadable = || format!("{} cannot be read", path.display());
    let found = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.with_context(unreadable)?,
    };
    let uid = rustix::process::geteuid();
    let is_own = found.uid() == uid.as_raw();
    ensure!(
        found.is_file() && (is_own || uid.is_root()),
        "{} is of another user, or no file: run this as that user, or give --monitor and --token-file",
        path.display()
    );
    let text = fs::read_to_string(&path).with_context(unreadable)?;
    let local: Local = serde_json::from_str(&text)
        .with_context(|| format!("{} has no server's address: give --monitor", path.display()))?;
    Ok(is_alive(local.pid).then_some(Found { url: local.url, is_own }))
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of another user is alive, too.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_while_it_runs() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(find(data.path()).unwrap(), None);
        let announced = announce(data.path(), "0.0.0.0:4000".parse().unwrap()).unwrap();
        let url = "http://127.0.0.1:4000".to_owned();
        assert_eq!(find(data.path()).unwrap(), Some(Found { url, is_own: true }));
        drop(announced);
        assert_eq!(find(data.path()).unwrap(), None);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_file_of_a_process_that_has_ended_is_ignored() {
        let data = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let local = Local { url: "http://127.0.0.1:1".into(), pid: child.id() };
        fs::write(data.path().join(SERVER), serde_json::to_string(&local).unwrap()).unwrap();
        assert_eq!(find(data.path()).unwrap(), None);
        fs::write(data.path().join(SERVER), "{").unwrap();
        assert!(find(data.path()).unwrap_err().to_string().contains("--monitor"));
    }
}
