//! Both ends of an edge's channel.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use chorus_core::command::EdgeCommand;
use tokio::sync::oneshot;

use crate::{EdgeReadError, SendError, embedded, kafka};

/// The promise of one command for an edge. Dropping it leaves the command sent. When the last one to an edge has resolved, so
/// have all before it.
///
/// Resolves when the edge has the command or is certain to be notified of its loss, so that the sender need not keep it any
/// longer. In the embedded back end that is at once: the edge and the sender die together.
pub struct Sent(pub(crate) SentState);

pub(crate) enum SentState {
    Done,
    Waiting(oneshot::Receiver<Result<(), SendError>>),
    /// The command was dropped: resolves when the edge has been notified.
    Dropped(Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + Sync>>),
    Failed(SendError),
}

impl Sent {
    /// Whether it has already resolved with success, so that there is nothing to keep.
    pub fn is_done(&self) -> bool {
        matches!(self.0, SentState::Done)
    }
}

impl Future for Sent {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            SentState::Done => Poll::Ready(Ok(())),
            SentState::Waiting(arrived) => {
                Pin::new(arrived).poll(context).map(|arrived| arrived.unwrap_or(Err(SendError::Closed)))
            }
            SentState::Dropped(notified) => notified.as_mut().poll(context),
            SentState::Failed(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            SentState::Done => "Sent(done)",
            SentState::Waiting(_) => "Sent(in flight)",
            SentState::Dropped(_) => "Sent(dropped)",
            SentState::Failed(_) => "Sent(failed)",
        })
    }
}

/// The commands of rooms for one edge, in order.
#[derive(Debug)]
pub struct EdgeReceiver(pub(crate) EdgeBackend);

#[derive(Debug)]
pub(crate) enum EdgeBackend {
    Embedded(embedded::EdgeReceiver),
    Kafka(kafka::EdgeReceiver),
}

impl EdgeReceiver {
    /// Waits for commands and appends all that are available to `into`: at least one. Cancel safe.
    ///
    /// [`EdgeReadError::Overflow`] is returned once, in the place of the missing commands. Only what a room sends again to a
    /// resumed session can then make that session complete: the edge closes its sessions with 4008 (slow consumer), they
    /// resume, and reading continues.
    pub async fn recv_many(&mut self, into: &mut Vec<EdgeCommand>) -> Result<(), EdgeReadError> {
        match &mut self.0 {
            EdgeBackend::Embedded(receiver) => receiver.recv_many(into).await,
            EdgeBackend::Kafka(receiver) => receiver.recv_many(into).await,
        }
    }
}
