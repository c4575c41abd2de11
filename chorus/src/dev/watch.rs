//! Sees that a guest's source has changed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// An editor writes a file in several steps: a change is taken when nothing has followed it for this long.
const QUIET: Duration = Duration::from_millis(80);

/// Paths that wait to be looked at. More are not needed: then everything counts as changed.
const QUEUE: usize = 1024;

/// Watches a folder of guests.
pub struct Watch {
    dir: PathBuf,
    paths: mpsc::Receiver<PathBuf>,
    _watcher: notify::RecommendedWatcher,
}

/// What has changed: folders right below the watched one.
#[derive(Debug)]
pub struct Changed(BTreeSet<String>);

impl Changed {
    /// Whether a build of this kind may come out otherwise now.
    pub fn may_touch(&self, kind: &str) -> bool {
        let shared = ["sdk", "build", "fixtures", ""];
        self.0.iter().any(|part| part == kind || shared.contains(&part.as_str()))
    }
}

impl Watch {
    pub fn start(dir: &Path) -> anyhow::Result<Watch> {
        let (sender, paths) = mpsc::channel(QUEUE);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            for path in event.paths {
                // Full: what is in the queue makes for a build, which reads the newest sources.
                let _ = sender.try_send(path);
            }
        })
        .context("files cannot be watched")?;
        let watched = folders(dir)?;
        for folder in watched {
            let mode = if folder == dir { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
            watcher.watch(&folder, mode).with_context(|| format!("{} cannot be watched", folder.display()))?;
        }
        Ok(Watch { dir: dir.to_owned(), paths, _watcher: watcher })
    }

    /// Resolves when something has changed; never when nothing is watched. Cancel safe but for the quiet time: what it
    /// has taken then is built with the next change.
    pub async fn changed(watch: &mut Option<Watch>) -> Changed {
        let Some(watch) = watch else { return std::future::pending().await };
        loop {
            let Some(path) = watch.paths.recv().await else { return std::future::pending().await };
            let mut changed: BTreeSet<String> = watch.part(&path).into_iter().collect();
            if changed.is_empty() {
                continue;
            }
            while let Ok(Some(path)) = tokio::time::timeout(QUIET, watch.paths.recv()).await {
                changed.extend(watch.part(&path));
            }
            return Changed(changed);
        }
    }

    /// The folder below the watched one that a path is in; the empty name for a file of the watched folder itself.
    fn part(&self, path: &Path) -> Option<String> {
        let inside = path.strip_prefix(&self.dir).ok()?;
        let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let (first, below) = (parts.next()?, parts.next());
        let name = inside.file_name()?.to_string_lossy();
        let noise = is_not_watched(&first) || name.starts_with('.') || name.ends_with('~');
        match (noise, below) {
            (true, _) => None,
            (false, Some(_)) => Some(first),
            (false, None) if first.ends_with(".mjs") || first.ends_with(".json") => Some(String::new()),
            (false, None) => Some(first),
        }
    }
}

/// Installed packages are many and do not change, and the build's own output must not call for a build.
fn is_not_watched(name: &str) -> bool {
    matches!(name, "node_modules" | "dist" | "test") || name.starts_with('.')
}

fn folders(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let below = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    let watched = below.filter(|path| !is_not_watched(&path.file_name().unwrap_or_default().to_string_lossy()));
    Ok(std::iter::once(dir.to_owned()).chain(watched).collect())
}
