//! Builds the components of an author's rooms and reports the results: by the package of a project, or by the build tool in a folder of
//! guests. Both write the same lines of JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use chorus_core::ids::{Digest, Kind};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{
    place::{Place, TOOL},
    status::{Board, State},
    watch::{Changed, Sources},
};

/// Folders beside the kinds that are no kinds; as in `guests/build/sources.mjs`.
const NOT_KINDS: [&str; 6] = ["sdk", "build", "fixtures", "test", "node_modules", "dist"];

/// The kind that a project has from the package, unless it has a room of that name.
const LOBBY: &str = "lobby";

/// The rooms of one folder.
#[derive(Debug)]
pub struct Builds {
    place: Place,
    fixtures: bool,
}

/// A component.
#[derive(Debug)]
pub struct Built {
    pub kind: Kind,
    pub digest: Digest,
    pub wasm: Wasm,
}

/// A component's bytes.
#[derive(Debug)]
pub enum Wasm {
    File(PathBuf),
    Held(Vec<u8>),
}

impl Builds {
    pub fn new(place: Place, fixtures: bool) -> Builds {
        Builds { place, fixtures }
    }

    /// What is watched for changes. `data`: written by this process, so it is no source.
    pub fn sources(&self, data: &Path) -> Sources {
        match &self.place {
            Place::Guests(dir) => Sources::guests(dir),
            Place::Project { root, .. } => Sources::project(root, &self.place.rooms(), data),
        }
    }

    /// The components at the start: built now, or with `as_built` only if some are missing.
    pub async fn at_start(&self, as_built: bool, board: &Board) -> anyhow::Result<Vec<Built>> {
        if !(as_built && self.is_complete()) {
            self.install().await?;
            self.build(&[], board, async |_| {}).await?;
        }
        self.in_manifest()
    }

    /// Builds all guests after a change, the changed ones first: one guest may import files of another, and rebuilding an
    /// unchanged one takes some 25 ms. Each component is published as soon as it is built, before the others are. A guest that
    /// does not build is reported, and left out.
    pub async fn after(&self, changed: &Changed, board: &Board, publish: impl AsyncFnMut(Built)) {
        let kinds = self.kinds().into_iter().filter(|kind| changed.may_touch(kind)).collect::<Vec<_>>();
        // In a project, a file that is in no room may concern any of them or none: those that are built anew are reported then.
        let is_named =
            |kind: &&String| matches!(self.place, Place::Guests(_)) || changed.names().any(|name| name == *kind);
        for kind in kinds.iter().filter(is_named) {
            board.set(kind, State::Building);
        }
        let first = changed.names().map(str::to_owned).collect::<Vec<_>>();
        if let Err(error) = self.build(&first, board, publish).await {
            let message = crate::error_chain::of(&error);
            kinds.iter().for_each(|kind| board.set(kind, State::BuildFailed { message: message.clone() }));
        }
    }

    /// Whether every guest has a component, even an outdated one.
    fn is_complete(&self) -> bool {
        let Ok(manifest) = self.manifest() else { return false };
        let has = |kind: &String| manifest.get(kind).is_some_and(|entry| self.dist().join(&entry.file).exists());
        self.kinds().iter().all(has)
    }

    /// The kinds of this folder, by their names.
    fn kinds(&self) -> Vec<String> {
        let names = |dir: &Path| -> Vec<PathBuf> {
            let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
        };
        let dir = self.place.rooms();
        let mut paths = names(&dir).into_iter().filter(|path| path.is_dir()).collect::<Vec<_>>();
        if self.fixtures {
            paths.extend(names(&dir.join("fixtures")).into_iter().filter(|path| !path.ends_with("broken")));
        }
        // An empty folder is not a guest yet.
        paths.retain(|path| path.is_file() || !names(path).is_empty());
        let name = |path: &PathBuf| {
            let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
            name.and_then(|name| name.to_str()).map(str::to_owned)
        };
        let mut kinds = paths.iter().filter_map(name).collect::<Vec<_>>();
        kinds.retain(|kind| !NOT_KINDS.contains(&kind.as_str()) && !kind.starts_with('.'));
        if matches!(self.place, Place::Project { .. }) && !kinds.iter().any(|kind| kind == LOBBY) {
            kinds.push(LOBBY.to_owned());
        }
        kinds.sort();
        kinds
    }

    fn dist(&self) -> PathBuf {
        self.place.root().join("dist")
    }

    /// Installs the tools of a folder of guests, which are pinned by the lock file, if they are missing. A project has installed its own.
    async fn install(&self) -> anyhow::Result<()> {
        let Place::Guests(dir) = &self.place else { return Ok(()) };
        if dir.join("node_modules").exists() {
            return Ok(());
        }
        println!("installing the guests' build tools (npm ci) …");
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(dir).stdin(Stdio::null());
        let done = npm.status().await.map_err(|error| does_not_start("npm", error))?;
        ensure!(done.success(), "npm ci in {} failed", dir.display());
        Ok(())
    }

    /// The build tool, with its arguments.
    fn tool(&self, first: &[String]) -> Command {
        let mut node = Command::new("node");
        match &self.place {
            Place::Guests(dir) => {
                node.arg(dir.join(TOOL));
                if !self.fixtures {
                    node.arg("--no-fixtures");
                }
            }
            Place::Project { command, .. } => {
                let (rooms, out) = (self.place.rooms(), self.dist());
                node.arg(command).args(["build", "--lobby"]);
                node.arg("--rooms").arg(rooms).arg("--out").arg(out);
            }
        }
        node.args(["--json", "--background"]).args(first.iter().map(|kind| format!("--first={kind}")));
        node.current_dir(self.place.root()).kill_on_drop(true);
        node
    }

