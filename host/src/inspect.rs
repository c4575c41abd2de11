//! Questions to the task of a live room, for an author who inspects it.
//!
//! A task answers between two records, from the state that it holds, so an answer is exact, and the room does not differ by it:
//! no record is appended, and the guest is called only where [`Host::lose_instance`] replaces it anyway. A hibernated room has no
//! task, and is not woken.
//!
//! Bounds: [`crate::mailbox::MAX_QUESTIONS`] wait for a room; an answer is waited for as long as [`ANSWER_WITHIN`].

use std::time::Duration;

use chorus_core::ids::{Digest, Offset, RoomId};
use tokio::sync::oneshot;

use crate::Host;

/// A room that computes for longer than this is listed without an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A rebuild replays the records since the last snapshot, and may wait for a free instance.
const REBUILD_WITHIN: Duration = Duration::from_secs(30);

/// A question to a room's task.
#[derive(Debug)]
pub enum Question {
    Look(oneshot::Sender<Look>),
    LoseInstance(oneshot::Sender<Rebuilt>),
}

/// A live room at one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The last record that it has applied.
    pub offset: Offset,
    pub component: Digest,
    pub members: usize,
    /// The members that have a connection.
    pub connected: usize,
    pub locked: bool,
}

/// A room whose instance was dropped, and that has a new one by replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The last record that it has applied.
    pub offset: Offset,
    /// The digest of the room's whole state, with that of the script, before; `None` if the script could not save.
    pub before: Option<Digest>,
    /// The same of the new instance, from the snapshot and the records since.
    pub after: Option<Digest>,
    /// How long the room had no instance.
    pub took: Duration,
}

impl Host {
    /// Whether this room has a task here.
    pub fn is_live(&self, room: RoomId) -> bool {
        self.0.rooms().live.contains_key(&room)
    }

    /// What a live room is at its last record. `None` if it is not live here, or computes for long.
    pub async fn look(&self, room: RoomId) -> Option<Look> {
        self.ask(room, ANSWER_WITHIN, Question::Look).await
    }

    /// Drops a live room's instance, as a crash of the sandbox would, and waits until the room has another by replay. Members
    /// notice nothing but the time that it takes. `None` if the room is not live here.
    pub async fn lose_instance(&self, room: RoomId) -> Option<Rebuilt> {
        self.ask(room, REBUILD_WITHIN, Question::LoseInstance).await
    }

    async fn ask<T>(
        &self,
        room: RoomId,
        within: Duration,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let mailbox = self.0.rooms().live.get(&room).cloned()?;
        mailbox.ask(question(sender));
        drop(mailbox);
        tokio::time::timeout(within, answer).await.ok()?.ok()
    }
}
