//! Stories of the end: of a stay, of a session, of a connection.

use super::*;

#[test]
fn a_session_that_has_left_its_last_room_joins_the_lobby() {
    let mut story = Story::in_game();
    story.deliver(GAME, 2, RoomFrame::left(GAME, "ended"));
    story.outputs();
    story.left(GAME);
    assert_eq!(story.outputs(), [Output::Store(StoreWrite::Move { session: ANA, left: GAME, room: LOBBY })]);
    story.on(Input::Stored { room: LOBBY, done: true });
    assert_eq!(story.outputs(), [join(LOBBY, 0, None)]);
    story.deliver(LOBBY, 1, view(LOBBY));
    assert_eq!(story.outputs(), [], "the client has it from the earlier stay");
    story.deliver(LOBBY, 3, view(LOBBY));
    story.expect_seq(3);
}

#[test]
fn a_room_in_which_the_session_is_no_member_is_left() {
    let mut story = Story::begin();
    story.frame(&format!(r#"{{"t":"hello","resume":"x","last":{{"{GAME}":5}}}}"#));
    story.on(Input::Opened(resumed(&[LOBBY, GAME])));
    story.outputs();
    story.left(GAME);
    let outputs = story.outputs();
    assert_eq!(text(&outputs[0]), left_frame(GAME, 6));
    assert_eq!(outputs[1..], []);
    assert_eq!(story.departed(), [Output::Store(StoreWrite::Leave(ANA, GAME))]);
}

#[test]
fn a_kicked_session_ends() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.outputs();
    story.command(EdgeCommand::Kick { session: ANA, connection: HERE, room: GAME, reason: "cheating".into() });
    let close = Output::Close { code: CloseCode::Kicked, reason: "cheating".into() };
    let leaves = [leave(LOBBY, LeaveReason::Kicked), leave(GAME, LeaveReason::Kicked)];
    let [first, second] = leaves;
    assert_eq!(story.outputs(), [close, first, second], "the store's row stays, with the reason");
    assert!(story.session.is_ended());
}

fn ending(code: CloseCode) -> EdgeCommand {
    let of = SessionsOf::Player(player().id);
    EdgeCommand::End(Ending { of, code, reason: "cheating".into() })
}

#[test]
fn a_session_that_an_operator_ends_is_out_of_all_its_rooms() {
    for (code, write, left_as) in [
        (CloseCode::Kicked, StoreWrite::Kick { session: ANA, reason: "cheating".into() }, LeaveReason::Kicked),
        (CloseCode::Unauthorized, StoreWrite::End(ANA), LeaveReason::Left),
    ] {
        let mut story = Story::resumed(&[LOBBY, GAME]);
        story.outputs();
        story.command(ending(code));
        let close = Output::Close { code, reason: "cheating".into() };
        assert_eq!(story.outputs(), [close, Output::Store(write), leave(LOBBY, left_as), leave(GAME, left_as)]);
        assert!(story.session.is_ended());
    }
}

#[test]
fn an_ending_is_for_sessions_that_are_open() {
    let of = SessionsOf::Player(player().id);
    let here = IpAddr::from([192, 0, 2, 7]);
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello"}"#);
    story.outputs();
    assert!(!story.session.is_among(&of, here));
    story.command(ending(CloseCode::Kicked));
    assert_eq!(story.outputs(), [], "what becomes of its hello is decided by the rows");
    story.on(Input::Opened(new_session()));
    assert!(story.session.is_among(&of, here));
    assert!(!story.session.is_among(&SessionsOf::Player("p2".into()), here));
    story.command(ending(CloseCode::Kicked));
    assert!(story.session.is_ended() && !story.session.is_among(&of, here));
}

/// To join it again would replace the session that has replaced this one, and so on without an end.
#[test]
fn a_session_that_is_replaced_in_the_lobby_does_not_join_it_again() {
    let mut story = Story::in_lobby();
    story.left_as(LOBBY, LeaveReason::Replaced);
    story.expect_close(CloseCode::Replaced);
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.outputs();
    story.left_as(LOBBY, LeaveReason::Replaced);
    assert!(story.outputs().contains(&Output::Store(StoreWrite::Leave(ANA, LOBBY))));
    assert!(!story.session.is_ended(), "it is in another room");
    story.left_as(GAME, LeaveReason::Replaced);
    let goes = Output::Store(StoreWrite::Move { session: ANA, left: GAME, room: LOBBY });
    assert!(story.outputs().contains(&goes), "from a game it goes to the lobby");
}

/// The game has admitted the session, and the lobby has not answered its `Leave` yet.
fn leaving_the_lobby() -> Story {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.outputs();
    story.on(Input::Stored { room: GAME, done: true });
    story.admitted(GAME, output_id(9));
    story.outputs();
    story
}

/// A room that the session is leaving or joining can kick it as well as its current room.
#[test]
fn a_session_that_is_kicked_during_a_move_ends_too() {
    let mut story = leaving_the_lobby();
    story.command(EdgeCommand::Kick { session: ANA, connection: HERE, room: LOBBY, reason: "cheating".into() });
    story.expect_close(CloseCode::Kicked);
}

#[test]
fn a_session_that_is_kicked_by_a_former_room_ends_when_all_rooms_have_removed_it() {
    let mut story = Story::resumed(&[LOBBY, GAME]);
    story.outputs();
    story.left_as(LOBBY, LeaveReason::Kicked);
    assert!(!story.session.is_ended(), "the room that kicked it has yet to send the reason");
    story.left_as(GAME, LeaveReason::Kicked);
    story.expect_close(CloseCode::Kicked);
}

/// The lobby may have ended before the session's `Leave`, and then answers neither that nor the kick.
#[test]
fn a_kick_does_not_wait_for_a_room_that_the_session_is_leaving() {
    let mut story = leaving_the_lobby();
    story.left_as(GAME, LeaveReason::Kicked);
    story.expect_close(CloseCode::Kicked);
}

#[test]
fn a_lost_connection_drops_the_session_from_every_room_even_one_that_it_is_joining() {
    let mut story = Story::in_lobby();
    story.request_move(GAME, output_id(9));
    story.on(Input::Stored { room: GAME, done: true });
    story.outputs();
    story.on(Input::Lost { code: 1001 });
    let outputs = story.outputs();
    assert_eq!(outputs, [drop_from(GAME, 1001), drop_from(LOBBY, 1001), disconnected(false)]);
}

/// No game depends on the session, so its row need not be kept for long.
#[test]
fn a_new_session_without_a_message_is_silent_when_its_connection_is_lost() {
    let mut story = Story::in_lobby();
    story.frame(r#"{"t":"ping"}"#);
    story.outputs();
    story.msg(1, Some(GAME));
    story.expect_error(Some(1), "not_in_room");
    story.on(Input::Lost { code: 1006 });
    assert_eq!(story.outputs(), [drop_from(LOBBY, 1006), disconnected(true)]);
}

/// The messages of an earlier connection are not available to this one.
#[test]
fn a_session_that_has_sent_a_message_or_was_moved_or_has_resumed_is_not_silent() {
    let mut sent = Story::in_lobby();
    sent.msg(1, None);
    sent.on(Input::Lost { code: 1006 });
    assert_eq!(sent.outputs().pop(), Some(disconnected(false)));

    let mut moved = Story::in_lobby();
    moved.move_to(GAME);
    moved.on(Input::Lost { code: 1006 });
    assert_eq!(moved.outputs().pop(), Some(disconnected(false)));

    let mut back = Story::resumed(&[LOBBY]);
    back.on(Input::Lost { code: 1006 });
    assert_eq!(back.outputs().pop(), Some(disconnected(false)));
}

#[test]
fn an_older_connection_is_replaced_without_a_record_to_its_rooms() {
    let mut story = Story::in_lobby();
    story.on(Input::Replaced);
    let reason = "this session has another connection".into();
    assert_eq!(story.outputs(), [Output::Close { code: CloseCode::Replaced, reason }]);
    story.on(Input::Lost { code: 4504 });
    assert_eq!(story.outputs(), []);
}
