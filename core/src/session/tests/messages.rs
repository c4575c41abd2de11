//! Stories of messages, from the client to their rooms and answers.

use super::*;

#[test]
fn a_message_without_a_room_goes_to_the_one_of_the_latest_room_frame() {
    let mut story = Story::in_lobby();
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
    story.move_to(GAME);
    story.msg(2, None);
    assert_eq!(story.outputs(), [message(GAME, 2)]);
}

#[test]
fn ids_rise_within_a_session() {
    let mut story = Story::in_lobby();
    story.msg(5, None);
    story.outputs();
    for stale in [5, 4] {
        story.msg(stale, None);
        story.expect_error(Some(stale), "stale_id");
    }
}

#[test]
fn a_message_to_a_room_without_a_seat_is_refused() {
    let mut story = Story::in_lobby();
    story.msg(1, Some(GAME));
    story.expect_error(Some(1), "not_in_room");
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "the id was not used");
}

#[test]
fn a_message_that_is_not_appended_is_answered() {
    let mut story = Story::in_lobby();
    story.msg(1, None);
    story.outputs();
    story.on(Input::NotAppended { room: LOBBY, message_id: Some(1) });
    story.expect_error(Some(1), "unavailable");
}

#[test]
fn messages_that_a_room_did_not_apply_before_the_session_left_are_answered() {
    let mut story = Story::in_lobby();
    story.msg(1, None);
    story.msg(2, None);
    story.outputs();
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 1, &Json::null()));
    story.deliver(LOBBY, 3, RoomFrame::left(LOBBY, "left"));
    story.outputs();
    story.left(LOBBY);
    story.expect_error(Some(2), "not_in_room");
}

#[test]
fn a_message_whose_reply_a_whole_view_has_skipped_is_answered_as_applied() {
    let mut story = Story::resumed(&[GAME]);
    story.outputs();
    story.msg(3, Some(GAME));
    story.outputs();
    story.deliver(GAME, 20, RoomFrame::room(GAME, &Kind::lobby(), 4, &Json::null()));
    story.expect_seq(20);
    story.expect_error(Some(3), "applied");
    story.msg(4, None);
    story.expect_error(Some(4), "applied");
}

/// The edge was paused, and the monitor has dropped its sessions.
#[test]
fn messages_before_a_move_are_applied_even_if_no_reply_came() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.msg(1, Some(LOBBY));
    story.admitted(GAME, output_id(9));
    story.outputs();
    story.left_as(LOBBY, LeaveReason::Moved);
    assert_eq!(text(&story.next()), RoomFrame::left(LOBBY, "moved").with_seq(2));
    story.expect_error(Some(1), "applied");
}

#[test]
fn messages_to_a_room_that_is_being_joined_belong_to_the_stay_that_begins() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.msg(1, Some(GAME)); // Before the room has the join: the session is no member yet.
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.msg(2, Some(GAME));
    story.outputs();
    story.left_after(GAME, 2);
    story.expect_error(Some(1), "not_in_room");
    story.admitted(GAME, output_id(9));
    let waiting = &story.session.seat(GAME).expect("it has a seat").messages.unanswered;
    assert_eq!(waiting.iter().collect::<Vec<_>>(), [&2], "the room will answer this one");
}

/// A stalled edge has yet to append messages of the earlier stay in the lobby.
#[test]
fn a_message_that_was_refused_after_its_room_was_left_is_not_for_the_next_stay() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    story.left(LOBBY);
    story.outputs();
    story.msg(4, Some(LOBBY));
    story.expect_error(Some(4), "not_in_room");
    story.msg(7, Some(RoomId(99)));
    story.expect_error(Some(7), "not_in_room");
    story.request_move_from(OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } }, LOBBY);
    story.on(Input::Stored { room: LOBBY, done: true });
    let Output::Append { command: RoomCommand::Join(Joining { message_id, .. }), .. } = &story.outputs()[1] else {
        panic!()
    };
    assert_eq!(*message_id, 4, "the room accepts no message up to this id");
}

/// A stalled edge has yet to append messages of the earlier stay in the lobby.
#[test]
fn a_message_of_an_earlier_stay_is_not_accepted_in_the_next_one() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    story.left(LOBBY);
    story.deliver(GAME, 8, RoomFrame::room(GAME, &Kind::lobby(), 5, &Json::null()));
    story.outputs();
    let way_back = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
    story.request_move_from(way_back, LOBBY);
    story.on(Input::Stored { room: LOBBY, done: true });
    let Output::Append { command: RoomCommand::Join(Joining { message_id, .. }), .. } = &story.outputs()[1] else {
        panic!()
    };
    assert_eq!(*message_id, 5, "the room accepts no message up to this id");
    story.admitted_from(LOBBY, Some(way_back));
    story.outputs();
    story.msg(4, Some(LOBBY));
    story.expect_error(Some(4), "not_in_room");
    story.msg(6, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 6)]);
}

#[test]
fn ten_bad_frames_in_a_row_close_the_connection() {
    let mut story = Story::in_lobby();
    for _ in 0..9 {
        story.frame("{}");
        story.expect_error(None, "bad_frame");
    }
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
    for _ in 0..10 {
        story.frame("{}");
    }
    story.expect_close(CloseCode::BadFrame);
}

#[test]
fn data_beyond_a_bound_is_answered_each_time_and_closes_no_connection() {
    let mut story = Story::in_lobby();
    for id in 1..=30 {
        story.frame(&format!(r#"{{"t":"msg","id":{id},"type":"a","data":"\ud800"}}"#));
        story.expect_error(Some(id), "bad_data");
    }
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "the id was not used");
}
