//! The store's data of a room.

use std::sync::Arc;

use chorus_core::{
    command::RoomCommand,
    ids::{Digest, Offset, Time},
};
use chorus_store::{KeptHash, RoomRow, RoomStatus, SnapshotRow};
use chorus_testing::cast::kind;

use super::{
    super::{
        channels::Channel,
        history_check::check_history,
        reference::Replay,
        replay::replay,
        report::{Figures, Rule},
        start::Start,
        stored::Stored,
    },
    logs::{ROOM, Script, a_chat, numbered, play, play_to},
    players::honest,
};

#[tokio::test]
async fn a_snapshot_equals_the_replayed_state() {
    let log = a_chat();
    for wanted in 1..log.len() as u64 {
        let played = play_to(&log, Some(wanted)).await;
        let state = played.states[&wanted].clone();
        assert_eq!(stored_rules(&log, &played, &stored(Some((wanted, &state)), 0)), []);
        let other = play_to(&log, Some(wanted - 1)).await.states[&(wanted - 1)].clone();
        let rules = stored_rules(&log, &played, &stored(Some((wanted, &other)), 0));
        assert_eq!(rules, [Rule::SnapshotDiffers]);
    }
}

#[tokio::test]
async fn a_replaced_snapshot_equals_the_replayed_state_by_its_hash() {
    let log = a_chat();
    let played = play_to(&log, Some(3)).await;
    let kept = |offset, hash| Stored { hashes: vec![KeptHash { room: ROOM, offset, hash }], ..stored(None, 0) };
    assert_eq!(stored_rules(&log, &played, &kept(3, Digest::of(&played.states[&3]))), []);
    assert_eq!(stored_rules(&log, &played, &kept(3, Digest([9; 32]))), [Rule::SnapshotDiffers]);
    assert_eq!(stored_rules(&log, &played, &kept(77, Digest([9; 32]))), [Rule::SnapshotUnknown]);
}

#[tokio::test]
async fn a_snapshot_includes_the_records_below_the_checkpoint() {
    let log = a_chat();
    let played = play_to(&log, Some(3)).await;
    let state = played.states[&3].clone();
    assert_eq!(stored_rules(&log, &played, &stored(Some((3, &state)), 4)), []);
    assert_eq!(stored_rules(&log, &played, &stored(Some((3, &state)), 5)), [Rule::SnapshotBehind]);
}

#[tokio::test]
async fn a_room_that_has_ended_in_the_store_only_is_found() {
    let log = a_chat();
    let played = play(&log).await;
    let mut stored = stored(None, 0);
    stored.row.as_mut().unwrap().status = RoomStatus::Ended;
    assert_eq!(stored_rules(&log, &played, &stored), [Rule::EndedInStoreOnly]);
}

#[tokio::test]
async fn a_room_with_a_truncated_log_is_checked_from_its_snapshot_on() {
    let log = a_chat();
    let all = play_to(&log, Some(3)).await;
    let bytes = all.states[&3].clone();
    let rest: Vec<_> = numbered(&log).into_iter().filter(|(offset, _)| *offset > 3).collect();
    let stored = stored(Some((3, &bytes)), 0);
    let channel = Channel { partition: 0, records: rest };
    let beginning = Start::of(&channel, false, stored.has_ended(), stored.snapshot.as_ref()).unwrap();
    let played = replay(ROOM, &beginning, &channel.records, &stored.offsets(), &mut Script::default()).await.unwrap();
    let mut figures = Figures::default();
    let mut violations = Vec::new();
    check_history(ROOM, &played, &honest(&all), &mut figures, &mut violations);
    assert_eq!(violations, []);
    assert!(figures.frames > 0 && figures.frames_unchecked > 0, "{figures:?}");
}

pub fn stored(snapshot: Option<(Offset, &Arc<[u8]>)>, checkpoint: Offset) -> Stored {
    let component = Digest([1; 32]);
    let row = RoomRow {
        id: ROOM,
        offset: 0,
        kind: kind("chat"),
        component,
        status: RoomStatus::Live,
        creator: None,
        created_at: Time(0),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: None,
        members: 0,
    };
    let snapshot = snapshot.map(|(offset, state)| SnapshotRow {
        room: ROOM,
        offset,
        component,
        hash: Digest::of(state),
        state: state.to_vec().into(),
    });
    Stored { room: ROOM, row: Some(row), snapshot, hashes: Vec::new(), checkpoint }
}

fn stored_rules(log: &[RoomCommand], played: &Replay, stored: &Stored) -> Vec<Rule> {
    let mut violations = Vec::new();
    let channel = Channel { partition: 0, records: numbered(log) };
    stored.check(played, &channel, &mut Figures::default(), &mut violations);
    violations.into_iter().map(|found| found.rule).collect()
}
