//! Stories of kicks.

use super::*;

#[test]
fn a_player_that_is_kicked_while_away_loses_its_seat() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![Effect::Kick { session: ANA, reason: "rude".into() }]),
        event => greeter()(event),
    })
    .with_members(&[ANA, BEA]);
    story.record(drop_of(ANA, EDGE));
    let out = story.record(message(BEA, 1));
    assert!(out.outputs.contains(&kick(ANA, "rude")), "{out:?}");
    assert_eq!(story.room.poll_timeout(), None, "its seat is not held, and not given up either");
    let out = story.record(RoomCommand::Leave { session: ANA, reason: LeaveReason::Kicked });
    assert_eq!(story.events.last().map(String::as_str), Some("leave ana Kicked"));
    assert!(!out.outputs.iter().any(|output| matches!(output, Output::Kick { .. })));
    let out = story.record(reconnect(ANA, "edge-2", Some(1)));
    assert_eq!(out.to_edge(), ["kick ana"], "another edge resumed the session before the store had the kick");
}

fn kick(session: SessionId, reason: &str) -> Output {
    Output::Kick { session, reason: reason.into() }
}

fn kicker() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event: &Event| match event {
        Event::Message { session: BEA, .. } => Ok(vec![Effect::Kick { session: ANA, reason: "rude".into() }]),
        event => greeter()(event),
    }
}

#[test]
fn messages_of_a_kicked_session_are_dropped_and_its_edge_gets_the_reason() {
    let mut story = Story::of(kicker()).with_members(&[ANA, BEA]);
    story.record(message(BEA, 1));
    let events = story.events.len();
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0]);
    assert_eq!(story.events.len(), events, "the script does not get it");
    let again = story.record(message(BEA, 2));
    assert!(!again.outputs.iter().any(|output| matches!(output, Output::Kick { .. })), "it was requested before");
    let out = story.record(RoomCommand::Leave { session: ANA, reason: LeaveReason::Kicked });
    assert!(out.to_edge().contains(&"kick ana".to_owned()), "{:?}", out.to_edge());
}

/// First the store is lost, then the host.
#[test]
fn a_kick_that_is_not_confirmed_is_requested_again_after_a_restore() {
    let mut story = Story::of(kicker()).with_members(&[ANA, BEA]);
    story.record(message(BEA, 1));
    story.record(drop_of(ANA, EDGE));
    let snapshot = story.saved();
    let kicks_after = |snapshot: &[u8]| {
        let mut room = Room::restore(story.room.id(), snapshot, RestoreReason::Recovered).expect("it was just written");
        std::iter::from_fn(move || room.poll_output()).collect::<Vec<_>>()
    };
    assert_eq!(kicks_after(&snapshot), [kick(ANA, "rude")]);
    story.record(RoomCommand::Leave { session: ANA, reason: LeaveReason::Kicked });
    let snapshot = story.saved();
    let room = story.room.id();
    let mut done = Room::restore(room, &snapshot, RestoreReason::Recovered).expect("it was just written");
    assert_eq!(done.poll_output(), None);
}

#[test]
fn a_room_that_ends_requests_its_kicks_first() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => {
            Ok(vec![Effect::Kick { session: ANA, reason: "rude".into() }, Effect::End { outcome: Json::null() }])
        }
        event => greeter()(event),
    })
    .with_members(&[ANA, BEA]);
    let out = story.record(message(BEA, 1));
    let at = |wanted: fn(&Output) -> bool| out.outputs.iter().position(wanted).expect("it is there");
    assert!(at(|output| matches!(output, Output::Kick { .. })) < at(|output| matches!(output, Output::Ended { .. })));
}
