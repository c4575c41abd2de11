//! Stories of a session. Each story plays the edge, the store and the rooms.

use std::collections::BTreeMap;

use super::*;
use crate::{
    command::{Answer, Joining, LeaveReason, OutputRef, RequestId},
    frame::Msg,
    ids::{Kind, OutputId},
    json::Json,
};

const LOBBY: RoomId = RoomId::LOBBY;
const GAME: RoomId = RoomId(7);
const HERE: ConnectionId = ConnectionId(5);
const BEFORE: ConnectionId = ConnectionId(4);
const ANY: RequestId = RequestId { connection: HERE, number: 0 };
const ANA: SessionId = SessionId(1);

// ---- greeting ----

#[test]
fn a_new_session_is_welcomed_and_joins_the_lobby() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","name":"Ana"}"#);
    assert!(matches!(story.outputs()[..], [Output::Hello(_)]));
    story.on(Input::Opened(new_session()));
    let outputs = story.outputs();
    assert!(text(&outputs[0]).starts_with(r#"{"t":"welcome","session":"00000000000000000000000000000001""#));
    assert_eq!(outputs[1..], [join(LOBBY, 0, None)]);
}

#[test]
fn a_message_before_hello_is_out_of_order() {
    let mut story = Story::begin();
    story.say(1, None);
    story.expect_error(Some(1), "bad_order");
}

#[test]
fn a_second_hello_is_out_of_order() {
    let mut story = Story::in_lobby();
    story.frame(r#"{"t":"hello"}"#);
    story.expect_error(None, "bad_order");
}

#[test]
fn without_a_hello_the_connection_is_closed() {
    let mut story = Story::begin();
    story.wait(10_000);
    story.expect_close(CloseCode::HeartbeatLost);
}

#[test]
fn a_session_that_comes_back_asks_its_rooms_for_what_it_has_not() {
    let mut story = Story::begin();
    story.frame(&format!(r#"{{"t":"hello","resume":"x","last":{{"{GAME}":5,"{}":2}}}}"#, RoomId(9)));
    story.outputs();
    story.on(Input::Opened(resumed(&[LOBBY, GAME])));
    let outputs = story.outputs();
    assert!(text(&outputs[0]).contains(r#""recovered":true"#));
    assert_eq!(outputs[1], Output::Ping, "its old token is to be void soon");
    assert_eq!(outputs[2..4], [reconnect(LOBBY, None), reconnect(GAME, Some(5))]);
    assert_eq!(text(&outputs[4]), left(RoomId(9), 3), "a room that nobody knows of any more is over");
    assert_eq!(outputs.len(), 5);
    story.deliver(GAME, 6, event(GAME));
    story.expect_seq(6);
}

#[test]
fn the_old_token_is_good_until_the_client_has_shown_that_it_knows_the_new_one() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Opened(resumed(&[LOBBY])));
    story.outputs();
    story.on(Input::Pong);
    assert_eq!(story.outputs(), [Output::Store(Store::Confirm(ANA))]);
    story.on(Input::Pong);
    assert_eq!(story.outputs(), []);
}

#[test]
fn a_session_that_comes_back_to_no_room_joins_the_lobby() {
    let mut story = Story::resumed(&[]);
    assert_eq!(story.outputs(), [Output::Store(Store::Join(ANA, LOBBY))]);
    story.on(Input::Stored { room: LOBBY, done: true });
    assert_eq!(story.outputs(), [join(LOBBY, 0, None)]);
}

#[test]
fn a_session_that_is_taken_up_for_a_connection_that_is_gone_is_dropped_again() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Lost { code: 1006 });
    story.outputs();
    story.on(Input::Opened(resumed(&[GAME])));
    assert_eq!(story.outputs(), [drop_from(GAME, 1006), gone(false)]);
}

// ---- messages ----

#[test]
fn a_message_without_a_room_goes_to_the_one_of_the_latest_room_frame() {
    let mut story = Story::in_lobby();
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
    story.move_to(GAME);
    story.say(2, None);
    assert_eq!(story.outputs(), [message(GAME, 2)]);
}

#[test]
fn ids_rise() {
    let mut story = Story::in_lobby();
    story.say(5, None);
    story.outputs();
    for stale in [5, 4] {
        story.say(stale, None);
        story.expect_error(Some(stale), "stale_id");
    }
}

#[test]
fn a_resent_message_goes_to_its_room_again_which_knows_whether_it_has_it() {
    let mut story = Story::resumed(&[LOBBY]);
    story.outputs();
    story.say(3, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 3)]);
}

/// The session resumed while the reply was in flight, and has moved on since.
#[test]
fn a_resent_message_whose_reply_has_crossed_it_is_not_taken_again() {
    let mut story = Story::resumed(&[LOBBY]);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 3, &Json::null()));
    story.move_to(GAME);
    story.say(3, Some(LOBBY));
    assert_eq!(story.outputs(), []);
    story.move_back();
    story.say(3, Some(LOBBY));
    story.expect_error(Some(3), "stale_id");
    story.say(4, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 4)]);
}

#[test]
fn a_resent_message_that_names_no_room_and_whose_reply_has_crossed_it_is_not_answered_again() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 3, &Json::null()));
    story.resumed_in(GAME, 1, 3);
    story.outputs();
    story.say(2, None);
    story.expect_error(Some(2), "applied");
    story.say(3, None);
    assert_eq!(story.outputs(), [], "its reply has crossed it");
    story.say(4, None);
    assert_eq!(story.outputs(), [message(GAME, 4)]);

    let mut story = Story::resumed(&[LOBBY]);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 3, &Json::null()));
    story.move_to(GAME);
    story.say(3, None);
    assert_eq!(story.outputs(), [], "the room that answered was the current one before");
}

/// The client has begun its ids again at 1, and the repeated reply belongs to an earlier message.
#[test]
fn a_reply_that_is_sent_again_answers_one_message_and_the_next_under_its_id_is_stale() {
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
            story.say(id, Some(GAME));
            assert_eq!(story.outputs(), [], "its reply has crossed it");
            for room in [Some(GAME), None] {
                story.say(id, room);
                story.expect_error(Some(id), "stale_id");
            }
        }
        story.say(3, Some(GAME));
        assert_eq!(story.outputs(), [message(GAME, 3)]);
    }
}

