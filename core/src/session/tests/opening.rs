//! Stories of `hello`, `welcome` and resuming.

use super::*;

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
fn a_welcome_has_the_time_at_which_it_is_sent_also_of_a_session_that_resumes() {
    for (hello, opened) in [(r#"{"t":"hello"}"#, new_session()), (r#"{"t":"hello","resume":"x"}"#, resumed(&[GAME]))] {
        let mut story = Story::begin();
        story.frame(hello);
        story.outputs();
        // The store takes this long to find the session.
        story.now = story.now.plus(70);
        story.on(Input::Opened(opened));
        let outputs = story.outputs();
        assert!(text(&outputs[0]).contains(r#","pingMs":8000,"now":1000070,"#), "{}", text(&outputs[0]));
    }
}

#[test]
fn a_message_before_hello_is_out_of_order() {
    let mut story = Story::begin();
    story.msg(1, None);
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
fn a_client_without_a_valid_hello_is_closed_and_must_not_reconnect() {
    for hello in [r#"{"t":"hello","name":"half an emoji \ud83d"}"#, r#"{"t":"hello","name":5}"#, "hello", "{}"] {
        let mut story = Story::begin();
        story.frame(hello);
        story.expect_close(CloseCode::BadFrame);
    }
}

#[test]
fn a_resumed_session_requests_missing_frames_from_its_rooms() {
    let mut story = Story::begin();
    story.frame(&format!(r#"{{"t":"hello","resume":"x","last":{{"{GAME}":5,"{}":2}}}}"#, RoomId(9)));
    story.outputs();
    story.on(Input::Opened(resumed(&[LOBBY, GAME])));
    let outputs = story.outputs();
    assert!(text(&outputs[0]).contains(r#""recovered":true"#));
    assert_eq!(outputs[1], Output::Ping, "its pong makes the old token void");
    assert_eq!(outputs[2..4], [reconnect(LOBBY, None), reconnect(GAME, Some(5))]);
    assert_eq!(text(&outputs[4]), left_frame(RoomId(9), 3), "the session is no member of it");
    assert_eq!(outputs.len(), 5);
    story.deliver(GAME, 6, event(GAME));
    story.expect_seq(6);
}

#[test]
fn the_old_token_is_valid_until_the_client_has_confirmed_the_new_one() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Opened(resumed(&[LOBBY])));
    story.outputs();
    story.on(Input::Pong);
    assert_eq!(story.outputs(), [Output::Store(StoreWrite::Confirm { session: ANA, token: "token".into() })]);
    story.on(Input::Pong);
    assert_eq!(story.outputs(), []);
}

#[test]
fn a_session_that_resumes_in_no_room_joins_the_lobby() {
    let mut story = Story::resumed(&[]);
    assert_eq!(story.outputs(), [Output::Store(StoreWrite::Join(ANA, LOBBY))]);
    story.on(Input::Stored { room: LOBBY, done: true });
    assert_eq!(story.outputs(), [join(LOBBY, 0, None)]);
}

#[test]
fn a_session_that_is_resumed_for_a_lost_connection_is_dropped_again() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Lost { code: 1006 });
    story.outputs();
    story.on(Input::Opened(resumed(&[GAME])));
    assert_eq!(story.outputs(), [drop_from(GAME, 1006), disconnected(false)]);
}
