//! Groups of flags that several commands have: each flag, its help and its default stand here once. The groups of `admission`,
//! `cache` and `data` are with the code that uses them.

use std::time::Duration;

use chorus_host::guest;
use clap::Args;

use crate::{cache, data::AcceptLoss, seconds::Seconds};

/// The flags of every command that runs rooms.
#[derive(Debug, Args)]
pub struct RoomOptions {
    #[command(flatten)]
    cache: cache::Options,
    /// The limit of instances at the same time, of which each room has one, or shares one; each reserves address space, and no memory
    #[arg(long, env = "CHORUS_MAX_INSTANCES", value_name = "N", default_value_t = guest::Options::MAX_INSTANCES)]
    max_instances: u32,
    /// A room that has been idle for this long hibernates: its snapshot stays, and its instance is dropped
    #[arg(long, env = "CHORUS_HIBERNATE_AFTER", value_name = "SECONDS", default_value_t = Seconds(chorus_host::Options::default().hibernate_after))]
    hibernate_after: Seconds,
    /// Never truncates the log, and keeps the hashes of all snapshots, so that `chorus audit` can check everything that was
    /// played; both grow without bound
    #[arg(long, env = "CHORUS_KEEP_LOG")]
    pub keep_log: bool,
}

impl RoomOptions {
    pub fn engine(&self) -> anyhow::Result<guest::Options> {
        Ok(guest::Options { max_instances: self.max_instances, ..guest::Options::new(self.cache.dir()?) })
    }

    pub fn host(&self, loss: AcceptLoss) -> chorus_host::Options {
        chorus_host::Options {
            hibernate_after: self.hibernate_after.0,
            truncate: !self.keep_log,
            accept_loss: loss.accept_loss,
            ..chorus_host::Options::default()
        }
    }
}

/// The flags of every command that ends old sessions.
#[derive(Clone, Copy, Debug, Args)]
pub struct SessionOptions {
    /// A session that has had no connection for this long expires; one that was in the lobby only and sent no message, after
    /// two minutes
    #[arg(long, env = "CHORUS_SESSION_EXPIRY", value_name = "SECONDS", default_value_t = Seconds(chorus_monitor::EXPIRE_AFTER))]
    session_expiry: Seconds,
}

impl SessionOptions {
    pub fn expiry(&self) -> Duration {
        self.session_expiry.0
    }
}
