//! Stories of a player that is a member by several sessions.

use super::*;

/// A room with two seats, in which a player may have this many sessions.
fn story(sessions_per_player: u32, script: impl FnMut(&Event) -> Result<Vec<Effect>, Fault> + 'static) -> Story {
    let mut story = Story::of(script);
    story.spec = Arc::new(ComponentSpec { sessions_per_player, ..ComponentSpec::clone(&spec()) });
    story
}

/// Bea's further sessions.
const TAB: SessionId = CAI;
const PHONE: SessionId = DAN;

#[test]
fn a_player_is_a_member_by_each_of_its_sessions_where_the_kind_sets_no_limit() {
    let mut story = Story::of(greeter()).with_members(&[ANA, BEA]);
    story.record(join(TAB, 0));
    assert_eq!(members(&story), [ANA, BEA, TAB]);
}

#[test]
fn a_further_session_takes_the_older_ones_seat() {
    let mut story = story(1, seats_who_may_play()).with_members(&[ANA, BEA]);
    let out = story.record(join(TAB, 0));
    assert_eq!(story.events[story.events.len() - 2..], ["join bea", "leave bea Replaced"]);
    assert_eq!(members(&story), [ANA, TAB]);
    assert!(!story.room.state().unwrap().members[&TAB].spectator, "the room has two seats, and both were taken");
    assert_eq!(out.to_edge(), ["admitted bea", "bea 1 room", "bea 2 left", "leave bea"]);
    assert!(out.outputs.iter().any(|output| matches!(
        output,
        Output::Edge(_, EdgeCommand::Left { session: BEA, reason: LeaveReason::Replaced, .. })
    )));
}

#[test]
fn a_session_that_is_away_is_replaced_and_learns_it_when_it_reconnects() {
    let mut story = story(1, seats_who_may_play()).with_members(&[ANA, BEA]);
    story.record(drop_of(BEA, EDGE));
    story.record(join(TAB, 0));
    assert_eq!((members(&story), story.room.poll_timeout()), (vec![ANA, TAB], None), "its seat is not held any more");
    let out = story.record(reconnect(BEA, "edge-2", Some(1)));
    let [Output::Edge(_, EdgeCommand::Left { reason: LeaveReason::Replaced, .. })] = &out.outputs[..] else {
        panic!("{out:?}")
    };
}

#[test]
fn a_spectators_further_session_is_offered_no_more_than_it_had() {
    let mut story = story(1, seats_who_may_play()).with_members(&[ANA, CAI]);
    let spectator = |story: &Story, session| story.room.state().unwrap().members[&session].spectator;
    story.spec = Arc::new(ComponentSpec { max_players: 1, ..ComponentSpec::clone(&story.spec) });
    story.hibernate();
    story.record(leave(CAI));
    story.record(join(BEA, 0));
    assert!(spectator(&story, BEA));
    story.record(join(TAB, 0));
    assert!(spectator(&story, TAB) && members(&story) == [ANA, TAB]);
}

#[test]
fn the_oldest_of_several_sessions_leaves() {
    let mut story = story(2, seats_who_may_play()).with_members(&[BEA, ANA, TAB]);
    story.record(join(PHONE, 0));
    assert_eq!(members(&story), [ANA, TAB, PHONE]);
}

#[test]
fn a_newcomer_that_is_refused_replaces_nobody() {
    let mut story = story(1, |event: &Event| match event {
        Event::Join { member, .. } if member.session == TAB => Ok(vec![Effect::Refuse { reason: "no".into() }]),
        event => seats_who_may_play()(event),
    })
    .with_members(&[ANA, BEA]);
    assert_eq!(story.record(join(TAB, 0)).to_edge(), ["refused bea: no"]);
    assert_eq!(members(&story), [ANA, BEA]);
}

#[test]
fn a_lock_keeps_no_player_out_that_is_in_the_room() {
    let mut story = story(1, |event: &Event| match event {
        Event::Message { .. } => Ok(vec![Effect::Lock]),
        event => seats_who_may_play()(event),
    })
    .with_members(&[BEA]);
    story.record(message(BEA, 1));
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: the room is locked"]);
    story.record(join(TAB, 0));
    assert_eq!(members(&story), [TAB]);
}

#[test]
fn a_throw_in_the_older_ones_leave_keeps_the_newcomer_out_in_every_replay() {
    let script = || {
        |event: &Event| match event {
            Event::Leave { reason: LeaveReason::Replaced, .. } => Err(Fault::Threw("on purpose".into())),
            event => seats_who_may_play()(event),
        }
    };
    let mut story = story(1, script()).with_members(&[ANA, BEA]);
    let out = story.record(join(TAB, 0));
    assert_eq!(out.to_edge(), ["refused bea: the room's script failed"]);
    assert_eq!(members(&story), [ANA, BEA]);
    story.room.handle(Input::InstanceLost);
    story.turn();
    assert_eq!(members(&story), [ANA, BEA]);
}

#[test]
fn a_guest_that_signs_in_replaces_the_accounts_older_session() {
    let mut story = story(1, |event: &Event| match event {
        Event::Identify { .. } => Ok(vec![Effect::Identify]),
        event => seats_who_may_play()(event),
    })
    .with_members(&[ANA, BEA]);
    let player = Player { id: "ana".into(), name: "Ana".into() };
    story.record(RoomCommand::Identify { session: BEA, was: "bea".into(), player, claims: None });
    assert_eq!(members(&story), [BEA]);
    assert_eq!(story.events.last().unwrap(), "leave ana Replaced");
}

/// The room calls the guest twice for the join, so messages behind it are handed over with the second call.
#[test]
fn messages_that_wait_behind_such_a_join_are_handed_over_after_it() {
    let mut story = story(1, seats_who_may_play()).with_members(&[ANA, BEA]);
    for id in 1..4 {
        story.record(message(ANA, id));
    }
    story.hand_over([join(TAB, 0), message(ANA, 4), message(ANA, 5)]);
    assert_eq!(
        story.events[story.events.len() - 4..],
        ["join bea", "leave bea Replaced", "message ana", "message ana"]
    );
    assert_eq!(story.opened.len(), 1, "no prediction was wrong");
    assert_eq!(story.batches, [3], "the messages go with the leave");
}

fn members(story: &Story) -> Vec<SessionId> {
    story.room.state().unwrap().member_infos(None).into_iter().map(|member| member.session).collect()
}
