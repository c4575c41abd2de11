//! Virtual time, randomness, and the delivery of events.
//!
//! A message takes a time drawn at random. Messages of one machine on one channel keep their order; those on different channels
//! overtake each other. A machine that is killed loses its latest messages. A machine that stalls sends and receives when it
//! recovers.

use std::ops::Range;

use chorus_core::ids::{RoomId, Time};
use rand_chacha::rand_core::Rng;

use crate::{
    dials::DIALS,
    event::{Event, Life},
    world::{OUTSIDE, World},
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    Partition(u32),
    Edge(Life),
    Client(usize, u32),
    /// A connection's writes to the store.
    Connection(u32),
    /// A room's updates of the store.
    Room(RoomId),
}

impl World {
    pub fn draw(&mut self, from: Range<u64>) -> u64 {
        from.start + self.dice.next_u64() % (from.end - from.start)
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.draw(0..many) == 0
    }

    pub fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now.plus(ms), event);
    }

    pub fn at(&mut self, time: Time, event: Event) {
        self.next_event += 1;
        self.queue.insert((time.max(self.now), self.next_event), event);
    }

    /// When a message that is sent now arrives.
    pub fn arrival(&mut self, from: Life, channel: Channel) -> Time {
        let slow = if self.one_in(DIALS.delayed) { self.draw(DIALS.delay) } else { 0 };
        let takes = self.draw(DIALS.latency) + slow;
        let last = self.last.get(&(from, channel)).copied().unwrap_or_default();
        let at = self.now.plus(takes).max(last);
        self.last.insert((from, channel), at);
        at
    }

    /// When everything that this machine has sent to rooms and edges has arrived.
    pub fn all_arrived(&self, life: Life) -> Time {
        let sent = self.last.range((life, Channel::Partition(0))..(life, Channel::Client(0, 0)));
        sent.map(|(_, at)| *at).max().unwrap_or_default().max(self.now).plus(1)
    }

    /// A dead machine receives nothing, and what it sent too late is dropped. A stalled machine sends and receives when it
    /// recovers; what has arrived by then is kept for it, even if its sender has died.
    pub fn may_happen(&mut self, event: Event) -> Option<Event> {
        let (from, to) = event.machines();
        if let Some(from) = from.map(|life| &self.machines[&life]) {
            if from.cut.is_some_and(|cut| self.now > cut) {
                return None;
            }
            if let Some(until) = from.stalled_until.filter(|until| *until > self.now) {
                self.at(until, event);
                return None;
            }
        }
        if let Some(to) = to.map(|life| &self.machines[&life]) {
            if !to.alive {
                return None;
            }
            if let Some(until) = to.stalled_until.filter(|until| *until > self.now) {
                let kept = match event {
                    Event::ToEdge(_, edge, command) => Event::ToEdge(OUTSIDE, edge, command),
                    other => other,
                };
                self.at(until, kept);
                return None;
            }
        }
        Some(event)
    }
}
