//! What a room has appended to channels, and the bus has not confirmed yet.
//!
//! The outputs of one room leave in order or not at all. An append that fails after it was taken (the disk is full) is a
//! gap: the room must append nothing more, and begin again at its snapshot.
//!
//! Bounded by what is on its way: whatever is confirmed is forgotten at the next append.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use chorus_bus::{Append, AppendError, Sent};
use chorus_core::ids::MachineId;

use crate::HostError;

#[derive(Debug, Default)]
pub struct Outbox {
    appends: BTreeMap<u32, VecDeque<Append>>,
    /// The last command to each edge: when it has arrived, so have all before it.
    sent: BTreeMap<MachineId, Sent>,
}

impl Outbox {
    pub fn put(&mut self, partition: u32, append: Append) {
        self.appends.entry(partition).or_default().push_back(append);
    }

    pub fn put_sent(&mut self, edge: MachineId, sent: Sent) {
        if !sent.is_done() {
            self.sent.insert(edge, sent);
        }
    }

    /// Forgets what is confirmed.
    ///
    /// # Errors
    /// When something is lost. In one partition, whatever was queued behind it is lost, too.
    pub fn check(&mut self) -> Result<(), AppendError> {
        let mut context = Context::from_waker(Waker::noop());
        for appends in self.appends.values_mut() {
            while let Some(first) = appends.front_mut() {
                match Pin::new(first).poll(&mut context) {
                    Poll::Pending => break,
                    Poll::Ready(result) => drop(result?),
                }
                appends.pop_front();
            }
        }
        Ok(())
    }

    /// Whether every append is known to be in the log.
    pub fn is_confirmed(&self) -> bool {
        self.appends.values().all(VecDeque::is_empty)
    }

    /// Waits until nothing is on its way to this partition.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn confirmed_in(&mut self, partition: u32) -> Result<(), AppendError> {
        for append in self.appends.remove(&partition).into_iter().flatten() {
            append.await?;
        }
        Ok(())
    }

    /// Waits until nothing is on its way.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn confirmed(&mut self) -> Result<(), HostError> {
        for append in std::mem::take(&mut self.appends).into_values().flatten() {
            append.await?;
        }
        for sent in std::mem::take(&mut self.sent).into_values() {
            sent.await?;
        }
        Ok(())
    }
}
