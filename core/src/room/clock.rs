//! When a room's timers fire on its host.
//!
//! A timer is due by the room's own time, which follows its records and never decreases. A host has another clock. As long as
//! the two agree, a timer fires when the host's clock reaches the due time. There are two exceptions:
//!
//! * **The room is ahead.** The clock of the whole system was set back (a restored machine, NTP), so the room's time is later
//!   than the host's. The host arms each timer with the delay that is left by the room's time, and that delay passes on the
//!   host's clock. The record that fires the timer carries the time at which the timer was due.
//! * **The room had no host.** The time without a host counts towards a timer's delay. But players could not act in that time,
//!   and may not have reconnected yet: a timer that was set before this host took over the room fires no earlier than
//!   [`GRACE_MS`] after the takeover, or the timer's delay if that is shorter.
//!
//! None of this is in the room's state. The clock determines when a `Timer` record is written, and only that record has an
//! effect.
//!
//! Bounds: at most twice as many entries as there are pending timers, plus `SPARE`.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use crate::ids::{Offset, OutputId, Time};

/// Players whom a restart has disconnected reconnect within this many milliseconds, or much later.
pub const GRACE_MS: u64 = 10_000;

/// The clocks of one system differ by less than this many milliseconds.
const SKEW_MS: u64 = 1_000;

/// When there are this many entries more than twice the number of pending timers, the entries of timers that no longer exist
/// are dropped.
const SPARE: usize = 64;

/// The next timer of a room, by its host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerDue {
    /// When it fires.
    pub at: Time,
    pub id: OutputId,
    /// By the room's time.
    due: Time,
}

impl TimerDue {
    /// The time that the `Timer` record carries when it is written at `now`, which is not before `at`.
    pub fn stamp(&self, now: Time) -> Time {
        now.max(self.due.plus(now.since(self.at)))
    }
}

/// A room's clock on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomClock {
    /// When this host took over the room.
    taken_over_at: Time,
    /// Timers that were set by records up to this one are armed, where that is needed.
    armed_through: Option<Offset>,
    /// When the timers fire that were set while the room was ahead.
    armed: BTreeMap<OutputId, Time>,
}

/// A timer of any sort.
#[derive(Clone, Copy)]
struct Pending {
    due: Time,
    id: OutputId,
    delay_ms: u64,
}

impl RoomClock {
    /// The clock of a room that this host took over at `taken_over_at`.
    pub fn new(taken_over_at: Time) -> RoomClock {
        RoomClock { taken_over_at, armed_through: None, armed: BTreeMap::new() }
    }

    /// Whether the clock has more than the time of the takeover, and so must be kept while the room hibernates.
    pub fn is_worth_keeping(&self) -> bool {
        !self.armed.is_empty()
    }

    /// The next timer to fire. `now` never decreases.
    pub fn next_timer(&mut self, state: &State, now: Time) -> Option<TimerDue> {
        self.arm_new(state, now);
        let fires = |pending: Pending| TimerDue { at: self.fires_at(&pending), id: pending.id, due: pending.due };
        candidates(state).map(fires).min_by_key(|timer| (timer.at, timer.due, timer.id))
    }

    /// Arms new timers while the room is ahead. The delay of a timer that existed at the takeover counts from the takeover.
    fn arm_new(&mut self, state: &State, now: Time) {
        let (before, since) = match self.armed_through.replace(state.offset) {
            Some(before) => (Some(before), now),
            None => (None, self.taken_over_at),
        };
        // By the host's present clock: a room that was created, or last had an instance, long after the takeover is not ahead.
        if state.clock.since(now) <= SKEW_MS || before >= Some(state.offset) {
            return;
        }
        for (due, id) in set_after(state, before) {
            self.armed.entry(id).or_insert(since.plus(due.since(state.clock)));
        }
        let pending = state.timers.len() + state.held_seats.len() + state.requests.len();
        if self.armed.len() > 2 * pending + SPARE {
            let pending: BTreeSet<OutputId> = set_after(state, None).map(|(_, id)| id).collect();
            self.armed.retain(|id, _| pending.contains(id));
        }
    }