/// The reply to a later message has arrived; the reply to this one is no longer kept.
#[test]
fn a_resent_message_whose_reply_is_lost_is_told_to_be_applied_whatever_else_was_answered() {
    let mut story = Story::resumed(&[GAME]);
    story.deliver(GAME, 20, RoomFrame::room(GAME, &Kind::lobby(), 3, &Json::null()));
    story.deliver(GAME, 21, RoomFrame::reply(GAME, 5, &Json::null()));
    story.outputs();
    story.say(3, Some(GAME));
    story.expect_error(Some(3), "applied");
    story.say(5, Some(GAME));
    assert_eq!(story.outputs(), [], "its reply has crossed it");
}

#[test]
fn ids_that_begin_again_at_1_are_answered_before_and_after_the_room_has_said_what_it_has_applied() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.say(1, Some(GAME));
    story.say(8, Some(GAME));
    assert_eq!(story.outputs(), [message(GAME, 1), message(GAME, 8)], "nobody knows yet that the room has it");
    story.resumed_in(GAME, 1, 7);
    story.expect_error(Some(1), "applied");
    assert_eq!(story.outputs(), [], "the other one is new to the room");
    story.say(2, Some(GAME));
    story.expect_error(Some(2), "stale_id");
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 8, &Json::null()));
    assert_eq!(story.outputs().len(), 1);
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.resumed_in(GAME, 1, 7);
    for id in 1..=7 {
        story.say(id, Some(GAME));
        story.expect_error(Some(id), "applied");
    }
    story.say(8, Some(GAME));
    assert_eq!(story.outputs(), [message(GAME, 8)]);
}

#[test]
fn a_message_whose_reply_is_sent_again_has_its_one_answer() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.say(3, Some(GAME));
    story.outputs();
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 3, &Json::null()));
    assert_eq!(story.outputs().len(), 1);
    story.resumed_in(GAME, 1, 3);
    assert_eq!(story.outputs(), []);
}

/// The frames that belong to the earlier answer may not be those that this connection has.
#[test]
fn what_a_room_says_after_an_earlier_question_ends_no_later_one() {
    let mut story = Story::resumed_with(&[(GAME, 9)]);
    story.say(3, Some(GAME));
    story.now = story.now.plus(5_000);
    story.deliver(GAME, 11, RoomFrame::event(GAME, "late", &Json::null()));
    assert_eq!(story.outputs(), [message(GAME, 3), reconnect(GAME, Some(9))], "a frame is missing, and asked for");
    story.resumed_in(GAME, 1, 3);
    assert_eq!(story.outputs(), []);
    story.deliver(GAME, 10, RoomFrame::reply(GAME, 3, &Json::null()));
    story.deliver(GAME, 11, RoomFrame::event(GAME, "late", &Json::null()));
    assert_eq!(story.outputs().len(), 2);
    story.resumed_in(GAME, 2, 3);
    assert_eq!(story.outputs(), []);
}

/// A stalled edge has yet to append messages of the earlier stay in the lobby.
#[test]
fn a_message_of_a_stay_before_is_not_taken_in_the_next_one() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    story.leave(LOBBY);
    story.deliver(GAME, 8, RoomFrame::room(GAME, &Kind::lobby(), 5, &Json::null()));
    story.outputs();
    let back = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
    story.command(EdgeCommand::Join { session: ANA, connection: HERE, room: LOBBY, options: Json::null(), from: back });
    story.on(Input::Stored { room: LOBBY, done: true });
    let Output::Append { command: RoomCommand::Join(Joining { message_id, .. }), .. } = &story.outputs()[1] else {
        panic!()
    };
    assert_eq!(*message_id, 5, "the room will take nothing up to that");
    story.admitted_from(LOBBY, Some(back));
    story.outputs();
    story.say(4, Some(LOBBY));
    story.expect_error(Some(4), "not_in_room");
    story.say(6, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 6)]);
}

#[test]
fn a_message_to_a_room_that_it_is_not_in_goes_nowhere() {
    let mut story = Story::in_lobby();
    story.say(1, Some(GAME));
    story.expect_error(Some(1), "not_in_room");
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "the id was not used");
}

#[test]
fn messages_that_a_room_did_not_take_before_the_session_left_are_answered() {
    let mut story = Story::in_lobby();
    story.say(1, None);
    story.say(2, None);
    story.outputs();
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 1, &Json::null()));
    story.deliver(LOBBY, 3, RoomFrame::left(LOBBY, "left"));
    story.outputs();
    story.leave(LOBBY);
    story.expect_error(Some(2), "not_in_room");
}

#[test]
fn a_message_whose_reply_a_whole_view_has_skipped_is_told_to_be_applied() {
    let mut story = Story::resumed(&[GAME]);
    story.outputs();
    story.say(3, Some(GAME));
    story.outputs();
    story.deliver(GAME, 20, RoomFrame::room(GAME, &Kind::lobby(), 4, &Json::null()));
    story.expect_seq(20);
    story.expect_error(Some(3), "applied");
    story.say(4, None);
    story.expect_error(Some(4), "applied");
}

#[test]
fn a_message_that_the_log_does_not_take_is_answered() {
    let mut story = Story::in_lobby();
    story.say(1, None);
    story.outputs();
    story.on(Input::NotAppended { room: LOBBY, id: Some(1) });
    story.expect_error(Some(1), "unavailable");
}

#[test]
fn a_client_that_is_too_fast_is_told_to_wait_and_then_closed() {
    let mut story = Story::in_lobby();
    for id in 2..=100 {
        story.say_and_hear(id);
    }
    story.say(101, None);
    story.expect_error(Some(101), "rate_limited");
    story.wait(50);
    story.say(101, None);
    assert_eq!(story.outputs(), [message(LOBBY, 101)]);
    for id in 102..=203 {
        story.say(id, None);
    }
    story.expect_close(CloseCode::RateLimited);
}

