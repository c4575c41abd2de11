//! A broker, and topics of a test's own on it.

use std::sync::atomic::{AtomicU32, Ordering};

use chorus_bus::{
    Bus,
    kafka::{self, OpenError, Options},
};
use chorus_testing::soon;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use crate::suite::EmptyLog;

/// Topics of its own on a broker, with two partitions.
pub struct Broker(pub Options);

impl Broker {
    pub fn at(address: impl Into<String>) -> Broker {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Broker(Options { partitions: 2, prefix, ..Options::new(address) })
    }

    pub async fn shared() -> Option<Broker> {
        let mut broker = Broker::at(chorus_services::kafka()?);
        broker.0.replication = chorus_services::replication();
        Some(broker)
    }

    pub fn rooms(&self) -> String {
        format!("{}.rooms", self.0.prefix)
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.0.brokers);
        config
    }

    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        created.into_iter().for_each(|created| drop(created.unwrap()));
    }

    pub async fn open_error(&self) -> OpenError {
        soon(kafka::open(self.0.clone())).await.expect_err("it is refused")
    }
}

impl EmptyLog for Broker {
    async fn open(&self) -> Bus {
        soon(kafka::open(self.0.clone())).await.unwrap()
    }
}
