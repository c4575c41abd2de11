//! The records that wait for a room, in order, and how far they are stored.
//!
//! Bounded by [`CAPACITY`]. A room that lags further behind holds nothing up: the mailbox takes no more records and keeps
//! the offset of the first one that it did not take, and the room reads the log itself until it has caught up. The room may
//! then receive a record twice, and its machine ignores the repetition.

use std::{collections::VecDeque, sync::Mutex};

use chorus_core::{
    command::Record,
    ids::{Digest, Kind, Offset},
};
use tokio::sync::Notify;

use crate::inspect::Question;

/// Records that wait for one room.
pub const CAPACITY: usize = 256;

/// Questions that wait for one room. The asker of a further one gets no answer.
pub const MAX_QUESTIONS: usize = 16;

#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<(Offset, Record)>,
    /// The first record that was not taken.
    overflow: Option<Offset>,
    last: Option<Offset>,
    /// The oldest record that is in no stored snapshot. The log must be kept from there.
    unsaved_from: Option<Offset>,
    kind: Option<Kind>,
    given_up: bool,
    changes: Changes,
    questions: Vec<Question>,
}

/// What other tasks have reported since the room last took these changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The last offset that the store has confirmed.
    pub stored: Option<Offset>,
    /// The store has another state after this record than the room.
    pub diverged: Option<Offset>,
    /// The component that was activated for the room's kind.
    pub active_component: Option<Digest>,
    /// There are questions.
    pub asked: bool,
}

/// What a room takes out of its mailbox.
#[derive(Debug)]
pub enum Waiting {
    Records(VecDeque<(Offset, Record)>),
    /// The mailbox was full: records from this offset on are in the log only.
    ReadFrom(Offset),
}

impl Mailbox {
    pub fn push(&self, offset: Offset, record: Record) {
        let mut inner = self.lock();
        inner.last = Some(offset);
        inner.unsaved_from.get_or_insert(offset);
        if inner.overflow.is_some() {
            return;
        }
        if inner.queue.len() < CAPACITY {
            inner.queue.push_back((offset, record));
        } else {
            inner.overflow = Some(offset);
        }
        drop(inner);
        self.notify.notify_one();
    }

    /// Takes the records that wait; `None` if there are none.
    pub fn take(&self) -> Option<Waiting> {
        let mut inner = self.lock();
        if !inner.queue.is_empty() {
            return Some(Waiting::Records(std::mem::take(&mut inner.queue)));
        }
        inner.overflow.take().map(Waiting::ReadFrom)
    }

    /// Waits for a record, a stored snapshot or a request to look at the clock.
    pub async fn notified(&self) {
        self.notify.notified().await;
    }

    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// The store has all records up to `offset`, in a snapshot or as the end of the room.
    pub fn stored(&self, offset: Offset) {
        let mut inner = self.lock();
        inner.changes.stored = inner.changes.stored.max(Some(offset));
        inner.need_not_keep(offset);
        drop(inner);
        self.notify.notify_one();
    }

    pub fn take_changes(&self) -> Changes {
        std::mem::take(&mut self.lock().changes)
    }

    /// The room has received all records up to `offset`, and needs none of them again.
    pub fn mark_unneeded(&self, offset: Offset) {
        self.lock().need_not_keep(offset);
    }

    /// Discards what the room did since its stored snapshot: the room reads the log again from there.
    pub fn reset(&self) {
        let mut inner = self.lock();
        inner.queue.clear();
        inner.overflow = inner.unsaved_from;
    }

    pub fn unsaved_from(&self) -> Option<Offset> {
        self.lock().unsaved_from
    }

    /// Whether no record waits and everything is stored.
    pub fn is_settled(&self) -> bool {
        let inner = self.lock();
        inner.queue.is_empty() && inner.overflow.is_none() && inner.unsaved_from.is_none()
    }

    /// The store has another state after the record at `offset` than this room had.
    pub fn diverged(&self, offset: Offset) {
        self.lock().changes.diverged = Some(offset);
        self.notify.notify_one();
    }

    /// This component is the active one of the room's kind from now on.
    pub fn set_active_component(&self, component: Digest) {
        self.lock().changes.active_component = Some(component);
        self.notify.notify_one();
    }