/// A room's channel is read in order, so most of one member's many messages are held here.
#[test]
fn few_messages_of_a_session_are_in_a_channel_at_once_and_the_others_follow_in_their_order() {
    let mut story = Story::in_lobby();
    (1..=20).for_each(|id| story.say(id, None));
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
fn a_message_that_the_log_does_not_take_makes_way_for_the_next() {
    let mut story = Story::in_lobby();
    (1..=9).for_each(|id| story.say(id, None));
    story.outputs();
    story.on(Input::NotAppended { room: LOBBY, id: Some(3) });
    story.expect_error(Some(3), "unavailable");
    assert_eq!(story.outputs(), [message(LOBBY, 9)]);
}

#[test]
fn what_waits_for_a_room_that_the_session_leaves_is_answered_once_and_goes_nowhere() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    (1..=10).for_each(|id| story.say(id, Some(LOBBY)));
    story.outputs();
    story.admitted(GAME, number(9));
    assert_eq!(story.next(), leave(LOBBY, LeaveReason::Moved));
    story.expect_error(Some(9), "not_in_room");
    story.expect_error(Some(10), "not_in_room");
    (1..=8).for_each(|id| story.reply(LOBBY, id + 1, id));
    story.deliver(LOBBY, 10, RoomFrame::left(LOBBY, "moved"));
    story.leave(LOBBY);
    let outputs = story.outputs();
    let errors = outputs.iter().filter(|one| matches!(one, Output::Send(Outgoing::Text(_)))).count();
    let appended = outputs.iter().filter(|one| matches!(one, Output::Append { .. })).count();
    assert_eq!((errors, appended), (0, 0), "{outputs:?}");
}

#[test]
fn what_waits_when_a_room_says_that_the_session_is_out_is_answered_once() {
    let mut story = Story::in_lobby();
    (1..=10).for_each(|id| story.say(id, None));
    story.outputs();
    story.leave_as(LOBBY, LeaveReason::TimedOut);
    assert_eq!(text(&story.next()), RoomFrame::left(LOBBY, "timed-out").with_seq(2));
    (1..=10).for_each(|id| story.expect_error(Some(id), "not_in_room"));
    assert_eq!(story.outputs(), [Output::Store(Store::Leave(ANA, LOBBY)), Output::Store(Store::Join(ANA, LOBBY))]);
}

/// The room does not have these messages: the client resends them when it resumes.
#[test]
fn what_waits_when_the_connection_is_lost_does_not_follow_its_drop() {
    let mut story = Story::in_lobby();
    (1..=10).for_each(|id| story.say(id, None));
    story.outputs();
    story.on(Input::Lost { code: 1006 });
    assert_eq!(story.outputs(), [drop_from(LOBBY, 1006), gone(false)]);
}

#[test]
fn what_waits_is_bounded_in_number_and_in_bytes() {
    let mut story = Story::in_lobby();
    story.session.limits.burst = 1_000;
    story.session.tokens = 1_000_000;
    (1..=256).for_each(|id| story.say(id, None));
    assert_eq!(story.outputs().len(), WINDOW);
    story.say(257, None);
    story.expect_error(Some(257), "unavailable");

    let mut story = Story::in_lobby();
    let large = Json::of(&"x".repeat(60_000));
    (1..=13).for_each(|id| story.say_data(id, large.clone()));
    assert_eq!(story.outputs().iter().filter(|one| matches!(one, Output::Append { .. })).count(), WINDOW);
    let waiting = story.session.seat(LOBBY).expect("it is there").waiting.len();
    assert_eq!(waiting, 12, "four frames wait");
    story.say_data(13, Json::null());
    assert_eq!(story.outputs(), [], "its id was not used, and a small one finds room");
}

#[test]
fn ten_bad_frames_in_a_row_are_enough() {
    let mut story = Story::in_lobby();
    for _ in 0..9 {
        story.frame("{}");
        story.expect_error(None, "bad_frame");
    }
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
    for _ in 0..10 {
        story.frame("{}");
    }
    story.expect_close(CloseCode::BadFrame);
}

#[test]
fn a_session_whose_messages_cost_too_much_is_slowed_until_it_has_paid() {
    let mut story = Story::in_lobby();
    story.spent(200_000);
    story.say_and_hear(1);
    story.spent(50_000);
    story.say(2, None);
    let error = text(&story.next());
    assert!(error.contains(r#""code":"rate_limited""#) && error.contains(r#""retryAfterMs":501"#), "{error}");
    // The refused message has cost 18 ms.
    story.now = story.now.plus(681);
    story.say(2, None);
    assert_eq!(story.outputs(), [message(LOBBY, 2)]);
}

#[test]
fn a_session_that_goes_on_after_it_was_slowed_is_closed_and_owes_as_much_when_it_is_back() {
    let mut story = Story::in_lobby();
    story.session.limits.burst = 1_000;
    story.session.tokens = 1_000_000;
    story.spent(250_000);
    (1..=98).for_each(|id| story.say(id, None));
    story.expect_close(CloseCode::RateLimited);
    let owed = story.session.owed(story.now);
    assert_eq!(owed, 2_014_000);
    assert_eq!(story.session.owed(story.now.plus(10_000)), 1_014_000, "it pays by the time");

    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Opened(Opened { owed: owed - 1_800_000, ..resumed(&[LOBBY]) }));
    story.on(Input::Pong);
    story.outputs();
    story.say(1, Some(LOBBY));
    story.expect_error(Some(1), "rate_limited");
}

#[test]
fn a_session_that_resumes_has_a_tenth_of_the_burst_left_since_its_other_edge_may_know_of_a_debt() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Opened(Opened { owed: 0, ..resumed(&[LOBBY]) }));
    assert_eq!(story.session.owed(story.now), 180_000);
    assert_eq!(Story::in_lobby().session.owed(story.now), 0, "a new session owes nothing");
}

#[test]
fn what_another_connection_has_spent_is_not_owed_by_this_one() {
    let mut story = Story::in_lobby();
    story.command(EdgeCommand::Spent { session: ANA, connection: BEFORE, micros: 9_000_000 });
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
}

#[test]
fn pongs_that_nobody_asked_for_cost_what_pings_cost() {
    let mut story = Story::in_lobby();
    story.wait(20_000);
    assert_eq!(story.outputs(), [Output::Ping]);
    story.on(Input::Pong);
    assert_eq!(story.session.tokens, 99_000, "the hello, and nothing since");
    story.on(Input::Pong);
    story.on(Input::Pong);
    assert_eq!(story.session.tokens, 98_000, "it was full again");
    (0..200).for_each(|_| story.on(Input::Pong));
    story.expect_close(CloseCode::RateLimited);
}

#[test]
fn frames_that_make_no_message_cost_the_rate() {
    let mut story = Story::in_lobby();
    story.on(Input::Fragments(90));
    assert_eq!(story.outputs(), []);
    story.on(Input::Fragments(u32::MAX));
    story.expect_close(CloseCode::RateLimited);
}

