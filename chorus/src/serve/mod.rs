//! `chorus serve`: production's name for one process. It is the server of `chorus dev` with components that are complete: from a
//! bundle (`bundle`), or from a folder with their manifest. Nothing is built or watched, and authors have no page.
//!
//! At a start with other components than before, the kinds that differ are published, and swapped into the rooms that go on.

mod bundle;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use chorus_core::ids::Kind;
use clap::Args;
use serde::Deserialize;

use crate::dev::{
    self, Plan, Rooms, ServerOptions,
    builds::{Built, Wasm},
};

/// Serves the components of a project in production, from one process
///
/// `chorus build` makes one file of a project's rooms. When it is started again with another file, the kinds that differ are swapped into
/// the rooms that go on. `/readyz` answers when it serves; SIGTERM stops it in good order.
#[derive(Debug, Args)]
pub struct Options {
    /// The file that `chorus build` has made, or a folder of components with their manifest.json [default: `dist/NAME.chorus` of the
    /// nearest project, from here upwards]
    #[arg(value_name = "FILE|DIR")]
    rooms: Option<PathBuf>,
    /// The directory of the log and the store, which is created if it is missing [default: `data`, or that in the project if no file is
    /// named]
    #[arg(long, env = "CHORUS_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let plan = tokio::task::spawn_blocking(|| options.plan()).await.context("the components were not read")??;
    dev::serve(plan).await
}

impl Options {
    fn plan(self) -> anyhow::Result<Plan> {
        let Options { rooms, data, server } = self;
        let project = match rooms {
            Some(rooms) => Project { rooms, data: PathBuf::from("data"), web: None },
            None => {
                let here = std::env::current_dir().context("there is no current directory")?;
                Project::find(&here)?
            }
        };
        let built = if project.rooms.is_dir() { folder(&project.rooms)? } else { bundle::read(&project.rooms)? };
        ensure!(!built.is_empty(), "{} has no component", project.rooms.display());
        let web = server.web.page(project.web)?;
        Ok(Plan { data: data.unwrap_or(project.data), options: server, web, rooms: Rooms::Ready(built) })
    }
}

/// What is served where no file is named.
#[derive(Debug, PartialEq, Eq)]
struct Project {
    rooms: PathBuf,
    data: PathBuf,
    web: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Package {
    name: Option<String>,
}

impl Project {
    /// The nearest folder with a package.json.
    fn find(from: &Path) -> anyhow::Result<Project> {
        let root = from.ancestors().find(|dir| dir.join("package.json").is_file()).with_context(|| {
            format!("there is no project in {} or above: name the file that `chorus build` has made", from.display())
        })?;
        let path = root.join("package.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let package: Package =
            serde_json::from_str(&text).with_context(|| format!("{} is no package.json", path.display()))?;
        let rooms = root.join("dist").join(format!("{}.chorus", file_name(package.name.as_deref().unwrap_or(""))));
        ensure!(rooms.is_file(), "{} is not there: run `chorus build` in {} first", rooms.display(), root.display());
        let web = Some(root.join("web")).filter(|dir| dir.is_dir());
        Ok(Project { rooms, data: root.join("data"), web })
    }
}

/// The name of a package as that of a file, without its scope; as in `packages/chorus-rooms/src/bundle.mjs`.
fn file_name(package: &str) -> String {
    let name = package.rsplit('/').next().unwrap_or("");
    let is_plain = |one: &char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    let name: String = name.chars().filter(is_plain).collect();
    if name.is_empty() { "rooms".to_owned() } else { name }
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
    file: String,
}

/// The components of a folder that a build has written.
fn folder(dir: &Path) -> anyhow::Result<Vec<Built>> {
    let path = dir.join("manifest.json");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read: `chorus build --out DIR` writes a folder of components with it", path.display())
    })?;
    let manifest: BTreeMap<String, Entry> =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged: build it again", path.display()))?;
    let entry = |(kind, Entry { digest, file }): (&String, &Entry)| {
        let is_inside = Path::new(file).file_name() == Some(file.as_ref());
        ensure!(is_inside, "{} names {file:?}, which is not in its folder", path.display());
        ensure!(dir.join(file).is_file(), "{} is missing: build it again", dir.join(file).display());
        Ok(Built { kind: Kind::new(kind)?, digest: digest.parse()?, wasm: Wasm::File(dir.join(file)) })
    };
    manifest.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_of_a_project_is_found_from_a_folder_in_it() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("rooms/chess");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::write(root.path().join("package.json"), r#"{"name": "@me/my-game"}"#).unwrap();
        let error = Project::find(&inside).unwrap_err().to_string();
        assert!(error.contains("my-game.chorus is not there") && error.contains("chorus build"), "{error}");
        std::fs::create_dir_all(root.path().join("dist")).unwrap();
        std::fs::create_dir_all(root.path().join("web")).unwrap();
        std::fs::write(root.path().join("dist/my-game.chorus"), "").unwrap();
        let found = Project::find(&inside).unwrap();
        assert_eq!((found.data, found.web), (root.path().join("data"), Some(root.path().join("web"))));
    }

    #[test]
    fn a_folder_without_its_manifest_or_a_component_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = |dir: &Path| format!("{:#}", folder(dir).unwrap_err());
        assert!(error(dir.path()).contains("manifest.json"));
        let digest = "00".repeat(32);
        let manifest = |file: &str| format!(r#"{{"chess": {{"digest": "{digest}", "file": "{file}"}}}}"#);
        for (file, expected) in [("chess.wasm", "is missing"), ("../chess.wasm", "not in its folder")] {
            std::fs::write(dir.path().join("manifest.json"), manifest(file)).unwrap();
            assert!(error(dir.path()).contains(expected), "{file}: {}", error(dir.path()));
        }
        std::fs::write(dir.path().join("chess.wasm"), "").unwrap();
        std::fs::write(dir.path().join("manifest.json"), manifest("chess.wasm")).unwrap();
        assert_eq!(folder(dir.path()).unwrap().len(), 1);
    }
}
