//! Stories of messages that are held because others have no answer yet.

use super::*;

/// A room's channel is read in order, so most of one member's many messages are held here.
#[test]
fn few_messages_are_in_a_channel_at_once_and_the_others_follow_in_order() {
    let mut story = Story::in_lobby();
    (1..=20).for_each(|id| story.msg(id, None));
    assert_eq!(story.outputs(), (1..=8).map(|id| message(LOBBY, id)).collect::<Vec<_>>());
    story.reply(LOBBY, 2, 1);
    story.expect_seq(2);
    assert_eq!(story.outputs(), [message(LOBBY, 9)]);
    story.reply(LOBBY, 3, 2);
    story.reply(LOBBY, 4, 3);
    story.expect_seq(3);
    assert_eq!(story.next(), message(LOBBY, 10));
    story.expect_seq(4);
    assert_eq!(story.outputs(), [message(LOBBY, 11)]);
    story.deliver(LOBBY, 9, RoomFrame::room(LOBBY, &Kind::lobby(), 11, &Json::null()));
    let appended: Vec<_> = story.outputs().into_iter().filter(|one| matches!(one, Output::Append { .. })).collect();
    assert_eq!(appended, (12..=19).map(|id| message(LOBBY, id)).collect::<Vec<_>>());
}

#[test]
fn a_message_that_is_not_appended_makes_way_for_the_next() {
    let mut story = Story::in_lobby();
    (1..=9).for_each(|id| story.msg(id, None));
    story.outputs();
    story.on(Input::NotAppended { room: LOBBY, message_id: Some(3) });
    story.expect_error(Some(3), "unavailable");
    assert_eq!(story.outputs(), [message(LOBBY, 9)]);
}

#[test]
fn held_messages_to_a_room_that_the_session_leaves_are_refused_once() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    (1..=10).for_each(|id| story.msg(id, Some(LOBBY)));
    story.outputs();
    story.admitted(GAME, output_id(9));
    assert_eq!(story.next(), leave(LOBBY, LeaveReason::Moved));
    story.expect_error(Some(9), "not_in_room");
    story.expect_error(Some(10), "not_in_room");
    (1..=8).for_each(|id| story.reply(LOBBY, id + 1, id));
    story.deliver(LOBBY, 10, RoomFrame::left(LOBBY, "moved"));
    story.left(LOBBY);
    let outputs = story.outputs();
    let errors = outputs.iter().filter(|one| matches!(one, Output::Send(Outgoing::Text(_)))).count();
    let appended = outputs.iter().filter(|one| matches!(one, Output::Append { .. })).count();
    assert_eq!((errors, appended), (0, 0), "{outputs:?}");
}

#[test]
fn held_messages_are_refused_once_when_the_room_has_removed_the_session() {
    let mut story = Story::in_lobby();
    (1..=10).for_each(|id| story.msg(id, None));
    story.outputs();
    story.left_as(LOBBY, LeaveReason::TimedOut);
    assert_eq!(text(&story.next()), RoomFrame::left(LOBBY, "timed-out").with_seq(2));
    (1..=10).for_each(|id| story.expect_error(Some(id), "not_in_room"));
    assert_eq!(story.outputs(), [Output::Store(StoreWrite::Move { session: ANA, left: LOBBY, room: LOBBY })]);
}

/// The room does not have these messages: the client resends them when it resumes.
#[test]
fn held_messages_do_not_follow_the_drop_of_a_lost_connection() {
    let mut story = Story::in_lobby();
    (1..=10).for_each(|id| story.msg(id, None));
    story.outputs();
    story.on(Input::Lost { code: 1006 });
    assert_eq!(story.outputs(), [drop_from(LOBBY, 1006), disconnected(false)]);
}

#[test]
fn unanswered_messages_are_bounded_in_number_and_in_bytes() {
    let mut story = Story::in_lobby();
    story.session.limits.burst = 1_000;
    story.session.rate.tokens = 1_000_000;
    (1..=256).for_each(|id| story.msg(id, None));
    assert_eq!(story.outputs().len(), WINDOW);
    story.msg(257, None);
    story.expect_error(Some(257), "unavailable");

    let mut story = Story::in_lobby();
    let large = Json::of(&"x".repeat(60_000));
    (1..=13).for_each(|id| story.msg_with(id, large.clone()));
    assert_eq!(story.outputs().iter().filter(|one| matches!(one, Output::Append { .. })).count(), WINDOW);
    let waiting = story.session.seat(LOBBY).expect("it has a seat").messages.unanswered.len();
    assert_eq!(waiting, 12, "four are held");
    story.msg_with(13, Json::null());
    assert_eq!(story.outputs(), [], "its id was not used, and there is space for a small one");
}
