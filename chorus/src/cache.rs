//! The cache of compiled components.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

/// The flag for it.
#[derive(Debug, Args)]
pub struct Options {
    /// The cache of compiled components, for all chorus processes of this user [default: chorus/compiled in the user's
    /// cache directory]
    #[arg(long, env = "CHORUS_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Options {
    pub fn dir(&self) -> anyhow::Result<PathBuf> {
        let home = |name, below: &str| {
            let dir = std::env::var_os(name).filter(|dir| !dir.is_empty());
            dir.map(|dir| PathBuf::from(dir).join(below))
        };
        let user =
            || home("XDG_CACHE_HOME", "").or_else(|| home("HOME", ".cache")).map(|dir| dir.join("chorus/compiled"));
        let dir = self.cache.clone().or_else(user);
        dir.context("there is no directory for compiled components: set --cache or HOME")
    }
}
