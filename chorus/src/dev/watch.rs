//! Detects that a guest's source was changed, added or deleted.
//!
//! Each folder is watched separately. A folder that is created while `chorus dev` runs is watched from then on. In
//! `node_modules` only the folder itself is watched, since packages are added and removed there, but their files do not change.
//! In a project, rooms may import modules that are beside `rooms/`: those are watched too, but not the page, the tests, the data
//! directory and what was built.
//!
//! Bounds: pending changes are a set of the folders' names. A folder that can no longer be watched is reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::Context as _;
use notify::{EventKind, RecursiveMode, Watcher as _, event::Flag};
use tokio::sync::Notify;

/// An editor writes a file in several steps, and npm a package: a change is reported once no other has followed for this long.
const QUIET: Duration = Duration::from_millis(80);

/// Where packages are installed.
const PACKAGES: &str = "node_modules";

/// Written last by `npm install`, `yarn` and `pnpm`: no other hidden file is a source.
const INSTALLED: [&str; 3] = [".package-lock.json", ".yarn-integrity", ".modules.yaml"];

/// Folders of a project whose files no room imports.
const NOT_IMPORTED: [&str; 5] = ["web", "test", "tests", "docs", "dist"];

/// What a room can import, by its extension.
const IMPORTED: [&str; 9] = ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "json"];

/// Which files are sources.
#[derive(Clone, Debug)]
pub struct Sources {
    root: PathBuf,
    /// In a project: the folder of rooms below the root. All else is shared by them.
    rooms: Option<PathBuf>,
    ignored: Vec<PathBuf>,
}

impl Sources {
    /// A folder with a folder for each kind.
    pub fn guests(dir: &Path) -> Sources {
        Sources { root: dir.to_owned(), rooms: None, ignored: Vec::new() }
    }

    pub fn project(root: &Path, rooms: &Path, data: &Path) -> Sources {
        let ignored = NOT_IMPORTED.iter().map(|name| root.join(name)).chain([data.to_owned()]).collect();
        Sources { root: root.to_owned(), rooms: Some(rooms.to_owned()), ignored }
    }

    /// The changed part: a folder below the folder of kinds, or the empty name for all that concerns more than one.
    fn part(&self, path: &Path) -> Option<String> {
        let Some(rooms) = &self.rooms else { return part(&self.root, path) };
        if self.ignored.iter().any(|dir| path.starts_with(dir)) {
            return None;
        }
        if path.starts_with(rooms) && path != rooms {
            return part(rooms, path);
        }
        let name = part(&self.root, path)?;
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        let may_be_imported = extension.is_none_or(|extension| IMPORTED.contains(&extension.as_str()));
        match name.as_str() {
            PACKAGES => Some(name),
            _ => may_be_imported.then(String::new),
        }
    }

    /// How deep a link is followed: to where a kind may be one.
    fn links(&self) -> u32 {
        u32::from(self.rooms.is_some())
    }
}

/// Watches the sources.
pub struct GuestWatcher {
    sources: Sources,
    pending: Arc<Pending>,
    /// The watched folders, with their identity when they were first watched: another folder may have taken the name.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    watcher: notify::RecommendedWatcher,
    /// Changes that are not reported yet.
    changed: BTreeSet<String>,
}

/// The queue from the watcher's thread.
#[derive(Default)]
struct Pending {
    parts: Mutex<Parts>,
    arrived: Notify,
}

#[derive(Default)]
struct Parts {
    /// Folders right below the watched one; the empty name is the watched one itself.
    names: BTreeSet<String>,
    /// Newly created paths: a folder among them has to be watched, even if its inode is known.
    created: BTreeSet<PathBuf>,
}

/// What has changed: folders right below the watched one, or the files in it.
#[derive(Debug)]
pub struct Changed(BTreeSet<String>);

impl Changed {
    /// As if everything had changed.
    pub fn everything() -> Changed {
        Changed(BTreeSet::from([String::new()]))
    }

    /// Whether this kind may have to be rebuilt.
    pub fn may_touch(&self, kind: &str) -> bool {
        let shared = ["sdk", "build", "fixtures", PACKAGES, ""];
        self.0.iter().any(|part| part == kind || shared.contains(&part.as_str()))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|name| !name.is_empty())
    }
}

