//! Stories of the frame rate and of the debt for computing.

use super::*;

#[test]
fn a_client_that_exceeds_its_rate_is_refused_and_then_closed() {
    let mut story = Story::in_lobby();
    for id in 2..=100 {
        story.msg_and_reply(id);
    }
    story.msg(101, None);
    story.expect_error(Some(101), "rate_limited");
    story.wait(50);
    story.msg(101, None);
    assert_eq!(story.outputs(), [message(LOBBY, 101)]);
    for id in 102..=203 {
        story.msg(id, None);
    }
    story.expect_close(CloseCode::RateLimited);
}

#[test]
fn unsolicited_pongs_cost_the_rate_as_pings_do() {
    let mut story = Story::in_lobby();
    story.wait(20_000);
    assert_eq!(story.outputs(), [Output::Ping]);
    story.on(Input::Pong);
    assert_eq!(story.session.rate.tokens, 99_000, "the hello, and nothing since");
    story.on(Input::Pong);
    story.on(Input::Pong);
    assert_eq!(story.session.rate.tokens, 98_000, "the bucket was full again");
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
fn a_ping_frame_costs_the_rate_and_comes_after_hello() {
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

#[test]
fn a_session_in_debt_is_refused_until_it_has_paid() {
    let mut story = Story::in_lobby();
    story.spent(200_000);
    story.msg_and_reply(1);
    story.spent(50_000);
    story.msg(2, None);
    let error = text(&story.next());
    assert!(error.contains(r#""code":"rate_limited""#) && error.contains(r#""retryAfterMs":501"#), "{error}");
    // The refused message has cost 18 ms.
    story.now = story.now.plus(681);
    story.msg(2, None);
    assert_eq!(story.outputs(), [message(LOBBY, 2)]);
}

#[test]
fn a_session_that_ignores_its_debt_is_closed_and_resumes_with_that_debt() {
    let mut story = Story::in_lobby();
    story.session.limits.burst = 1_000;
    story.session.rate.tokens = 1_000_000;
    story.spent(250_000);
    (1..=98).for_each(|id| story.msg(id, None));
    story.expect_close(CloseCode::RateLimited);
    let owed = story.session.owed(story.now);
    assert_eq!(owed, 2_014_000);
    assert_eq!(story.session.owed(story.now.plus(10_000)), 1_014_000, "time pays the debt off");

    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Opened(Opened { owed: owed - 1_800_000, ..resumed(&[LOBBY]) }));
    story.on(Input::Pong);
    story.outputs();
    story.msg(1, Some(LOBBY));
    story.expect_error(Some(1), "rate_limited");
}

#[test]
fn a_resumed_session_has_a_tenth_of_the_burst_left() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Opened(Opened { owed: 0, ..resumed(&[LOBBY]) }));
    assert_eq!(story.session.owed(story.now), 180_000);
    assert_eq!(Story::in_lobby().session.owed(story.now), 0, "a new session owes nothing");
}

#[test]
fn a_session_that_is_opened_for_a_lost_connection_keeps_its_debt() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.on(Input::Lost { code: 1006 });
    story.on(Input::Opened(Opened { owed: 900_000, ..resumed(&[LOBBY]) }));
    assert_eq!(story.session.owed(story.now), 900_000);
    assert_eq!(story.session.owed(story.now.plus(1_000)), 800_000, "time pays it off");
}

#[test]
fn the_spending_of_another_connection_is_not_charged_to_this_one() {
    let mut story = Story::in_lobby();
    story.command(EdgeCommand::Spent { session: ANA, connection: BEFORE, micros: 9_000_000 });
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
}

#[test]
fn a_session_with_too_many_bytes_is_slowed_and_nothing_is_refused() {
    let mut story = Story::in_lobby();
    let rate = Limits::BYTES_PER_SECOND;
    story.received(2 * rate);
    assert_eq!(story.outputs(), [], "two seconds' worth at once");
    story.msg(1, None);
    story.received(rate / 2);
    let until = story.now.plus(500);
    assert_eq!(story.outputs(), [message(LOBBY, 1), Output::Pause { until, by: Slowed::Session }]);
    story.wait(500);
    story.msg(2, None);
    story.received(0);
    assert_eq!(story.outputs(), [message(LOBBY, 2)]);
    assert_eq!(story.session.take_refused(), 0);
}

#[test]
fn a_client_that_is_slowed_for_most_of_the_time_is_closed() {
    let mut story = Story::in_lobby();
    story.received(2 * Limits::BYTES_PER_SECOND);
    for _ in 0..20 {
        story.received(Limits::BYTES_PER_SECOND);
        story.now = story.now.plus(1_000);
    }
    assert!(!story.session.is_ended());
    story.received(Limits::BYTES_PER_SECOND);
    story.expect_close(CloseCode::RateLimited);

    let mut story = Story::in_lobby();
    for _ in 0..100 {
        story.received(3 * Limits::BYTES_PER_SECOND);
        story.now = story.now.plus(3_000);
    }
    assert!(!story.session.is_ended(), "it is slowed for a third of the time");
}

#[test]
fn a_session_waits_for_the_limits_of_its_player() {
    let mut story = Story::in_lobby();
    story.on(Input::Received { bytes: 100, player_wait_ms: 700 });
    assert_eq!(story.outputs(), [Output::Pause { until: story.now.plus(700), by: Slowed::Player }]);
    story.now = story.now.plus(700);
    story.on(Input::Received { bytes: 100, player_wait_ms: Limits::SLOWED_MS });
    story.expect_close(CloseCode::RateLimited);
}

#[test]
fn the_silence_of_a_client_that_is_slowed_begins_after_that() {
    let mut story = Story::in_lobby();
    story.on(Input::Received { bytes: 0, player_wait_ms: 15_000 });
    story.outputs();
    story.wait(15_000);
    assert_eq!(story.outputs(), []);
    story.wait(9_999);
    assert_eq!(story.outputs(), []);
    story.wait(1);
    assert_eq!(story.outputs(), [Output::Ping]);
}

#[test]
fn refused_frames_are_counted() {
    let mut story = Story::in_lobby();
    (1..=110).for_each(|id| story.msg(id, None));
    assert!(story.session.take_refused() > 0);
    assert_eq!(story.session.take_refused(), 0);
}
