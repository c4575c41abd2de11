//! What a room has appended to channels, and the bus has not confirmed yet.
//!
//! The outputs of one room leave in order or not at all. An append that fails after it was taken (the disk is full) is a
//! gap: the room must append nothing more, and begin again at its snapshot.
//!
//! Edges have channels of their own, which may be faster than a room's. So a command may be held back until an append is
//! confirmed, and with it every later one, to whichever edge; the room goes on meanwhile.
//!
//! Bounded by what is on its way: whatever is confirmed is forgotten at the next append. Held are at most
//! [`MOST_HELD`] commands: whoever has more waits.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use chorus_bus::{Append, AppendError, Sent};
use chorus_core::{command::EdgeCommand, ids::MachineId};

use crate::HostError;

/// So many commands may be held back.
pub const MOST_HELD: usize = 1024;

#[derive(Debug, Default)]
pub struct Outbox {
    partitions: BTreeMap<u32, Partition>,
    held: VecDeque<Held>,
    /// The last command to each edge: when it has arrived, so have all before it.
    sent: BTreeMap<MachineId, Sent>,
}

#[derive(Debug, Default)]
struct Partition {
    /// Appends that were put here, since the beginning.
    put: u64,
    /// The last of them, oldest first.
    unconfirmed: VecDeque<Append>,
}

/// An append.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    partition: u32,
    number: u64,
}

#[derive(Debug)]
struct Held {
    edge: MachineId,
    command: EdgeCommand,
    until: Option<Mark>,
}

impl Outbox {
    pub fn put(&mut self, partition: u32, append: Append) -> Mark {
        let appends = self.partitions.entry(partition).or_default();
        appends.put += 1;
        appends.unconfirmed.push_back(append);
        Mark { partition, number: appends.put }
    }

    /// Whether this append was confirmed when that was last looked at.
    pub fn has(&self, mark: Mark) -> bool {
        self.partitions.get(&mark.partition).is_none_or(|appends| appends.has(mark.number))
    }

    /// Holds a command back until the append is confirmed, or, without one, only behind those that are held already.
    pub fn hold(&mut self, edge: MachineId, command: EdgeCommand, until: Option<Mark>) {
        self.held.push_back(Held { edge, command, until });
    }

    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The next command that need not be held any longer.
    pub fn freed(&mut self) -> Option<(MachineId, EdgeCommand)> {
        let first = self.held.front()?;
        if first.until.is_some_and(|mark| !self.has(mark)) {
            return None;
        }
        self.held.pop_front().map(|Held { edge, command, .. }| (edge, command))
    }

    /// Waits until the first command that is held need not be. Cancel safe.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn freeing(&mut self) -> Result<(), AppendError> {
        let Some(mark) = self.held.front().and_then(|first| first.until) else { return Ok(()) };
        let Some(appends) = self.partitions.get_mut(&mark.partition) else { return Ok(()) };
        poll_fn(|context| {
            while !appends.has(mark.number) {
                ready!(appends.poll_first(context))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
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
        for appends in self.partitions.values_mut() {
            while let Poll::Ready(confirmed) = appends.poll_first(&mut context) {
                if !confirmed? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits until nothing is on its way. Whatever is held must have been freed before.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn confirmed(&mut self) -> Result<(), HostError> {
        debug_assert!(self.held.is_empty(), "what is held has not even left");
        for appends in self.partitions.values_mut() {
            while poll_fn(|context| appends.poll_first(context)).await? {}
        }
        for sent in std::mem::take(&mut self.sent).into_values() {
            sent.await?;
        }
        Ok(())
    }
}

impl Partition {
    fn has(&self, number: u64) -> bool {
        number <= self.put - self.unconfirmed.len() as u64
    }

    /// Resolves when the oldest append is confirmed, and with false if there is none.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, AppendError>> {
        let Some(first) = self.unconfirmed.front_mut() else { return Poll::Ready(Ok(false)) };
        ready!(Pin::new(first).poll(context))?;
        self.unconfirmed.pop_front();
        Poll::Ready(Ok(true))
    }
}