impl GuestWatcher {
    pub fn start(sources: Sources) -> anyhow::Result<GuestWatcher> {
        let pending = Arc::new(Pending::default());
        let (sink, of) = (pending.clone(), sources.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event {
                sink.take(&of, &event);
            }
        })
        .context("files cannot be watched")?;
        let mut watch = GuestWatcher { sources, pending, watched: BTreeMap::new(), watcher, changed: BTreeSet::new() };
        let root = watch.sources.root.clone();
        watch.watch(&root).with_context(|| format!("{} cannot be watched", root.display()))?;
        watch.follow_folders();
        Ok(watch)
    }

    /// Resolves when something has changed; never when no folder is watched. Cancel safe: changes are kept until they are
    /// returned.
    pub async fn changed(watch: &mut Option<GuestWatcher>) -> Changed {
        let Some(watch) = watch else { return std::future::pending().await };
        loop {
            if !watch.take_pending() && watch.changed.is_empty() {
                watch.pending.arrived.notified().await;
                continue;
            }
            while tokio::time::timeout(QUIET, watch.pending.arrived.notified()).await.is_ok() {
                watch.take_pending();
            }
            if !watch.changed.is_empty() {
                return Changed(std::mem::take(&mut watch.changed));
            }
        }
    }

    /// Whether there was any change. New folders are watched before the build that reads them.
    fn take_pending(&mut self) -> bool {
        let Parts { names, created } = std::mem::take(&mut *self.pending.parts());
        if names.is_empty() {
            return false;
        }
        self.changed.extend(names);
        self.watched.retain(|path, _| !path.ancestors().any(|above| created.contains(above)));
        self.follow_folders();
        true
    }

    /// Watches existing folders, and stops watching deleted ones.
    fn follow_folders(&mut self) {
        let mut present = BTreeMap::new();
        folders(&self.sources, &self.sources.root, 0, &mut present);
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, id)| present.get(*path) != Some(id))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.watched.remove(&path);
            // The system stopped watching it when it was deleted.
            let _ = self.watcher.unwatch(&path);
        }
        for (path, id) in present {
            if self.watched.contains_key(&path) {
                continue;
            }
            match self.watch(&path) {
                Ok(()) => drop(self.watched.insert(path, id)),
                // It was deleted again, which is the next event.
                Err(_) if !path.exists() => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a folder cannot be watched: restart after a change in it");
                    self.watched.insert(path, id);
                }
            }
        }
    }

    fn watch(&mut self, path: &Path) -> notify::Result<()> {
        self.watcher.watch(path, RecursiveMode::NonRecursive)
    }
}

impl Pending {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().expect("nobody panics while holding it")
    }

    fn take(&self, sources: &Sources, event: &notify::Event) {
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        let mut parts = self.parts();
        // The system has dropped events: anything may have changed.
        if event.attrs.flag() == Some(Flag::Rescan) {
            parts.names.insert(String::new());
        }
        let created = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(notify::event::ModifyKind::Name(_))
        );
        for path in &event.paths {
            let Some(part) = sources.part(path) else { continue };
            parts.names.insert(part);
            if created {
                parts.created.insert(path.clone());
            }
        }
        if !parts.names.is_empty() {
            self.arrived.notify_one();
        }
    }
}

/// The folder below the watched one that contains a path; the empty name for a file of the watched folder itself.
fn part(root: &Path, path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root).ok()?;
    let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let first = parts.next()?;
    let name = inside.file_name()?.to_string_lossy();
    let installed = INSTALLED.contains(&&*name) && inside.components().any(|part| part.as_os_str() == PACKAGES);
    if is_not_watched(&first) || ((name.starts_with('.') || name.ends_with('~')) && !installed) {
        return None;
    }
    let is_file = parts.next().is_none() && Path::new(&first).extension().is_some();
    Some(if is_file { String::new() } else { first })
}

/// The build's own output must not cause another build.
fn is_not_watched(name: &str) -> bool {
    name == "dist" || name.starts_with('.')
}

/// The folders to watch, with their identities. A link is followed where it may be a guest or its packages.
fn folders(sources: &Sources, dir: &Path, depth: u32, found: &mut BTreeMap<PathBuf, (u64, u64)>) {
    let Ok(about) = fs::metadata(dir) else { return };
    found.insert(dir.to_owned(), (about.dev(), about.ino()));
    let is_packages = dir.file_name().is_some_and(|name| name == PACKAGES);
    let Ok(entries) = fs::read_dir(dir) else { return };
    if is_packages || depth > MAX_DEPTH {
        return;
    }
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let may_be_link = depth <= sources.links() || name == PACKAGES;
        let is_ignored = is_not_watched(&name.to_string_lossy()) || sources.ignored.contains(&path);
        if !is_ignored && path.is_dir() && (!is_link || may_be_link) {
            folders(sources, &path, depth + 1, found);
        }
    }
}

