//! A data directory: a log and a store that were created together, which is checked at each start.
//! The order is required by `chorus_core::pairing`: the directory is locked, the marks of both halves are read, and only if
//! they belong together is the next life written: to the store as unsettled, to the log, to the store as settled.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chorus_bus::{Bus, embedded};
use chorus_core::{
    durability::Durability,
    pairing::{self, Mark, Mismatch, StoreMark},
};
use chorus_store::{EmbeddedOptions, Store};
use clap::Args;

/// The flag for a loss.
#[derive(Clone, Copy, Debug, Args)]
pub struct AcceptLoss {
    /// Continues after the loss of a part of the log or of the store, without its content
    ///
    /// Without this flag, such a loss is an error at the start that names what is missing. With it, each loss is a warning
    /// that names the affected rooms, and the rest is served. Use it for one start, not for all.
    #[arg(long, env = "CHORUS_ACCEPT_LOSS")]
    pub accept_loss: bool,
}

/// The open log and store.
#[derive(Debug)]
pub struct Data {
    /// The directory's real path.
    pub dir: PathBuf,
    pub bus: Bus,
    pub store: Store,
}

/// Opens a data directory, or creates it.
pub async fn open(dir: &Path, durability: Durability, accept_loss: bool) -> anyhow::Result<Data> {
    let options = embedded::Options { durability, ..embedded::Options::new(dir) };
    let locked = embedded::lock_dir(options).await.context("the data directory cannot be used")?;
    let dir = locked.dir().to_owned();
    let path = dir.join("store.sqlite");
    // Opening creates a missing file, so this is checked first.
    let is_there = chorus_private::check(&path)?;
    if !is_there && !accept_loss {
        pair(&dir, locked.mark(), None, accept_loss)?;
    }
    let store = EmbeddedOptions { durability, accept_loss, ..EmbeddedOptions::new(path) };
    let store = Store::open_embedded_with(store).await?;
    match marked(locked, &store, accept_loss).await {
        Ok(bus) => Ok(Data { dir, bus, store }),
        Err(error) => {
            // Closed unchanged; the error describes the mismatch.
            let _ = store.close().await;
            Err(error)
        }
    }
}

async fn marked(locked: embedded::LockedDir, store: &Store, accept_loss: bool) -> anyhow::Result<Bus> {
    let dir = locked.dir().to_owned();
    let mark = pair(&dir, locked.mark(), store.mark().await?, accept_loss)?;
    store.set_mark(mark, false).await?;
    let bus = locked.open(mark).await.context("the data directory cannot be used")?;
    store.set_mark(mark, true).await?;
    let partitions = store.partitions(bus.partitions()).await?;
    anyhow::ensure!(
        partitions == bus.partitions(),
        "{}: the store was made for a log of {partitions} partitions, and the log has {}: they do not belong together",
        dir.display(),
        bus.partitions()
    );
    Ok(bus)
}

fn pair(dir: &Path, log: Option<Mark>, store: Option<StoreMark>, accept_loss: bool) -> anyhow::Result<Mark> {
    let id = embedded::random_id()?;
    let mismatch = match pairing::pair(log, store, id) {
        Ok(mark) => return Ok(mark),
        Err(mismatch) => mismatch,
    };
    let what = format!("{}: {mismatch} ({} and {})", dir.display(), dir.join("log").display(), STORE);
    match pairing::pair_despite_loss(log, store, id).filter(|_| accept_loss && mismatch.is_loss()) {
        Some(mark) => {
            tracing::warn!("{what}; --accept-loss is given: going on without {}", cost(&mismatch));
            Ok(mark)
        }
        None if mismatch.is_loss() => anyhow::bail!(
            "{what}. Restore the whole directory from one copy, or give --accept-loss to go on without {}; nothing was \
             changed",
            cost(&mismatch)
        ),
        None => anyhow::bail!("{what}. Put the log and the store back that belong together; nothing was changed"),
    }
}

const STORE: &str = "store.sqlite";

/// The loss that --accept-loss accepts.
fn cost(mismatch: &Mismatch) -> &'static str {
    match mismatch {
        Mismatch::StoreMissing => {
            "the snapshots, all sessions and all published components: what is still in the log is played again"
        }
        Mismatch::LogMissing => "what was played since each room's last snapshot",
        Mismatch::StoreOlder { .. } => "the sessions, components and snapshots since that copy",
        Mismatch::LogOlder { .. } => "what was played since that copy and is in no snapshot",
        Mismatch::Foreign { .. } => "one of them",
    }
}