    fn fires_at(&self, pending: &Pending) -> Time {
        let at = self.armed.get(&pending.id).copied().unwrap_or(pending.due);
        // When the timer was set, by this host's clock: the previous host's clock was about the same, unless the room is ahead.
        let set = at.0.saturating_sub(pending.delay_ms);
        if set < self.taken_over_at.0 { at.max(self.taken_over_at.plus(pending.delay_ms.min(GRACE_MS))) } else { at }
    }
}

/// When a hibernating room must be restored for a timer that is due at `due`: its host took it over at `taken`, and the room's
/// time was `clock` when it hibernated. The restored room then decides whether the timer fires.
pub fn wakes_at(due: Time, clock: Time, taken: Time) -> Time {
    taken.plus(due.since(clock.max(taken)))
}

/// The candidates for the next timer, of each sort.
fn candidates(state: &State) -> impl Iterator<Item = Pending> {
    let spec = state.spec.as_ref();
    let named = state.timers.values().map(|timer| Pending { due: timer.due, id: timer.id, delay_ms: timer.delay_ms });
    let hold_ms = spec.map_or(0, |spec| spec.hold_ms);
    let hold = state.held_seats.first().map(|(due, id, _)| Pending { due: *due, id: *id, delay_ms: hold_ms });
    let close = state.closes_at.map(|(due, id)| Pending { due, id, delay_ms: spec.map_or(0, |spec| spec.empty_ms) });
    // There are no members before a restart, so it is not delayed for them.
    let restart = state.next_restart().map(|(due, id)| Pending { due, id, delay_ms: 0 });
    let deadlines = state.requests.iter();
    let deadlines = deadlines.map(|(id, one)| Pending { due: one.due, id: *id, delay_ms: one.delay_ms });
    named.chain(hold).chain(close).chain(restart).chain(deadlines)
}

