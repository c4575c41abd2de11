//! Backups of a data directory: `chorus backup` requests one from the server that uses the directory, `chorus restore` makes a
//! data directory of one.
//!
//! Where to start: `manifest` has the layout; `take` makes the copy, in the server; `restore` reads it; the checks that both
//! make are here. The reasons are in `docs/adr/0019-backups.md`.

mod manifest;
pub mod restore;
pub mod take;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use chorus_bus::embedded::CopiedLog;
use chorus_core::pairing::{self, DataId};
use chorus_monitor::api::{BackupDone, BackupOrder, BackupProgress, Refusal};
use chorus_store::CopiedStore;
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::operate::client::{MonitorArgs, parse_text, print, print_json};

/// Copies the data of a running server to a directory
///
/// The server, one process with all in it, makes the copy, on its own machine, while it goes on serving. What was acknowledged
/// before the backup began is in it. `chorus restore` makes a data directory of it. A cluster's data is in PostgreSQL and
/// the broker, which have tools of their own.
#[derive(Debug, Args)]
pub struct Options {
    /// The directory of the backup, which is created, or is empty
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    monitor: MonitorArgs,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { dir, monitor } = options;
    let dir = std::path::absolute(&dir).with_context(|| format!("{} is no directory", dir.display()))?;
    let dir = dir.to_str().context("the name of the directory is not UTF-8")?.to_owned();
    let order = serde_json::to_vec(&BackupOrder { dir }).context("an order has no text")?;
    let mut events = monitor.client()?.post_events("/v1/backup", order.into()).await?;
    while let Some(event) = events.next().await? {
        match event.name.as_str() {
            "progress" if !monitor.json => {
                let BackupProgress { copied, of } = parse_text(event.data.get())?;
                eprintln!("{} of {}", size(copied), size(of));
            }
            "done" if monitor.json => {
                print_json(&parse_text(event.data.get())?);
                return Ok(());
            }
            "done" => {
                let BackupDone { dir, files, bytes, ms, .. } = parse_text(event.data.get())?;
                print(format!("{dir} has a backup: {files} files, {}, in {:.1} s", size(bytes), ms as f64 / 1000.0));
                return Ok(());
            }
            "failed" => {
                let Refusal { error, what_to_do } = parse_text(event.data.get())?;
                bail!("{error}; {what_to_do}");
            }
            _ => {}
        }
    }
    bail!("the server ended before the backup was complete: what it has left is no backup")
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1024.0 / 1024.0 / 1024.0),
    }
}

/// Reads a copied store, and compares it with its log as a start would compare them.
async fn check(store: &Path, log: &CopiedLog) -> anyhow::Result<CopiedStore> {
    let found = chorus_store::check_copy(store).await?;
    pairing::pair(Some(log.mark), found.mark, DataId(0))?;
    ensure!(
        found.checkpoints.len() == log.partitions.len(),
        "the store has {} partitions, and the log {}",
        found.checkpoints.len(),
        log.partitions.len()
    );
    for (number, (&(start, end), &checkpoint)) in log.partitions.iter().zip(&found.checkpoints).enumerate() {
        ensure!(
            (start..=end).contains(&checkpoint),
            "partition {number}: the log has the offsets from {start} up to {end}, and the store needs it from {checkpoint}"
        );
    }
    if let ([(_, end)], Some(highest)) = (&log.partitions[..], found.highest) {
        ensure!(highest < *end || *end == 0, "the log ends at {end}, and the store has a room at offset {highest}");
    }
    Ok(found)
}

/// Refuses a directory that has anything in it.
fn must_be_empty(dir: &Path, what: &str) -> anyhow::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| format!("{} cannot be read", dir.display()))?,
    };
    match entries.count() {
        0 => Ok(()),
        _ => bail!("{} is not empty, and {what} has a directory of its own: name another one", dir.display()),
    }
}

/// Removes the content of a directory.
fn empty(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// The size of a file and its SHA-256.
fn sha256_of(path: &Path) -> anyhow::Result<(u64, String)> {
    let unreadable = || format!("{} cannot be read", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer).with_context(unreadable)? {
            0 => return Ok((bytes, hex::encode(hasher.finalize()))),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("{} cannot be synced", dir.display()))
}

#[cfg(test)]
mod tests;
