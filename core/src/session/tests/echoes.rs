//! Stories of outputs that a host repeats after a takeover: they have no effect on a later stay.

use super::*;

#[test]
fn an_echo_of_an_old_admission_does_not_move_the_session_again() {
    let mut story = Story::in_lobby();
    story.move_to(GAME);
    story.move_back();
    story.admitted(GAME, output_id(9));
    assert_eq!(story.outputs(), []);
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)]);
}

/// The room got two requests before the join, and has answered both.
#[test]
fn an_echo_of_an_answer_that_a_join_has_overtaken_ends_no_stay() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.on(Input::Contested);
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.left_after(GAME, 2);
    story.left_after(GAME, 4);
    story.admitted(GAME, output_id(9));
    story.outputs();
    story.left_after(GAME, 4);
    assert_eq!(story.outputs(), []);
}

/// When the session resumed by this connection the lobby reported that it was no member, and then admitted it. The lobby's host
/// has died since, and the next one repeats both.
#[test]
fn an_echo_of_an_absence_does_not_end_the_stay_that_followed() {
    let mut story = Story::resumed(&[LOBBY]);
    story.left(LOBBY);
    story.on(Input::Stored { room: LOBBY, done: true });
    story.admitted_from(LOBBY, None);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.outputs();
    story.left_after(LOBBY, 1);
    story.msg(1, Some(LOBBY));
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "it is a member");
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, output_id(9));
    story.outputs();
    story.left_after(LOBBY, 1);
    assert_eq!(story.outputs(), [], "the lobby has yet to answer the message");
    story.deliver(LOBBY, 2, RoomFrame::reply(LOBBY, 1, &Json::null()));
    story.deliver(LOBBY, 3, RoomFrame::left(LOBBY, "moved"));
    story.left_as(LOBBY, LeaveReason::Moved);
    let shown: Vec<String> = story.outputs().iter().filter(|one| matches!(one, Output::Send(_))).map(text).collect();
    let reply = RoomFrame::reply(LOBBY, 1, &Json::null()).with_seq(2);
    assert_eq!(shown, [reply, RoomFrame::left(LOBBY, "moved").with_seq(3)]);
}

/// The lobby's host has died, and the next one repeats the request for a move that the earlier connection has made.
#[test]
fn an_echo_of_a_move_of_an_earlier_connection_is_dropped() {
    let mut story = Story::resumed(&[GAME, LOBBY]);
    let from = OutputRef { room: LOBBY, number: output_id(9) };
    let echo = EdgeCommand::Move { session: ANA, connection: BEFORE, room: GAME, options: Json::null(), from };
    story.command(echo);
    assert_eq!(story.outputs(), []);
}

/// The lobby's host has died, and the next one repeats its outputs.
#[test]
fn an_echo_of_a_move_from_an_earlier_stay_is_dropped() {
    let mut story = Story::in_lobby();
    story.move_to(GAME);
    story.move_back();
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), []);
}

/// The session was moved back before the lobby had its `Leave`, and the lobby's host has died: the next one repeats every
/// output since the session first joined the lobby.
#[test]
fn an_echo_of_an_earlier_admission_does_not_answer_a_pending_join() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, output_id(9));
    let way_back = OutputRef { room: GAME, number: OutputId { offset: 3, index: 1 } };
    story.request_move_from(way_back, LOBBY);
    story.on(Input::Stored { room: LOBBY, done: true });
    story.outputs();
    story.admitted_after(LOBBY, 1, None);
    story.request_move(GAME, output_id(9));
    story.left_after(LOBBY, 1);
    assert_eq!(story.outputs(), [], "these answer earlier requests");
    story.admitted_from(LOBBY, Some(way_back));
    assert_eq!(story.outputs(), [leave(GAME, LeaveReason::Moved)]);
    story.request_move(GAME, output_id(9));
    assert_eq!(story.outputs(), [], "a later echo has no effect either");
}

#[test]
fn an_echo_of_the_end_of_an_earlier_stay_ends_no_stay() {
    let mut story = Story::in_lobby();
    story.move_to(GAME);
    story.move_back();
    story.left_after(LOBBY, 1);
    assert_eq!(story.outputs(), []);
    story.msg(1, None);
    assert_eq!(story.outputs(), [message(LOBBY, 1)], "it is still a member");
}
