//! Stories of members that sit down and stand up.

use super::*;

/// Its messages name changes: `sit ana, stand bea`. The first of the two seats is Ana's, the second Bea's; Cai watches.
fn table() -> Story {
    Story::of(sits_and_stands()).with_members(&[ANA, BEA, CAI])
}

#[test]
fn a_spectator_takes_the_seat_of_a_player_that_stands_up_and_both_remain_members() {
    let mut story = table();
    assert_eq!(story.spectators(), [CAI]);
    let before = story.room.state().unwrap().clone();
    let out = story.record(message_with(CAI, 1, "stand ana, sit cai"));
    assert_eq!(out.tags(), [FrameTag::Reply], "no frame reports it");
    assert_eq!(story.spectators(), [ANA]);
    let after = story.room.state().unwrap();
    for session in [ANA, BEA, CAI] {
        let [mut before, after] = [&before, after].map(|state| state.members[&session].clone());
        before.spectator = after.spectator;
        (before.last_message_id, before.out_seq) = (after.last_message_id, after.out_seq);
        assert_eq!(after, before, "nothing else has changed");
    }
}

#[test]
fn a_seat_that_a_player_has_given_up_is_free_for_a_newcomer() {
    let mut story = table();
    story.record(message_with(ANA, 1, "stand ana"));
    story.record(join(DAN, 0));
    assert_eq!(story.spectators(), [ANA, CAI]);
    story.record(leave(DAN));
    story.record(message_with(CAI, 1, "sit cai"));
    story.record(join(DAN, 0));
    assert_eq!(story.spectators(), [ANA, DAN], "the seat is taken again");
}

#[test]
fn a_change_that_cannot_be_made_is_a_fault_and_nothing_of_the_call_is_applied() {
    for (changes, why) in [
        ("sit cai", "sit: more players than 2, the most that the room may have"),
        ("stand ana, sit ana, sit cai", "sit: more players than 2, the most that the room may have"),
        ("sit ana", "sit: 0000000000000000000000000000000a is a player"),
        ("stand ana, sit cai, sit cai", "sit: 0000000000000000000000000000000c is a player"),
        ("stand cai", "stand: 0000000000000000000000000000000c is a spectator"),
        ("stand ana, stand ana", "stand: 0000000000000000000000000000000a is a spectator"),
        ("sit dan", "sit: 0000000000000000000000000000000d is not in the room"),
        ("stand dan", "stand: 0000000000000000000000000000000d is not in the room"),
    ] {
        let mut story = table();
        let at = story.next;
        let out = story.record(message_with(CAI, 1, changes));
        let fault = RoomCommand::Fault { at: OutputId { offset: at, index: 0 }, fault: Fault::Garbage(why.into()) };
        assert!(out.outputs.contains(&Output::Append(ROOM, fault.clone())), "{changes}: {out:?}");
        let out = story.record(fault);
        assert!(out.tags().contains(&FrameTag::Error), "{changes}: {out:?}");
        assert_eq!(story.spectators(), [CAI], "{changes}");
    }
}

#[test]
fn a_newcomer_that_is_admitted_as_a_spectator_may_sit_down_in_the_same_call() {
    let script = |event: &Event| match event {
        Event::Join { member, .. } => {
            Ok(vec![Effect::Admit { spectator: true }, Effect::Sit { session: member.session }])
        }
        _ => Ok(vec![]),
    };
    let mut story = Story::of(script).with_members(&[ANA, BEA]);
    assert_eq!(story.spectators(), [SessionId(0); 0]);
    let out = story.record(join(CAI, 0));
    assert!(out.outputs.iter().any(|output| matches!(output, Output::Append(_, RoomCommand::Fault { .. }))), "{out:?}");
    assert!(!story.room.state().unwrap().members.contains_key(&CAI));
}

#[test]
fn a_script_may_free_a_seat_for_the_newcomer_that_it_admits() {
    let script = |event: &Event| match event {
        Event::Join { member, .. } if member.spectator => {
            Ok(vec![Effect::Stand { session: ANA }, Effect::Admit { spectator: false }])
        }
        event => seats_who_may_play()(event),
    };
    let story = Story::of(script).with_members(&[ANA, BEA, CAI]);
    assert_eq!(story.spectators(), [ANA]);
}

#[test]
fn a_player_that_is_away_may_stand_up_and_its_place_is_held_as_before() {
    let mut story = table();
    story.record(drop_of(ANA, EDGE));
    let hold = story.room.poll_timeout();
    story.record(message_with(CAI, 1, "stand ana, sit cai"));
    assert_eq!(story.spectators(), [ANA]);
    assert_eq!(story.room.poll_timeout(), hold);
    story.record(reconnect(ANA, EDGE, None));
    assert_eq!(story.spectators(), [ANA], "it returns as a spectator");
}

/// A new instance is opened with the roles that its effects have made.
#[test]
fn roles_are_part_of_snapshots_and_of_replays() {
    let mut story = table();
    story.record(message_with(CAI, 1, "stand ana, sit cai"));
    story.record(message_with(ANA, 1, "stand bea, sit ana"));
    for cut in 1..story.log.len() {
        let mut first = Story::of(sits_and_stands());
        first.replay(&story.log[..cut]);
        let snapshot = first.saved();
        let mut second = Story::of(sits_and_stands());
        second.room = Room::restore(ROOM, &snapshot, RestoreReason::Recovered).unwrap();
        second.replay(&story.log);
        let of = |story: &Story| story.room.state().unwrap().members.clone();
        assert_eq!(of(&second), of(&story), "after {cut} records");
    }
    let info = story.room.state().unwrap().member_infos(None);
    let spectators = info.iter().filter(|member| member.spectator).map(|member| member.session);
    assert_eq!(spectators.collect::<Vec<_>>(), [BEA]);
}

#[test]
fn after_a_swap_to_fewer_seats_no_spectator_sits_down_before_enough_players_have_stood_up() {
    let mut story = table();
    story.spec = Arc::new(ComponentSpec { max_players: 1, ..ComponentSpec::clone(&spec()) });
    story.record(swap(2));
    let sits = |story: &mut Story, id, changes| {
        let out = story.record(message_with(CAI, id, changes));
        out.tags() == [FrameTag::Reply]
    };
    assert!(!sits(&mut story, 1, "stand ana, sit cai"), "Bea has the only seat");
    let mut story = table();
    story.spec = Arc::new(ComponentSpec { max_players: 1, ..ComponentSpec::clone(&spec()) });
    story.record(swap(2));
    assert!(sits(&mut story, 1, "stand ana, stand bea, sit cai"));
    assert_eq!(story.spectators(), [ANA, BEA]);
}

fn sits_and_stands() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Message { data, .. } => Ok(data.trim_matches('"').split(", ").map(change).collect()),
        event => seats_who_may_play()(event),
    }
}

fn change(text: &str) -> Effect {
    let session = match text.split_once(' ').map(|(_, name)| name) {
        Some("ana") => ANA,
        Some("bea") => BEA,
        Some("cai") => CAI,
        _ => DAN,
    };
    if text.starts_with("sit") { Effect::Sit { session } } else { Effect::Stand { session } }
}

impl Story {
    fn spectators(&self) -> Vec<SessionId> {
        let members = &self.room.state().unwrap().members;
        members.iter().filter(|(_, member)| member.spectator).map(|(session, _)| *session).collect()
    }
}
