//! Stories of tokens that end, and of those that follow them.

use super::*;

/// The end of Ana's first token: ten minutes after the story begins.
const END: Time = Time(1_000_000 + 600_000);
const MINUTE: u64 = 60_000;

fn account(id: &str, expires: Time) -> Account {
    let claims = Some(Json::trusted(r#"{"role":"admin"}"#));
    Account { id: id.into(), name: None, claims, expires, issued: None, token_id: Some("next".into()) }
}

fn with_token(opened: Opened) -> Opened {
    Opened { identity: Identity { expires: Some(END), ..Identity::guest(player()) }, ..opened }
}

/// Ana is in the lobby, by a token.
fn signed_in() -> Story {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","token":"x"}"#);
    story.on(Input::Opened(with_token(new_session())));
    story.admitted_from(LOBBY, None);
    story.deliver(LOBBY, 1, view(LOBBY));
    story.outputs();
    story
}

/// Lets time pass, with a client that answers pings.
fn pass(story: &mut Story, ms: u64) -> Vec<String> {
    let until = story.now.plus(ms);
    let mut frames = Vec::new();
    while let Some(next) = story.session.poll_timeout().filter(|next| *next <= until) {
        story.now = next.max(story.now);
        story.on(Input::Tick);
        for output in story.outputs() {
            match output {
                Output::Ping => story.on(Input::Pong),
                Output::Send(_) => frames.push(text(&output)),
                other => frames.push(format!("{other:?}")),
            }
        }
    }
    story.now = until;
    frames
}

#[test]
fn a_client_is_asked_once_for_its_next_token_and_closed_at_the_end_of_the_present_one() {
    let mut story = signed_in();
    assert_eq!(pass(&mut story, 9 * MINUTE - 1), [""; 0]);
    assert_eq!(pass(&mut story, 1), [r#"{"t":"expiring","inMs":60000}"#]);
    assert_eq!(pass(&mut story, MINUTE - 1), [""; 0]);
    story.wait(1);
    story.expect_close(CloseCode::Unauthorized);
}

#[test]
fn the_next_token_of_the_same_player_continues_the_session() {
    let mut story = signed_in();
    pass(&mut story, 9 * MINUTE);
    story.frame(r#"{"t":"renew","token":"y"}"#);
    assert_eq!(story.outputs(), [Output::Renew("y".into())]);
    story.deliver(LOBBY, 2, event(LOBBY));
    story.expect_seq(2);
    let expires = END.plus(10 * MINUTE);
    story.on(Input::Renewed(Ok(account("p1", expires))));
    let claims = Some(Json::trusted(r#"{"role":"admin"}"#));
    let renew = StoreWrite::Renew { session: ANA, claims: claims.clone(), expires, token_id: Some("next".into()) };
    assert_eq!(story.next(), Output::Store(renew));
    assert!(story.session.is_among(&SessionsOf::Token("next".into()), IpAddr::from([192, 0, 2, 7])));
    assert_eq!(text(&story.next()), r#"{"t":"renewed"}"#);
    story.deliver(LOBBY, 3, event(LOBBY));
    story.expect_seq(3);
    assert_eq!(pass(&mut story, 10 * MINUTE), [r#"{"t":"expiring","inMs":60000}"#], "as before");

    story.request_move(GAME, output_id(9));
    story.outputs();
    story.on(Input::Stored { room: GAME, done: true });
    let outputs = story.outputs();
    let joins = |output: &Output| matches!(output, Output::Append { command: RoomCommand::Join(joining), .. } if joining.claims == claims);
    assert!(outputs.iter().any(joins), "rooms see the claims of the latest token: {outputs:?}");
}

#[test]
fn a_token_of_another_player_or_an_invalid_one_ends_the_connection() {
    let refused = (CloseCode::Unauthorized, "the token has expired".into());
    for checked in [Ok(account("u:2", END.plus(MINUTE))), Err(refused)] {
        let mut story = signed_in();
        story.frame(r#"{"t":"renew","token":"y"}"#);
        story.outputs();
        story.on(Input::Renewed(checked));
        story.expect_close(CloseCode::Unauthorized);
    }
}

#[test]
fn a_player_who_is_found_to_be_banned_at_a_renewal_is_out_of_its_rooms() {
    let mut story = signed_in();
    story.frame(r#"{"t":"renew","token":"y"}"#);
    story.outputs();
    story.on(Input::Renewed(Err((CloseCode::Kicked, "cheating".into()))));
    let kick = Output::Store(StoreWrite::Kick { session: ANA, reason: "cheating".into() });
    assert_eq!(story.outputs()[1..], [kick, leave(LOBBY, LeaveReason::Kicked)]);
}

#[test]
fn a_token_that_ends_before_the_present_one_changes_nothing() {
    let mut story = signed_in();
    story.frame(r#"{"t":"renew","token":"y"}"#);
    story.outputs();
    story.on(Input::Renewed(Ok(account("p1", Time(END.0 - 1)))));
    assert_eq!(story.outputs().iter().map(text).collect::<Vec<_>>(), [r#"{"t":"renewed"}"#]);
    assert!(!story.session.is_among(&SessionsOf::Token("next".into()), IpAddr::from([192, 0, 2, 7])));
    assert_eq!(pass(&mut story, 9 * MINUTE), [r#"{"t":"expiring","inMs":60000}"#]);
}

#[test]
fn a_token_that_cannot_be_checked_now_changes_nothing() {
    let mut story = signed_in();
    pass(&mut story, 9 * MINUTE);
    story.frame(r#"{"t":"renew","token":"y"}"#);
    story.frame(r#"{"t":"renew","token":"z"}"#);
    assert_eq!(story.next(), Output::Renew("y".into()));
    story.expect_error(None, "bad_order");
    story.on(Input::Renewed(Err((CloseCode::Unavailable, "no keys".into()))));
    story.expect_error(None, "unavailable");
    story.frame(r#"{"t":"renew","token":"z"}"#);
    assert_eq!(story.outputs(), [Output::Renew("z".into())]);
    story.now = END;
    story.on(Input::Tick);
    story.expect_close(CloseCode::Unauthorized);
    story.on(Input::Renewed(Ok(account("p1", END.plus(MINUTE)))));
    assert_eq!(story.outputs(), [], "it is too late");
}

#[test]
fn a_guest_has_nothing_to_renew() {
    let mut story = Story::in_lobby();
    story.frame(r#"{"t":"renew","token":"y"}"#);
    story.expect_error(None, "bad_order");
    let mut story = Story::begin();
    story.frame(r#"{"t":"renew","token":"y"}"#);
    story.expect_error(None, "bad_order");
}

#[test]
fn a_token_with_little_time_left_is_asked_for_at_half_of_it() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x"}"#);
    story.outputs();
    story.now = Time(END.0 - 4_000);
    story.on(Input::Opened(with_token(resumed(&[LOBBY]))));
    story.on(Input::Pong);
    story.outputs();
    assert_eq!(pass(&mut story, 1_999), [""; 0]);
    assert_eq!(pass(&mut story, 1), [r#"{"t":"expiring","inMs":2000}"#]);
}

#[test]
fn the_rooms_of_a_guest_that_has_signed_in_are_notified() {
    let was: Option<std::sync::Arc<str>> = Some("g:7".into());
    let identify = |room| {
        let (was, player) = (was.clone().expect("a guest"), player());
        append(room, RoomCommand::Identify { session: ANA, was, player, claims: None })
    };
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","resume":"x","token":"y"}"#);
    story.outputs();
    story.on(Input::Opened(Opened { was: was.clone(), ..resumed(&[LOBBY, GAME]) }));
    let outputs = story.outputs();
    assert_eq!(outputs[2..], [reconnect(LOBBY, None), reconnect(GAME, None), identify(LOBBY), identify(GAME)]);

    let mut story = Story::begin();
    story.frame(r#"{"t":"hello","guest":"x","token":"y"}"#);
    story.outputs();
    story.on(Input::Opened(Opened { was: was.clone(), ..new_session() }));
    assert_eq!(story.outputs()[1..], [join(LOBBY, 0, None), identify(LOBBY)]);
}

#[test]
fn a_guest_gets_its_token_with_the_welcome() {
    let mut story = Story::begin();
    story.frame(r#"{"t":"hello"}"#);
    story.outputs();
    story.on(Input::Opened(Opened { guest: Some("secret".into()), ..new_session() }));
    assert!(text(&story.next()).ends_with(r#""name":"Ana","guest":"secret"}"#));
}