#[test]
fn data_beyond_a_bound_is_answered_each_time_and_closes_nothing() {
    let mut story = Story::in_lobby();
    for id in 1..=30 {
        story.frame(&format!(r#"{{"t":"msg","id":{id},"type":"a","data":"\ud800"}}"#));
        story.expect_error(Some(id), "bad_data");
    }
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "the id was not used");
}

#[test]
fn a_client_that_cannot_greet_is_sent_away_for_good() {
    for hello in [r#"{"t":"hello","name":"half an emoji \ud83d"}"#, r#"{"t":"hello","name":5}"#, "hello", "{}"] {
        let mut story = Story::begin();
        story.frame(hello);
        story.expect_close(CloseCode::BadFrame);
    }
}

// ---- frames ----

#[test]
fn what_was_seen_is_not_seen_again() {
    let mut story = Story::in_lobby();
    story.deliver(LOBBY, 2, event(LOBBY));
    story.expect_seq(2);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.deliver(LOBBY, 2, event(LOBBY));
    assert_eq!(story.outputs(), []);
}

#[test]
fn a_gap_is_asked_for_once_and_then_filled() {
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
fn frames_of_a_room_that_it_is_not_in_go_nowhere() {
    let mut story = Story::in_lobby();
    story.deliver(GAME, 1, view(GAME));
    assert_eq!(story.outputs(), []);
}

// ---- moves ----

#[test]
fn a_move_is_stored_then_asked_of_the_target_then_told_to_the_source() {
    let mut story = Story::in_lobby();
    story.say(4, None);
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 4, &Json::null()));
    story.outputs();
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), [Output::Store(Store::Join(ANA, GAME))]);
    story.on(Input::Stored { room: GAME, done: true });
    assert_eq!(story.outputs(), [join(GAME, 4, Some(number(9)))]);
    story.admitted(GAME, number(9));
    assert_eq!(story.outputs(), [leave(LOBBY, LeaveReason::Moved)]);
    story.deliver(GAME, 1, view(GAME));
    story.expect_seq(1);
    story.deliver(LOBBY, 3, RoomFrame::left(LOBBY, "moved"));
    story.expect_seq(3);
    story.leave(LOBBY);
    assert_eq!(story.outputs(), [Output::Store(Store::Leave(ANA, LOBBY))]);
}

#[test]
fn a_refused_move_leaves_the_session_where_it_was() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.refused(GAME, number(9));
    assert_eq!(story.outputs(), [answer_refused(number(9), "full"), Output::Store(Store::Leave(ANA, GAME))]);
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
}

#[test]
fn a_repeated_request_to_move_does_nothing_twice() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.outputs();
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), [], "the first one is still pending");
    story.on(Input::Stored { room: GAME, done: true });
    story.refused(GAME, number(9));
    story.outputs();
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), [answer_refused(number(9), "full")], "the answer is the same");
    story.ask_move(GAME, number(8));
    assert_eq!(story.outputs(), [], "an echo of an earlier request");
}

#[test]
fn an_echo_of_an_old_admission_does_not_take_the_session_out_of_the_lobby_again() {
    let mut story = Story::in_lobby();
    story.move_to(GAME);
    story.move_back();
    story.admitted(GAME, number(9));
    assert_eq!(story.outputs(), []);
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
}

#[test]
fn a_move_that_the_store_cannot_take_is_refused() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.outputs();
    story.on(Input::Stored { room: GAME, done: false });
    let reason = "the server cannot reach its store now";
    assert_eq!(story.outputs(), [answer_refused(number(9), reason), Output::Store(Store::Leave(ANA, GAME))]);
}

#[test]
fn a_move_that_was_pending_when_the_connection_was_lost_is_asked_for_again_and_finished_by_the_next() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.admitted(GAME, number(9));
    assert_eq!(story.outputs(), [leave(LOBBY, LeaveReason::Moved)]);
}

/// The edge before this one was killed after the session had left the game and before the store had that.
#[test]
fn a_move_is_finished_also_to_a_room_that_the_store_was_wrong_about() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), [Output::Store(Store::Join(ANA, GAME))]);
    story.on(Input::Stored { room: GAME, done: true });
    assert_eq!(story.outputs(), [join(GAME, 0, Some(number(9)))]);
    story.leave_after(GAME, 2); // The answer to the request at the beginning. The answer to the join follows it.
    assert_eq!(story.outputs(), []);
    story.admitted(GAME, number(9));
    assert_eq!(story.outputs(), [leave(LOBBY, LeaveReason::Moved)]);
    story.deliver(GAME, 5, view(GAME));
    story.expect_seq(5);
}

/// The room got two requests before the join, and has answered both.
#[test]
fn an_echo_of_an_answer_that_a_join_has_overtaken_ends_nothing() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.on(Input::Contested);
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.leave_after(GAME, 2);
    story.leave_after(GAME, 4);
    story.admitted(GAME, number(9));
    story.outputs();
    story.leave_after(GAME, 4);
    assert_eq!(story.outputs(), []);
}

#[test]
fn what_is_said_to_a_room_that_is_being_joined_is_for_the_stay_that_begins() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.say(1, Some(GAME)); // Before the room has the join: the session is no member yet.
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.say(2, Some(GAME));
    story.outputs();
    story.leave_after(GAME, 2);
    story.expect_error(Some(1), "not_in_room");
    story.admitted(GAME, number(9));
    let waiting = &story.session.seat(GAME).expect("it is in it").waiting;
    assert_eq!(waiting.iter().collect::<Vec<_>>(), [&2], "the room will answer that");
}

/// The lobby's host has died, and the next one repeats its outputs, also to this edge: the session was here before, went to the
/// game, and has resumed by another edge meanwhile.
#[test]
fn an_echo_of_what_an_earlier_connection_was_shown_is_not_shown_again() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    story.deliver_to(BEFORE, LOBBY, 3, view(LOBBY));
    story.deliver_to(BEFORE, LOBBY, 4, RoomFrame::left(LOBBY, "moved"));
    assert_eq!(story.outputs(), []);
    story.deliver(LOBBY, 5, view(LOBBY));
    assert_eq!(text(&story.next()), view(LOBBY).with_seq(5));
}

