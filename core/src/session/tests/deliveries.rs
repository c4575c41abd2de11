//! Stories of frames from rooms to the client.

use super::*;

#[test]
fn a_repeated_frame_is_dropped() {
    let mut story = Story::in_lobby();
    story.deliver(LOBBY, 2, event(LOBBY));
    story.expect_seq(2);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.deliver(LOBBY, 2, event(LOBBY));
    assert_eq!(story.outputs(), []);
}

#[test]
fn missing_frames_are_requested_once() {
    let mut story = Story::in_lobby();
    story.wait(2_000);
    story.deliver(LOBBY, 3, event(LOBBY));
    assert_eq!(story.outputs(), [reconnect(LOBBY, Some(1))]);
    story.deliver(LOBBY, 4, event(LOBBY));
    assert_eq!(story.outputs(), []);
    for seq in 2..=4 {
        story.deliver(LOBBY, seq, event(LOBBY));
        story.expect_seq(seq);
    }
}

#[test]
fn a_whole_view_may_skip_numbers() {
    let mut story = Story::in_lobby();
    story.deliver(LOBBY, 10_001, view(LOBBY));
    story.expect_seq(10_001);
}

#[test]
fn frames_of_a_room_without_a_seat_are_dropped() {
    let mut story = Story::in_lobby();
    story.deliver(GAME, 1, view(GAME));
    assert_eq!(story.outputs(), []);
}

/// The lobby's host has died, and the next one repeats its outputs, also to this edge: the session was here before, went to the
/// game, and has resumed through another edge meanwhile.
#[test]
fn an_echo_for_an_earlier_connection_is_dropped() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    story.deliver_to(BEFORE, LOBBY, 3, view(LOBBY));
    story.deliver_to(BEFORE, LOBBY, 4, RoomFrame::left(LOBBY, "moved"));
    assert_eq!(story.outputs(), []);
    story.deliver(LOBBY, 5, view(LOBBY));
    assert_eq!(text(&story.next()), view(LOBBY).with_seq(5));
}

/// This edge's record of the earlier connection reached the room after that of this one.
#[test]
fn a_room_with_an_earlier_connection_gets_another_request() {
    let mut story = Story::in_lobby();
    story.now = story.now.plus(2_000);
    story.deliver_to(BEFORE, LOBBY, 2, view(LOBBY));
    assert_eq!(story.outputs(), [reconnect(LOBBY, Some(1))]);
}

#[test]
fn the_latest_connection_requests_again_when_it_is_contested() {
    let mut story = Story::in_game();
    story.on(Input::Contested);
    assert_eq!(story.outputs(), [reconnect(GAME, Some(1))]);
}

/// The edge took the answer to an older request for one to its latest: the session never left, and its stay continues.
#[test]
fn a_number_that_this_edge_has_used_itself_is_not_reused() {
    let mut story = Story::in_lobby();
    story.now = story.now.plus(2_000);
    story.deliver_to(BEFORE, LOBBY, 2, view(LOBBY));
    story.outputs();
    story.left(LOBBY);
    assert_eq!(text(&story.next()), left_frame(LOBBY, 2));
    story.on(Input::Stored { room: LOBBY, done: true });
    story.admitted_from(LOBBY, None);
    story.outputs();
    story.deliver(LOBBY, 2, view(LOBBY));
    assert_eq!(story.outputs(), [reconnect(LOBBY, None)], "this number is used, so another view is requested");
    story.deliver(LOBBY, 3, view(LOBBY));
    story.expect_seq(3);
}
