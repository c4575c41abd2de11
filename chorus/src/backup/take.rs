//! Taking a backup, in the process that uses the data directory.
//!
//! The store is copied first, and then the log up to that moment, with truncation held in between: so the log has every record
//! that the copied store's rooms still need, and ends above every offset in the store. The copy is then read again and checked
//! as a start would check it, and the manifest is written last.
//!
//! Bounds: one backup at a time, for at most [`LIMIT`]; meanwhile the log is not truncated, and the store's write-ahead log
//! grows. A failure, a requester that is gone or the limit ends it, releases the log, and removes what was copied.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use chorus_bus::Bus;
use chorus_monitor::{
    Backup,
    api::{BackupDone, BackupEvent, BackupProgress, Refusal},
};
use chorus_store::Store;
use tokio::sync::{Semaphore, mpsc};

use super::{
    check,
    manifest::{Bounds, File, Manifest, NAME, STORE},
    sha256_of, sync_dir,
};

/// The longest backup. At 100 MB/s it has 180 GB.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The least time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Reports that the requester has not taken yet. Further ones are left out.
const MAX_REPORTS: usize = 4;

/// What the operators' API calls.
pub fn hook(data: PathBuf, bus: Bus, store: Store) -> Backup {
    let source = Arc::new(Source { data, bus, store, taking: Semaphore::new(1) });
    Arc::new(move |dir| {
        let (reports, events) = mpsc::channel(MAX_REPORTS);
        tokio::spawn(source.clone().run(dir, reports));
        events
    })
}

struct Source {
    data: PathBuf,
    bus: Bus,
    store: Store,
    taking: Semaphore,
}

impl Source {
    async fn run(self: Arc<Source>, dir: PathBuf, reports: mpsc::Sender<BackupEvent>) {
        let last = match self.taken(&dir, &reports).await {
            Ok(done) => {
                tracing::info!(dir = done.dir, bytes = done.bytes, ms = done.ms, "a backup is complete");
                BackupEvent::Done(done)
            }
            Err(error) => {
                let error = crate::error_chain::of(&error);
                tracing::warn!(dir = %dir.display(), "no backup was made: {error}");
                let what_to_do = "remove the cause, then take it again; nothing is left of this one".to_owned();
                BackupEvent::Failed(Refusal { error, what_to_do })
            }
        };
        let _ = reports.send(last).await; // The requester may be gone.
    }

    async fn taken(&self, dir: &Path, reports: &mpsc::Sender<BackupEvent>) -> anyhow::Result<BackupDone> {
        let _one = self.taking.try_acquire().context("another backup is being taken: wait for its end")?;
        let begun = Instant::now();
        let destination = Destination::create(dir, &self.data)?;
        let manifest = self.copy(&destination.dir, Progress::new(begun, reports.clone())).await?;
        destination.keep();
        Ok(BackupDone {
            dir: dir.display().to_string(),
            files: manifest.files.len() as u64,
            bytes: manifest.bytes(),
            ends: manifest.partitions.iter().map(|partition| partition.end).collect(),
            ms: begun.elapsed().as_millis() as u64,
        })
    }

    async fn copy(&self, dir: &Path, progress: Arc<Progress>) -> anyhow::Result<Manifest> {
        let hold = self.bus.hold_truncation().await.context("the log is not in this directory")?;
        let path = dir.join(STORE);
        let store_bytes = std::fs::metadata(self.data.join(STORE)).map_or(0, |found| found.len());
        progress.of.store(store_bytes + hold.bytes(), Ordering::Relaxed);
        let going = progress.clone();
        self.store.copy_to(&path, move || going.goes_on()).await?;
        progress.advance(std::fs::metadata(&path).map_or(0, |found| found.len()));
        let going = progress.clone();
        let log = hold.copy_to(dir.to_owned(), move |bytes| going.advance(bytes)).await?;
        let dir = dir.to_owned();
        let store = check(&path, &log).await.context("the copy is not whole")?;
        let now = chorus_store::wall_clock().0;
        let finished = tokio::task::spawn_blocking(move || {
            let names = [STORE.to_owned()].into_iter().chain(log.files.iter().cloned());
            let files = names.map(|name| {
                let (bytes, sha256) = sha256_of(&dir.join(&name))?;
                ensure!(progress.goes_on(), "the backup was ended before it was complete");
                Ok(File { name, bytes, sha256 })
            });
            let files = files.collect::<anyhow::Result<Vec<_>>>()?;
            let bounds = log.partitions.iter().zip(&store.checkpoints);
            let bounds = bounds.map(|(&(start, end), &checkpoint)| Bounds { start, end, checkpoint }).collect();
            let manifest = Manifest::new(now, log.mark.id.to_string(), log.mark.life, bounds, files);
            write_manifest(&dir, &manifest)?;
            anyhow::Ok(manifest)
        });
        finished.await.context("the backup was ended")?
    }
}

/// The last step: from here on it is a backup.
fn write_manifest(dir: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    sync_dir(dir)?;
    let new = dir.join("manifest.new");
    let mut file = chorus_private::open(OpenOptions::new().write(true).create(true).truncate(true), &new)?;
    let written = file.write_all(&manifest.encode()).and_then(|()| file.sync_all());
    let written = written.and_then(|()| std::fs::rename(&new, dir.join(NAME)));
    written.with_context(|| format!("{} cannot be written", dir.join(NAME).display()))?;
    sync_dir(dir)
}

/// The directory of a backup, which is emptied again unless the backup is complete.
struct Destination {
    dir: PathBuf,
    was_there: bool,
    is_kept: bool,
}

impl Destination {
    fn create(dir: &Path, data: &Path) -> anyhow::Result<Destination> {
        let was_there = dir.exists();
        super::must_be_empty(dir, "a backup")?;
        let dir = chorus_private::dir(dir, chorus_private::Root::Named)?;
        let destination = Destination { dir, was_there, is_kept: false };
        ensure!(
            !destination.dir.starts_with(data),
            "{} is in the data directory, which it would be lost with: name another one",
            destination.dir.display()
        );
        Ok(destination)
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // It was empty, so all of it is this backup's. What cannot be removed has no manifest, and is refused by a restore.
        if let Err(error) = super::empty(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "what an unfinished backup has left cannot be removed");
        } else if !self.was_there {
            let _ = std::fs::remove_dir(&self.dir);
        }
    }
}

/// How far a backup is, and whether it goes on: until the limit, and as long as the requester is there.
struct Progress {
    begun: Instant,
    copied: AtomicU64,
    of: AtomicU64,
    reported: Mutex<Instant>,
    reports: mpsc::Sender<BackupEvent>,
}

impl Progress {
    fn new(begun: Instant, reports: mpsc::Sender<BackupEvent>) -> Arc<Progress> {
        let none = || AtomicU64::new(0);
        Arc::new(Progress { begun, copied: none(), of: none(), reported: Mutex::new(begun), reports })
    }

    fn goes_on(&self) -> bool {
        self.begun.elapsed() < LIMIT && !self.reports.is_closed()
    }

    fn advance(&self, bytes: u64) -> bool {
        let copied = self.copied.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut reported = self.reported.lock().expect("nothing panics under this lock");
        if reported.elapsed() >= REPORT_EVERY {
            *reported = Instant::now();
            let progress = BackupProgress { copied, of: self.of.load(Ordering::Relaxed).max(copied) };
            let _ = self.reports.try_send(BackupEvent::Progress(progress)); // Another one follows.
        }
        self.goes_on()
    }
}