/// When the session resumed by this connection the lobby reported that it was no member, and then admitted it. The lobby's host
/// has died since, and the next one repeats both.
#[test]
fn an_echo_of_not_being_there_does_not_end_the_stay_that_followed() {
    let mut story = Story::resumed(&[LOBBY]);
    story.leave(LOBBY);
    story.on(Input::Stored { room: LOBBY, done: true });
    story.admitted_from(LOBBY, None);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.outputs();
    story.leave_after(LOBBY, 1);
    story.say(1, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "it is there");
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, number(9));
    story.outputs();
    story.leave_after(LOBBY, 1);
    assert_eq!(story.outputs(), [], "the lobby has yet to say what became of the message");
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 1, &Json::null()));
    story.deliver(LOBBY, 3, RoomFrame::left(LOBBY, "moved"));
    story.leave_as(LOBBY, LeaveReason::Moved);
    let shown: Vec<String> = story.outputs().iter().filter(|one| matches!(one, Output::Send(_))).map(text).collect();
    let reply = RoomFrame::reply(LOBBY, 1, &Json::null()).with_seq(2);
    assert_eq!(shown, [reply, RoomFrame::left(LOBBY, "moved").with_seq(3)]);
}

/// The lobby's host has died, and the next one repeats the request for a move that the earlier connection has made.
#[test]
fn an_echo_of_a_move_that_an_earlier_connection_was_asked_for_moves_nobody() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    let from = OutputRef { room: LOBBY, number: number(9) };
    let echo = EdgeCommand::Join { session: ANA, connection: BEFORE, room: GAME, options: Json::null(), from };
    story.command(echo);
    assert_eq!(story.outputs(), []);
}

/// This edge's record of the earlier connection reached the room after that of this one.
#[test]
fn a_room_that_knows_an_earlier_connection_is_told_of_this_one_again() {
    let mut story = Story::in_lobby();
    story.now = story.now.plus(2_000);
    story.deliver_to(BEFORE, LOBBY, 2, view(LOBBY));
    assert_eq!(story.outputs(), [reconnect(LOBBY, Some(1))]);
}

/// The edge was paused, and the monitor has dropped its sessions.
#[test]
fn what_was_said_before_a_move_was_taken_even_if_no_reply_came() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.say(1, Some(LOBBY));
    story.admitted(GAME, number(9));
    story.outputs();
    story.leave_as(LOBBY, LeaveReason::Moved);
    assert_eq!(text(&story.next()), RoomFrame::left(LOBBY, "moved").with_seq(2));
    story.expect_error(Some(1), "applied");
}

/// The lobby's host has died, and the next one repeats its outputs.
#[test]
fn an_echo_of_a_move_from_an_earlier_stay_does_not_take_the_session_away_again() {
    let mut story = Story::in_lobby();
    story.move_to(GAME);
    story.move_back();
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), []);
}

/// Two rooms move the session at once. One of them admits it while it is already leaving that room for a third.
#[test]
fn an_admission_to_a_room_that_is_being_left_again_still_ends_the_move() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    let back = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
    story.command(EdgeCommand::Join { session: ANA, connection: HERE, room: LOBBY, options: Json::null(), from: back });
    story.on(Input::Stored { room: LOBBY, done: true });
    story.ask_move(RoomId(8), number(9));
    story.on(Input::Stored { room: RoomId(8), done: true });
    story.admitted(RoomId(8), number(9));
    story.outputs();
    story.admitted_from(LOBBY, Some(back));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
}

#[test]
fn a_room_that_moves_its_member_back_before_it_has_left_gets_it_back() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, number(9));
    story.deliver(GAME, 1, view(GAME));
    let from = OutputRef { room: GAME, number: OutputId { offset: 3, index: 1 } };
    story.command(EdgeCommand::Join { session: ANA, connection: HERE, room: LOBBY, options: Json::null(), from });
    story.outputs();
    story.leave(LOBBY);
    assert_eq!(story.outputs(), [], "that was the stay before");
    story.on(Input::Stored { room: LOBBY, done: true });
    story.outputs();
    story.admitted_from(LOBBY, Some(from));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
}

/// The session was moved back before the lobby had its `Leave`, and the lobby's host has died: the next one repeats every
/// output since the session first joined the lobby.
#[test]
fn an_echo_of_an_earlier_admission_is_no_answer_to_a_join_that_has_none_yet() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, number(9));
    let back = OutputRef { room: GAME, number: OutputId { offset: 3, index: 1 } };
    story.command(EdgeCommand::Join { session: ANA, connection: HERE, room: LOBBY, options: Json::null(), from: back });
    story.on(Input::Stored { room: LOBBY, done: true });
    story.outputs();
    story.admitted_after(LOBBY, 1, None);
    story.ask_move(GAME, number(9));
    story.leave_after(LOBBY, 1);
    assert_eq!(story.outputs(), [], "all of it was before");
    story.admitted_from(LOBBY, Some(back));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), [], "also when the echo comes later");
}

/// Two moves cross: the game moves the session to the lobby, and the session has just left the lobby.
#[test]
fn a_room_that_is_left_while_the_store_hears_of_the_way_back_is_entered_again() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    let back = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
    story.command(EdgeCommand::Join { session: ANA, connection: HERE, room: LOBBY, options: Json::null(), from: back });
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, number(9));
    assert_eq!(story.outputs().last(), Some(&leave(LOBBY, LeaveReason::Moved)));
    story.on(Input::Stored { room: LOBBY, done: true });
    story.outputs();
    story.leave(LOBBY);
    assert_eq!(story.outputs(), [], "that was the stay before");
    story.admitted_from(LOBBY, Some(back));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
}

/// The answer to an older request was taken for one to this edge's latest: the session never left, and its stay continues.
#[test]
fn a_number_that_this_edge_has_used_itself_is_not_used_again() {
    let mut story = Story::in_lobby();
    story.now = story.now.plus(2_000);
    story.deliver_to(BEFORE, LOBBY, 2, view(LOBBY));
    story.outputs();
    story.leave(LOBBY);
    assert_eq!(text(&story.next()), left(LOBBY, 2));
    story.on(Input::Stored { room: LOBBY, done: true });
    story.admitted_from(LOBBY, None);
    story.outputs();
    story.deliver(LOBBY, 2, view(LOBBY));
    assert_eq!(story.outputs(), [reconnect(LOBBY, None)], "it is asked for another");
    story.deliver(LOBBY, 3, view(LOBBY));
    story.expect_seq(3);
}

