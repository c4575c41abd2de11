//! Stories of outputs: when commands leave, snapshots are stored, and timers are appended.

use super::*;

#[test]
fn a_move_to_a_new_room_waits_until_the_log_has_that_room_and_so_does_everything_after_it() {
    let mut story = Story::with_member();
    let out = story.message("pair");
    assert_eq!(out, ["find game", "append create #1"], "the move and the reply are held back");
    assert_eq!(story.on(Input::Confirmed(AppendId(1))), ["send move", "send frames"]);
}

#[test]
fn a_kind_without_a_component_fails_the_creation_in_the_creators_channel() {
    let mut story = Story::with_member();
    story.has_game = false;
    let out = story.message("pair");
    assert_eq!(out, ["find game", "append answer", "send move", "send frames"]);
}

#[test]
fn a_room_with_too_many_held_commands_accepts_no_records() {
    let mut story = Story::with_member();
    story.message("pair");
    for _ in 0..MAX_HELD / FLOOD {
        assert!(story.hosted.accepts_records());
        story.message("flood");
    }
    assert!(!story.hosted.accepts_records());
    let out = story.on(Input::Confirmed(AppendId(1)));
    let sent = out.iter().filter(|name| name.starts_with("send")).count();
    assert_eq!(sent, 2 + MAX_HELD / FLOOD * (FLOOD + 1), "all of them");
    assert!(story.hosted.accepts_records());
}

#[test]
fn a_snapshot_is_stored_once_everything_before_it_has_arrived() {
    let mut story = Story::with_member();
    story.flushes = false;
    story.after(OPTIONS.snapshot_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state", "flush"]);
    assert!(!story.hosted.accepts_records(), "nothing may be added to what is owed");
    assert_eq!(story.on(Input::Flushed), ["store @2"]);
    assert!(story.hosted.accepts_records());
}

#[test]
fn a_report_leaves_at_once_and_a_snapshot_waits_until_it_has_arrived() {
    let mut story = Story::with_member();
    assert_eq!(story.message("report"), ["report spam", "send frames"]);
    story.flushes = false;
    story.after(OPTIONS.snapshot_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state", "flush"]);
    assert_eq!(story.on(Input::Flushed), ["store @3"]);
}

#[test]
fn a_snapshot_waits_for_held_commands_before_anything_else() {
    let mut story = Story::with_member();
    story.message("pair");
    story.after(OPTIONS.snapshot_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state"]);
    let out = story.on(Input::Confirmed(AppendId(1)));
    assert_eq!(out, ["send move", "send frames", "flush", "store @3"]);
}

#[test]
fn a_room_is_saved_at_the_latest_after_the_configured_time() {
    let mut story = Story::with_member();
    for _ in 0..29 {
        story.after(1_000);
        story.message("none");
        assert_eq!(story.on(Input::Tick), [""; 0]);
    }
    story.after(1_000);
    assert_eq!(story.hosted.poll_timeout(), Some(story.now), "however busy it is");
    assert_eq!(story.on(Input::Tick), ["save state", "flush", "store @31"]);
}

#[test]
fn a_timer_is_appended_once_however_long_its_record_is_in_flight() {
    let mut story = Story::with_member();
    story.message("ring");
    assert_eq!(story.hosted.poll_timeout(), Some(story.now.plus(5_000)));
    story.after(5_000);
    assert_eq!(story.on(Input::Tick), ["append timer"]);
    story.message("none");
    for _ in 0..3 {
        story.after(1_000);
        assert_eq!(story.on(Input::Tick), [""; 0]);
        assert!(story.hosted.poll_timeout() > Some(story.now), "nothing is due");
    }
}

#[test]
fn a_room_with_a_component_that_is_no_longer_active_swaps() {
    let mut story = Story::with_member();
    assert_eq!(story.on(Input::ActiveComponent(Digest([0; 32]))), [""; 0]);
    assert_eq!(story.on(Input::ActiveComponent(Digest([9; 32]))), ["append swap"]);
}
