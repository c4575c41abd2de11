//! The cost of a broker alone: one record at a time, produced by one client and consumed by another. The latency of chorus
//! through it is at least twice that, since a message and its answer are a record each.
//!
//! The clients have those settings of `bus` that affect latency: no linger, fetches that return with the first byte, and
//! confirmation only after every replica has the record.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use tokio::time::Instant;

use super::{
    Bench,
    measure::{Latencies, Window},
    report::Report,
};

/// The size of a record with a game's message.
const RECORD: [u8; 128] = [7; 128];

const TIMEOUT: Duration = Duration::from_secs(30);

/// Uses a topic of its own, which is deleted afterwards.
pub async fn produce_to_consume(bench: &Bench, brokers: &str, replication: u8) -> anyhow::Result<Report> {
    let topic = format!("chorus-load-{}", std::process::id());
    let admin: AdminClient<DefaultClientContext> = config(brokers).create().context("--brokers")?;
    let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(i32::from(replication)));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for made in admin.create_topics([&new], &options).await? {
        made.map_err(|(name, error)| anyhow::anyhow!("the topic {name} could not be made: {error}"))?;
    }
    let (latencies, window) = (Latencies::new(), Window::open(bench));
    let (config, there, seen) = (config(brokers), topic.clone(), latencies.clone());
    let measured = tokio::task::spawn_blocking(move || round(&config, &there, window, &seen)).await?;
    admin.delete_topics(&[&topic], &options).await?;
    measured?;
    let what = format!("one record at a time through {brokers}, {replication} copies");
    Ok(Report::new("broker", what, latencies.figures()))
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "chorus-load")
        .set("enable.auto.commit", "false")
        .set("socket.nagle.disable", "true")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "100")
        .set("enable.metrics.push", "false");
    config
}

fn round(config: &ClientConfig, topic: &str, window: Window, latencies: &Latencies) -> anyhow::Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let consumer: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&all)?;
    while !window.is_over() {
        let began = Instant::now();
        let record = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(&RECORD);
        producer.send(record).map_err(|(error, _)| error).context("a record could not be produced")?;
        let Some(came) = consumer.poll(TIMEOUT) else { bail!("a record did not come in {} s", TIMEOUT.as_secs()) };
        came.context("a record could not be consumed")?;
        latencies.record(&window, began);
    }
    Ok(())
}
