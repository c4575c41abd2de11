//! Where an author's rooms are: in a project, or in a folder of guests that has a build tool of its own, as this repository has.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// The build tool, in a folder of guests.
pub const TOOL: &str = "build.mjs";

/// The npm package that builds the rooms of a project, and the name of its command.
const PACKAGE: &str = "chorus-rooms";

const ROOMS: &str = "rooms";
const MANIFEST: &str = "package.json";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The folder with `rooms/` and a package.json, and the script of the package's command.
    Project {
        root: PathBuf,
        command: PathBuf,
    },
    Guests(PathBuf),
}

/// What the command line names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    pub project: Option<&'a Path>,
    pub guests: Option<&'a Path>,
    /// The script of the package's command that has started this process: for a project in which the package is not installed.
    pub command: Option<&'a Path>,
}

impl Place {
    /// The named one, or the nearest from a folder upwards.
    pub fn find(given: Given<'_>, from: &Path) -> anyhow::Result<Place> {
        if let Some(dir) = given.guests {
            ensure!(dir.join(TOOL).exists(), "{} has no {TOOL}: it is not a folder of guests", dir.display());
            return Ok(Place::Guests(real(dir)?));
        }
        if let Some(root) = given.project {
            ensure!(
                is_project(root),
                "{} is no project: it needs a folder {ROOMS}/ and a {MANIFEST}; `npm create {PACKAGE}` makes one",
                root.display()
            );
            return project(root, given.command);
        }
        for dir in from.ancestors() {
            if is_project(dir) {
                return project(dir, given.command);
            }
            let guests = dir.join("guests");
            if guests.join(TOOL).exists() {
                return Ok(Place::Guests(real(&guests)?));
            }
        }
        match from.ancestors().find(|dir| dir.join(MANIFEST).is_file()) {
            Some(root) => bail!(
                "the project {} has no folder {ROOMS}/: put a room into {ROOMS}/<kind>/index.js, or begin with \
                 `npm create {PACKAGE}`",
                root.display()
            ),
            None => bail!(
                "there is no project in {} or above: `npm create {PACKAGE}` makes one; another folder is named by --project DIR",
                from.display()
            ),
        }
    }

    /// The folder whose sources are watched.
    pub fn root(&self) -> &Path {
        match self {
            Place::Project { root, .. } => root,
            Place::Guests(dir) => dir,
        }
    }

    /// The folder with a folder for each kind.
    pub fn rooms(&self) -> PathBuf {
        match self {
            Place::Project { root, .. } => root.join(ROOMS),
            Place::Guests(dir) => dir.clone(),
        }
    }

    /// The data directory, unless another is named.
    pub fn data(&self) -> PathBuf {
        match self {
            Place::Project { root, .. } => root.join("data"),
            Place::Guests(_) => PathBuf::from("data"),
        }
    }

    /// The folder of the page, if there is one.
    pub fn web(&self) -> Option<PathBuf> {
        match self {
            Place::Project { root, .. } => Some(root.join("web")).filter(|dir| dir.is_dir()),
            Place::Guests(_) => None,
        }
    }
}

fn is_project(dir: &Path) -> bool {
    dir.join(ROOMS).is_dir() && dir.join(MANIFEST).is_file()
}

fn real(dir: &Path) -> anyhow::Result<PathBuf> {
    dir.canonicalize().with_context(|| format!("{} cannot be read", dir.display()))
}

fn project(root: &Path, started_by: Option<&Path>) -> anyhow::Result<Place> {
    let root = real(root)?;
    let installed = root.ancestors().map(|dir| dir.join("node_modules").join(PACKAGE)).find(|dir| dir.exists());
    let command = match installed {
        Some(package) => command(&package)
            .with_context(|| format!("{} is damaged: run `npm install` in {}", package.display(), root.display()))?,
        None => started_by.map(Path::to_owned).with_context(|| {
            format!(
                "{PACKAGE}, which builds the rooms, is not installed: run `npm install --save-dev {PACKAGE}` in {}",
                root.display()
            )
        })?,
    };
    Ok(Place::Project { root, command })
}

/// The script of a package's command.
fn command(package: &Path) -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Manifest {
        bin: std::collections::BTreeMap<String, String>,
    }
    let package = package.canonicalize()?;
    let text = std::fs::read_to_string(package.join(MANIFEST))?;
    let mut manifest: Manifest = serde_json::from_str(&text)?;
    let script = package.join(manifest.bin.remove(PACKAGE).context("its package.json names no command")?);
    ensure!(script.is_file(), "{} is missing", script.display());
    Ok(script)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn with_project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "game/package.json", "{}");
        put(dir.path(), "game/rooms/chess/index.js", "");
        put(dir.path(), "game/node_modules/chorus-rooms/package.json", r#"{"bin": {"chorus-rooms": "./bin/it.mjs"}}"#);
        put(dir.path(), "game/node_modules/chorus-rooms/bin/it.mjs", "");
        dir
    }

    fn found(from: &Path) -> Result<Place, String> {
        Place::find(Given::default(), from).map_err(|error| crate::error_chain::of(&error))
    }

    #[test]
    fn the_nearest_project_is_found_from_below_it() {
        let dir = with_project();
        let root = dir.path().join("game").canonicalize().unwrap();
        let place = found(&dir.path().join("game/rooms/chess")).unwrap();
        let command = root.join("node_modules/chorus-rooms/bin/it.mjs");
        assert_eq!(place, Place::Project { root: root.clone(), command });
        assert_eq!((place.data(), place.web()), (root.join("data"), None));
        fs::create_dir(root.join("web")).unwrap();
        assert_eq!(place.web(), Some(root.join("web")));
    }

    #[test]
    fn a_folder_of_guests_with_its_build_tool_stays_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "guests/build.mjs", "");
        put(dir.path(), "package.json", "{}");
        let guests = dir.path().join("guests").canonicalize().unwrap();
        assert_eq!(found(&dir.path().join("guests")).unwrap(), Place::Guests(guests));
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        assert!(found(dir.path()).unwrap_err().contains("`npm create chorus-rooms` makes one"));
        put(dir.path(), "package.json", "{}");
        assert!(found(dir.path()).unwrap_err().contains("has no folder rooms/: put a room into rooms/<kind>/index.js"));
        fs::create_dir(dir.path().join("rooms")).unwrap();
        assert!(found(dir.path()).unwrap_err().contains("run `npm install --save-dev chorus-rooms` in"));
        fs::create_dir_all(dir.path().join("node_modules/chorus-rooms")).unwrap();
        assert!(found(dir.path()).unwrap_err().contains("is damaged: run `npm install`"));
        let elsewhere = Given { project: Some(Path::new("/nowhere/at-all")), ..Given::default() };
        assert!(Place::find(elsewhere, dir.path()).unwrap_err().to_string().contains("is no project"));
    }
}
