//! Edges' channels, in memory only: edge and host are one process here, so they die together, and a room's log can reproduce
//! everything in a channel.
//!
//! A channel holds [`EDGE_LIMIT`] commands. When the edge falls that far behind, the channel *overflows*: all of them are
//! dropped, and the edge is notified once, in their place. It closes its sessions with 4008, they resume, and rooms send again
//! what these sessions missed. Commands for an edge without a receiver are dropped: an edge opens its channel before it appends
//! anything, so such commands are for an earlier life of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, RwLock},
};

use chorus_core::{command::EdgeCommand, ids::MachineId};
use tokio::sync::Notify;

use crate::EdgeReadError;

/// How many commands may wait for one edge.
pub const EDGE_LIMIT: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Edges(RwLock<HashMap<MachineId, Arc<Channel>>>);

#[derive(Debug, Default)]
struct Channel {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    commands: Vec<EdgeCommand>,
    dropped: u64,
    closed: bool,
}

impl Edges {
    pub(super) fn send(&self, edge: &MachineId, command: EdgeCommand) {
        let edges = self.0.read().expect("nothing panics under this lock");
        if let Some(channel) = edges.get(edge) {
            channel.send(command);
        }
    }

    pub(super) fn open(&self, edge: &MachineId) -> EdgeReceiver {
        let channel = Arc::new(Channel::default());
        let mut edges = self.0.write().expect("nothing panics under this lock");
        if let Some(earlier) = edges.insert(edge.clone(), channel.clone()) {
            earlier.close();
        }
        // Dropped receivers have closed their channels.
        edges.retain(|_, channel| !channel.lock().closed);
        EdgeReceiver(channel)
    }

    pub(super) fn list(&self) -> Vec<MachineId> {
        let edges = self.0.read().expect("nothing panics under this lock");
        edges.iter().filter(|(_, channel)| !channel.lock().closed).map(|(edge, _)| edge.clone()).collect()
    }

    pub(super) fn delete(&self, edge: &MachineId) {
        let deleted = self.0.write().expect("nothing panics under this lock").remove(edge);
        deleted.iter().for_each(|channel| channel.close());
    }

    pub(super) fn close(&self) {
        self.0.read().expect("nothing panics under this lock").values().for_each(|channel| channel.close());
    }
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }

    fn send(&self, command: EdgeCommand) {
        let mut queue = self.lock();
        if queue.closed {
            return;
        }
        let was_empty = queue.commands.is_empty() && queue.dropped == 0;
        if queue.commands.len() >= EDGE_LIMIT {
            queue.dropped += queue.commands.len() as u64;
            queue.commands = Vec::new();
        }
        // Until the edge has read the overflow, no later command may reach it: its session would look complete.
        match queue.dropped {
            0 => queue.commands.push(command),
            _ => queue.dropped += 1,
        }
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }
}

/// The embedded half of [`crate::EdgeReceiver`].
#[derive(Debug)]
pub struct EdgeReceiver(Arc<Channel>);

impl EdgeReceiver {
    pub(crate) async fn recv_many(&mut self, into: &mut Vec<EdgeCommand>) -> Result<(), EdgeReadError> {
        loop {
            if let Some(taken) = self.take(into) {
                return taken;
            }
            self.0.filled.notified().await;
        }
    }

    fn take(&mut self, into: &mut Vec<EdgeCommand>) -> Option<Result<(), EdgeReadError>> {
        let mut queue = self.0.lock();
        if queue.dropped > 0 {
            return Some(Err(EdgeReadError::Overflow { dropped: std::mem::take(&mut queue.dropped) }));
        }
        if queue.commands.is_empty() {
            return queue.closed.then_some(Err(EdgeReadError::Closed));
        }
        // Two vectors are swapped again and again, so that in the long run nothing is allocated here.
        match into.is_empty() {
            true => std::mem::swap(into, &mut queue.commands),
            false => into.append(&mut queue.commands),
        }
        Some(Ok(()))
    }
}

impl Drop for EdgeReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        queue.commands = Vec::new();
    }
}
