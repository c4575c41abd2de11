//! Stories of pings and pongs.

use super::*;

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