    /// Asks the room's task. The question is dropped if too many wait, or if the task ends.
    pub fn ask(&self, question: Question) {
        let mut inner = self.lock();
        if inner.questions.len() < MAX_QUESTIONS {
            inner.questions.push(question);
            inner.changes.asked = true;
        }
        drop(inner);
        self.notify.notify_one();
    }

    pub fn take_questions(&self) -> Vec<Question> {
        std::mem::take(&mut self.lock().questions)
    }

    /// The room is another host's now: its task here ends, with nothing more stored.
    pub fn give_up(&self) {
        self.lock().given_up = true;
        self.notify.notify_one();
    }

    pub fn is_given_up(&self) -> bool {
        self.lock().given_up
    }

    pub fn kind(&self) -> Option<Kind> {
        self.lock().kind.clone()
    }

    pub fn set_kind(&self, kind: Kind) {
        self.lock().kind = Some(kind);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding it")
    }
}

impl Inner {
    fn need_not_keep(&mut self, offset: Offset) {
        let all = self.last.is_none_or(|last| last <= offset);
        self.unsaved_from = if all { None } else { self.unsaved_from.map(|from| from.max(offset + 1)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorus_core::{
        command::RoomCommand,
        ids::{RoomId, Time},
    };

    fn record() -> Record {
        Record { room: RoomId(1), time: Time(0), command: RoomCommand::Close { reason: "".into() } }
    }

    #[test]
    fn a_full_mailbox_says_where_to_read_on() {
        let mailbox = Mailbox::default();
        for offset in 0..CAPACITY as u64 + 5 {
            mailbox.push(offset, record());
        }
        let Some(Waiting::Records(records)) = mailbox.take() else { panic!("there are records") };
        assert_eq!(records.len(), CAPACITY);
        let Some(Waiting::ReadFrom(from)) = mailbox.take() else { panic!("there is more in the log") };
        assert_eq!(from, CAPACITY as u64);
        mailbox.push(900, record());
        assert!(matches!(mailbox.take(), Some(Waiting::Records(_))), "from then on it takes records again");
    }

    #[test]
    fn a_change_is_taken_once_and_only_the_latest_stored_offset_counts() {
        let mailbox = Mailbox::default();
        mailbox.stored(7);
        mailbox.stored(3);
        mailbox.diverged(9);
        let changes = Changes { stored: Some(7), diverged: Some(9), active_component: None, asked: false };
        assert_eq!(mailbox.take_changes(), changes);
        assert_eq!(mailbox.take_changes(), Changes::default());
    }

    #[test]
    fn questions_beyond_the_bound_have_no_answer() {
        let mailbox = Mailbox::default();
        let mut answers = Vec::new();
        for _ in 0..MAX_QUESTIONS + 1 {
            let (sender, answer) = tokio::sync::oneshot::channel();
            mailbox.ask(Question::Look(sender));
            answers.push(answer);
        }
        assert!(mailbox.take_changes().asked);
        assert_eq!(mailbox.take_questions().len(), MAX_QUESTIONS);
        assert_eq!(
            answers.pop().expect("there is one").try_recv(),
            Err(tokio::sync::oneshot::error::TryRecvError::Closed)
        );
    }

    #[test]
    fn it_is_settled_when_the_last_record_is_stored() {
        let mailbox = Mailbox::default();
        mailbox.push(3, record());
        mailbox.push(7, record());
        mailbox.take();
        mailbox.stored(3);
        assert_eq!(mailbox.unsaved_from(), Some(4));
        mailbox.stored(7);
        assert!(mailbox.is_settled());
    }

    #[test]
    fn what_came_after_the_last_look_is_kept() {
        let mailbox = Mailbox::default();
        mailbox.push(3, record());
        mailbox.take();
        mailbox.push(4, record());
        mailbox.mark_unneeded(3);
        assert_eq!((mailbox.unsaved_from(), mailbox.is_settled()), (Some(4), false));
    }

    #[test]
    fn a_room_that_begins_again_reads_what_is_not_stored() {
        let mailbox = Mailbox::default();
        (3..9).for_each(|offset| mailbox.push(offset, record()));
        mailbox.stored(5);
        mailbox.reset();
        assert!(matches!(mailbox.take(), Some(Waiting::ReadFrom(6))));
        assert!(mailbox.take().is_none());
    }
}
