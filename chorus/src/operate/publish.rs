//! `chorus publish`: stores a component as a version of its kind.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chorus_core::ids::Kind;
use chorus_monitor::api::Published;
use clap::Args;

use super::{
    client::{MonitorArgs, parse, print, print_json, segment},
    table::brief,
};

/// Publishes a component as a new version of its kind
///
/// It is tried in a sandbox first. No room runs it before `chorus swap`, unless it is the first of its kind.
#[derive(Debug, Args)]
pub struct Options {
    /// The file that the build made: guests/dist/KIND-DIGEST.wasm
    #[arg(value_name = "COMPONENT")]
    file: PathBuf,
    /// The kind of which it is a version [default: the one in the file's name]
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    monitor: MonitorArgs,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { file, kind, monitor } = options;
    let kind = match kind {
        Some(kind) => Kind::new(&kind)?,
        None => kind_of(&file).with_context(|| format!("the name of {} has no kind: give --kind", file.display()))?,
    };
    let wasm = tokio::fs::read(&file).await.with_context(|| format!("cannot read {}", file.display()))?;
    let path = format!("/v1/kinds/{}/components", segment(kind.as_str()));
    let response = monitor.client()?.post(&path, wasm.into()).await?;
    if monitor.json {
        print_json(&response);
        return Ok(());
    }
    let Published { version, digest, active, .. } = parse(response)?;
    let then =
        if active { "new rooms run it".to_owned() } else { format!("`chorus swap {kind}` swaps its rooms to it") };
    print(format!("{kind} version {version} ({}) is published; {then}", brief(&digest)));
    Ok(())
}

/// `tic-tac-toe-22666bc0e421.wasm`, or `tic-tac-toe.wasm`.
fn kind_of(file: &Path) -> Option<Kind> {
    let name = file.file_name()?.to_str()?.strip_suffix(".wasm")?;
    let is_digest = |end: &str| end.len() == 12 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = name.rsplit_once('-').filter(|(_, end)| is_digest(end)).map_or(name, |(name, _)| name);
    Kind::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_in_the_name_of_the_file() {
        let kind = |name: &str| kind_of(Path::new(name)).map(|kind| kind.to_string());
        assert_eq!(kind("guests/dist/tic-tac-toe-22666bc0e421.wasm").as_deref(), Some("tic-tac-toe"));
        assert_eq!(kind("lobby.wasm").as_deref(), Some("lobby"));
        assert_eq!(kind("tic-tac-toe.wasm").as_deref(), Some("tic-tac-toe"));
        for none in ["lobby", "Lobby.wasm", ".wasm", "/", "lobby.js"] {
            assert_eq!(kind(none), None, "{none}");
        }
    }
}
