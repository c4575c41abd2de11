//! Stories of rooms that begin again, or end because they have two states.

use super::*;

#[test]
fn after_a_lost_append_the_room_begins_again_at_the_snapshot_and_gives_new_receipts() {
    let mut story = Story::with_member();
    story.message("pair");
    story.hosted.begin_again(Found::Nothing, None, story.now).expect("there is no snapshot to be read");
    for (offset, record) in story.log.clone() {
        story.hosted.handle(Input::Record(offset, record), story.now);
    }
    let out = story.drain();
    assert!(out.contains(&"append create #2".to_owned()), "{out:?}");
    story.on(Input::Confirmed(AppendId(1)));
    assert!(story.hosted.awaits_confirmation(), "the lost append confirms nothing");
}

#[test]
fn a_room_that_begins_again_still_hibernates_sooner_where_instances_are_scarce() {
    let mut story = Story::with_member();
    story.on(Input::Instances(none_left()));
    story.hosted.begin_again(Found::Nothing, None, story.now).expect("there is no snapshot to be read");
    for (offset, record) in story.log.clone() {
        story.hosted.handle(Input::Record(offset, record), story.now);
    }
    story.drain();
    assert_eq!(story.hosted.poll_timeout(), Some(story.now.plus(1_000)));
}

#[test]
fn a_room_with_two_states_is_closed_in_its_channel() {
    let mut story = Story::with_member();
    assert_eq!(story.on(Input::Diverged(2)), ["append close"]);
}
