//! How long rooms take to answer messages, measured from the append to the answer in the outbox.

use std::{collections::VecDeque, time::Instant};

use prometheus_client::metrics::histogram::Histogram;

/// Messages of one connection that are timed at once. Of a client that sends more without waiting, only some messages are
/// timed.
const MAX_TIMED: usize = 8;

/// Messages whose answers are timed, oldest first.
#[derive(Debug, Default)]
pub(crate) struct AnswerTimes(VecDeque<(u64, Instant)>);

impl AnswerTimes {
    /// The message with this id was appended.
    pub fn start(&mut self, id: u64) {
        if self.0.len() < MAX_TIMED {
            self.0.push_back((id, Instant::now()));
        }
    }

    /// All messages up to this id are answered.
    pub fn observe(&mut self, answered: u64, seconds: &Histogram) {
        while let Some((_, appended)) = self.0.pop_front_if(|(id, _)| *id <= answered) {
            seconds.observe(appended.elapsed().as_secs_f64());
        }
    }
}
