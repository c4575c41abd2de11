//! `chorus migrate`: brings the database and the topics up to date.

use chorus_store::migrate_postgres;
use clap::Args;

use super::Shared;

/// Makes the tables and topics of a cluster, or brings them up to date
///
/// To be run once before the first start, and before the first start of a newer version. May be repeated, and may run
/// while the cluster does: old and new binaries work side by side on the newer tables.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    shared: Shared,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let applied = migrate_postgres(&options.shared.postgres).await?;
    match applied.as_slice() {
        [] => println!("{}: up to date", options.shared.postgres),
        some => println!("{}: applied {} migration(s)", options.shared.postgres, some.len()),
    }
    let (bus, store) = options.shared.open().await?;
    println!("{}: {} partitions for rooms", options.shared.brokers, bus.partitions());
    bus.close().await?;
    store.close().await?;
    Ok(())
}
