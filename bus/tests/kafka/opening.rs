//! Opening: brokers that cannot be reached, and topics with other settings.

use std::time::Duration;

use chorus_bus::{
    AppendError,
    kafka::{self, OpenError, Options},
};

use crate::{
    broker::Broker,
    suite::{EmptyLog, append_all, large},
};

#[tokio::test]
async fn a_broker_that_is_not_there_is_named() {
    let options = Options { open_timeout: Duration::from_secs(1), ..Options::new("127.0.0.1:1") };
    let error = kafka::open(options).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn settings_that_promises_rest_on_are_refused() {
    for key in ["acks", "enable.idempotence", "message.timeout.ms"] {
        let client = vec![(key.to_owned(), "1".into())];
        let error = kafka::open(Options { client, ..Options::new("127.0.0.1:1") }).await.unwrap_err();
        assert!(matches!(&error, OpenError::Setting { key: named } if named == key), "{error}");
    }
    let client = vec![("no.such.setting".to_owned(), "1".into())];
    let error = kafka::open(Options { client, ..Options::new("127.0.0.1:1") }).await.unwrap_err();
    assert!(error.to_string().contains("no.such.setting"), "{error}");
    let error = kafka::open(Options { prefix: "a b".to_owned(), ..Options::new("127.0.0.1:1") }).await.unwrap_err();
    assert!(matches!(error, OpenError::Prefix { .. }), "{error}");
}

#[tokio::test]
async fn more_copies_than_there_are_brokers_are_refused_plainly() {
    let Some(mut broker) = Broker::shared().await else { return };
    broker.0.replication = 7;
    let error = broker.open_error().await;
    assert!(matches!(error, OpenError::Replication { configured: 7, .. }), "{error}");
}

#[tokio::test]
async fn a_topic_with_another_number_of_partitions_is_refused() {
    let Some(broker) = Broker::shared().await else { return };
    broker.create_topic(&broker.rooms(), 3, &[]).await;
    let error = broker.open_error().await;
    assert!(matches!(error, OpenError::Partitions { found: 3, configured: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_compacted_topic_is_refused() {
    let Some(broker) = Broker::shared().await else { return };
    broker.create_topic(&broker.rooms(), 2, &[("cleanup.policy", "compact")]).await;
    let error = broker.open_error().await;
    assert!(matches!(&error, OpenError::Compacted { policy, .. } if policy == "compact"), "{error}");
}

#[tokio::test]
async fn a_topic_that_takes_only_small_records_bounds_them_here_too() {
    let Some(broker) = Broker::shared().await else { return };
    broker.create_topic(&broker.rooms(), 2, &[("max.message.bytes", "70000")]).await;
    let bus = broker.open().await;
    let error = bus.append(&large(0)).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { limit: 4464, .. }), "{error}");
    append_all(&bus, 0..1).await;
}
