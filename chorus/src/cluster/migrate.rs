//! `chorus migrate`: brings the database and the topics up to date.

use chorus_store::migrate_postgres;
use clap::Args;
use serde_json::json;

use super::connect;

/// Creates the tables and topics of a cluster, or brings them up to date
///
/// Run it once before the first start, and before the first start of a newer version. It may be repeated, and may run
/// while the cluster does: old and new binaries work side by side on the newer tables.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    connection: connect::Options,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let postgres = options.connection.postgres()?;
    let applied = migrate_postgres(&postgres).await?;
    let (bus, store) = options.connection.open().await?;
    let (applied, brokers, partitions) = (applied.len(), &options.connection.brokers, bus.partitions());
    if options.json {
        println!("{}", json!({ "applied": applied, "partitions": partitions }));
    } else {
        match applied {
            0 => println!("{postgres}: up to date"),
            some => println!("{postgres}: applied {some} migration(s)"),
        }
        println!("{brokers}: {partitions} partitions for rooms");
    }
    bus.close().await?;
    store.close().await?;
    Ok(())
}
