//! The messages of a client to one room, from their arrival to their answers.
//!
//! At most [`WINDOW`] of them are in the room's channel without an answer. The others are held, in order. Bounds: the
//! caller adds none beyond [`MAX_UNANSWERED`].

use std::collections::VecDeque;

use super::{MAX_UNANSWERED, WINDOW};
use crate::frame::Msg;

#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    /// Ids of messages without an answer, rising.
    pub unanswered: VecDeque<u64>,
    /// The last of these messages, which are not in the log yet because [`WINDOW`] others are.
    held: VecDeque<Msg>,
    /// Ids of messages that the room has answered although this connection has not sent them: the client may still resend them.
    /// The latest [`MAX_UNANSWERED`].
    pub answered_early: VecDeque<u64>,
}

impl MessageQueue {
    /// The queue of a stay that begins, with the ids that earlier stays have left.
    pub fn new(answered_early: VecDeque<u64>) -> MessageQueue {
        MessageQueue { answered_early, ..MessageQueue::default() }
    }

    pub fn push(&mut self, msg: Msg) {
        self.unanswered.push_back(msg.message_id);
        self.held.push_back(msg);
    }

    /// Takes the next message to append, if the window has space for it.
    pub fn pop(&mut self) -> Option<Msg> {
        if self.has_window() { self.held.pop_front() } else { None }
    }

    pub fn has_window(&self) -> bool {
        self.unanswered.len() - self.held.len() < WINDOW
    }

    pub fn is_full(&self) -> bool {
        self.unanswered.len() >= MAX_UNANSWERED
    }

    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(|msg| msg.data.len()).sum()
    }

    /// The room has answered a message. Answers nearly always arrive in the order of the messages.
    pub fn on_answer(&mut self, message_id: u64) {
        self.held.retain(|msg| msg.message_id != message_id);
        if self.unanswered.front() == Some(&message_id) {
            self.unanswered.pop_front();
        } else if let Some(at) = self.unanswered.iter().position(|id| *id == message_id) {
            self.unanswered.remove(at);
        } else {
            self.answered_early.push_back(message_id);
            if self.answered_early.len() > MAX_UNANSWERED {
                self.answered_early.pop_front();
            }
        }
    }

    pub fn remove(&mut self, message_id: u64) {
        self.unanswered.retain(|id| *id != message_id);
        self.held.retain(|msg| msg.message_id != message_id);
    }

    /// Removes the messages up to this id, and returns their ids.
    pub fn remove_through(&mut self, message_id: u64) -> Vec<u64> {
        let removed = self.unanswered.iter().copied().filter(|id| *id <= message_id).collect();
        self.unanswered.retain(|id| *id > message_id);
        self.held.retain(|msg| msg.message_id > message_id);
        removed
    }

    /// Removes the held messages below this id, and returns their ids.
    pub fn remove_held_below(&mut self, message_id: u64) -> Vec<u64> {
        let below = self.held.iter().map(|msg| msg.message_id).filter(|id| *id < message_id);
        let removed: Vec<u64> = below.collect();
        self.held.retain(|msg| msg.message_id >= message_id);
        self.unanswered.retain(|id| !removed.contains(id));
        removed
    }

    /// Removes all held messages, and returns their ids.
    pub fn remove_held(&mut self) -> VecDeque<u64> {
        let in_channel = self.unanswered.len() - self.held.len();
        self.held = VecDeque::new();
        self.unanswered.split_off(in_channel)
    }

    /// Removes the messages above this id, and returns them as a queue.
    pub fn split_above(&mut self, message_id: u64) -> MessageQueue {
        let (unanswered, earlier) = self.unanswered.drain(..).partition(|id| *id > message_id);
        let (held, earlier_held) = self.held.drain(..).partition(|msg| msg.message_id > message_id);
        (self.unanswered, self.held) = (earlier, earlier_held);
        MessageQueue { unanswered, held, answered_early: VecDeque::new() }
    }
}
