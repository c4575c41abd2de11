//! Stories of moves between rooms.

use super::*;

#[test]
fn a_move_is_stored_then_joins_the_target_then_leaves_the_source() {
    let mut story = Story::in_lobby();
    story.msg(4, None);
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 4, &Json::null()));
    story.outputs();
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), [Output::Store(StoreWrite::Join(ANA, GAME))]);
    story.on(Input::Stored { room: GAME, done: true });
    assert_eq!(story.outputs(), [join(GAME, 4, Some(output_id(9)))]);
    story.admitted(GAME, output_id(9));
    assert_eq!(story.outputs(), [leave(LOBBY, LeaveReason::Moved)]);
    story.deliver(GAME, 1, view(GAME));
    story.expect_seq(1);
    story.deliver(LOBBY, 3, RoomFrame::left(LOBBY, "moved"));
    story.expect_seq(3);
    story.left(LOBBY);
    assert_eq!(story.outputs(), []);
    assert_eq!(story.departed(), [Output::Store(StoreWrite::Leave(ANA, LOBBY))]);
    assert_eq!(story.departed(), []);
}

#[test]
fn the_end_of_a_membership_is_written_with_the_next_join() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, output_id(9));
    story.left(LOBBY);
    story.outputs();
    story.request_move_from(OutputRef { room: GAME, number: output_id(5) }, LOBBY);
    let moves = StoreWrite::Move { session: ANA, left: LOBBY, room: LOBBY };
    assert_eq!(story.outputs(), [Output::Store(moves)]);
    assert_eq!(story.departed(), []);
}

#[test]
fn one_end_of_a_membership_is_kept_back_at_a_time_and_none_over_a_lost_connection() {
    let mut story = Story::resumed(&[LOBBY, GAME, OTHER]);
    story.outputs();
    story.left(LOBBY);
    story.left(GAME);
    let outputs = story.outputs();
    assert_eq!(outputs, [Output::Store(StoreWrite::Leave(ANA, LOBBY))]);
    story.on(Input::Lost { code: 1006 });
    let stores = |output: &Output| matches!(output, Output::Store(_));
    let stored: Vec<_> = story.outputs().into_iter().filter(stores).collect();
    let disconnected = StoreWrite::Disconnected { session: ANA, silent: false };
    assert_eq!(stored, [Output::Store(StoreWrite::Leave(ANA, GAME)), Output::Store(disconnected)]);
}

#[test]
fn a_refused_move_leaves_the_session_where_it_was() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.refused(GAME, output_id(9));
    assert_eq!(story.outputs(), [answer_refused(output_id(9), "full")]);
    assert_eq!(story.departed(), [Output::Store(StoreWrite::Leave(ANA, GAME))]);
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
}

#[test]
fn a_repeated_request_to_move_has_one_effect() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.outputs();
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), [], "the first one is still pending");
    story.on(Input::Stored { room: GAME, done: true });
    story.refused(GAME, output_id(9));
    story.outputs();
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), [answer_refused(output_id(9), "full")], "the answer is the same");
    story.request_move(GAME, output_id(8));
    assert_eq!(story.outputs(), [], "an echo of an earlier request");
}

#[test]
fn a_move_that_cannot_be_stored_is_refused() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.outputs();
    story.on(Input::Stored { room: GAME, done: false });
    let reason = "the server cannot reach its store now";
    assert_eq!(story.outputs(), [answer_refused(output_id(9), reason)]);
    assert_eq!(story.departed(), [Output::Store(StoreWrite::Leave(ANA, GAME))]);
}

#[test]
fn a_move_that_a_lost_connection_left_pending_is_requested_again_and_finished_by_the_next() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.admitted(GAME, output_id(9));
    assert_eq!(story.outputs(), [leave(LOBBY, LeaveReason::Moved)]);
}