/// All timers that were set after a record. Held seats are ordered by due time, which is also the order of the records that set
/// them while a kind's hold time is unchanged.
fn set_after(state: &State, after: Option<Offset>) -> impl Iterator<Item = (Time, OutputId)> {
    let is_new = move |id: &OutputId| after.is_none_or(|after| id.offset > after);
    let named = state.timers.values().map(|timer| (timer.due, timer.id));
    let deadlines = state.requests.iter().map(|(id, request)| (request.due, *id));
    let others = [state.closes_at, state.next_restart()].into_iter().flatten().chain(deadlines);
    let holds = state.held_seats.iter().rev().map(|(due, id, _)| (*due, *id)).take_while(move |(_, id)| is_new(id));
    named.chain(others).filter(move |(_, id)| is_new(id)).chain(holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{Digest, Kind, RoomSecret, SessionId},
        json::Json,
        room::state::Timer,
    };

    const HOUR: u64 = 3_600_000;
    const NOON: Time = Time(1_700_000_000_000);

    /// A room whose latest record was at NOON.
    struct Story {
        state: State,
        clock: RoomClock,
        now: Time,
    }

    impl Story {
        /// Taken over by a host whose clock shows `taken`.
        fn taken_at(taken: Time) -> Story {
            let state = State::new(Kind::lobby(), Digest([0; 32]), None, RoomSecret(1), 16, NOON, 10);
            Story { state, clock: RoomClock::new(taken), now: taken }
        }

        /// A record of this time has set a timer.
        fn sets(&mut self, name: &str, time: Time, delay_ms: u64) {
            self.state.offset += 1;
            self.state.clock = self.state.clock.max(time);
            let id = OutputId { offset: self.state.offset, index: 1 };
            let timer = Timer { id, due: self.state.clock.plus(delay_ms), delay_ms, payload: Json::null() };
            self.state.timers.insert(name.into(), timer);
        }

        /// Adds a timer that was set this many milliseconds before the room's latest record.
        fn had(mut self, name: &str, ago: u64, delay_ms: u64) -> Story {
            self.sets(name, NOON, delay_ms);
            let timer = self.state.timers.get_mut(name).expect("it was just set");
            timer.due = Time(timer.due.0 - ago);
            self
        }

        fn next(&mut self) -> TimerDue {
            self.clock.next_timer(&self.state, self.now).expect("there is a timer")
        }

        /// The milliseconds until the next timer fires.
        fn waits(&mut self) -> u64 {
            self.next().at.since(self.now)
        }

        /// The next timer fires, and its record is applied. Returns the milliseconds until then, by the host's clock.
        fn fires(&mut self) -> u64 {
            let next = self.next();
            let waited = next.at.since(self.now);
            self.now = self.now.max(next.at);
            self.state.offset += 1;
            self.state.clock = self.state.clock.max(next.stamp(self.now));
            self.state.timers.retain(|_, timer| timer.id != next.id);
            waited
        }
    }

    #[test]
    fn while_the_clocks_agree_a_timer_fires_when_it_is_due() {
        let mut story = Story::taken_at(NOON);
        story.sets("turn", NOON.plus(5), 30_000);
        story.now = NOON.plus(10_000);
        assert_eq!(story.waits(), 20_005);
        story.sets("hint", NOON.plus(10_000), 1_000);
        assert_eq!(story.fires(), 1_000);
        assert_eq!(story.fires(), 19_005);
        assert_eq!(story.state.clock, NOON.plus(30_005));
    }

    #[test]
    fn a_room_that_begins_or_wakes_long_after_it_was_taken_is_not_ahead() {
        let mut story = Story::taken_at(Time(NOON.0 - HOUR));
        story.now = NOON;
        story.sets("turn", NOON, 30_000);
        assert_eq!(story.waits(), 30_000);
    }

    #[test]
    fn with_the_clock_set_back_by_an_hour_every_timer_still_ends_in_its_time() {
        let back = Time(NOON.0 - HOUR);
        let mut story = Story::taken_at(back).had("turn", 5_000, 30_000);
        assert_eq!(story.waits(), 25_000, "what was left of it");
        // A message of an edge whose clock was set back too: the room's time does not advance.
        story.now = back.plus(20_000);
        story.sets("bid", story.now, 30_000);
        assert_eq!(story.waits(), 5_000);
        assert_eq!(story.fires(), 5_000);
        assert_eq!(story.state.clock, NOON.plus(25_000), "its record carries the time that it was due");
        assert_eq!(story.fires(), 25_000);
        // And so on, for as long as the room is ahead.
        for _ in 0..500 {
            story.now = story.now.plus(1_000);
            story.sets("turn", story.now, 30_000);
            assert_eq!(story.waits(), 30_000);
            story.now = story.now.plus(7_000);
            assert_eq!(story.fires(), 23_000);
        }
        assert!(story.now > NOON, "the clock has caught up meanwhile");
        assert!(story.clock.armed.len() <= SPARE + 2);
    }

    #[test]
    fn a_timer_that_is_set_while_the_room_is_ahead_does_not_fire_at_once() {
        let back = Time(NOON.0 - HOUR);
        let mut story = Story::taken_at(back).had("turn", 0, 30_000);
        story.now = back.plus(29_000);
        story.waits();
        for n in 0..100 {
            // Each message sets the timer again.
            story.now = story.now.plus(10_000);
            story.sets("turn", story.now, 30_000);
            assert_eq!(story.waits(), 30_000, "{n}");
        }
    }

    #[test]
    fn records_of_a_machine_that_is_ahead_end_nothing_at_once() {
        let mut story = Story::taken_at(NOON);
        story.sets("turn", NOON, 30_000);
        assert_eq!(story.waits(), 30_000);
        // An edge that was started after the clock had jumped ahead.
        story.sets("bid", NOON.plus(HOUR), 10_000);
        assert_eq!(story.fires(), 10_000, "the bid");
        assert_eq!(story.fires(), 20_000, "the turn");
    }

    #[test]
    fn downtime_counts_but_no_player_loses_a_turn_to_it() {
        for (down, left) in [(5_000, 25_000), (19_000, 11_000), (20_000, 10_000), (29_000, 10_000), (30_000, 10_000)] {
            let mut story = Story::taken_at(NOON.plus(down)).had("turn", 0, 30_000);
            assert_eq!(story.waits(), left, "after {down} ms");
        }
        let mut story = Story::taken_at(NOON.plus(24 * HOUR)).had("turn", 0, 30_000);
        assert_eq!(story.waits(), 10_000);
        story.now = story.now.plus(4_000);
        assert_eq!(story.waits(), 6_000, "it is from when the room was taken, not from each look");
    }

    #[test]
    fn a_short_timer_waits_no_longer_than_it_was_set_for() {
        let mut story = Story::taken_at(NOON.plus(HOUR)).had("tick", 0, 50).had("now", 0, 0);
        assert_eq!(story.fires(), 0);
        assert_eq!(story.fires(), 50);
    }

    #[test]
    fn what_is_set_after_the_room_was_taken_is_not_put_off() {
        let mut story = Story::taken_at(NOON.plus(HOUR));
        story.sets("tick", NOON.plus(HOUR), 2_000);
        story.now = story.now.plus(3_000);
        assert_eq!(story.waits(), 0, "its host was busy, but had it");
    }

    #[test]
    fn after_a_step_back_and_a_restart_at_once_both_rules_hold() {
        let back = Time(NOON.0 - HOUR);
        let mut story = Story::taken_at(back).had("turn", 29_000, 30_000);
        assert_eq!(story.waits(), 10_000);
        assert_eq!(story.fires(), 10_000);
        assert_eq!(story.state.clock, NOON.plus(1_000));
    }

    #[test]
    fn held_seats_and_empty_rooms_go_by_the_same_rules() {
        let back = Time(NOON.0 - HOUR);
        let mut story = Story::taken_at(back);
        let hold = |offset, delay: u64| (NOON.plus(delay), OutputId { offset, index: 0 }, SessionId(offset.into()));
        story.state.held_seats.extend([hold(5, 20_000), hold(6, 25_000)]);
        story.state.closes_at = Some((NOON.plus(60_000), OutputId { offset: 7, index: 0 }));
        assert_eq!(story.waits(), 20_000);
        // Another member drops.
        story.now = back.plus(10_000);
        story.state.offset = 20;
        story.state.held_seats.insert(hold(20, 30_000));
        let mut waits = Vec::new();
        while let Some(timer) = story.clock.next_timer(&story.state, story.now) {
            waits.push(timer.at.since(back));
            story.state.held_seats.retain(|(_, id, _)| *id != timer.id);
            story.state.closes_at = story.state.closes_at.filter(|(_, id)| *id != timer.id);
        }
        assert_eq!(waits, [20_000, 25_000, 40_000, 60_000]);
    }

    #[test]
    fn a_hibernating_room_is_restored_before_its_timer_fires() {
        for taken in [Time(NOON.0 - HOUR), NOON, NOON.plus(10_000), NOON.plus(HOUR)] {
            let mut story = Story::taken_at(taken).had("turn", 3_000, 30_000);
            let due = story.state.next_timer().expect("the turn").0;
            let wakes = wakes_at(due, story.state.clock, taken);
            assert!(wakes <= story.next().at && wakes >= taken, "{taken:?}");
            story.now = wakes;
            assert!(story.waits() <= GRACE_MS, "and it need not wait for long");
        }
    }
}
