//! What a room has appended to channels and sent to edges, and the bus has not confirmed yet.
//!
//! The outputs of one room leave in order or not at all. An append that fails after it was taken (the disk is full) is a
//! gap: the room must append nothing more, and begin again at its snapshot.
//!
//! Bounds: confirmed appends are dropped at the next append, so only those in flight remain, and one command for each edge;
//! reports by the room's machine, which makes [`chorus_core::room::REPORT_BURST`] at once at most.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use chorus_bus::{Append, AppendError, Sent};
use chorus_core::{hosting::AppendId, ids::MachineId};
use tokio::task::JoinHandle;

use crate::HostError;

#[derive(Debug, Default)]
pub struct Outbox {
    /// Appends that are not confirmed yet, by partition, oldest first.
    appends: BTreeMap<u32, VecDeque<InFlight>>,
    /// Receipts of confirmed appends that were not taken yet.
    confirmed: VecDeque<AppendId>,
    /// The last command to each edge: when it has arrived, so have all before it.
    sent: BTreeMap<MachineId, Sent>,
    /// Reports on their way to the store. A task that is not waited for continues: the store takes a report once.
    reports: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct InFlight {
    receipt: Option<AppendId>,
    append: Append,
}

impl Outbox {
    pub fn put(&mut self, partition: u32, append: Append, receipt: Option<AppendId>) {
        self.appends.entry(partition).or_default().push_back(InFlight { receipt, append });
    }

    pub fn put_sent(&mut self, edge: MachineId, sent: Sent) {
        if !sent.is_done() {
            self.sent.insert(edge, sent);
        }
    }

    pub fn put_report(&mut self, written: JoinHandle<()>) {
        self.reports.retain(|report| !report.is_finished());
        self.reports.push(written);
    }

    /// The receipt of the next append that was confirmed at the last check.
    pub fn take_confirmed(&mut self) -> Option<AppendId> {
        self.confirmed.pop_front()
    }

    /// Waits for the receipt of the next append that is confirmed. Cancel safe.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn confirmed(&mut self) -> Result<AppendId, AppendError> {
        poll_fn(|context| {
            self.poll(context)?;
            self.confirmed.pop_front().map_or(Poll::Pending, |id| Poll::Ready(Ok(id)))
        })
        .await
    }

    /// Drops confirmed appends, and keeps their receipts.
    ///
    /// # Errors
    /// When an append is lost. Appends queued behind it in the same partition are lost, too.
    pub fn check(&mut self) -> Result<(), AppendError> {
        self.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Waits until nothing is in flight.
    ///
    /// # Errors
    /// As [`Outbox::check`].
    pub async fn flush(&mut self) -> Result<(), HostError> {
        for InFlight { receipt, append } in std::mem::take(&mut self.appends).into_values().flatten() {
            append.await?;
            self.confirmed.extend(receipt);
        }
        for sent in std::mem::take(&mut self.sent).into_values() {
            sent.await?;
        }
        for written in std::mem::take(&mut self.reports) {
            // It ends early with the process only.
            let _ = written.await;
        }
        Ok(())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Result<(), AppendError> {
        for appends in self.appends.values_mut() {
            while let Poll::Ready(Some(receipt)) = poll_first(appends, context) {
                self.confirmed.extend(receipt?);
            }
        }
        self.appends.retain(|_, appends| !appends.is_empty());
        Ok(())
    }
}

/// Resolves to the receipt of the oldest append when that is confirmed, and to `None` if there is none.
fn poll_first(
    appends: &mut VecDeque<InFlight>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Option<AppendId>, AppendError>>> {
    let Some(first) = appends.front_mut() else { return Poll::Ready(None) };
    if let Err(error) = ready!(Pin::new(&mut first.append).poll(context)) {
        return Poll::Ready(Some(Err(error)));
    }
    Poll::Ready(appends.pop_front().map(|first| Ok(first.receipt)))
}

#[cfg(test)]
mod tests {
    use chorus_bus::{Bus, embedded};
    use chorus_core::{
        command::{Record, RoomCommand},
        ids::{RoomId, Time},
    };

    use super::*;

    #[tokio::test]
    async fn receipts_are_reported_in_the_order_of_the_appends() {
        let (_dir, bus) = log().await;
        let mut outbox = Outbox::default();
        for number in 1..=2 {
            put(&mut outbox, &bus, Some(AppendId(number)));
            put(&mut outbox, &bus, None);
        }
        assert_eq!(outbox.confirmed().await.expect("the log takes it"), AppendId(1));
        outbox.flush().await.expect("the log takes the rest");
        assert_eq!(outbox.take_confirmed(), Some(AppendId(2)));
        assert_eq!(outbox.take_confirmed(), None);
    }

    #[tokio::test]
    async fn a_log_that_has_stopped_is_an_error_and_confirms_nothing() {
        let (_dir, bus) = log().await;
        bus.clone().close().await.expect("it ends in order");
        let mut outbox = Outbox::default();
        put(&mut outbox, &bus, Some(AppendId(1)));
        outbox.confirmed().await.expect_err("it takes nothing any more");
        assert_eq!(outbox.take_confirmed(), None);
    }

    async fn log() -> (tempfile::TempDir, Bus) {
        let dir = tempfile::tempdir().expect("a directory");
        let bus = embedded::open(embedded::Options::new(dir.path().join("data"))).await.expect("a log");
        (dir, bus)
    }

    fn put(outbox: &mut Outbox, bus: &Bus, receipt: Option<AppendId>) {
        let room = RoomId(7);
        let record = Record { room, time: Time(1), command: RoomCommand::Close { reason: "over".into() } };
        outbox.put(0, bus.append(&record), receipt);
    }
}
