//! Stories of messages that a resumed client sends again.

use super::*;

#[test]
fn a_resent_message_is_appended_again_since_its_room_drops_duplicates() {
    let mut story = Story::resumed(&[LOBBY]);
    story.outputs();
    story.msg(3, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 3)]);
}

/// The session resumed while the reply was in flight, and has moved on since.
#[test]
fn a_resent_message_that_was_answered_early_is_not_appended() {
    let mut story = Story::resumed(&[LOBBY]);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 3, &Json::null()));
    story.move_to(GAME);
    story.msg(3, Some(LOBBY));
    assert_eq!(story.outputs(), []);
    story.move_back();
    story.msg(3, Some(LOBBY));
    story.expect_error(Some(3), "stale_id");
    story.msg(4, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 4)]);
}

#[test]
fn a_resent_message_without_a_room_that_was_answered_early_is_not_answered_again() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 3, &Json::null()));
    story.resumed_in(GAME, 1, 3);
    story.outputs();
    story.msg(2, None);
    story.expect_error(Some(2), "applied");
    story.msg(3, None);
    assert_eq!(story.outputs(), [], "it was answered early");
    story.msg(4, None);
    assert_eq!(story.outputs(), [message(GAME, 4)]);

    let mut story = Story::resumed(&[LOBBY]);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 3, &Json::null()));
    story.move_to(GAME);
    story.msg(3, None);
    assert_eq!(story.outputs(), [], "the room that answered was the current one before");
}

/// The client has restarted its ids at 1, and the repeated reply belongs to an earlier message.
#[test]
fn a_repeated_reply_answers_one_message_and_the_next_under_its_id_is_stale() {
    for resumed_first in [true, false] {
        let mut story = Story::resumed_with(&[(GAME, 9)]);
        for id in 1..=2 {
            story.deliver(GAME, 9 + id, RoomFrame::reply(GAME, id, &Json::null()));
        }
        if resumed_first {
            story.resumed_in(GAME, 1, 2);
        }
        story.outputs();
        for id in 1..=2 {
            story.msg(id, Some(GAME));
            assert_eq!(story.outputs(), [], "it was answered early");
            for room in [Some(GAME), None] {
                story.msg(id, room);
                story.expect_error(Some(id), "stale_id");
            }
        }
        story.msg(3, Some(GAME));
        assert_eq!(story.outputs(), [message(GAME, 3)]);
    }
}

/// The reply to a later message has arrived; the reply to this one is no longer kept.
#[test]
fn a_resent_message_whose_reply_is_lost_is_answered_as_applied() {
    let mut story = Story::resumed(&[GAME]);
    story.deliver(GAME, 20, RoomFrame::room(GAME, &Kind::lobby(), 3, &Json::null()));
    story.deliver(GAME, 21, RoomFrame::reply(GAME, 5, &Json::null()));
    story.outputs();
    story.msg(3, Some(GAME));
    story.expect_error(Some(3), "applied");
    story.msg(5, Some(GAME));
    assert_eq!(story.outputs(), [], "it was answered early");
}

#[test]
fn ids_that_begin_again_at_1_are_answered_before_and_after_resumed() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.msg(1, Some(GAME));
    story.msg(8, Some(GAME));
    assert_eq!(story.outputs(), [message(GAME, 1), message(GAME, 8)], "the room has yet to report what it has applied");
    story.resumed_in(GAME, 1, 7);
    story.expect_error(Some(1), "applied");
    assert_eq!(story.outputs(), [], "the room has not applied the other one");
    story.msg(2, Some(GAME));
    story.expect_error(Some(2), "stale_id");
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 8, &Json::null()));
    assert_eq!(story.outputs().len(), 1);
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.resumed_in(GAME, 1, 7);
    for id in 1..=7 {
        story.msg(id, Some(GAME));
        story.expect_error(Some(id), "applied");
    }
    story.msg(8, Some(GAME));
    assert_eq!(story.outputs(), [message(GAME, 8)]);
}

#[test]
fn a_message_whose_reply_is_repeated_has_one_answer() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.msg(3, Some(GAME));
    story.outputs();
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 3, &Json::null()));
    assert_eq!(story.outputs().len(), 1);
    story.resumed_in(GAME, 1, 3);
    assert_eq!(story.outputs(), []);
}

/// The frames that belong to the earlier answer may not be those that this connection has.
#[test]
fn an_answer_to_an_earlier_request_does_not_end_a_later_one() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.msg(3, Some(GAME));
    story.now = story.now.plus(5_000);
    story.deliver(GAME, 11, RoomFrame::event(GAME, "late", &Json::null()));
    assert_eq!(story.outputs(), [message(GAME, 3), reconnect(GAME, Some(9))], "a missing frame is requested");
    story.resumed_in(GAME, 1, 3);
    assert_eq!(story.outputs(), []);
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 3, &Json::null()));
    story.deliver(GAME, 11, RoomFrame::event(GAME, "late", &Json::null()));
    assert_eq!(story.outputs().len(), 2);
    story.resumed_in(GAME, 2, 3);
    assert_eq!(story.outputs(), []);
}
