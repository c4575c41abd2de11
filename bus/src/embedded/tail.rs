//! The newest records of a partition, in memory: readers that keep up take them from here, without touching a file.
//!
//! One bounded window that all readers share, rather than a queue for each: a reader that falls behind the window reads from
//! disk until it has caught up, and no reader can make another one lose its position.

use std::collections::VecDeque;

use chorus_core::{command::Record, ids::Offset};

#[derive(Debug)]
pub(super) struct Tail {
    /// The offset of the first record here.
    first: Offset,
    records: VecDeque<(Record, usize)>,
    bytes: usize,
    limit: usize,
}

impl Tail {
    pub(super) fn new(next: Offset, limit: usize) -> Tail {
        Tail { first: next, records: VecDeque::new(), bytes: 0, limit }
    }

    /// Appends the next record in order; `bytes` is its encoded size.
    pub(super) fn push(&mut self, record: Record, bytes: usize) {
        self.records.push_back((record, bytes));
        self.bytes += bytes;
        while self.bytes > self.limit {
            let Some((_, bytes)) = self.records.pop_front() else { break };
            self.bytes -= bytes;
            self.first += 1;
        }
    }

    /// Empties the window and continues at a later offset.
    pub(super) fn skip_to(&mut self, next: Offset) {
        *self = Tail::new(next, self.limit);
    }

    /// Copies up to `most` records from `from` on, and returns their number. 0 when `from` is not in the window.
    pub(super) fn copy(&self, from: Offset, most: usize, into: &mut Vec<(Offset, Record)>) -> usize {
        let Some(skip) = from.checked_sub(self.first) else { return 0 };
        let before = into.len();
        let from_there = self.records.iter().skip(skip as usize).take(most);
        into.extend(from_there.zip(from..).map(|((record, _), offset)| (offset, record.clone())));
        into.len() - before
    }
}
