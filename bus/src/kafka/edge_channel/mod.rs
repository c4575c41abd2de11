//! Machines' channels: the commands of rooms for edges.
//!
//! Commands of one host for one edge arrive in the order of calls, or the edge is notified that some are missing. Nearly always
//! all of them arrive, since no delivery fails merely because a time limit has passed. The failures:
//! * *The queue to the broker is full* ([`Options::queue_bytes`]), or the broker refuses a command for good: that is a *gap*.
//!   Every command for that edge is dropped until a *gap marker*, a record with the number of dropped commands, could be sent in
//!   their place. The edge reads [`crate::EdgeReadError::Overflow`] there and closes its sessions with 4008; they resume, and
//!   rooms send again what these sessions missed. Of the commands in flight when one was refused, some may arrive before the
//!   marker.
//! * *There is no such topic*: the edge is dead and its channel deleted. Commands for it are dropped without a marker.
//! * *The client cannot continue*: the bus has stopped ([`crate::Stopped`]).
//!
//! A [`crate::Sent`] resolves when the edge has the command or the marker that replaces it. So a snapshot that waits for it
//! never covers a command whose loss goes unnoticed.

use std::time::Duration;

use chorus_core::ids::MachineId;

use super::Options;

pub(super) mod admin;
pub(super) mod receiver;
pub(super) mod sender;

/// The header of a gap marker: how many commands it replaces.
const DROPPED: &str = "dropped";

/// The delay before another attempt to send a gap marker, or to find out why the broker delivers nothing.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// The longest name that Kafka accepts for a topic.
const MAX_TOPIC: usize = 249;

/// Whether a topic's name may contain this text.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn prefix(options: &Options) -> String {
    format!("{}.machine.", options.prefix)
}

/// The topic of a machine, if its id can be in a topic's name.
fn topic(options: &Options, machine: &MachineId) -> Option<String> {
    let topic = format!("{}{machine}", prefix(options));
    (is_name(&machine.0) && topic.len() <= MAX_TOPIC).then_some(topic)
}