#[test]
fn rooms_are_bounded() {
    let mut story =
        Story::resumed(&[LOBBY, RoomId(2), RoomId(3), RoomId(4), RoomId(5), RoomId(6), RoomId(8), RoomId(9)]);
    story.outputs();
    story.ask_move(GAME, number(9));
    assert_eq!(story.outputs(), [answer_refused(number(9), "a session can be in 8 rooms at most")]);
}

// ---- leaving ----

#[test]
fn whoever_is_in_no_room_any_more_is_joined_to_the_lobby() {
    let mut story = Story::in_game();
    story.deliver(GAME, 2, RoomFrame::left(GAME, "ended"));
    story.outputs();
    story.leave(GAME);
    assert_eq!(story.outputs(), [Output::Store(Store::Leave(ANA, GAME)), Output::Store(Store::Join(ANA, LOBBY))]);
    story.on(Input::Stored { room: LOBBY, done: true });
    assert_eq!(story.outputs(), [join(LOBBY, 0, None)]);
    story.deliver(LOBBY, 1, view(LOBBY));
    assert_eq!(story.outputs(), [], "seen in the stay before");
    story.deliver(LOBBY, 3, view(LOBBY));
    story.expect_seq(3);
}

#[test]
fn a_room_that_does_not_know_it_is_left_when_asked() {
    let mut story = Story::begin();
    story.frame(&format!(r#"{{"t":"hello","resume":"x","last":{{"{GAME}":5}}}}"#));
    story.on(Input::Opened(resumed(&[LOBBY, GAME])));
    story.outputs();
    story.leave(GAME);
    let outputs = story.outputs();
    assert_eq!(text(&outputs[0]), left(GAME, 6));
    assert_eq!(outputs[1..], [Output::Store(Store::Leave(ANA, GAME))]);
}

#[test]
fn an_echo_of_an_earlier_stays_end_ends_nothing() {
    let mut story = Story::in_lobby();
    story.move_to(GAME);
    story.move_back();
    story.leave_after(LOBBY, 1);
    assert_eq!(story.outputs(), []);
    story.say(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "it is still there");
}

/// The member's hold ended while this edge's record was in flight. Another room moves the session there meanwhile.
#[test]
fn a_stay_that_has_ended_is_followed_by_the_one_that_a_move_asks_for() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.deliver(GAME, 3, view(GAME));
    story.say(1, Some(GAME));
    story.ask_move(GAME, number(9));
    story.outputs();
    story.leave_as(GAME, LeaveReason::TimedOut);
    assert_eq!(text(&story.next()), RoomFrame::left(GAME, "timed-out").with_seq(4));
    story.expect_error(Some(1), "not_in_room");
    story.on(Input::Stored { room: GAME, done: true });
    assert_eq!(story.outputs(), [join(GAME, 1, Some(number(9)))]);
    story.admitted(GAME, number(9));
    story.deliver(GAME, 5, view(GAME));
    assert_eq!(story.outputs()[0], leave(LOBBY, LeaveReason::Moved));
}

/// A room refuses no member.
#[test]
fn a_seat_that_the_room_has_refused_to_confirm_is_taken_back() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.refused(GAME, number(9));
    assert_eq!(story.outputs(), [answer_refused(number(9), "full"), Output::Store(Store::Leave(ANA, GAME))]);
}

#[test]
fn whoever_is_kicked_is_out_for_good() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.outputs();
    story.command(EdgeCommand::Kick { session: ANA, connection: HERE, room: GAME, reason: "cheating".into() });
    let close = Output::Close { code: CloseCode::Kicked, reason: "cheating".into() };
    let leaves = [leave(LOBBY, LeaveReason::Kicked), leave(GAME, LeaveReason::Kicked)];
    let [first, second] = leaves;
    assert_eq!(story.outputs(), [close, first, second], "the store's row stays, with the reason");
    assert!(story.session.is_over());
}

/// A room that the session is leaving or joining can kick it as well as its current room.
#[test]
fn whoever_is_kicked_on_its_way_to_another_room_is_out_too() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.outputs();
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, number(9));
    story.outputs();
    story.command(EdgeCommand::Kick { session: ANA, connection: HERE, room: LOBBY, reason: "cheating".into() });
    story.expect_close(CloseCode::Kicked);
}

#[test]
fn whoever_was_kicked_by_a_room_that_it_has_left_is_told_by_the_others() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.outputs();
    story.leave_as(LOBBY, LeaveReason::Kicked);
    assert!(!story.session.is_over(), "the room that did it has yet to give the reason");
    story.leave_as(GAME, LeaveReason::Kicked);
    story.expect_close(CloseCode::Kicked);
}

