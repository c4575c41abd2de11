//! Stories of members: who joins, whose seat is held, and who gets it.

use super::*;

#[test]
fn a_created_room_seats_who_is_admitted_and_shows_the_view_first() {
    let mut story = Story::of(greeter());
    story.record(create());
    let out = story.record(join(ANA, 0));
    assert_eq!(out.to_edge(), ["admitted ana", "ana 1 room", "ana 2 event"]);
    assert_eq!(
        out.frame_text(0),
        r#"{"t":"room","room":"0000000000000000000000000000000a","seq":1,"kind":"lobby","ack":0,"view":{"n":1}}"#
    );
}

#[test]
fn a_refused_session_gets_the_reason_and_is_no_member() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Refuse { reason: "not today".into() }]),
        _ => Ok(vec![]),
    });
    story.record(create());
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: not today"]);
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0]);
}

#[test]
fn a_room_that_was_never_created_refuses_each_join() {
    let mut story = Story::of(greeter());
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: there is no such room"]);
    assert_eq!(story.record(reconnect(ANA, EDGE, None)).to_edge(), ["leave ana"]);
}

#[test]
fn a_held_seat_is_given_up_when_its_time_is_over() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    story.record(drop_of(ANA, EDGE));
    let (due, id) = story.room.poll_timeout().expect("the hold");
    assert_eq!(due, story.now.plus(30_000));
    story.record(RoomCommand::Timer { id, name: None });
    assert!(story.room.state().unwrap().members.is_empty());
    assert_eq!(story.events.last().map(String::as_str), Some("leave ana TimedOut"));
    assert_eq!(
        story.record(RoomCommand::Timer { id, name: None }).outputs,
        [],
        "a zombie's second record finds nothing"
    );
}

#[test]
fn in_the_lobby_a_member_that_has_sent_nothing_holds_no_seat() {
    let mut story = Story::of_the_lobby(greeter()).with_members(&[ANA, BEA]);
    story.record(message(BEA, 1));
    let out = story.record(drop_of(ANA, EDGE));
    assert_eq!(story.events.last().map(String::as_str), Some("leave ana TimedOut"));
    assert_eq!(out.to_edge(), ["ana 4 left", "leave ana"]);
    assert!(!story.room.state().unwrap().members.contains_key(&ANA));
    story.record(drop_of(BEA, EDGE));
    assert_eq!(story.events.last().map(String::as_str), Some("drop bea"), "who plays is waited for");

    let mut elsewhere = Story::of(greeter()).with_members(&[ANA]);
    elsewhere.record(drop_of(ANA, EDGE));
    assert_eq!(elsewhere.events.last().map(String::as_str), Some("drop ana"), "spectators are silent by nature");
}

#[test]
fn a_drop_of_an_earlier_connection_removes_no_member_of_the_lobby() {
    let mut story = Story::of_the_lobby(greeter()).with_members(&[ANA]);
    story.record(reconnect(ANA, "edge-2", None));
    story.record(drop_of(ANA, EDGE));
    assert!(story.room.state().unwrap().members[&ANA].connected);
}

#[test]
fn in_a_full_room_a_newcomer_gets_the_seat_that_was_held_longest() {
    let admits = |event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        _ => Ok(vec![]),
    };
    let mut story = Story::of(admits).with_members(&[ANA, BEA]);
    let crowd = (0x100..).map(SessionId).take(ComponentSpec::MAX_MEMBERS - 2);
    crowd.for_each(|session| drop(story.record(join(session, 0))));
    let out = story.record(join(CAI, 0));
    assert_eq!(out.to_edge(), ["refused bea: the room is full"], "no member is away");
    story.record(drop_of(ANA, EDGE));
    story.now = story.now.plus(1);
    story.record(drop_of(BEA, EDGE));
    let out = story.record(join(CAI, 0));
    assert_eq!(story.events[story.events.len() - 2..], ["leave ana TimedOut", "join bea"]);
    assert_eq!(out.to_edge()[..2], ["leave ana", "admitted bea"]);
    let state = story.room.state().unwrap();
    assert_eq!(state.members.len(), ComponentSpec::MAX_MEMBERS);
    assert!(state.members.contains_key(&CAI) && state.members.contains_key(&BEA) && !state.members.contains_key(&ANA));
}

/// Sessions that play elsewhere or have disconnected must not keep newcomers out of the room that every session passes through.
#[test]
fn in_a_lobby_that_has_its_players_a_held_seat_goes_to_a_newcomer() {
    let mut story = Story::of_the_lobby(seats_who_may_play());
    story.record(create());
    story.record(join(ANA, 1));
    story.record(join(BEA, 1));
    story.record(join(CAI, 1));
    assert!(story.room.state().unwrap().members[&CAI].spectator, "no member is away, and there are two seats");
    story.record(drop_of(CAI, EDGE));
    story.record(drop_of(BEA, EDGE));
    story.record(join(DAN, 1));
    let members = &story.room.state().unwrap().members;
    assert!(!members.contains_key(&BEA) && !members[&DAN].spectator);
    assert!(members.contains_key(&CAI), "a spectator's place is no player's seat");
}

/// The seat is kept even if its player has sent nothing yet: it may not have had a turn.
#[test]
fn in_a_game_that_has_its_players_a_held_seat_is_kept() {
    let mut story = Story::of(seats_who_may_play());
    story.record(create());
    story.record(join(ANA, 0));
    story.record(join(BEA, 1));
    story.record(drop_of(ANA, EDGE));
    story.record(drop_of(BEA, EDGE));
    story.record(join(CAI, 1));
    let members = &story.room.state().unwrap().members;
    assert!(members.contains_key(&ANA) && members.contains_key(&BEA) && members[&CAI].spectator);
}

/// The script refuses the newcomer, or fails when the other member leaves: there is one answer in either case.
#[test]
fn a_newcomer_to_a_freed_seat_is_refused_by_the_script_or_by_its_failure() {
    for fails in [false, true] {
        let mut full = false;
        let script = move |event: &Event| match event {
            Event::Join { member, .. } if member.session == CAI => {
                Ok(vec![Effect::Refuse { reason: "not you".into() }])
            }
            Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
            Event::Leave { .. } if fails && !std::mem::replace(&mut full, true) => Err(Fault::Threw("oh".into())),
            _ => Ok(vec![]),
        };
        let mut story = Story::of(script).with_members(&[ANA]);
        let crowd = (0x100..).map(SessionId).take(ComponentSpec::MAX_MEMBERS - 1);
        crowd.for_each(|session| drop(story.record(join(session, 0))));
        story.record(drop_of(ANA, EDGE));
        let out = story.record(join(CAI, 0));
        let answers = out.to_edge().into_iter().filter(|text| text.starts_with("refused")).collect::<Vec<_>>();
        let reason = if fails { "the room's script failed" } else { "not you" };
        assert_eq!(answers, [format!("refused bea: {reason}")]);
        assert!(!story.room.state().unwrap().members.contains_key(&ANA));
    }
}