/// The earlier edge was killed after the session had left the game and before the store had removed the membership.
#[test]
fn a_move_to_a_room_with_a_stale_membership_is_finished() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), [Output::Store(StoreWrite::Join(ANA, GAME))]);
    story.on(Input::Stored { room: GAME, done: true });
    assert_eq!(story.outputs(), [join(GAME, 0, Some(output_id(9)))]);
    story.left_after(GAME, 2); // The answer to the request at the beginning. The answer to the join follows it.
    assert_eq!(story.outputs(), []);
    story.admitted(GAME, output_id(9));
    assert_eq!(story.outputs(), [leave(LOBBY, LeaveReason::Moved)]);
    story.deliver(GAME, 5, view(GAME));
    story.expect_seq(5);
}

/// Two rooms move the session at once. One of them admits it while it is already leaving that room for a third.
#[test]
fn an_admission_to_a_room_that_is_being_left_again_still_ends_the_move() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    let way_back = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
    story.request_move_from(way_back, LOBBY);
    story.on(Input::Stored { room: LOBBY, done: true });
    story.request_move(RoomId(8), output_id(9));
    story.on(Input::Stored { room: RoomId(8), done: true });
    story.admitted(RoomId(8), output_id(9));
    story.outputs();
    story.admitted_from(LOBBY, Some(way_back));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
}

#[test]
fn a_session_that_is_moved_back_before_it_has_left_stays() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, output_id(9));
    story.deliver(GAME, 1, view(GAME));
    let from = OutputRef { room: GAME, number: OutputId { offset: 3, index: 1 } };
    story.request_move_from(from, LOBBY);
    story.outputs();
    story.left(LOBBY);
    assert_eq!(story.outputs(), [], "this answers a request of the earlier stay");
    story.on(Input::Stored { room: LOBBY, done: true });
    story.outputs();
    story.admitted_from(LOBBY, Some(from));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
}

/// Two moves cross: the game moves the session to the lobby, and the session has just left the lobby.
#[test]
fn a_room_that_is_left_while_the_move_back_is_stored_is_entered_again() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    let way_back = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
    story.request_move_from(way_back, LOBBY);
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, output_id(9));
    assert_eq!(story.outputs().last(), Some(&leave(LOBBY, LeaveReason::Moved)));
    story.on(Input::Stored { room: LOBBY, done: true });
    story.outputs();
    story.left(LOBBY);
    assert_eq!(story.outputs(), [], "this answers a request of the earlier stay");
    story.admitted_from(LOBBY, Some(way_back));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
}

#[test]
fn rooms_are_bounded() {
    let mut story =
        Story::resumed(&[LOBBY, RoomId(2), RoomId(3), RoomId(4), RoomId(5), RoomId(6), RoomId(8), RoomId(9)]);
    story.outputs();
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), [answer_refused(output_id(9), "a session can be in 8 rooms at most")]);
}

/// The member's hold ended while this edge's record was in flight. Another room moves the session there meanwhile.
#[test]
fn a_stay_that_has_ended_is_followed_by_that_of_a_pending_move() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.deliver(GAME, 3, view(GAME));
    story.msg(1, Some(GAME));
    story.request_move(GAME, output_id(9));
    story.outputs();
    story.left_as(GAME, LeaveReason::TimedOut);
    assert_eq!(text(&story.next()), RoomFrame::left(GAME, "timed-out").with_seq(4));
    story.expect_error(Some(1), "not_in_room");
    story.on(Input::Stored { room: GAME, done: true });
    assert_eq!(story.outputs(), [join(GAME, 1, Some(output_id(9)))]);
    story.admitted(GAME, output_id(9));
    story.deliver(GAME, 5, view(GAME));
    assert_eq!(story.outputs()[0], leave(LOBBY, LeaveReason::Moved));
}

/// A room refuses no member.
#[test]
fn a_seat_that_the_room_refuses_to_confirm_is_removed() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.refused(GAME, output_id(9));
    assert_eq!(story.outputs(), [answer_refused(output_id(9), "full")]);
    assert_eq!(story.departed(), [Output::Store(StoreWrite::Leave(ANA, GAME))]);
}