#[test]
fn a_lost_connection_drops_the_session_from_every_room_even_from_one_that_it_is_only_joining() {
    let mut story = Story::in_lobby();
    story.ask_move(GAME, number(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.on(Input::Lost { code: 1001 });
    let outputs = story.outputs();
    assert_eq!(outputs, [drop_from(GAME, 1001), drop_from(LOBBY, 1001), gone(false)]);
}

/// No game depends on the session, so its row need not be kept for long.
#[test]
fn a_new_session_that_stays_in_the_lobby_without_a_message_is_silent_when_its_connection_is_lost() {
    let mut story = Story::in_lobby();
    story.frame(r#"{"t":"ping"}"#);
    story.outputs();
    story.say(1, Some(GAME));
    story.expect_error(Some(1), "not_in_room");
    story.on(Input::Lost { code: 1006 });
    assert_eq!(story.outputs(), [drop_from(LOBBY, 1006), gone(true)]);
}

/// The messages of an earlier connection are not available to this one.
#[test]
fn a_session_that_has_sent_a_message_or_was_moved_or_has_come_back_is_not_silent() {
    let mut sent = Story::in_lobby();
    sent.say(1, None);
    sent.on(Input::Lost { code: 1006 });
    assert_eq!(sent.outputs().pop(), Some(gone(false)));

    let mut moved = Story::in_lobby();
    moved.move_to(GAME);
    moved.on(Input::Lost { code: 1006 });
    assert_eq!(moved.outputs().pop(), Some(gone(false)));

    let mut back = Story::resumed(&[LOBBY]);
    back.on(Input::Lost { code: 1006 });
    assert_eq!(back.outputs().pop(), Some(gone(false)));
}

#[test]
fn an_older_connection_is_replaced_and_no_room_hears_of_it() {
    let mut story = Story::in_lobby();
    story.on(Input::Replaced);
    let reason = "this session has another connection".into();
    assert_eq!(story.outputs(), [Output::Close { code: CloseCode::Replaced, reason }]);
    story.on(Input::Lost { code: 4504 });
    assert_eq!(story.outputs(), []);
}

#[test]
fn the_latest_connection_says_so_again_when_a_room_has_heard_otherwise() {
    let mut story = Story::in_game();
    story.on(Input::Contested);
    assert_eq!(story.outputs(), [reconnect(GAME, Some(1))]);
}

#[test]
fn a_client_that_does_not_answer_two_pings_is_lost() {
    let mut story = Story::in_lobby();
    for _ in 0..2 {
        story.wait(10_000);
        assert_eq!(story.outputs(), [Output::Ping]);
        story.wait(3_000);
        assert_eq!(story.outputs(), [Output::Ping]);
        story.on(Input::Pong);
    }
    story.wait(10_000);
    story.wait(3_000);
    assert_eq!(story.outputs(), [Output::Ping, Output::Ping]);
    story.wait(3_000);
    story.expect_close(CloseCode::HeartbeatLost);
    assert_eq!(10_000 + 3_000 + 3_000, 2 * Limits::PING_MS);
}

#[test]
fn a_client_that_sends_anything_is_not_pinged() {
    let mut story = Story::in_lobby();
    for _ in 0..5 {
        story.wait(9_999);
        story.frame(r#"{"t":"ping"}"#);
        assert_eq!(story.outputs(), [Output::Send(Outgoing::Text(r#"{"t":"pong"}"#.into()))]);
    }
    story.wait(9_999);
    assert_eq!(story.outputs(), []);
    story.wait(1);
    assert_eq!(story.outputs(), [Output::Ping]);
}

#[test]
fn a_question_costs_as_much_as_any_frame_and_comes_after_hello() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"ping"}"#);
    story.expect_error(None, "bad_order");
    let mut story = Story::in_lobby();
    for _ in 0..Limits::default().burst {
        story.frame(r#"{"t":"ping"}"#);
    }
    story.outputs();
    story.frame(r#"{"t":"ping"}"#);
    story.expect_error(None, "rate_limited");
}

// ---- helpers ----

struct Story {
    session: Session,
    now: Time,
    /// The number of the latest request to each room.
    asked: BTreeMap<RoomId, u32>,
}

impl Story {
    fn begin() -> Story {
        let now = Time(1_000_000);
        Story { session: Session::new(edge(), HERE, Limits::default(), now), now, asked: BTreeMap::new() }
    }

    fn resumed(rooms: &[RoomId]) -> Story {
        let mut story = Story::begin();
        story.frame(r#"{"t":"hello","resume":"x"}"#);
        story.outputs();
        story.on(Input::Opened(resumed(rooms)));
        story.on(Input::Pong);
        // Its `welcome` and its requests are tested elsewhere.
        let joins = |output: &Output| matches!(output, Output::Store(Store::Join(..)));
        story.session.outputs.retain(joins);
        story
    }

    /// A resumed session whose client has these frames of these rooms.
    fn resumed_with(rooms: &[(RoomId, u64)]) -> Story {
        let mut story = Story::begin();
        let last: Vec<String> = rooms.iter().map(|(room, seq)| format!(r#""{room}":{seq}"#)).collect();
        story.frame(&format!(r#"{{"t":"hello","resume":"x","last":{{{}}}}}"#, last.join(",")));
        let ids: Vec<RoomId> = rooms.iter().map(|(room, _)| *room).collect();
        story.on(Input::Opened(resumed(&ids)));
        story.on(Input::Pong);
        story.outputs();
        story
    }

    fn resumed_in(&mut self, room: RoomId, number: u32, applied: u64) {
        let request = RequestId { connection: HERE, number };
        self.command(EdgeCommand::Resumed { session: ANA, request, room, applied });
    }

    fn in_lobby() -> Story {
        let mut story = Story::begin();
        story.frame(r#"{"t":"hello"}"#);
        story.on(Input::Opened(new_session()));
        story.admitted_from(LOBBY, None);
        story.deliver(LOBBY, 1, view(LOBBY));
        story.outputs();
        story
    }

    fn in_game() -> Story {
        let mut story = Story::in_lobby();
        story.move_to(GAME);
        story
    }

    fn move_to(&mut self, room: RoomId) {
        self.ask_move(room, number(9));
        self.on(Input::Stored { room, done: true });
        self.admitted(room, number(9));
        self.deliver(room, 1, view(room));
        self.deliver(LOBBY, 2, RoomFrame::left(LOBBY, "moved"));
        self.leave(LOBBY);
        self.outputs();
    }

    fn move_back(&mut self) {
        let from = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
        self.command(EdgeCommand::Join { session: ANA, connection: HERE, room: LOBBY, options: Json::null(), from });
        self.on(Input::Stored { room: LOBBY, done: true });
        self.admitted_from(LOBBY, Some(from));
        self.deliver(LOBBY, 3, view(LOBBY));
        self.deliver(GAME, 2, RoomFrame::left(GAME, "moved"));
        self.leave(GAME);
        self.outputs();
    }

    fn on(&mut self, input: Input<'_>) {
        self.session.handle(input, self.now);
        for output in &mut self.session.outputs {
            if let Output::Append { room, command, .. } = output
                && let RoomCommand::Join(Joining { request, .. }) | RoomCommand::Reconnect { request, .. } = command
            {
                let latest = self.asked.entry(*room).or_default();
                *latest = request.number.max(*latest);
                // Stories compare requests without their numbers.
                request.number = 0;
            }
        }
    }

    /// The latest request to a room.
    fn request(&self, room: RoomId) -> RequestId {
        RequestId { connection: HERE, number: self.asked.get(&room).copied().unwrap_or(0) }
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.on(Input::Tick);
    }

    fn frame(&mut self, text: &str) {
        self.on(Input::Frame(ClientFrame::parse(text)));
    }

    /// A message to the lobby, and its reply.
    fn say_and_hear(&mut self, id: u64) {
        self.say(id, None);
        self.reply(LOBBY, id, id);
        self.outputs();
    }

    fn reply(&mut self, room: RoomId, seq: u64, id: u64) {
        self.deliver(room, seq, RoomFrame::reply(room, id, &Json::null()));
    }

    fn spent(&mut self, micros: u32) {
        self.command(EdgeCommand::Spent { session: ANA, connection: HERE, micros });
    }

    fn say_data(&mut self, id: u64, data: Json) {
        self.on(Input::Frame(Ok(ClientFrame::Msg(Msg { id, room: None, kind: "hi".into(), data }))));
    }

    fn say(&mut self, id: u64, room: Option<RoomId>) {
        let msg = Msg { id, room, kind: "hi".into(), data: Json::null() };
        self.on(Input::Frame(Ok(ClientFrame::Msg(msg))));
    }

    fn deliver(&mut self, room: RoomId, seq: u64, frame: RoomFrame) {
        self.deliver_to(HERE, room, seq, frame);
    }

    fn deliver_to(&mut self, connection: ConnectionId, room: RoomId, seq: u64, frame: RoomFrame) {
        let target = Target { session: ANA, connection, seq };
        self.on(Input::Deliver { room, target, frame: &frame });
    }

    fn command(&mut self, command: EdgeCommand) {
        self.on(Input::Command(command));
    }

    fn ask_move(&mut self, room: RoomId, number: OutputId) {
        let from = OutputRef { room: LOBBY, number };
        self.command(EdgeCommand::Join { session: ANA, connection: HERE, room, options: Json::null(), from });
    }

    fn admitted(&mut self, room: RoomId, number: OutputId) {
        self.admitted_from(room, Some(OutputRef { room: LOBBY, number }));
    }

    fn admitted_from(&mut self, room: RoomId, from: Option<OutputRef>) {
        self.admitted_after(room, self.request(room).number, from);
    }

    fn admitted_after(&mut self, room: RoomId, number: u32, from: Option<OutputRef>) {
        let request = RequestId { connection: HERE, number };
        self.command(EdgeCommand::Admitted { session: ANA, request, room, from });
    }

    fn refused(&mut self, room: RoomId, number: OutputId) {
        let from = Some(OutputRef { room: LOBBY, number });
        let request = self.request(room);
        self.command(EdgeCommand::Refused { session: ANA, request, room, from, reason: "full".into() });
    }

    fn leave(&mut self, room: RoomId) {
        self.leave_as(room, LeaveReason::Left);
    }

    fn leave_after(&mut self, room: RoomId, number: u32) {
        let (request, reason) = (RequestId { connection: HERE, number }, LeaveReason::Left);
        self.command(EdgeCommand::Leave { session: ANA, request, room, reason });
    }

    fn leave_as(&mut self, room: RoomId, reason: LeaveReason) {
        let request = self.request(room);
        self.command(EdgeCommand::Leave { session: ANA, request, room, reason });
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    fn next(&mut self) -> Output {
        self.session.poll_output().expect("nothing came of it")
    }

    fn expect_seq(&mut self, wanted: u64) {
        let output = self.next();
        assert!(matches!(output, Output::Send(Outgoing::Room { seq, .. }) if seq == wanted), "{output:?}");
    }

    fn expect_error(&mut self, id: Option<u64>, code: &str) {
        let frame: serde_json::Value = serde_json::from_str(&text(&self.next())).expect("an error frame");
        assert_eq!((frame["t"].as_str(), frame["code"].as_str()), (Some("error"), Some(code)));
        assert_eq!(frame.get("id").and_then(serde_json::Value::as_u64), id);
    }

    fn expect_close(&mut self, wanted: CloseCode) {
        let outputs = self.outputs();
        let closes = |output: &Output| matches!(output, Output::Close { code, .. } if *code == wanted);
        assert!(outputs.iter().any(closes), "{:?}", outputs.last());
        assert!(self.session.is_over());
    }
}

fn edge() -> MachineId {
    MachineId("edge-1".into())
}

fn player() -> Player {
    Player { id: "p1".into(), name: "Ana".into() }
}

fn new_session() -> Opened {
    Opened { session: ANA, player: player(), resume: "token".into(), owed: 0, recovered: None }
}

fn resumed(rooms: &[RoomId]) -> Opened {
    Opened { recovered: Some(rooms.to_vec()), ..new_session() }
}

fn number(offset: u64) -> OutputId {
    OutputId { offset, index: 0 }
}

fn append(room: RoomId, command: RoomCommand) -> Output {
    Output::Append { room, command, id: None }
}

fn join(room: RoomId, message_id: u64, number: Option<OutputId>) -> Output {
    let from = number.map(|number| OutputRef { room: LOBBY, number });
    let (player, edge, options) = (player(), edge(), Json::null());
    append(room, RoomCommand::Join(Joining { session: ANA, player, edge, request: ANY, message_id, options, from }))
}

fn message(room: RoomId, id: u64) -> Output {
    let command = RoomCommand::Message { session: ANA, message_id: id, kind: "hi".into(), data: Json::null() };
    Output::Append { room, command, id: Some(id) }
}

fn reconnect(room: RoomId, last_seq: Option<u64>) -> Output {
    append(room, RoomCommand::Reconnect { session: ANA, edge: edge(), request: ANY, last_seq })
}

fn drop_from(room: RoomId, code: u16) -> Output {
    append(room, RoomCommand::Drop { session: ANA, edge: edge(), code })
}

fn leave(room: RoomId, reason: LeaveReason) -> Output {
    append(room, RoomCommand::Leave { session: ANA, reason })
}

fn answer_refused(request: OutputId, reason: &str) -> Output {
    let answer = Answer::MoveRefused { session: ANA, room: GAME, reason: reason.into() };
    append(LOBBY, RoomCommand::Answer { request, answer })
}

fn view(room: RoomId) -> RoomFrame {
    RoomFrame::room(room, &Kind::lobby(), 0, &Json::null())
}

fn event(room: RoomId) -> RoomFrame {
    RoomFrame::event(room, "happened", &Json::null())
}

fn gone(silent: bool) -> Output {
    Output::Store(Store::Disconnected { session: ANA, silent })
}

fn left(room: RoomId, seq: u64) -> String {
    RoomFrame::left(room, "left").with_seq(seq)
}

fn text(output: &Output) -> String {
    match output {
        Output::Send(outgoing) => outgoing.clone().into_text(),
        other => panic!("not a frame: {other:?}"),
    }
}
