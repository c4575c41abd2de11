//! The receiving end of an edge's channel.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use chorus_core::{
    command::EdgeCommand,
    ids::{MachineId, Offset},
    wire,
};
use rdkafka::message::{Headers, Message};
use tokio::sync::watch;

use super::{
    super::{
        codes::blocks_fetching,
        feed::PartitionFeed,
        health::{Health, State},
        reader,
        topics::Topics,
    },
    DROPPED, Options, RETRY_DELAY, topic,
};
use crate::{EdgeReadError, MachineError};

/// The most commands that are received in one go.
const MAX_BATCH: usize = 4096;

/// The open receivers. One that is opened again replaces the earlier one, which then closes.
pub(in crate::kafka) type Receivers = Mutex<HashMap<MachineId, watch::Sender<()>>>;

/// The Kafka half of [`crate::EdgeReceiver`].
pub struct EdgeReceiver {
    feed: PartitionFeed,
    topic: String,
    /// The next record.
    position: Offset,
    /// Missing commands that are not yet reported.
    lost: Option<u64>,
    /// The broker refuses to deliver from the position.
    is_blocked: bool,
    /// Closed by the drop of its sender when another receiver has replaced this one.
    replaced: watch::Receiver<()>,
    state: watch::Receiver<State>,
    topics: Arc<Topics>,
}

/// Opens a machine's channel, from its present end on; creates it if it is missing.
pub(in crate::kafka) async fn open(
    machine: &MachineId,
    options: &Options,
    health: &Arc<Health>,
    topics: &Arc<Topics>,
    receivers: &Receivers,
) -> Result<EdgeReceiver, MachineError> {
    let topic = topic(options, machine).ok_or_else(|| MachineError::Name { machine: machine.clone() })?;
    let error = |reason| MachineError::Broker { action: "open", machine: machine.clone(), reason };
    if topics.find(&topic).await.map_err(error)?.replicas.is_none() {
        let created = topics.create(&topic, 1, Some(options.machine_retention)).await;
        created.map_err(|failed| error(topics.explain(&failed)))?;
    }
    let (_, end) = topics.bounds(&topic, 0).await.map_err(error)?;
    let (sender, replaced) = watch::channel(());
    receivers.lock().expect("nothing panics under this lock").insert(machine.clone(), sender);
    let feed = PartitionFeed::of_own(reader::consumer(options, health), &topic, 0, end);
    let (state, topics) = (health.watch(), topics.clone());
    Ok(EdgeReceiver { feed, topic, position: end, lost: None, is_blocked: false, replaced, state, topics })
}

impl EdgeReceiver {
    /// Cancel safe: what is taken from the queue is handed over without waiting.
    pub(crate) async fn recv_many(&mut self, into: &mut Vec<EdgeCommand>) -> Result<(), EdgeReadError> {
        loop {
            if let Some(dropped) = self.lost.take() {
                return Err(EdgeReadError::Overflow { dropped });
            }
            if self.is_blocked {
                self.unblock().await?;
                continue;
            }
            if self.take(into) {
                return Ok(());
            }
            if self.is_closed() {
                return Err(EdgeReadError::Closed);
            }
            if self.lost.is_none() && !self.is_blocked {
                tokio::select! {
                    () = self.feed.filled.notified() => {}
                    _ = self.state.changed() => {}
                    _ = self.replaced.changed() => {}
                }
            }
        }
    }

    fn is_closed(&mut self) -> bool {
        let is_open = matches!(*self.state.borrow_and_update(), State::Open | State::Closing);
        !is_open || self.replaced.has_changed().is_err()
    }

    /// Takes the available commands, up to a gap. Returns whether there were any.
    fn take(&mut self, into: &mut Vec<EdgeCommand>) -> bool {
        let before = into.len();
        while into.len() - before < MAX_BATCH {
            let message = match self.feed.poll() {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.is_blocked = error.rdkafka_error_code().is_some_and(blocks_fetching);
                    break;
                }
            };
            let offset = message.offset() as Offset;
            if offset < self.position {
                continue;
            }
            self.position = offset + 1;
            match message.payload().map(wire::decode) {
                Some(Ok(command)) => into.push(command),
                Some(Err(error)) => {
                    tracing::error!(topic = self.topic, offset, %error, "a command cannot be read; sessions have to resume");
                    self.lost = Some(1);
                    break;
                }
                None => {
                    self.lost = Some(dropped(&message).unwrap_or(1));
                    break;
                }
            }
        }
        into.len() > before
    }

    /// Finds out why the broker delivers nothing from the position, and continues from where it does.
    async fn unblock(&mut self) -> Result<(), EdgeReadError> {
        if self.topics.is_missing(&self.topic).await {
            tracing::error!(topic = self.topic, "this edge's channel was deleted: it was declared dead");
            return Err(EdgeReadError::Closed);
        }
        match self.topics.bounds(&self.topic, 0).await {
            Ok((start, end)) if !(start..=end).contains(&self.position) => {
                // The edge was away for longer than the broker keeps commands.
                self.lost = Some(start.saturating_sub(self.position).max(1));
                self.position = self.position.clamp(start, end);
            }
            Ok(_) => {}
            Err(_) if self.is_closed() => return Err(EdgeReadError::Closed),
            Err(_) => {
                tokio::time::sleep(RETRY_DELAY).await;
                return Ok(());
            }
        }
        self.feed.seek(self.position);
        self.is_blocked = false;
        Ok(())
    }
}

/// The number of commands that a gap marker replaces.
fn dropped(marker: &impl Message) -> Option<u64> {
    let headers = marker.headers()?;
    let header = headers.iter().find(|header| header.key == DROPPED)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}

impl fmt::Debug for EdgeReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeReceiver")
            .field("topic", &self.topic)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
