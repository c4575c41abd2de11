//! `chorus restore`: a data directory from a backup.
//!
//! The manifest is checked first, then each file while it is copied, and at the end the new directory as a start would check
//! it. The store gets its name last, so a restore that was interrupted leaves a directory that no server takes for a whole one.
//! After an error, the directory is as it was before.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use chorus_bus::embedded;
use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    check, empty,
    manifest::{self, Manifest, STORE},
    must_be_empty, size, sync_dir,
};
use crate::operate::client::{print, print_json};

/// Makes a data directory of a backup
///
/// The backup is checked, and stays as it is. Start a server on the directory afterwards; its players resume their sessions, with
/// what the backup has. The operators' token is in no backup: the server makes a new one.
#[derive(Debug, Args)]
pub struct Options {
    /// The directory of the backup
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The new data directory, which is created, or is empty
    #[arg(long, env = "CHORUS_DATA", value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { dir, data, json } = options;
    let manifest = restore(&dir, &data).await?;
    if json {
        let ends: Vec<u64> = manifest.partitions.iter().map(|partition| partition.end).collect();
        let bytes = manifest.bytes();
        print_json(
            &json!({ "data": data, "bytes": bytes, "made_at": manifest.made_at, "chorus": manifest.chorus, "ends": ends }),
        );
        return Ok(());
    }
    print(format!(
        "{} is restored: {}, made by chorus {}; start a server on it",
        data.display(),
        size(manifest.bytes()),
        manifest.chorus
    ));
    Ok(())
}

pub(super) async fn restore(dir: &Path, data: &Path) -> anyhow::Result<Manifest> {
    let manifest = Manifest::read(dir)?;
    let was_there = data.exists();
    must_be_empty(data, "restored data")?;
    let data = chorus_private::dir(data, chorus_private::Root::Named)?;
    let restored = fill(dir, &data, &manifest).await;
    if restored.is_err() {
        // It was empty, so all of it is this restore's.
        let _ = empty(&data);
        if !was_there {
            let _ = fs::remove_dir(&data);
        }
    }
    restored.map(|()| manifest)
}

async fn fill(from: &Path, data: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let part = data.join("store.part");
    let (source, target, files) = (from.to_owned(), data.to_owned(), manifest.files.clone());
    let to = part.clone();
    let copied = tokio::task::spawn_blocking(move || {
        for file in &files {
            let to = if file.name == STORE { to.clone() } else { target.join(&file.name) };
            copy(&source.join(&file.name), &to, &target, file)?;
        }
        anyhow::Ok(())
    });
    copied.await.context("the restore was ended")??;
    let (dir, partitions) = (data.to_owned(), manifest.partitions.len() as u32);
    ensure!(partitions > 0, "the manifest names no partition: use another backup");
    let log = tokio::task::spawn_blocking(move || embedded::check_copy(&dir, partitions));
    let log = log.await.context("the restore was ended")??;
    let store = check(&part, &log).await.context("the log and the store of the backup do not belong together")?;
    let bounds = log.partitions.iter().zip(&store.checkpoints);
    let bounds = bounds.map(|(&(start, end), &checkpoint)| manifest::Bounds { start, end, checkpoint });
    ensure!(
        bounds.eq(manifest.partitions.iter().copied()) && log.mark.id.to_string() == manifest.id,
        "the files of {} are not those of its manifest: use another backup",
        from.display()
    );
    fs::rename(&part, data.join(STORE)).with_context(|| format!("{} cannot be written", data.display()))?;
    sync_dir(data)
}

/// Copies a file of the backup, and compares it with the manifest.
fn copy(from: &Path, to: &Path, root: &Path, file: &manifest::File) -> anyhow::Result<()> {
    let damaged = |what: &str| format!("{} {what}: the backup is damaged, use another one", from.display());
    let unreadable = || format!("{} cannot be read", from.display());
    let unwritable = || format!("{} cannot be written", to.display());
    let dirs = to.parent().into_iter().flat_map(|parent| parent.ancestors());
    let dirs: Vec<&Path> = dirs.take_while(|dir| *dir != root).collect();
    for dir in dirs.iter().rev() {
        chorus_private::dir(dir, chorus_private::Root::Inside)?;
    }
    let mut source = match fs::File::open(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(damaged("is missing")),
        opened => opened.with_context(unreadable)?,
    };
    let mut target = chorus_private::open(OpenOptions::new().write(true).create_new(true), to)?;
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let read = source.read(&mut buffer).with_context(unreadable)?;
        bytes += read as u64;
        ensure!(bytes <= file.bytes, damaged("is longer than its manifest states"));
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read]).with_context(unwritable)?;
    }
    ensure!(bytes == file.bytes, damaged("is shorter than its manifest states"));
    ensure!(hex::encode(hasher.finalize()) == file.sha256, damaged("has another SHA-256 than its manifest states"));
    target.sync_all().with_context(unwritable)?;
    for dir in dirs {
        sync_dir(dir)?;
    }
    Ok(())
}
