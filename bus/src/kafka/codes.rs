//! The classes of Kafka's error codes that this back end distinguishes.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

/// There is no such topic or partition.
pub(super) fn is_missing_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, UnknownTopic | UnknownTopicOrPartition | UnknownPartition)
}

/// There is no record at the offset.
pub(super) fn is_out_of_range(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
}

/// A fetch that was refused so is refused again until an operator acts.
pub(super) fn is_final_for_fetch(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::Fatal)
}

/// The client does not fetch from this position any more. After any other error it tries again.
pub(super) fn blocks_fetching(code: RDKafkaErrorCode) -> bool {
    is_missing_topic(code) || is_out_of_range(code) || code == RDKafkaErrorCode::TopicAuthorizationFailed
}

/// A query that was refused so is refused again.
pub(super) fn is_final_for_query(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, Fatal, InvalidTopic, TopicAuthorizationFailed};
    let is_final = [ClusterAuthorizationFailed, Fatal, InvalidTopic, TopicAuthorizationFailed];
    error.rdkafka_error_code().is_none_or(|code| is_final.contains(&code))
}

/// The error of a query without an answer in time.
pub(super) fn timed_out() -> KafkaError {
    KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)
}

/// No broker has answered: the client's last error explains more than this one.
pub(super) fn is_no_answer(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    matches!(error.rdkafka_error_code(), Some(OperationTimedOut | BrokerTransportFailure | AllBrokersDown))
}
