//! One partition of a topic, from an offset on, as the client fetches it into a queue of its own.

use std::{sync::Arc, time::Duration};

use chorus_core::ids::Offset;
use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer, base_consumer::PartitionQueue},
    error::KafkaResult,
    message::BorrowedMessage,
};
use tokio::sync::Notify;

use super::context::{Context, on_thread};

pub(super) struct PartitionFeed {
    topic: String,
    partition: i32,
    /// The queue has, or had, an entry.
    pub filled: Arc<Notify>,
    queue: Option<PartitionQueue<Context>>,
    consumer: Arc<BaseConsumer<Context>>,
    /// The consumer is not shared: it is destroyed with the feed.
    owns_consumer: bool,
}

impl PartitionFeed {
    pub fn of_shared(
        consumer: &Arc<BaseConsumer<Context>>,
        topic: &str,
        partition: i32,
        from: Offset,
    ) -> PartitionFeed {
        PartitionFeed::new(consumer.clone(), topic, partition, from, false)
    }

    pub fn of_own(consumer: Arc<BaseConsumer<Context>>, topic: &str, partition: i32, from: Offset) -> PartitionFeed {
        PartitionFeed::new(consumer, topic, partition, from, true)
    }

    fn new(
        consumer: Arc<BaseConsumer<Context>>,
        topic: &str,
        partition: i32,
        from: Offset,
        owns_consumer: bool,
    ) -> PartitionFeed {
        let filled = Arc::new(Notify::new());
        let mut queue = consumer.split_partition_queue(topic, partition).expect("topics' names are checked");
        let notify = filled.clone();
        queue.set_nonempty_callback(move || notify.notify_one());
        // Discards the records that an earlier reader has left.
        while queue.poll(Duration::ZERO).is_some() {}
        let feed =
            PartitionFeed { topic: topic.to_owned(), partition, filled, queue: Some(queue), consumer, owns_consumer };
        feed.assign(from);
        feed
    }

    /// The next record, or the broker's error, if there is one now.
    pub fn poll(&self) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        self.queue.as_ref().expect("it is there until it is dropped").poll(Duration::ZERO)
    }

    /// Continues from another offset.
    pub fn seek(&self, offset: Offset) {
        self.unassign();
        while self.poll().is_some() {}
        self.assign(offset);
    }

    fn assign(&self, from: Offset) {
        let place = rdkafka::Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let mut list = TopicPartitionList::new();
        let assigned = list
            .add_partition_offset(&self.topic, self.partition, place)
            .and_then(|()| self.consumer.incremental_assign(&list));
        if let Err(error) = assigned {
            self.consumer.context().health.stop("a partition cannot be assigned", &error.to_string());
        }
    }

    fn unassign(&self) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, self.partition);
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            tracing::debug!(%error, topic = self.topic, partition = self.partition, "not unassigned");
        }
    }
}

impl Drop for PartitionFeed {
    fn drop(&mut self) {
        let (queue, consumer) = (self.queue.take(), self.consumer.clone());
        match self.owns_consumer {
            // It is closed with the last of its handles, which can take a while.
            true => on_thread(move || drop((queue, consumer))),
            false => {
                drop(queue);
                self.unassign();
            }
        }
    }
}