    /// Runs the build tool, and reports and publishes each guest when it is built.
    async fn build(&self, first: &[String], board: &Board, mut publish: impl AsyncFnMut(Built)) -> anyhow::Result<()> {
        let mut node = self.tool(first);
        node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = node.spawn().map_err(|error| does_not_start("node", error))?;
        let stdout = child.stdout.take().context("node has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut reported = BTreeSet::new();
        while let Some(line) = lines.next_line().await.context("the build cannot be read")? {
            let Ok(report) = serde_json::from_str::<Report>(&line) else {
                tracing::warn!(line, "the build wrote what is no JSON");
                continue;
            };
            reported.insert(report.kind.clone());
            if let Some(built) = self.report(report, board)? {
                publish(built).await;
            }
        }
        let done = child.wait_with_output().await.context("the build cannot be waited for")?;
        // The tool fails when a guest does, which it has reported. The cause of its own failure is in its error output.
        let complaint = String::from_utf8_lossy(&done.stderr);
        if !done.status.success() && !complaint.trim().is_empty() {
            bail!("the build of the rooms failed: {}", complaint.trim());
        }
        board.only(&reported);
        Ok(())
    }

    fn report(&self, report: Report, board: &Board) -> anyhow::Result<Option<Built>> {
        board.warn(&report.kind, report.warnings);
        let (Some(file), Some(digest), true) = (&report.file, &report.digest, report.ok) else {
            let message = report.errors.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n");
            board.set(&report.kind, State::BuildFailed { message });
            return Ok(None);
        };
        // A guest that was reported as being built is reported as built.
        if !report.kept || board.waits_for_a_build(&report.kind) {
            board.set(&report.kind, State::Built { bytes: report.bytes, ms: report.ms });
        }
        Ok(Some(self.entry(&report.kind, digest, file)?))
    }

    /// The components of the last builds.
    fn in_manifest(&self) -> anyhow::Result<Vec<Built>> {
        let kinds = self.kinds();
        let manifest = self.manifest()?;
        let entries = manifest.iter().filter(|(kind, _)| kinds.contains(kind));
        entries.map(|(kind, entry)| self.entry(kind, &entry.digest, &entry.file)).collect()
    }

    fn manifest(&self) -> anyhow::Result<BTreeMap<String, Entry>> {
        let path = self.dist().join("manifest.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged: delete it", path.display()))
    }

    fn entry(&self, kind: &str, digest: &str, file: &str) -> anyhow::Result<Built> {
        Ok(Built { kind: Kind::new(kind)?, digest: digest.parse()?, wasm: Wasm::File(self.dist().join(file)) })
    }
}

fn does_not_start(program: &str, error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => anyhow::anyhow!(
            "there is no {program} in PATH: rooms are built by Node.js 20 or newer; install it from https://nodejs.org or by the \
             system's packages"
        ),
        _ => anyhow::Error::new(error).context(format!("{program} does not start")),
    }
}

/// The build tool's report of one guest; see `guests/build.mjs`.
#[derive(Debug, Deserialize)]
struct Report {
    kind: String,
    ok: bool,
    digest: Option<String>,
    file: Option<String>,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    kept: bool,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    errors: Vec<Mistake>,
}

#[derive(Debug, Deserialize)]
struct Mistake {
    file: String,
    line: u32,
    column: u32,
    message: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Entry {
    digest: String,
    file: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_node_the_error_names_what_to_install() {
        let error = Command::new("/nowhere/node").spawn().expect_err("there is no such program");
        assert!(does_not_start("node", error).to_string().contains("Node.js 20 or newer; install it"));
    }

    #[test]
    fn a_project_without_a_lobby_has_the_package_s() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str| {
            std::fs::create_dir_all(dir.path().join(name)).expect("created");
            std::fs::write(dir.path().join(name).join("index.js"), "").expect("written");
        };
        let place = Place::Project { root: dir.path().to_owned(), command: PathBuf::from("it.mjs") };
        let builds = Builds::new(place, false);
        write("rooms/chess");
        assert_eq!(builds.kinds(), ["chess", "lobby"]);
        write("rooms/lobby");
        assert_eq!(builds.kinds(), ["chess", "lobby"]);
    }

    /// A build tool whose second guest is not built before the file `published` exists.
    const TOOL_THAT_WAITS: &str = r#"
import { existsSync } from "node:fs";
const report = (kind) => console.log(JSON.stringify({ kind, ok: true, digest: "00".repeat(32), file: `${kind}.wasm` }));
report("first");
const deadline = Date.now() + 30_000;
while (!existsSync("published") && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
if (existsSync("published")) report("second");
"#;

    #[tokio::test]
    async fn a_component_is_published_before_the_others_are_built() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("package.json"), r#"{"type": "module"}"#).expect("written");
        std::fs::write(dir.path().join(TOOL), TOOL_THAT_WAITS).expect("written");
        let builds = Builds::new(Place::Guests(dir.path().to_owned()), false);
        let mut published = Vec::new();
        let publish = async |built: Built| {
            std::fs::write(dir.path().join("published"), "").expect("written");
            published.push(built.kind.as_str().to_owned());
        };
        builds.build(&[], &Board::default(), publish).await.expect("built");
        assert_eq!(published, ["first", "second"]);
    }
}
