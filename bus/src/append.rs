//! The promise of an append, and appends that wait for room in the queue.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use chorus_core::{command::Record, ids::Offset};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep},
};

use crate::{AppendError, Bus};

/// The delay before another attempt when the queue is full: about the time that a write of it takes.
const FULL_RETRY: Duration = Duration::from_millis(2);

impl Bus {
    /// As [`Bus::append`], but waits while the queue is full. The record is in its place when this returns; it is not in the
    /// log if this returns an error, or is dropped before it returns.
    pub async fn append_retrying(&self, record: &Record) -> Result<Append, AppendError> {
        loop {
            let append = self.append(record);
            match append.refused() {
                None => return Ok(append),
                Some(AppendError::Full { .. }) => tokio::time::sleep(FULL_RETRY).await,
                Some(error) => return Err(error.clone()),
            }
        }
    }
}

/// The promise of one append. Dropping it leaves the record appended.
#[derive(Debug)]
pub struct Append(pub(crate) AppendState);

#[derive(Debug)]
pub(crate) enum AppendState {
    Waiting(Answer),
    Confirming(Confirming),
    Refused(AppendError),
}

pub(crate) type Answer = oneshot::Receiver<Result<Option<Offset>, AppendError>>;

/// A wait with a limit.
#[derive(Debug)]
pub(crate) struct Confirming {
    answer: Answer,
    after: Duration,
    deadline: Instant,
    /// Set only when the caller has to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Append {
    /// Why the record was refused, if it was. Known at once.
    pub fn refused(&self) -> Option<&AppendError> {
        match &self.0 {
            AppendState::Waiting(_) | AppendState::Confirming(_) => None,
            AppendState::Refused(error) => Some(error),
        }
    }

    /// The same without a limit, for a caller that owes no client an answer: never [`AppendError::Unconfirmed`] while the bus
    /// exists.
    pub fn without_deadline(self) -> Append {
        match self.0 {
            AppendState::Confirming(confirming) => Append(AppendState::Waiting(confirming.answer)),
            state => Append(state),
        }
    }
}

impl Confirming {
    pub fn new(answer: Answer, after: Duration) -> Confirming {
        Confirming { answer, after, deadline: Instant::now() + after, timer: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Offset>, AppendError>> {
        if let Poll::Ready(answer) = poll_answer(&mut self.answer, context) {
            return Poll::Ready(answer);
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.deadline)));
        timer.as_mut().poll(context).map(|()| Err(AppendError::Unconfirmed { after: self.after }))
    }
}

fn poll_answer(answer: &mut Answer, context: &mut Context<'_>) -> Poll<Result<Option<Offset>, AppendError>> {
    Pin::new(answer).poll(context).map(|answer| answer.unwrap_or(Err(AppendError::Closed)))
}

/// Resolves with the record's offset. `None`: the record is in the log, once, but the broker did not report its offset, since
/// it identified this delivery as a repetition.
impl Future for Append {
    type Output = Result<Option<Offset>, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            AppendState::Waiting(answer) => poll_answer(answer, context),
            AppendState::Confirming(confirming) => confirming.poll(context),
            AppendState::Refused(error) => Poll::Ready(Err(error.clone())),
        }
    }
}
