//! Whether a cluster's log and its database belong together.
//!
//! The database contains the identity of its log: the broker cluster's id and the topic, written by the first machine that
//! opened both, which found the topic without a record. When a host takes a partition, it also checks the offsets
//! (`host/src/whole.rs`): a topic that was deleted and created anew ends below the offsets in the database.

use chorus_bus::Bus;
use chorus_store::{LogIdentity, Store};

/// `known`: the identity in the database before the topic was opened.
pub async fn check(bus: &Bus, store: &Store, known: Option<LogIdentity>, accept_loss: bool) -> anyhow::Result<()> {
    let Some((cluster, topic)) = bus.identity().await else { return Ok(()) };
    let here = LogIdentity { cluster, topic };
    let known = match known {
        Some(known) => known,
        None => first(bus, store, &here, accept_loss).await?,
    };
    if known.may_be(&here) {
        // The brokers may report their cluster's id only now.
        store.set_log(&here, false).await?;
        return Ok(());
    }
    let (this, that) = (describe(&here), describe(&known));
    anyhow::ensure!(
        known.topic == here.topic,
        "the database belongs to {that}, and --brokers and --topic-prefix lead to {this}: set them to what the database \
         belongs to, or --postgres to another database"
    );
    anyhow::ensure!(
        accept_loss,
        "the database belongs to {that}, and --brokers leads to {this}. If its records were moved there, under the same \
         offsets, give --accept-loss once; otherwise set --brokers, or begin with another database"
    );
    tracing::warn!("the database belonged to {that}, and from now on belongs to {this} (--accept-loss)");
    store.set_log(&here, true).await?;
    Ok(())
}

/// For a database without a log: the topic must be new as well.
async fn first(bus: &Bus, store: &Store, here: &LogIdentity, accept_loss: bool) -> anyhow::Result<LogIdentity> {
    let mut records = 0;
    for partition in 0..bus.partitions() {
        records += bus.end(partition).await?;
    }
    if records > 0 {
        // Another machine may have been the first meanwhile.
        if let Some(known) = store.log().await? {
            return Ok(known);
        }
        let what = format!("{} has had {records} records, and this database has never seen one", describe(here));
        anyhow::ensure!(
            accept_loss,
            "{what}: it is another cluster's topic, or the database is lost. Restore the database from a copy, or set \
             --topic-prefix for a new cluster; --accept-loss goes on without the snapshots, sessions and components"
        );
        tracing::warn!("{what}; going on without the snapshots, sessions and components (--accept-loss)");
    }
    Ok(store.set_log(here, false).await?)
}

fn describe(log: &LogIdentity) -> String {
    match &log.cluster {
        Some(cluster) => format!("topic {} of broker cluster {cluster}", log.topic),
        None => format!("topic {}", log.topic),
    }
}
