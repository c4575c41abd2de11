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

use chorus_bus::{Append, AppendError};

#[derive(Debug, Default)]
pub struct Outbox(BTreeMap<u32, VecDeque<Append>>);

impl Outbox {
    pub fn put(&mut self, partition: u32, append: Append) {
        self.0.entry(partition).or_default().push_back(append);
    }

    /// Forgets what is confirmed.
    ///
    /// # Errors
    /// When something is lost. In one partition, whatever was queued behind it is lost, too.
    pub fn check(&mut self) -> Result<(), AppendError> {
        let mut context = Context::from_waker(Waker::noop());
        for appends in self.0.values_mut() {
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

    /// Waits until nothing is on its way.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn confirmed(&mut self) -> Result<(), AppendError> {
        for append in std::mem::take(&mut self.0).into_values().flatten() {
            append.await?;
        }
        Ok(())
    }
}
