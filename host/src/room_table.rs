//! The rooms of this host: those with a task, and those that are to be restored after a takeover.
//!
//! A room that waits to be restored has its records since the checkpoint in its mailbox, so the checkpoint does not pass them.
//! `core::hosting::recovery` decides which of these rooms is restored next; this module starts the task. All of it is under one
//! lock, so that a room that hibernates has either received a record or is restored by it.

use std::{collections::HashMap, sync::Arc};

use chorus_core::{
    command::Record,
    effect::RestoreReason,
    hosting::recovery::{Input, Recovery, is_awaited},
    ids::{Offset, RoomId},
};

use crate::{Shared, mailbox::Mailbox, room_task};

#[derive(Debug)]
pub struct RoomTable {
    /// The rooms that have a task.
    pub live: HashMap<RoomId, Arc<Mailbox>>,
    /// The rooms that are to be restored, and why.
    waiting: HashMap<RoomId, (Arc<Mailbox>, RestoreReason)>,
    recovery: Recovery,
}

impl RoomTable {
    /// Restores at most `parallel` rooms at a time that are not needed yet.
    pub fn new(parallel: usize) -> RoomTable {
        RoomTable { live: HashMap::new(), waiting: HashMap::new(), recovery: Recovery::new(parallel) }
    }

    /// How many rooms wait to be restored.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a record into its room's mailbox.
    pub fn deliver(&mut self, host: &Arc<Shared>, offset: Offset, record: Record) {
        let room = record.room;
        if self.live.contains_key(&room) || is_awaited(&record.command) {
            self.restored(host, room).push(offset, record);
        } else if let Some((mailbox, _)) = self.waiting.get(&room) {
            mailbox.push(offset, record);
        } else {
            self.found(room, vec![(offset, record)], RestoreReason::Woken);
            self.restore_next(host);
        }
    }

    /// The mailbox of a room, which is restored unless it has a task.
    pub fn restored(&mut self, host: &Arc<Shared>, room: RoomId) -> &Mailbox {
        if !self.live.contains_key(&room) {
            self.recovery.handle(Input::Needed(room));
            self.restore_next(host);
        }
        let RoomTable { live, waiting, .. } = self;
        live.entry(room).or_insert_with(|| {
            // A room whose partition is being handed over still waits here, and its turn never comes.
            let (mailbox, why) = waiting.remove(&room).unwrap_or((Arc::default(), RestoreReason::Woken));
            start(host, room, mailbox, why)
        })
    }

    /// The room has records that it has not applied, and is to be restored: see [`RoomTable::restore_next`].
    pub fn found(&mut self, room: RoomId, records: Vec<(Offset, Record)>, why: RestoreReason) {
        let oldest = records.first().map_or(0, |(offset, _)| *offset);
        let mailbox = Arc::new(Mailbox::default());
        records.into_iter().for_each(|(offset, record)| mailbox.push(offset, record));
        self.waiting.insert(room, (mailbox, why));
        self.recovery.handle(Input::Found(room, oldest));
    }

    /// The room has applied the records that it was restored for, or its task has ended: the next one may follow.
    pub fn has_restored(&mut self, host: &Arc<Shared>, room: RoomId) {
        self.recovery.handle(Input::Restored(room));
        self.restore_next(host);
    }

    /// Starts the tasks of the rooms whose turn it is.
    pub fn restore_next(&mut self, host: &Arc<Shared>) {
        while let Some(room) = self.recovery.poll_output() {
            if let Some((mailbox, why)) = self.waiting.remove(&room) {
                self.live.insert(room, start(host, room, mailbox, why));
            }
        }
    }

    /// These rooms are restored by their next host. Until they are given up, their records keep the checkpoint where it is.
    pub fn restore_no_longer(&mut self, which: impl Fn(RoomId) -> bool) {
        for room in self.waiting.keys().copied().filter(|room| which(*room)) {
            self.recovery.handle(Input::Left(room));
        }
    }

    /// Removes these rooms: a room that was found here again would miss the records that another host handles from now on.
    pub fn give_up(&mut self, which: impl Fn(RoomId) -> bool) {
        self.restore_no_longer(&which);
        self.waiting.retain(|room, _| !which(*room));
        for (_, mailbox) in self.live.extract_if(|room, _| which(*room)) {
            mailbox.give_up();
        }
    }

    /// The oldest record of these rooms that is in no stored snapshot.
    pub fn unsaved_from(&self, which: impl Fn(RoomId) -> bool) -> Option<Offset> {
        let waiting = self.waiting.iter().map(|(room, (mailbox, _))| (room, mailbox));
        let of_them = self.live.iter().chain(waiting).filter(|(room, _)| which(**room));
        of_them.filter_map(|(_, mailbox)| mailbox.unsaved_from()).min()
    }
}

fn start(host: &Arc<Shared>, room: RoomId, mailbox: Arc<Mailbox>, why: RestoreReason) -> Arc<Mailbox> {
    host.alarms.clear(room);
    let (host, task_mailbox) = (host.clone(), mailbox.clone());
    tokio::spawn(async move {
        room_task::run(host.clone(), room, task_mailbox, why).await;
        host.rooms().has_restored(&host, room);
    });
    mailbox
}
