//! What a room has appended to channels, and the bus has not confirmed yet.
//!
//! The outputs of one room leave in order or not at all. An append that fails after it was taken (the disk is full) is a
//! gap: the room must append nothing more, and begin again at its snapshot.
//!
//! Edges have channels of their own, which may be faster than a room's. So a command to an edge may be held back until an
//! append is confirmed, and with it every later command, to any edge; the room goes on meanwhile.
//!
//! Bounds: confirmed appends are dropped at the next append, so only those in flight remain. At most [`MOST_HELD`]
//! commands are held; a room with more waits.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use chorus_bus::{Append, AppendError, Sent};
use chorus_core::{command::EdgeCommand, ids::MachineId};

use crate::HostError;

/// How many commands may be held back.
pub const MOST_HELD: usize = 1024;

#[derive(Debug, Default)]
pub struct Outbox {
    /// Appends that are not confirmed yet, by partition, oldest first.
    appends: BTreeMap<u32, VecDeque<Numbered>>,
    /// How many appends were ever put here.
    put: u64,
    held: VecDeque<Held>,
    /// The last command to each edge: when it has arrived, so have all before it.
    sent: BTreeMap<MachineId, Sent>,
}

#[derive(Debug)]
struct Numbered {
    number: u64,
    append: Append,
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
        self.put += 1;
        let number = self.put;
        self.appends.entry(partition).or_default().push_back(Numbered { number, append });
        Mark { partition, number }
    }

    /// Whether this append was confirmed at the last check.
    pub fn has(&self, mark: Mark) -> bool {
        self.appends.get(&mark.partition).is_none_or(|appends| is_past(appends, mark.number))
    }

    /// Holds a command back until the append is confirmed, or, without one, only behind the commands that are held
    /// already.
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

    /// Waits until the first held command need not be held any longer. Cancel safe.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn freeing(&mut self) -> Result<(), AppendError> {
        let Some(mark) = self.held.front().and_then(|first| first.until) else { return Ok(()) };
        let Some(appends) = self.appends.get_mut(&mark.partition) else { return Ok(()) };
        poll_fn(|context| {
            while !is_past(appends, mark.number) {
                ready!(poll_first(appends, context))?;
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

    /// Drops confirmed appends.
    ///
    /// # Errors
    /// When an append is lost. Appends queued behind it in the same partition are lost, too.
    pub fn check(&mut self) -> Result<(), AppendError> {
        let mut context = Context::from_waker(Waker::noop());
        for appends in self.appends.values_mut() {
            while let Poll::Ready(confirmed) = poll_first(appends, &mut context) {
                if !confirmed? {
                    break;
                }
            }
        }
        self.appends.retain(|_, appends| !appends.is_empty());
        Ok(())
    }

    /// Waits until nothing is in flight. All held commands must have been freed before.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn confirmed(&mut self) -> Result<(), HostError> {
        debug_assert!(self.held.is_empty(), "what is held has not even left");
        for append in std::mem::take(&mut self.appends).into_values().flatten() {
            append.append.await?;
        }
        for sent in std::mem::take(&mut self.sent).into_values() {
            sent.await?;
        }
        Ok(())
    }
}

/// Whether this append and all before it are confirmed.
fn is_past(appends: &VecDeque<Numbered>, number: u64) -> bool {
    appends.front().is_none_or(|first| first.number > number)
}

/// Resolves to true when the oldest append is confirmed, and to false if there is none.
fn poll_first(appends: &mut VecDeque<Numbered>, context: &mut Context<'_>) -> Poll<Result<bool, AppendError>> {
    let Some(first) = appends.front_mut() else { return Poll::Ready(Ok(false)) };
    ready!(Pin::new(&mut first.append).poll(context))?;
    appends.pop_front();
    Poll::Ready(Ok(true))
}

#[cfg(test)]
mod tests {
    use chorus_bus::{Bus, embedded};
    use chorus_core::{
        command::{Record, RoomCommand},
        ids::{RoomId, SessionId, Time},
    };

    use super::*;

    #[tokio::test]
    async fn what_is_held_leaves_in_order_once_the_append_is_confirmed() {
        let (_dir, bus) = log().await;
        let mut outbox = Outbox::default();
        let mark = put(&mut outbox, &bus);
        outbox.hold(edge(1), command(1), Some(mark));
        outbox.hold(edge(2), command(2), None);
        assert!(outbox.freed().is_none(), "it was not confirmed yet");
        assert_eq!(outbox.held(), 2, "nor goes what needs no append, for it is behind one that does");
        outbox.freeing().await.expect("the log takes it");
        let freed: Vec<_> = std::iter::from_fn(|| outbox.freed()).collect();
        assert_eq!(freed, [(edge(1), command(1)), (edge(2), command(2))]);
        assert_eq!(outbox.held(), 0);
    }

    #[tokio::test]
    async fn an_append_counts_as_confirmed_only_when_all_before_it_are() {
        let (_dir, bus) = log().await;
        let mut outbox = Outbox::default();
        let (first, second) = (put(&mut outbox, &bus), put(&mut outbox, &bus));
        outbox.hold(edge(1), command(1), Some(second));
        outbox.freeing().await.expect("the log takes it");
        assert!(outbox.has(first) && outbox.has(second));
    }

    #[tokio::test]
    async fn a_log_that_has_stopped_is_an_error_and_frees_nothing() {
        let (_dir, bus) = log().await;
        bus.clone().close().await.expect("it ends in order");
        let mut outbox = Outbox::default();
        let mark = put(&mut outbox, &bus);
        outbox.hold(edge(1), command(1), Some(mark));
        outbox.freeing().await.expect_err("it takes nothing any more");
        assert!(outbox.freed().is_none());
    }

    async fn log() -> (tempfile::TempDir, Bus) {
        let dir = tempfile::tempdir().expect("a directory");
        let bus = embedded::open(embedded::Options::new(dir.path().join("data"))).await.expect("a log");
        (dir, bus)
    }

    fn put(outbox: &mut Outbox, bus: &Bus) -> Mark {
        let room = RoomId(7);
        let record = Record { room, time: Time(1), command: RoomCommand::Close { reason: "over".into() } };
        outbox.put(0, bus.append(&record))
    }

    fn edge(number: u8) -> MachineId {
        MachineId(format!("edge-{number}").into())
    }

    fn command(number: u128) -> EdgeCommand {
        EdgeCommand::Replaced { session: SessionId(number) }
    }
}
