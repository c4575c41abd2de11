//! Compares the store's data of a room with the log's.
//!
//! - A snapshot is, byte for byte, the state after the records up to its offset; of snapshots that were replaced, the hashes
//!   are compared.
//! - Below a partition's checkpoint, all records of every live room are in its snapshot: a host that starts there reads none of
//!   them.
//! - A room that has ended in the store has ended in the log, no later.

use std::{collections::BTreeSet, sync::Arc};

use chorus_core::{
    ids::{Digest, Offset, RoomId},
    room::State,
};
use chorus_store::{KeptHash, RoomRow, RoomStatus, SnapshotRow, Store, StoreError};

use super::{
    channels::Channel,
    reference::Replay,
    report::{At, Figures, Rule, Violation},
};

/// The store's data of one room.
#[derive(Debug)]
pub struct Stored {
    pub room: RoomId,
    pub row: Option<RoomRow>,
    pub snapshot: Option<SnapshotRow>,
    /// The hashes of all its snapshots, if they were kept.
    pub hashes: Vec<KeptHash>,
    /// The checkpoint of its partition.
    pub checkpoint: Offset,
}

impl Stored {
    pub async fn read(
        store: &Store,
        room: RoomId,
        hashes: Vec<KeptHash>,
        checkpoint: Offset,
    ) -> Result<Stored, StoreError> {
        let (row, snapshot) = (store.room(room).await?, store.snapshot(room).await?);
        Ok(Stored { room, row, snapshot, hashes, checkpoint })
    }

    /// The offsets of all known snapshots.
    pub fn offsets(&self) -> BTreeSet<Offset> {
        let kept = self.hashes.iter().map(|kept| kept.offset);
        kept.chain(self.snapshot.iter().map(|snapshot| snapshot.offset)).collect()
    }

    pub fn has_ended(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.status != RoomStatus::Live)
    }

    /// The last record that the stored state includes.
    pub fn covers(&self) -> Option<Offset> {
        let row = self.row.as_ref().filter(|_| self.has_ended()).map(|row| row.offset);
        row.or(self.snapshot.as_ref().map(|snapshot| snapshot.offset))
    }

    pub fn check(&self, replay: &Replay, channel: &Channel, figures: &mut Figures, violations: &mut Vec<Violation>) {
        let mut found = |rule, at: Option<Offset>, what: String| {
            violations.push(Violation { at: at.map(At::Offset), what, ..Violation::of(rule, self.room) });
        };
        let is_stored = self.row.is_some() || self.snapshot.is_some();
        if is_stored && channel.records.is_empty() && replay.starts_after.is_none() && replay.sent_before == 0 {
            return found(Rule::RoomUnknown, None, "it has no record".to_owned());
        }
        if let Some(snapshot) = &self.snapshot {
            figures.snapshots += 1;
            let differ = |state: &Arc<[u8]>| differences(&snapshot.state, state);
            compare(replay, snapshot.offset, snapshot.hash, differ, &mut found);
        }
        let now = self.snapshot.as_ref().map(|snapshot| (snapshot.offset, snapshot.hash));
        for kept in self.hashes.iter().filter(|kept| Some((kept.offset, kept.hash)) != now) {
            figures.snapshots += 1;
            compare(replay, kept.offset, kept.hash, |_| String::new(), &mut found);
        }
        if let Some(behind) = self.first_uncovered(replay, channel) {
            let covers = self.covers().map_or("there is none".to_owned(), |offset| format!("it is at {offset}"));
            let what = format!("{covers}, and a record is below the checkpoint {}", self.checkpoint);
            found(Rule::SnapshotBehind, Some(behind), what);
        }
        if let Some(row) = self.row.as_ref().filter(|_| self.has_ended())
            && replay.sent_before != u64::MAX
            && replay.ended.is_none_or(|ended| ended > row.offset)
        {
            let ended = replay.ended.map_or("goes on".to_owned(), |ended| format!("ends at {ended}"));
            found(Rule::EndedInStoreOnly, Some(row.offset), format!("by the log it {ended}"));
        }
    }

    /// The first record that would not be read again, and that no snapshot includes.
    fn first_uncovered(&self, replay: &Replay, channel: &Channel) -> Option<Offset> {
        let covers = self.covers();
        let created = replay.created?;
        let lives = |offset: Offset| created <= offset && replay.ended.is_none_or(|ended| offset <= ended);
        let offsets = channel.records.iter().map(|(offset, _)| *offset);
        offsets
            .take_while(|offset| *offset < self.checkpoint)
            .find(|offset| lives(*offset) && covers.is_none_or(|covers| *offset > covers))
    }
}

fn compare(
    replay: &Replay,
    offset: Offset,
    is: Digest,
    differ: impl Fn(&Arc<[u8]>) -> String,
    found: &mut impl FnMut(Rule, Option<Offset>, String),
) {
    // The state at the start of the replay, and earlier ones, cannot be compared.
    if replay.starts_after.is_some_and(|after| offset <= after) || replay.sent_before == u64::MAX {
        return;
    }
    match replay.states.get(&offset) {
        Some(state) if Digest::of(state) == is => {}
        Some(state) => {
            let what = format!("it is {is}, and should be {}{}", Digest::of(state), differ(state));
            found(Rule::SnapshotDiffers, Some(offset), what);
        }
        None => {
            found(Rule::SnapshotUnknown, Some(offset), "the room has no record there, or has ended".to_owned());
        }
    }
}

/// The parts of two states that differ, as a hint for people.
fn differences(one: &[u8], other: &Arc<[u8]>) -> String {
    let (Ok(one), Ok(other)) = (State::decode(one), State::decode(other)) else {
        return String::new();
    };
    macro_rules! differing {
        ($($field:ident),*) => {
            [$((stringify!($field), one.$field != other.$field)),*]
        };
    }
    let fields = differing!(
        component,
        spec,
        clock,
        offset,
        members,
        joins,
        high_seq,
        seq_floor,
        timers,
        held_seats,
        closes_at,
        sources,
        allowance,
        lobby_rooms,
        children,
        resend_buffer,
        view,
        locked,
        metadata,
        faults,
        probation,
        saved,
        restart
    );
    let names: Vec<&str> = fields.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    format!("; they differ in: {}", names.join(", "))
}
