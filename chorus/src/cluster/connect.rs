//! Connects a process to the broker and the database of its cluster.

use anyhow::Context as _;
use chorus_bus::{Bus, kafka};
use chorus_core::secret::Secret;
use chorus_store::{PostgresOptions, Store};
use clap::Args;

use super::pairing;
use crate::{
    data::AcceptLoss,
    secrets::{has_password, refuse_argument},
};

/// The flags for it.
#[derive(Debug, Args)]
pub struct Options {
    /// The brokers, Redpanda or Apache Kafka: one or several, separated by commas
    #[arg(
        long,
        env = "CHORUS_BROKERS",
        value_name = "HOST:PORT,…",
        default_value = "127.0.0.1:9092",
        help_heading = "Cluster"
    )]
    pub brokers: String,
    /// The Postgres database. An address with a password is accepted from the environment only
    #[arg(
        long,
        env = "CHORUS_POSTGRES",
        value_name = "URL",
        default_value = "postgres://127.0.0.1/chorus",
        hide_env_values = true,
        help_heading = "Cluster"
    )]
    postgres: Secret,
    /// The number of partitions over which rooms are spread; fixed when the cluster is created
    #[arg(long, env = "CHORUS_PARTITIONS", value_name = "N", default_value_t = defaults().partitions, help_heading = "Cluster")]
    partitions: u32,
    /// The number of brokers that keep a copy of each record
    #[arg(long, env = "CHORUS_REPLICATION", value_name = "N", default_value_t = defaults().replication, help_heading = "Cluster")]
    replication: u32,
    /// The prefix of topics' names: clusters that share brokers need different ones
    #[arg(long, env = "CHORUS_TOPIC_PREFIX", value_name = "NAME", default_value_t = defaults().prefix, help_heading = "Cluster")]
    topic_prefix: String,
    /// A setting of the Kafka client, as librdkafka names it: TLS, SASL, rack; may be repeated. A password is accepted from the
    /// environment only
    #[arg(
        long = "kafka",
        env = "CHORUS_KAFKA",
        value_name = "KEY=VALUE",
        value_delimiter = ';',
        hide_env_values = true,
        help_heading = "Cluster"
    )]
    kafka: Vec<Secret>,
    #[command(flatten)]
    pub loss: AcceptLoss,
}

fn defaults() -> kafka::Options {
    kafka::Options::new("")
}

/// A setting of the client. Its value is in no error, whether it is a secret or not.
fn setting(text: &Secret) -> anyhow::Result<(String, Secret)> {
    let (key, value) = text.expose().split_once('=').context("--kafka: write each setting as KEY=VALUE")?;
    let (key, value) = (key.trim().to_owned(), Secret::from(value));
    if is_secret(&key) && !value.expose().is_empty() {
        refuse_argument(&value, &format!("--kafka {key}"), "CHORUS_KAFKA")?;
    }
    Ok((key, value))
}

/// `sasl.password`, `ssl.key.password`, `ssl.key.pem`, `sasl.oauthbearer.client.secret` and the like.
fn is_secret(key: &str) -> bool {
    ["password", "secret", "key.pem", "jaas", "oauthbearer.config"].iter().any(|part| key.contains(part))
}

impl Options {
    /// Connects to both, and checks that they belong together.
    pub async fn open(&self) -> anyhow::Result<(Bus, Store)> {
        let (postgres, options) = (self.postgres()?, self.kafka()?);
        let store = Store::open_postgres(&postgres).await?;
        let known = store.log().await?;
        // A missing topic is created for a new database, and is lost for one that has a log.
        let make_topic = known.is_none();
        let bus = match kafka::open(kafka::Options { make_topic, ..options.clone() }).await {
            // A topic other than the database's is no loss, but a wrong --topic-prefix.
            Err(kafka::OpenError::Gone { topic })
                if self.loss.accept_loss && known.as_ref().is_some_and(|known| known.topic == topic) =>
            {
                tracing::warn!(
                    "topic {topic} is missing, and the database belongs to it: going on with a new one, without what was played \
                     since each room's last snapshot (--accept-loss)"
                );
                kafka::open(kafka::Options { make_topic: true, ..options }).await?
            }
            opened => opened?,
        };
        pairing::check(&bus, &store, known, self.loss.accept_loss).await?;
        let stored = store.partitions(bus.partitions()).await?;
        anyhow::ensure!(
            stored == bus.partitions(),
            "this database was made for {stored} partitions, and --partitions is {}: set it to {stored}",
            bus.partitions()
        );
        Ok((bus, store))
    }

    /// The database.
    pub fn postgres(&self) -> anyhow::Result<PostgresOptions> {
        if has_password(self.postgres.expose()) {
            refuse_argument(&self.postgres, "--postgres", "CHORUS_POSTGRES")?;
        }
        Ok(self.postgres.expose().parse()?)
    }

    fn kafka(&self) -> anyhow::Result<kafka::Options> {
        Ok(kafka::Options {
            partitions: self.partitions,
            replication: self.replication,
            prefix: self.topic_prefix.clone(),
            client: self.kafka.iter().map(setting).collect::<anyhow::Result<_>>()?,
            ..kafka::Options::new(&self.brokers)
        })
    }
}
