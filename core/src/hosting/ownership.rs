//! Which partitions a host takes over and hands over.
//!
//! A partition is *taken over* by bringing its rooms up to the log's end and then following the log. It is *handed over* by
//! hibernating its rooms, storing them, moving its checkpoint, and releasing it. Rooms that are not stored in time are given up:
//! the log has all of their records, and the partition's next host produces the same outputs again, under the same numbers.
//!
//! A host hands over before it takes over, so that it never has more rooms than it is to have.
//!
//! Bounds: by the number of partitions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    ids::Time,
    planted::{Bug, planted},
};

/// The partitions of one host.
#[derive(Debug, Default)]
pub struct Ownership {
    wanted: BTreeSet<u32>,
    stages: BTreeMap<u32, Stage>,
    outputs: VecDeque<Output>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The partitions that are assigned to this host. Rooms of other partitions have `within_ms` to be stored.
    Assigned { partitions: BTreeSet<u32>, within_ms: u64 },
    /// The end of an [`Output::Take`], and whether it has succeeded. A partition that was not taken is taken at the next
    /// assignment.
    Taken { partition: u32, done: bool },
    /// No room of this partition is live any longer.
    Hibernated(u32),
    /// The end of an [`Output::Store`].
    Stored(u32),
    /// It is [`Ownership::poll_timeout`] or later.
    Tick,
}

/// Work for the shell, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Brings the partition's rooms up to the log's end, and follows the log.
    Take(u32),
    /// Hibernates all rooms of the partition. Answered by [`Input::Hibernated`].
    Hibernate(u32),
    /// Waits until what the rooms have saved is stored, and moves the checkpoint. Answered by [`Input::Stored`].
    Store(u32),
    /// The partition is another host's from now on: its log is no longer followed, and rooms that are still live are given up.
    Release(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Taking,
    Owned,
    /// Its rooms hibernate, until this time at the latest.
    Hibernating {
        until: Time,
    },
    Storing,
}

