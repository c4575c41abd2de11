//! Stories of hibernation and hand-over.

use super::*;

#[test]
fn an_idle_room_hibernates_when_the_store_has_it_and_leaves_an_alarm() {
    let mut story = Story::with_member();
    story.message("ring late");
    story.after(OPTIONS.hibernate_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state", "flush", "store @3"], "not before it is stored");
    let out = story.on(Input::Stored(3));
    assert_eq!(out, ["hibernate until 540000 later"]);
    assert_eq!(story.hosted.needs_no_record_through(), Some(3));
}

#[test]
fn a_record_that_arrives_just_then_keeps_the_room_awake() {
    let mut story = Story::with_member();
    story.after(OPTIONS.hibernate_after_ms);
    story.on(Input::Tick);
    assert_eq!(story.on(Input::Stored(2)), ["hibernate"]);
    assert_eq!(story.message("none"), ["send frames"]);
    assert_eq!(story.on(Input::Tick), [""; 0], "it is not idle any longer");
    assert_eq!(story.hosted.needs_no_record_through(), None);
}

#[test]
fn where_instances_are_scarce_idle_rooms_hibernate_sooner() {
    let mut story = Story::with_member();
    story.after(1_000);
    assert_eq!(story.on(Input::Tick), [""; 0]);
    story.on(Input::Instances(none_left()));
    assert_eq!(story.hosted.poll_timeout(), Some(story.now));
    story.on(Input::Tick);
    assert_eq!(story.on(Input::Stored(2)), ["hibernate"]);
}

#[test]
fn a_room_whose_partition_is_handed_over_hibernates_as_soon_as_it_is_stored() {
    let mut story = Story::with_member();
    assert_eq!(story.on(Input::Drain), ["save state", "flush", "store @2"]);
    assert_eq!(
        story.message("none"),
        ["send frames", "save state", "flush", "store @3"],
        "the log had one more record"
    );
    assert_eq!(story.on(Input::Stored(2)), [""; 0]);
    assert_eq!(story.on(Input::Stored(3)), ["hibernate"]);
}

#[test]
fn a_room_with_a_pending_kick_does_not_hibernate_unless_another_host_repeats_the_kick() {
    let mut story = Story::with_member();
    story.message("kick");
    story.after(OPTIONS.hibernate_after_ms);
    story.on(Input::Tick);
    assert_eq!(story.on(Input::Stored(3)), [""; 0]);
    assert_eq!(story.hosted.summary().next_timer, Some(NOON), "the next host restores it at once");
    assert_eq!(story.on(Input::Drain), ["hibernate"]);
}

#[test]
fn a_room_that_has_ended_hibernates_soon() {
    let mut story = Story::with_member();
    story.message("end");
    story.on(Input::Stored(3));
    story.after(ENDED_AFTER_MS);
    assert_eq!(story.on(Input::Tick), ["hibernate"]);
}

#[test]
fn a_room_that_was_never_created_hibernates_although_it_has_nothing_to_store() {
    let mut story = Story::new(Found::Nothing);
    assert_eq!(story.record(join()), ["send refused"]);
    story.after(ENDED_AFTER_MS);
    assert_eq!(story.on(Input::Tick), ["hibernate"]);
}
