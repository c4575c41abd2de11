//! The same machines as `chorus dev`, as processes on many machines: edges, hosts and monitors over Kafka and Postgres.
//!
//! Where to start: this file connects a process to the broker and the database; `edge`, `host` and `monitor` start, serve and
//! leave; `belong` checks that the broker and the database belong together; `heartbeat` sends a machine's heartbeats; `status`
//! serves operators' tools on each of them.

mod belong;
pub mod edge;
mod heartbeat;
pub mod host;
pub mod migrate;
pub mod monitor;
mod status;

use std::{net::SocketAddr, time::Duration};

use chorus_bus::{Bus, kafka};
use chorus_core::ids::Kind;
use chorus_store::{PostgresOptions, Store};
use clap::Args;

use crate::{data::AcceptLoss, seconds::Seconds};

/// What all machines of a cluster share.
#[derive(Debug, Args)]
pub struct Shared {
    /// The brokers, Redpanda or Apache Kafka: one or several with commas between
    #[arg(
        long,
        env = "CHORUS_BROKERS",
        value_name = "HOST:PORT,…",
        default_value = "127.0.0.1:9092",
        help_heading = "Cluster"
    )]
    brokers: String,
    /// The Postgres database
    #[arg(
        long,
        env = "CHORUS_POSTGRES",
        value_name = "URL",
        default_value = "postgres://127.0.0.1/chorus",
        help_heading = "Cluster"
    )]
    postgres: PostgresOptions,
    /// How many partitions rooms are spread over; fixed when the cluster is made
    #[arg(long, env = "CHORUS_PARTITIONS", value_name = "N", default_value_t = 64, help_heading = "Cluster")]
    partitions: u32,
    /// How many brokers keep a copy of each record
    #[arg(long, env = "CHORUS_REPLICATION", value_name = "N", default_value_t = 1, help_heading = "Cluster")]
    replication: u32,
    /// What the names of topics begin with: clusters that share brokers need different ones
    #[arg(long, env = "CHORUS_TOPIC_PREFIX", value_name = "NAME", default_value = "chorus", help_heading = "Cluster")]
    topic_prefix: String,
    /// A setting of the Kafka client, as librdkafka names it: TLS, SASL, rack; may be repeated
    #[arg(long = "kafka", env = "CHORUS_KAFKA", value_name = "KEY=VALUE", value_delimiter = ';', value_parser = setting, help_heading = "Cluster")]
    kafka: Vec<(String, String)>,
    #[command(flatten)]
    pub loss: AcceptLoss,
}

/// What every machine of a cluster is told.
#[derive(Debug, Args)]
pub struct Machine {
    /// What this machine is called in lists; its id is this and a number that no machine had before
    #[arg(long, env = "CHORUS_NAME", value_name = "NAME", help_heading = "Machine")]
    name: Option<String>,
    /// Where it answers `GET /healthz`, `/readyz` and `/metrics`; port 0 takes a free one
    #[arg(
        long,
        env = "CHORUS_STATUS",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0",
        help_heading = "Machine"
    )]
    status: SocketAddr,
    /// Heartbeat interval
    #[arg(long, env = "CHORUS_HEARTBEAT", value_name = "SECONDS", default_value_t = Seconds::new(1), help_heading = "Machine")]
    heartbeat: Seconds,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::new(name).map_err(|error| error.to_string())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Shared {
    fn kafka(&self) -> kafka::Options {
        kafka::Options {
            partitions: self.partitions,
            replication: self.replication,
            prefix: self.topic_prefix.clone(),
            client: self.kafka.clone(),
            ..kafka::Options::new(&self.brokers)
        }
    }

    /// Connects to both, and checks that they belong together.
    pub async fn open(&self) -> anyhow::Result<(Bus, Store)> {
        let store = Store::open_postgres(&self.postgres).await?;
        let known = store.log().await?;
        // A missing topic is created for a new database, and is lost for one that has a log.
        let make_topic = known.is_none();
        let bus = match kafka::open(kafka::Options { make_topic, ..self.kafka() }).await {
            // A topic other than the database's is no loss, but a wrong --topic-prefix.
            Err(kafka::OpenError::Gone { topic })
                if self.loss.accept_loss && known.as_ref().is_some_and(|known| known.topic == topic) =>
            {
                tracing::warn!(
                    "topic {topic} is missing, and the database belongs to it: going on with a new one, without what was played \
                     since each room's last snapshot (--accept-loss)"
                );
                kafka::open(kafka::Options { make_topic: true, ..self.kafka() }).await?
            }
            opened => opened?,
        };
        belong::check(&bus, &store, known, self.loss.accept_loss).await?;
        let stored = store.partitions(bus.partitions()).await?;
        anyhow::ensure!(
            stored == bus.partitions(),
            "this database was made for {stored} partitions, and --partitions says {}: set it to {stored}",
            bus.partitions()
        );
        Ok((bus, store))
    }
}

impl Machine {
    fn heartbeat(&self) -> anyhow::Result<Duration> {
        anyhow::ensure!(self.heartbeat.0 > Duration::ZERO, "--heartbeat must be more than 0");
        Ok(self.heartbeat.0)
    }
}