/// The depth of folders within a guest. Deeper ones contain no source.
const MAX_DEPTH: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A missing event is a failure after this time.
    const TIMEOUT: Duration = Duration::from_secs(20);

    async fn changed(watch: &mut Option<GuestWatcher>) -> Vec<String> {
        let changed = tokio::time::timeout(TIMEOUT, GuestWatcher::changed(watch)).await.expect("a change is seen");
        changed.0.into_iter().collect()
    }

    /// Waits until this part has changed: one change may be reported in two.
    async fn sees(watch: &mut Option<GuestWatcher>, part: &str) {
        while !changed(watch).await.iter().any(|name| name == part) {}
    }

    fn watched(dir: &Path) -> Option<GuestWatcher> {
        Some(GuestWatcher::start(Sources::guests(dir)).unwrap())
    }

    #[tokio::test]
    async fn a_folder_that_is_made_later_is_watched_and_so_are_those_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = watched(dir.path());
        fs::create_dir(dir.path().join("buzzer")).unwrap();
        sees(&mut watch, "buzzer").await;
        fs::write(dir.path().join("buzzer/index.js"), "1").unwrap();
        sees(&mut watch, "buzzer").await;
        fs::create_dir_all(dir.path().join("buzzer/a/b")).unwrap();
        sees(&mut watch, "buzzer").await;
        fs::write(dir.path().join("buzzer/a/b/c.js"), "1").unwrap();
        sees(&mut watch, "buzzer").await;
    }

    #[tokio::test]
    async fn a_change_is_not_lost_when_something_else_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = watched(dir.path());
        fs::create_dir(dir.path().join("buzzer")).unwrap();
        // Dropped in the quiet time.
        let dropped = async {
            tokio::select! {
                biased;
                _ = GuestWatcher::changed(&mut watch) => unreachable!("it waits for the quiet"),
                () = tokio::time::sleep(QUIET / 4) => {}
            }
        };
        dropped.await;
        sees(&mut watch, "buzzer").await;
    }

    #[tokio::test]
    async fn a_folder_that_is_renamed_or_created_again_is_watched_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("old")).unwrap();
        let mut watch = watched(dir.path());
        fs::rename(dir.path().join("old"), dir.path().join("new")).unwrap();
        sees(&mut watch, "new").await;
        fs::write(dir.path().join("new/index.js"), "1").unwrap();
        sees(&mut watch, "new").await;
        for _ in 0..3 {
            fs::remove_dir_all(dir.path().join("new")).unwrap();
            fs::create_dir(dir.path().join("new")).unwrap();
            sees(&mut watch, "new").await;
            fs::write(dir.path().join("new/index.js"), "1").unwrap();
            sees(&mut watch, "new").await;
        }
        fs::remove_dir_all(dir.path().join("new")).unwrap();
        sees(&mut watch, "new").await;
    }

    #[tokio::test]
    async fn a_package_that_comes_or_goes_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("chess")).unwrap();
        let mut watch = watched(dir.path());
        fs::create_dir_all(dir.path().join("node_modules/chess.js")).unwrap();
        sees(&mut watch, "node_modules").await;
        fs::write(dir.path().join("node_modules/.package-lock.json"), "{}").unwrap();
        sees(&mut watch, "node_modules").await;
        fs::create_dir_all(dir.path().join("chess/node_modules/chess.js")).unwrap();
        sees(&mut watch, "chess").await;
        fs::remove_dir(dir.path().join("chess/node_modules/chess.js")).unwrap();
        sees(&mut watch, "chess").await;
    }

    #[test]
    fn what_is_nobodys_source_is_no_change() {
        let part = |path: &str| super::part(Path::new("/g"), &Path::new("/g").join(path));
        for (path, expected) in [
            ("buzzer/index.js", "buzzer"),
            ("buzzer", "buzzer"),
            ("build.mjs", ""),
            ("stray.ts", ""),
            ("node_modules/immer", "node_modules"),
            ("node_modules/.package-lock.json", "node_modules"),
            ("buzzer/node_modules/.package-lock.json", "buzzer"),
        ] {
            assert_eq!(part(path).as_deref(), Some(expected), "{path}");
        }
        for noise in [
            "dist/a.wasm",
            "dist",
            ".git",
            "buzzer/.index.js.swp",
            "buzzer/index.js~",
            "node_modules/.x-12",
            "buzzer/.package-lock.json",
        ] {
            assert_eq!(part(noise), None, "{noise}");
        }
    }

    #[test]
    fn in_a_project_what_rooms_may_share_is_a_source_and_what_this_process_writes_is_none() {
        let sources = Sources::project(Path::new("/p"), Path::new("/p/rooms"), Path::new("/p/data"));
        let part = |path: &str| sources.part(&Path::new("/p").join(path));
        for (path, expected) in [
            ("rooms/chess/index.ts", "chess"),
            ("rooms/chess", "chess"),
            ("rooms/stray.ts", ""),
            ("rooms", ""),
            ("shared/moves.ts", ""),
            ("shared", ""),
            ("package.json", ""),
            ("node_modules/chess.js", "node_modules"),
            ("node_modules/.package-lock.json", "node_modules"),
        ] {
            assert_eq!(part(path).as_deref(), Some(expected), "{path}");
        }
        for noise in [
            "data/store.sqlite",
            "data",
            "dist/manifest.json",
            "rooms/dist/manifest.json",
            "web/index.html",
            "test/chess.test.ts",
            "README.md",
            "logs/today.log",
            "node_modules/.vite-1",
            ".git",
        ] {
            assert_eq!(part(noise), None, "{noise}");
        }
    }

    #[tokio::test]
    async fn a_folder_of_a_project_is_watched_when_it_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("rooms/chess")).unwrap();
        let mut watch =
            Some(GuestWatcher::start(Sources::project(&root, &root.join("rooms"), &root.join("data"))).unwrap());
        fs::write(root.join("rooms/chess/index.js"), "1").unwrap();
        sees(&mut watch, "chess").await;
        fs::create_dir(root.join("rooms/go")).unwrap();
        sees(&mut watch, "go").await;
        fs::write(root.join("rooms/go/index.js"), "1").unwrap();
        sees(&mut watch, "go").await;
    }
}