impl Ownership {
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Assigned { partitions, within_ms } => self.on_assigned(partitions, now.plus(within_ms)),
            Input::Taken { partition, done } => self.on_taken(partition, done),
            Input::Hibernated(partition) => self.on_hibernated(partition),
            Input::Stored(partition) => self.on_stored(partition),
            Input::Tick => {}
        }
        self.give_up_late_rooms(now);
        self.take();
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When rooms that have not hibernated are given up.
    pub fn poll_timeout(&self) -> Option<Time> {
        let until = |stage: &Stage| if let Stage::Hibernating { until } = stage { Some(*until) } else { None };
        self.stages.values().filter_map(until).min()
    }

    /// The partitions that this host serves or hands over.
    pub fn owned(&self) -> BTreeSet<u32> {
        self.stages.iter().filter(|(_, stage)| **stage != Stage::Taking).map(|(partition, _)| *partition).collect()
    }

    /// Whether the partition's rooms are to hibernate. Also true of a partition that this host does not have.
    pub fn is_leaving(&self, partition: u32) -> bool {
        !matches!(self.stages.get(&partition), Some(Stage::Taking | Stage::Owned))
    }

    /// Whether everything is as assigned, or was given up until the next assignment.
    pub fn is_settled(&self) -> bool {
        self.outputs.is_empty() && self.stages.values().all(|stage| *stage == Stage::Owned)
    }

    fn on_assigned(&mut self, partitions: BTreeSet<u32>, until: Time) {
        self.wanted = partitions;
        let owned = |stage: &Stage| *stage == Stage::Owned;
        let unwanted = self.stages.iter().filter(|(partition, stage)| owned(stage) && !self.wanted.contains(partition));
        let mut unwanted: Vec<u32> = unwanted.map(|(partition, _)| *partition).collect();
        if planted(Bug::KeptPartition) {
            unwanted.retain(|partition| partition % 4 != 3);
        }
        for partition in unwanted {
            self.stages.insert(partition, Stage::Hibernating { until });
            self.outputs.push_back(Output::Hibernate(partition));
        }
    }

    fn on_taken(&mut self, partition: u32, done: bool) {
        if !done {
            self.stages.remove(&partition);
            self.wanted.remove(&partition);
        } else if let Some(stage) = self.stages.get_mut(&partition) {
            *stage = Stage::Owned;
        }
    }

    fn on_hibernated(&mut self, partition: u32) {
        if let Some(stage @ Stage::Hibernating { .. }) = self.stages.get_mut(&partition) {
            *stage = Stage::Storing;
            self.outputs.push_back(Output::Store(partition));
        }
    }

    fn on_stored(&mut self, partition: u32) {
        if self.stages.get(&partition) == Some(&Stage::Storing) {
            self.stages.remove(&partition);
            self.outputs.push_back(Output::Release(partition));
        }
    }

    fn give_up_late_rooms(&mut self, now: Time) {
        let late = |stage: &Stage| matches!(stage, Stage::Hibernating { until } if *until <= now);
        let late: Vec<u32> =
            self.stages.iter().filter(|(_, stage)| late(stage)).map(|(partition, _)| *partition).collect();
        late.into_iter().for_each(|partition| self.on_hibernated(partition));
    }

    fn take(&mut self) {
        let handing_over = |stage: &Stage| matches!(stage, Stage::Hibernating { .. } | Stage::Storing);
        if self.stages.values().any(handing_over) {
            return;
        }
        for partition in &self.wanted {
            if !self.stages.contains_key(partition) {
                self.stages.insert(*partition, Stage::Taking);
                self.outputs.push_back(Output::Take(*partition));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Time = Time(1_700_000_000_000);

    #[derive(Default)]
    struct Story {
        ownership: Ownership,
        now: u64,
    }

    impl Story {
        fn on(&mut self, input: Input) -> Vec<Output> {
            self.ownership.handle(input, NOON.plus(self.now));
            std::iter::from_fn(|| self.ownership.poll_output()).collect()
        }

        fn assign(&mut self, partitions: &[u32]) -> Vec<Output> {
            self.on(Input::Assigned { partitions: partitions.iter().copied().collect(), within_ms: 1_000 })
        }

        fn owned(&self) -> Vec<u32> {
            self.ownership.owned().into_iter().collect()
        }

        /// A host that has these partitions.
        fn with(partitions: &[u32]) -> Story {
            let mut story = Story::default();
            story.assign(partitions);
            for partition in partitions {
                story.on(Input::Taken { partition: *partition, done: true });
            }
            assert!(story.ownership.is_settled());
            story
        }
    }

    #[test]
    fn assigned_partitions_are_taken_over() {
        let mut story = Story::default();
        assert_eq!(story.assign(&[1, 3]), [Output::Take(1), Output::Take(3)]);
        assert_eq!(story.assign(&[1, 3]), [], "both are on their way");
        assert_eq!(story.owned(), [] as [u32; 0]);
        story.on(Input::Taken { partition: 1, done: true });
        assert_eq!(story.owned(), [1]);
        assert!(!story.ownership.is_settled());
    }

    #[test]
    fn a_partition_that_was_not_taken_is_tried_at_the_next_assignment() {
        let mut story = Story::default();
        story.assign(&[1]);
        assert_eq!(story.on(Input::Taken { partition: 1, done: false }), []);
        assert!(story.ownership.is_settled());
        assert_eq!(story.assign(&[1]), [Output::Take(1)]);
    }

    #[test]
    fn a_partition_is_handed_over_before_another_one_is_taken() {
        let mut story = Story::with(&[1, 2]);
        assert_eq!(story.assign(&[1, 3]), [Output::Hibernate(2)]);
        assert!(story.ownership.is_leaving(2) && !story.ownership.is_leaving(1));
        assert_eq!(story.on(Input::Hibernated(2)), [Output::Store(2)]);
        assert_eq!(story.owned(), [1, 2], "until it is released");
        assert_eq!(story.on(Input::Stored(2)), [Output::Release(2), Output::Take(3)]);
        assert_eq!(story.owned(), [1]);
    }

    #[test]
    fn rooms_that_are_not_stored_in_time_are_given_up() {
        let mut story = Story::with(&[1]);
        story.assign(&[]);
        assert_eq!(story.ownership.poll_timeout(), Some(NOON.plus(1_000)));
        story.now = 999;
        assert_eq!(story.on(Input::Tick), []);
        story.now = 1_000;
        assert_eq!(story.on(Input::Tick), [Output::Store(1)]);
        assert_eq!(story.on(Input::Hibernated(1)), [], "too late");
        assert_eq!(story.on(Input::Stored(1)), [Output::Release(1)]);
    }

    #[test]
    fn a_partition_that_returns_while_it_is_handed_over_is_taken_again() {
        let mut story = Story::with(&[1]);
        assert_eq!(story.assign(&[]), [Output::Hibernate(1)]);
        assert_eq!(story.assign(&[1]), []);
        story.on(Input::Hibernated(1));
        assert_eq!(story.on(Input::Stored(1)), [Output::Release(1), Output::Take(1)]);
    }

    #[test]
    fn a_partition_that_is_taken_away_while_it_is_taken_over_is_handed_over() {
        let mut story = Story::default();
        story.assign(&[1]);
        assert_eq!(story.assign(&[]), []);
        story.on(Input::Taken { partition: 1, done: true });
        assert_eq!(story.assign(&[]), [Output::Hibernate(1)], "at the next assignment, which is read all the time");
    }
}
