//! Stories of a room. The guest is scripted: each story defines its answer to each event.

use super::*;
use crate::{
    command::{Answer, EdgeCommand, Joining, LeaveReason, OutputRef, Player, RequestId, RoomData, Target},
    diff,
    effect::{Effect, Event, MemberInfo, Saved},
    frame::{FrameTag, RoomFrame},
    ids::{ConnectionId, Digest, Kind, MachineId, Secret, Seed},
    json::Json,
};

mod charges;
mod rooms;

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
fn a_refused_session_is_told_why_and_is_no_member() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Refuse { reason: "not today".into() }]),
        _ => Ok(vec![]),
    });
    story.record(create());
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: not today"]);
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0]);
}

#[test]
fn nobody_joins_a_room_that_was_never_created() {
    let mut story = Story::of(greeter());
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: there is no such room"]);
    assert_eq!(story.record(reconnect(ANA, EDGE, None)).to_edge(), ["leave ana"]);
}

#[test]
fn a_message_sent_twice_is_applied_once() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    assert_eq!(story.record(message(ANA, 7)).to_edge(), ["ana 3 reply"]);
    assert_eq!(story.record(message(ANA, 7)).to_edge(), [""; 0]);
    assert_eq!(story.record(message(ANA, 6)).to_edge(), [""; 0]);
    assert_eq!(story.record(message(ANA, 8)).to_edge(), ["ana 4 reply"]);
}

#[test]
fn ids_used_before_a_join_are_never_for_this_room() {
    let mut story = Story::of(greeter());
    story.record(create());
    story.record(join(ANA, 5));
    assert_eq!(story.record(message(ANA, 5)).to_edge(), [""; 0]);
    assert_eq!(story.record(message(ANA, 6)).to_edge(), ["ana 3 reply"]);
}

#[test]
fn a_message_without_a_handler_never_reaches_the_guest() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => panic!("it must not be asked"),
        event => greeter()(event),
    });
    let mut story = {
        story.record(create());
        story.record(join(ANA, 0));
        story
    };
    let unknown = RoomCommand::Message { session: ANA, message_id: 1, kind: "dance".into(), data: Json::null() };
    let out = story.record(unknown);
    assert_eq!(out.to_edge(), ["ana 3 error"]);
    assert!(out.frame_text(0).contains("unknown_type"));
}

#[test]
fn whoever_comes_back_in_time_gets_just_what_it_missed() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    let before = story.seq_of(ANA);
    story.record(drop_of(ANA, EDGE));
    story.record(message(BEA, 1));
    story.record(message(BEA, 2));
    let out = story.record(reconnect(ANA, "edge-2", Some(before)));
    let says = [before + 1, before + 2].map(|seq| format!("ana {seq} event"));
    assert_eq!(out.to_edge(), [&says[..], &["resumed ana 0".to_owned()]].concat());
    assert!(out.outputs.iter().all(|o| matches!(o, Output::Edge(edge, _) if &*edge.0 == "edge-2")));
}

#[test]
fn whoever_comes_back_too_late_gets_a_whole_view() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    let before = story.seq_of(ANA);
    for id in 1..=(RESEND_FRAMES as u64) {
        story.record(message(BEA, id));
    }
    let out = story.record(reconnect(ANA, EDGE, Some(before)));
    let view = format!("ana {} room", before + RESEND_FRAMES as u64 + 1);
    assert_eq!(out.to_edge(), [view, "resumed ana 0".to_owned()]);
}

#[test]
fn whoever_comes_back_is_told_which_of_its_messages_were_applied() {
    let mut story = Story::of(chatter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.record(message(ANA, 7));
    let seen = story.seq_of(ANA);
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0], "a known id is dropped without a word");
    let out = story.record(reconnect(ANA, EDGE, Some(seen)));
    assert_eq!(out.to_edge(), ["resumed ana 7"]);
}

#[test]
fn a_client_that_has_seen_more_than_the_log_kept_goes_on_above_and_a_liar_does_not() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    let ahead = story.seq_of(ANA) + 40;
    story.record(reconnect(ANA, EDGE, Some(ahead)));
    assert_eq!(story.seq_of(ANA), ahead + 1, "its whole view is news to it");
    story.record(reconnect(BEA, EDGE, Some(u64::MAX >> 11)));
    assert!(story.seq_of(BEA) < 100, "later seats take up these numbers: they must not run out");
}

#[test]
fn what_a_client_has_of_an_earlier_seat_is_not_continued() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    let before = story.seq_of(ANA);
    story.record(leave(ANA));
    story.record(join(ANA, 0));
    assert!(story.seq_of(ANA) > before + 1, "a seat's numbers rise above those of the seat before");
    let out = story.record(reconnect(ANA, EDGE, Some(before)));
    assert!(out.to_edge()[0].ends_with("room"), "{:?}", out.to_edge());
}

#[test]
fn a_drop_that_was_overtaken_by_a_resume_elsewhere_is_ignored() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    story.record(reconnect(ANA, "edge-2", None));
    story.record(drop_of(ANA, EDGE));
    assert!(story.room.state().unwrap().members[&ANA].connected);
}

#[test]
fn the_edge_before_is_told_for_it_may_be_the_later_one() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    let out = story.record(reconnect(ANA, "edge-2", None));
    let Some(Output::Edge(before, EdgeCommand::Replaced { session: ANA })) = out.outputs.first() else {
        panic!("{out:?}")
    };
    assert_eq!(&*before.0, EDGE);
    // The first edge has the newer connection: the record from edge-2 was in flight for long.
    let again = story.record(reconnect(ANA, EDGE, None));
    assert_eq!(again.to_edge()[0], "replaced ana");
    story.record(drop_of(ANA, "edge-2"));
    assert!(story.room.state().unwrap().members[&ANA].connected);
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
fn a_room_without_anybody_ends_after_a_while_and_tells_its_creator() {
    let mut story = Story::of(greeter());
    story.record(create());
    let (due, id) = story.room.poll_timeout().expect("nobody is here");
    assert_eq!(due, story.now.plus(10_000));
    let out = story.record(RoomCommand::Timer { id, name: None });
    let told = out.outputs.iter().any(|output| {
        matches!(
            output,
            Output::Append(RoomId(77), RoomCommand::RoomMessage { data: RoomData::Ended { failed: None, .. }, .. })
        )
    });
    assert!(told && story.room.has_ended(), "{out:?}");
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: the room has ended"]);
}

#[test]
fn a_timer_fires_once_and_only_in_its_latest_setting() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![set_timer("turn", 500)]),
        Event::Timer { .. } => Ok(vec![say("tick")]),
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    story.record(message(ANA, 1));
    let (_, first) = story.room.poll_timeout().unwrap();
    story.record(message(ANA, 2));
    let (_, second) = story.room.poll_timeout().unwrap();
    assert_eq!(story.record(RoomCommand::Timer { id: first, name: None }).to_edge(), [""; 0], "it was set anew");
    assert_eq!(story.record(RoomCommand::Timer { id: second, name: None }).to_edge().len(), 1);
    assert_eq!(story.record(RoomCommand::Timer { id: second, name: None }).to_edge(), [""; 0]);
}

#[test]
fn more_timers_than_allowed_are_a_fault_and_none_is_set() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok((0..9).map(|n| set_timer(&format!("t{n}"), 1)).collect()),
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    assert!(matches!(&out.outputs[..], [Output::Append(_, RoomCommand::Fault { fault: Fault::TooMuch(_), .. })]));
}

#[test]
fn another_rooms_output_counts_once() {
    let mut story = Story::of(greeter());
    story.record(create());
    let number = OutputId { offset: 9, index: 1 };
    let from_room = RoomCommand::RoomMessage { from: RoomId(5), number, data: RoomData::Message(Json::null()) };
    story.record(from_room.clone());
    story.record(from_room);
    assert_eq!(story.events, ["create", "room-message"]);
}

#[test]
fn a_refused_move_tells_the_guest_and_the_player_stays() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![Effect::MoveTo { session: ANA, room: RoomId(5), options: Json::null() }]),
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    assert_eq!(out.to_edge()[0], "move ana");
    let Some(Output::Edge(_, EdgeCommand::Join { from, .. })) = out.outputs.first() else { panic!("{out:?}") };
    let again = story.record(reconnect(ANA, "edge-2", None));
    assert!(again.to_edge().contains(&"move ana".to_owned()), "what has no answer is asked again");
    let answer = Answer::MoveRefused { session: ANA, room: RoomId(5), reason: "full".into() };
    story.record(RoomCommand::Answer { request: from.number, answer: answer.clone() });
    story.record(RoomCommand::Answer { request: from.number, answer });
    assert_eq!(story.events.iter().filter(|event| *event == "move-failed ana").count(), 1);
}

#[test]
fn a_throw_has_no_effect_but_an_error_and_the_room_goes_on() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    let out = story.record(say_to_it(ANA, 2, "throw"));
    assert_eq!(out.to_edge().len(), 1);
    assert!(out.frame_text(0).contains(r#""code":"fault""#));
    assert!(out.outputs.iter().any(|output| matches!(output, Output::Snapshot { .. })), "the next throw is cheap");
    let told = |output: &Output| matches!(output, Output::Append(_, RoomCommand::Threw { text, .. }) if &**text == "as it was told");
    assert_eq!(out.outputs.iter().filter(|output| told(output)).count(), 1, "people find it in the log");
    let named = |output: &Output| matches!(output, Output::Notice(Notice::Threw { handler, .. }) if &**handler == "messages.say");
    assert!(out.outputs.iter().any(named), "{:?}", out.outputs);
    story.record(message(ANA, 3));
    assert_eq!(story.guest_state(), "2", "two messages counted, the throw not");
}

#[test]
fn a_trap_is_decided_by_the_log_and_skipped_on_replay() {
    let mut story = Story::of(counter()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    let trapped = story.next;
    let out = story.record(say_to_it(ANA, 2, "trap"));
    assert!(matches!(&out.outputs[..], [Output::Append(_, RoomCommand::Fault { at, .. })] if at.offset == trapped));
    assert_eq!(story.record(message(BEA, 1)).outputs, [], "nothing runs before the log has spoken");
    let out = story.record(fault_at(trapped));
    let tags = out.tags();
    assert_eq!(&tags[..2], [FrameTag::Error, FrameTag::Reply], "the sender is told, then the room goes on");
    assert_eq!(&tags[2..], [FrameTag::Room, FrameTag::Room], "and everyone sees everything anew");
    assert_eq!(story.guest_state(), "2");

    let mut replay = Story::of(|event: &Event| {
        assert!(!format!("{event:?}").contains("trap"), "it must not be tried again");
        counter()(event)
    });
    for (offset, record) in story.log.iter().rev().filter(|(_, r)| matches!(r.command, RoomCommand::Fault { .. })) {
        if let RoomCommand::Fault { at: OutputId { offset: at, .. }, fault } = &record.command {
            replay.room.decide_fault(*at, fault.clone());
        }
        let _ = offset;
    }
    replay.replay(&story.log);
    assert_eq!(replay.room.state(), story.room.state());
}

#[test]
fn a_host_that_did_not_fail_takes_back_what_the_log_takes_back() {
    let mut failing = Story::of(counter()).with_members(&[ANA]);
    let trapped = failing.next;
    failing.record(say_to_it(ANA, 1, "trap"));
    failing.record(fault_at(trapped));

    let mut lucky = Story::of(|event: &Event| match event {
        Event::Message { data, .. } if data.contains("trap") => Ok(vec![Effect::Reply { data: Json::null() }]),
        event => counter()(event),
    });
    lucky.replay(&failing.log);
    assert_eq!(lucky.room.state(), failing.room.state());
}

#[test]
fn faults_in_a_row_end_the_room_with_a_reason() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    for id in 1..=3 {
        let at = story.next;
        story.record(say_to_it(ANA, id, "trap"));
        let out = story.record(fault_at(at));
        if id == 3 {
            assert!(story.room.has_ended());
            let texts: Vec<String> = (0..out.tags().len()).map(|n| out.frame_text(n)).collect();
            assert!(texts.iter().any(|text| text.contains("failed 3 times in a row")), "{texts:?}");
        }
    }
}

#[test]
fn a_lobby_that_failed_begins_anew_at_once_and_its_members_join_again() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    let out = story.trap(ANA);
    let before = out.frames().last().expect("it says goodbye").0;
    assert_eq!(&out.to_edge()[1..], [format!("ana {before} left"), "leave ana".into()]);
    assert!(matches!(out.restart(), Some((Some(why), 0)) if why.contains("failed 3 times in a row")), "{out:?}");
    assert!(!story.room.has_ended());

    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: the lobby restarts in 0 s"], "a moment too early");
    let due = story.room.poll_timeout().expect("the next life").0;
    assert_eq!(due, story.now);
    story.wait();
    assert_eq!(story.events.last().map(String::as_str), Some("create"));
    assert_eq!(story.guest_state(), "0", "it knows nothing of before");
    let out = story.record(join(ANA, 100));
    assert_eq!(out.to_edge(), ["admitted ana".to_owned(), format!("ana {} room", before + 1)], "numbers go on");
}

#[test]
fn a_lobby_that_fails_again_and_again_waits_longer_and_longer() {
    let mut story = Story::of_the_lobby(|_: &Event| Err(Fault::Trapped("always".into())));
    let mut waits = vec![];
    let mut at = story.next;
    story.record(create());
    for _ in 0..10 {
        let (_, in_ms) = story.record(fault_at(at)).restart().expect("it goes on");
        waits.push(in_ms);
        at = story.next;
        story.wait();
    }
    assert_eq!(waits, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
}

#[test]
fn a_long_life_of_the_lobby_makes_up_for_brief_ones() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.trap(ANA);
    story.wait();
    story.record(join(ANA, story.next));
    assert_eq!(story.trap(ANA).restart().map(|(_, in_ms)| in_ms), Some(1_000));
    story.wait();
    story.record(join(ANA, story.next));
    story.now = story.now.plus(STEADY_RUN_MS);
    assert_eq!(story.trap(ANA).restart().map(|(_, in_ms)| in_ms), Some(0));
}

#[test]
fn another_component_is_tried_at_once() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.trap(ANA);
    story.wait();
    story.record(join(ANA, story.next));
    story.trap(ANA);
    assert!(story.room.poll_timeout().expect("the next life").0 > story.now);
    story.record(swap(9));
    assert_eq!(story.room.poll_timeout().expect("the next life").0, story.now);
    story.wait();
    assert_eq!(story.room.state().unwrap().component, Digest([9; 32]));
}

#[test]
fn a_lobby_goes_on_between_two_lives_from_its_snapshot_and_from_its_log() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    let out = story.trap(ANA);
    let snapshot = out.outputs.iter().find_map(|output| match output {
        Output::Snapshot { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    let snapshot = snapshot.expect("the life that is over is done with");
    let cut = story.log.len();
    story.wait();
    story.record(join(BEA, 0));
    story.record(message(BEA, 1));

    let mut from_snapshot = Story::of(counter());
    from_snapshot.room = Room::restore(RoomId::LOBBY, &snapshot, RestoreReason::Woken).unwrap();
    assert_eq!(from_snapshot.room.poll_timeout().map(|(due, _)| due), Some(story.log[cut].1.time));
    from_snapshot.replay(&story.log[cut..]);
    assert_eq!(from_snapshot.room.state(), story.room.state());

    let mut from_log = Story::of_the_lobby(counter());
    from_log.replay(&story.log);
    assert_eq!(from_log.room.state(), story.room.state());
}

#[test]
fn a_room_waits_for_its_first_member_even_if_it_would_not_wait_once_empty() {
    for empty_ms in [0, 1_000, 60_000] {
        let mut story = Story { spec: Arc::new(Spec { empty_ms, ..Spec::clone(&spec()) }), ..Story::of(greeter()) };
        story.record(create());
        let due = |story: &Story| story.room.poll_timeout().map(|(due, _)| due);
        assert_eq!(due(&story), Some(story.now.plus(empty_ms.max(10_000))), "somebody may be on the way");
        story.now = story.now.plus(9_000);
        story.record(join(ANA, 0));
        assert_eq!(due(&story), None);
        story.record(leave(ANA));
        assert_eq!(due(&story), Some(story.now.plus(empty_ms)), "from its first member on it does as its kind says");
        assert!(story.wait().outputs.iter().any(|output| matches!(output, Output::Ended { .. })));
    }
}

#[test]
fn timers_are_counted_by_their_names_after_the_call() {
    let names = ["a", "b", "c"];
    let mut story = Story::of(move |event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        Event::Message { data, .. } if data.contains("again") => Ok((0..65).map(|ms| set_timer("turn", ms)).collect()),
        Event::Message { data, .. } if data.contains("in turn") => {
            let one = |name: &str| [set_timer(name, 1), Effect::CancelTimer { name: name.into() }];
            Ok(names.iter().flat_map(|name| one(name)).collect())
        }
        Event::Message { .. } => Ok(names.iter().map(|name| set_timer(name, 1)).collect()),
        _ => Ok(vec![]),
    });
    let timers = ["turn", "a", "b", "c"].map(Arc::from).into();
    story.spec = Arc::new(Spec { timers, max_timers: 3, ..Spec::clone(&spec()) });
    let mut story = story.with_members(&[ANA]);
    for (id, words) in ["again", "in turn", "again"].into_iter().enumerate() {
        assert!(!faulty(&story.record(say_to_it(ANA, 1 + id as u64, words))), "{words}");
        assert_eq!(story.room.state().expect("it lives").timers.len(), 1, "{words}");
    }
    assert!(faulty(&story.record(say_to_it(ANA, 9, "all"))), "four, where there may be three");
}

fn faulty(out: &Out) -> bool {
    out.outputs.iter().any(|output| matches!(output, Output::Append(_, RoomCommand::Fault { .. })))
}

#[test]
fn a_lobby_that_ends_itself_or_stays_empty_is_there_for_the_next_one() {
    let mut story = Story::of_the_lobby(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![Effect::End { outcome: Json::null() }]),
        event => greeter()(event),
    });
    story.record(create());
    assert_eq!(story.room.poll_timeout(), None, "it does not wait for its own end");
    story.record(join(ANA, 0));
    let out = story.record(message(ANA, 1));
    assert_eq!(out.restart(), Some((None, 0)));
    assert_eq!(story.events.last().map(String::as_str), Some("dispose"));
    story.wait();
    assert_eq!(story.record(join(ANA, 1)).to_edge()[0], "admitted ana");
}

#[test]
fn a_lobby_whose_state_cannot_be_opened_begins_anew_and_whoever_knocked_is_told() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.sleep();
    story.refuses_to_open = true;
    let out = story.record(join(BEA, 0));
    assert_eq!(out.to_edge(), ["refused bea: the room's script cannot go on"]);
    let Some(Output::Append(_, close)) = out.outputs.last().cloned() else { panic!("{out:?}") };
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0], "nothing happens before the log has spoken");
    let out = story.record(close.clone());
    assert!(out.restart().is_some(), "{out:?}");
    assert_eq!(story.record(close).outputs, [], "a zombie's word on the life that is over");
    story.refuses_to_open = false;
    story.wait();
    assert_eq!(story.record(join(BEA, 0)).to_edge()[0], "admitted bea");
}

/// The client has reconnected through another edge, but a room that has given up applies no `Reconnect`: what it sends on its
/// end goes to the first edge. So the reconnect is answered separately.
#[test]
fn whoever_comes_back_to_a_room_that_is_about_to_end_is_told_that_it_is_out() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.sleep();
    story.refuses_to_open = true;
    let out = story.record(join(BEA, 0));
    let Some(Output::Append(_, close)) = out.outputs.last().cloned() else { panic!("{out:?}") };
    story.record(reconnect(ANA, "edge-2", None));
    let out = story.record(close);
    let told = EdgeCommand::Leave { session: ANA, request: FIRST, room: ROOM, reason: LeaveReason::Left };
    assert!(out.outputs.contains(&Output::Edge(MachineId("edge-2".into()), told)), "{out:?}");
}

#[test]
fn throws_of_a_player_never_end_the_room() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    for id in 1..=20 {
        story.record(say_to_it(ANA, id, "throw"));
    }
    assert!(!story.room.has_ended());
}

#[test]
fn a_room_that_cannot_be_created_ends_with_its_reason() {
    let mut story = Story::of(|_: &Event| Err(Fault::Threw("no options".into())));
    let out = story.record(create());
    let failed = out.outputs.iter().find_map(|output| match output {
        Output::Ended { failed, .. } => failed.clone(),
        _ => None,
    });
    assert_eq!(failed.as_deref(), Some("its script threw: no options"));
}

#[test]
fn a_room_from_its_snapshot_and_tail_is_the_same_room_at_every_offset() {
    let mut story = Story::of(counter()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    story.record(drop_of(BEA, EDGE));
    story.record(say_to_it(ANA, 2, "throw"));
    story.record(message(ANA, 3));
    let at = story.next;
    story.record(say_to_it(ANA, 4, "trap"));
    story.record(fault_at(at));
    story.record(reconnect(BEA, "edge-2", Some(0)));
    story.record(leave(ANA));
    for cut in 1..story.log.len() {
        let mut first = Story::of(counter());
        first.replay(&story.log[..cut]);
        first.room.snapshot();
        let out = first.turn();
        let Some(Output::Snapshot { bytes, offset }) =
            out.outputs.iter().rfind(|o| matches!(o, Output::Snapshot { .. }))
        else {
            // It waits for its `Fault` record, and has nothing to save before.
            continue;
        };
        let mut second = Story::of(counter());
        second.room = Room::restore(ROOM, bytes, RestoreReason::Recovered).unwrap();
        second.replay(&story.log);
        let mut expected = story.room.state().unwrap().clone();
        let mut found = second.room.state().unwrap().clone();
        (expected.saved, found.saved) = (None, None);
        assert_eq!(found, expected, "from {offset}");
        assert_eq!(second.guest_state(), story.guest_state(), "from {offset}");
    }
}

#[test]
fn whoever_leaves_a_room_that_slept_is_known_to_the_instance_that_hears_of_it() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    story.record(drop_of(BEA, EDGE));
    story.sleep();
    let (_, hold) = story.room.poll_timeout().expect("the hold");
    story.record(RoomCommand::Timer { id: hold, name: None });
    assert_eq!(story.events.last().map(String::as_str), Some("leave bea TimedOut"));
    assert_eq!(story.opened.last().map(String::as_str), Some("ana, bea (away)"));
    assert_eq!(story.room.state().unwrap().members.len(), 1);
}

#[test]
fn an_instance_meets_the_members_in_the_order_of_their_joining() {
    let mut story = Story::of(chatter()).with_members(&[BEA, ANA]);
    story.sleep();
    story.record(message(ANA, 1));
    assert_eq!(story.opened.last().map(String::as_str), Some("bea, ana"));
    story.record(leave(BEA));
    story.record(join(BEA, 0));
    story.sleep();
    story.record(leave(ANA));
    assert_eq!(story.opened.last().map(String::as_str), Some("ana, bea"), "one who comes again comes last");
}

#[test]
fn the_tail_is_bounded_by_snapshots() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    let mut snapshots = 0;
    for id in 1..=1_000 {
        let out = story.record(message(ANA, id));
        snapshots += out.outputs.iter().filter(|output| matches!(output, Output::Snapshot { .. })).count();
        assert!(story.room.history.tail().len() <= TAIL_RECORDS);
    }
    assert_eq!(snapshots, 7);
}

#[test]
fn a_swap_carries_the_state_over_and_a_refused_one_changes_nothing() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.refuses_swaps = true;
    let before = story.room.state().cloned();
    let out = story.record(swap(9));
    assert!(matches!(&out.outputs[..], [Output::Notice(Notice::SwapRefused { .. })]), "{out:?}");
    assert_eq!(story.room.state().unwrap().component, before.unwrap().component);
    story.refuses_swaps = false;
    story.record(swap(9));
    assert_eq!(story.room.state().unwrap().component, Digest([9; 32]));
    story.record(message(ANA, 2));
    assert_eq!(story.guest_state(), "2");
}

#[test]
fn a_trap_soon_after_a_swap_takes_the_swap_back_and_keeps_what_was_done_since() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.record(swap(9));
    story.record(message(ANA, 2));
    let at = story.next;
    story.record(say_to_it(ANA, 3, "trap"));
    let out = story.record(fault_at(at));
    let state = story.room.state().unwrap();
    assert_eq!(state.component, Digest([1; 32]), "the old component again");
    assert_eq!(story.guest_state(), "2", "both messages, not the one that trapped");
    assert_eq!(out.tags(), [FrameTag::Error, FrameTag::Room], "nothing is said twice");
    let undone = out.outputs.iter().any(|o| matches!(o, Output::Notice(Notice::SwapUndone { .. })));
    assert!(undone, "{out:?}");
    story.record(message(ANA, 4));
    assert_eq!(story.guest_state(), "3");
}

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
    assert_eq!(out.to_edge(), ["kick ana"], "another edge took the session up before the store knew");
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
fn whoever_is_kicked_has_no_more_to_say_and_hears_why_when_its_session_is_over() {
    let mut story = Story::of(kicker()).with_members(&[ANA, BEA]);
    story.record(message(BEA, 1));
    let heard = story.events.len();
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0]);
    assert_eq!(story.events.len(), heard, "the script does not get it");
    let again = story.record(message(BEA, 2));
    assert!(!again.outputs.iter().any(|output| matches!(output, Output::Kick { .. })), "it was asked for");
    let out = story.record(RoomCommand::Leave { session: ANA, reason: LeaveReason::Kicked });
    assert!(out.to_edge().contains(&"kick ana".to_owned()), "{:?}", out.to_edge());
}

/// First the store is lost, then the host.
#[test]
fn a_kick_that_is_not_done_is_asked_for_again_by_whoever_restores_the_room() {
    let mut story = Story::of(kicker()).with_members(&[ANA, BEA]);
    story.record(message(BEA, 1));
    story.record(drop_of(ANA, EDGE));
    let snapshot = story.saved();
    let asks = |snapshot: &[u8]| {
        let mut room = Room::restore(story.room.id(), snapshot, RestoreReason::Recovered).expect("it was just written");
        std::iter::from_fn(move || room.poll_output()).collect::<Vec<_>>()
    };
    assert_eq!(asks(&snapshot), [kick(ANA, "rude")]);
    story.record(RoomCommand::Leave { session: ANA, reason: LeaveReason::Kicked });
    let snapshot = story.saved();
    let room = story.room.id();
    let mut done = Room::restore(room, &snapshot, RestoreReason::Recovered).expect("it was just written");
    assert_eq!(done.poll_output(), None);
}

#[test]
fn a_room_that_ends_asks_for_its_kicks_first() {
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

#[test]
fn whoever_was_away_hears_why_it_is_out_when_it_comes_back() {
    let mut story = Story::of(greeter()).with_members(&[ANA, BEA]);
    story.record(drop_of(ANA, EDGE));
    let (_, id) = story.room.poll_timeout().expect("its seat is held for a while");
    story.record(RoomCommand::Timer { id, name: None });
    let why = |out: &Out| {
        out.outputs.iter().find_map(|output| match output {
            Output::Edge(_, EdgeCommand::Leave { reason, .. }) => Some(*reason),
            _ => None,
        })
    };
    let out = story.record(reconnect(ANA, "edge-2", Some(1)));
    assert_eq!(why(&out), Some(LeaveReason::TimedOut));
    story.record(RoomCommand::Close { reason: "over".into() });
    let out = story.record(reconnect(BEA, "edge-2", Some(1)));
    assert_eq!(why(&out), Some(LeaveReason::Ended));
}

#[test]
fn views_of_ones_own_are_patched_for_each() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Join { member, .. } => Ok(vec![
            Effect::Admit { spectator: false },
            Effect::ViewOf { session: member.session, view: Json::trusted(r#"{"you":1,"board":[null,null]}"#) },
        ]),
        Event::Message { session, .. } => {
            Ok(vec![Effect::ViewOf { session: *session, view: Json::trusted(r#"{"you":1,"board":[null,0]}"#) }])
        }
        _ => Ok(vec![]),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    assert!(out.frame_text(0).ends_with(r#""ops":[{"op":"replace","path":"/board/1","value":0}]}"#), "{out:?}");
}

#[test]
fn views_that_are_the_same_are_compared_once() {
    let views = |turn: u8| {
        let view = |you: &str| {
            Json::trusted(format!(r#"{{"turn":{turn},"you":"{you}","motto":"as long as a view mostly is"}}"#))
        };
        [(ANA, "seat 1"), (BEA, "watching"), (CAI, "watching")]
            .map(|(session, you)| Effect::ViewOf { session, view: view(you) })
    };
    let mut story = Story::of(move |event: &Event| match event {
        Event::Join { .. } => Ok(std::iter::once(Effect::Admit { spectator: false }).chain(views(0)).collect()),
        Event::Message { .. } => Ok(views(1).into()),
        _ => Ok(vec![]),
    })
    .with_members(&[ANA, BEA, CAI]);
    let out = story.record(message(ANA, 1));
    let frames = out.outputs.iter().filter_map(|output| match output {
        Output::Edge(_, EdgeCommand::Deliver { targets, frame, .. }) if frame.tag == FrameTag::Patch => {
            Some((targets[0].session, frame))
        }
        _ => None,
    });
    let [(ANA, ana), (BEA, bea), (CAI, cai)] = frames.collect::<Vec<_>>()[..] else { panic!("{out:?}") };
    assert!(bea.shares_its_text(cai), "what spectators get is made once");
    assert!(!ana.shares_its_text(bea), "and a player's view is another");
}

#[test]
fn a_view_too_long_to_be_compared_is_sent_whole() {
    let view = |last: u8| Json::trusted(format!(r#"["{}",{last}]"#, "x".repeat(diff::MAX_COMPARED / 2)));
    let mut story = Story::of(move |event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }, Effect::View { view: view(0) }]),
        Event::Message { .. } => Ok(vec![Effect::View { view: view(1) }]),
        _ => Ok(vec![]),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    let whole = format!(r#""ops":[{{"op":"replace","path":"","value":{}}}]}}"#, &*view(1));
    assert!(out.frame_text(0).ends_with(&whole));
}

#[test]
fn in_the_lobby_whoever_has_said_nothing_holds_no_seat() {
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
fn a_drop_of_an_earlier_connection_takes_nobody_out_of_the_lobby() {
    let mut story = Story::of_the_lobby(greeter()).with_members(&[ANA]);
    story.record(reconnect(ANA, "edge-2", None));
    story.record(drop_of(ANA, EDGE));
    assert!(story.room.state().unwrap().members[&ANA].connected);
}

#[test]
fn in_a_full_room_the_seat_that_was_held_longest_goes_to_whoever_comes() {
    let admits = |event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        _ => Ok(vec![]),
    };
    let mut story = Story::of(admits).with_members(&[ANA, BEA]);
    let crowd = (0x100..).map(SessionId).take(Spec::MAX_MEMBERS - 2);
    crowd.for_each(|session| drop(story.record(join(session, 0))));
    let out = story.record(join(CAI, 0));
    assert_eq!(out.to_edge(), ["refused bea: the room is full"], "nobody is away");
    story.record(drop_of(ANA, EDGE));
    story.now = story.now.plus(1);
    story.record(drop_of(BEA, EDGE));
    let out = story.record(join(CAI, 0));
    assert_eq!(story.events[story.events.len() - 2..], ["leave ana TimedOut", "join bea"]);
    assert_eq!(out.to_edge()[..2], ["leave ana", "admitted bea"]);
    let state = story.room.state().unwrap();
    assert_eq!(state.members.len(), Spec::MAX_MEMBERS);
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
    assert!(story.room.state().unwrap().members[&CAI].spectator, "nobody is away, and there are two seats");
    story.record(drop_of(CAI, EDGE));
    story.record(drop_of(BEA, EDGE));
    story.record(join(DAN, 1));
    let members = &story.room.state().unwrap().members;
    assert!(!members.contains_key(&BEA) && !members[&DAN].spectator);
    assert!(members.contains_key(&CAI), "a spectator's place is no player's seat");
}

/// Even if the player has sent nothing yet: it may not have had a turn.
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
fn a_seat_that_was_made_free_is_refused_by_the_script_or_by_its_failure() {
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
        let crowd = (0x100..).map(SessionId).take(Spec::MAX_MEMBERS - 1);
        crowd.for_each(|session| drop(story.record(join(session, 0))));
        story.record(drop_of(ANA, EDGE));
        let out = story.record(join(CAI, 0));
        let answers = out.to_edge().into_iter().filter(|text| text.starts_with("refused")).collect::<Vec<_>>();
        let reason = if fails { "the room's script failed" } else { "not you" };
        assert_eq!(answers, [format!("refused bea: {reason}")]);
        assert!(!story.room.state().unwrap().members.contains_key(&ANA));
    }
}

// The stories' fixtures.

const ROOM: RoomId = RoomId(10);
const ANA: SessionId = SessionId(0xa);
const BEA: SessionId = SessionId(0xb);
const CAI: SessionId = SessionId(0xc);
const DAN: SessionId = SessionId(0xd);
const EDGE: &str = "edge-1";
const FIRST: RequestId = RequestId { connection: ConnectionId(1), number: 1 };

type Script = Box<dyn FnMut(&Event) -> Result<Vec<Effect>, Fault>>;

/// A room, its log, and a guest that counts the messages it has answered: its saved state is that number.
struct Story {
    room: Room,
    script: Script,
    counted: u64,
    events: Vec<String>,
    /// The members that each instance was opened with.
    opened: Vec<String>,
    /// The fuel that each call was given.
    fuel: Vec<Option<u64>>,
    /// The session on whose account each call was.
    accounts: Vec<Option<SessionId>>,
    /// The fuel that each call burns.
    burns: u64,
    log: Vec<(Offset, Record)>,
    next: Offset,
    now: Time,
    refuses_swaps: bool,
    refuses_to_open: bool,
    spec: Arc<Spec>,
}

#[derive(Debug)]
struct Out {
    outputs: Vec<Output>,
}

impl Story {
    fn of(script: impl FnMut(&Event) -> Result<Vec<Effect>, Fault> + 'static) -> Story {
        let script = Box::new(script);
        let (room, now) = (Room::new(ROOM), Time(1_000_000));
        let (events, opened, log) = (vec![], vec![], vec![]);
        Story {
            room,
            script,
            counted: 0,
            events,
            opened,
            fuel: vec![],
            accounts: vec![],
            burns: 0,
            log,
            next: 100,
            now,
            refuses_swaps: false,
            refuses_to_open: false,
            spec: spec(),
        }
    }

    fn of_the_lobby(script: impl FnMut(&Event) -> Result<Vec<Effect>, Fault> + 'static) -> Story {
        Story { room: Room::new(RoomId::LOBBY), ..Story::of(script) }
    }

    /// Traps until the room ends.
    fn trap(&mut self, session: SessionId) -> Out {
        let mut out = Out { outputs: vec![] };
        for _ in 0..3 {
            let (at, id) = (self.next, self.next);
            self.record(say_to_it(session, id, "trap"));
            out = self.record(fault_at(at));
        }
        out
    }

    /// The snapshot that the room outputs when one is requested.
    fn saved(&mut self) -> Vec<u8> {
        self.room.snapshot();
        let saved = self.turn().outputs.into_iter().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes.to_vec()),
            _ => None,
        });
        saved.expect("there is something new")
    }

    /// The next timer is due, and fires.
    fn wait(&mut self) -> Out {
        let (due, id) = self.room.poll_timeout().expect("there is something to wait for");
        self.now = self.now.max(due);
        self.record(RoomCommand::Timer { id, name: None })
    }

    fn with_members(mut self, sessions: &[SessionId]) -> Story {
        self.record(create());
        for session in sessions {
            self.record(join(*session, 0));
        }
        self
    }

    fn record(&mut self, command: RoomCommand) -> Out {
        let record = Record { room: self.room.id(), time: self.now, command };
        let offset = self.next;
        self.next += 3;
        self.log.push((offset, record.clone()));
        self.room.record(offset, record);
        self.turn()
    }

    fn replay(&mut self, log: &[(Offset, Record)]) {
        for (offset, record) in log {
            self.room.record(*offset, record.clone());
            self.turn();
        }
    }

    /// Carries out the machine's outputs until there are none.
    fn turn(&mut self) -> Out {
        let mut outputs = vec![];
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => {
                    let outcome = self.answer(call);
                    self.room.guest(outcome);
                }
                output => outputs.push(output),
            }
        }
        Out { outputs }
    }

    fn answer(&mut self, call: Call) -> Outcome {
        let saved = |counted: u64| Saved { version: 1, state: Json::of(&counted) };
        match call {
            Call::Open { .. } if self.refuses_to_open => Outcome::Opened(Err(Fault::Trapped("at once".into()))),
            Call::Open { saved, info, .. } => {
                let away = |member: &MemberInfo| if member.connected { "" } else { " (away)" };
                let members = info.members.iter().map(|member| format!("{}{}", who(member.session), away(member)));
                self.opened.push(members.collect::<Vec<_>>().join(", "));
                self.counted = saved.map_or(0, |saved| saved.state.parse().unwrap());
                Outcome::Opened(Ok(self.spec.clone()))
            }
            Call::Handle { event, fuel, .. } => {
                self.events.push(name(&event));
                self.fuel.push(fuel);
                self.accounts.push(self.room.account().map(|account| account.session));
                self.room.burnt(self.burns);
                let result = (self.script)(&event);
                self.counted += u64::from(matches!((&event, &result), (Event::Message { .. }, Ok(_))));
                Outcome::Called(result)
            }
            Call::Save => Outcome::Saved(Ok(saved(self.counted))),
            Call::Swap { .. } if self.refuses_swaps => Outcome::Swapped(Err("cannot migrate".into())),
            Call::Swap { .. } => Outcome::Swapped(Ok(SwappedTo {
                before: saved(self.counted),
                spec: self.spec.clone(),
                effects: vec![],
            })),
        }
    }

    /// Hibernates the room: only its snapshot is left.
    fn sleep(&mut self) {
        self.room.snapshot();
        let out = self.turn();
        let snapshot = out.outputs.iter().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        let snapshot = snapshot.expect("there is something new");
        self.room = Room::restore(self.room.id(), &snapshot, RestoreReason::Woken).unwrap();
    }

    fn guest_state(&mut self) -> String {
        self.counted.to_string()
    }

    fn seq_of(&self, session: SessionId) -> u64 {
        self.room.state().unwrap().members[&session].out_seq
    }
}

impl Out {
    fn to_edge(&self) -> Vec<String> {
        let words = self.outputs.iter().filter_map(|output| match output {
            Output::Edge(_, command) => Some(command),
            _ => None,
        });
        words.flat_map(describe).collect()
    }

    fn restart(&self) -> Option<(Option<String>, u64)> {
        self.outputs.iter().find_map(|output| match output {
            Output::Notice(Notice::RestartScheduled { failed, in_ms }) => {
                Some((failed.as_deref().map(str::to_owned), *in_ms))
            }
            _ => None,
        })
    }

    fn frames(&self) -> Vec<(u64, &RoomFrame)> {
        let frames = self.outputs.iter().filter_map(|output| match output {
            Output::Edge(_, EdgeCommand::Deliver { frame, targets, .. }) => Some((targets[0].seq, frame)),
            _ => None,
        });
        frames.collect()
    }

    fn tags(&self) -> Vec<FrameTag> {
        self.frames().iter().map(|(_, frame)| frame.tag).collect()
    }

    fn frame_text(&self, n: usize) -> String {
        let (seq, frame) = self.frames()[n];
        frame.with_seq(seq)
    }
}

fn describe(command: &EdgeCommand) -> Vec<String> {
    match command {
        EdgeCommand::Deliver { targets, frame, .. } => {
            let tag = format!("{:?}", frame.tag).to_lowercase();
            targets.iter().map(|Target { session, seq, .. }| format!("{} {seq} {tag}", who(*session))).collect()
        }
        EdgeCommand::Join { session, .. } => vec![format!("move {}", who(*session))],
        EdgeCommand::Leave { session, .. } => vec![format!("leave {}", who(*session))],
        EdgeCommand::Kick { session, .. } => vec![format!("kick {}", who(*session))],
        EdgeCommand::Replaced { session } => vec![format!("replaced {}", who(*session))],
        EdgeCommand::Admitted { session, .. } => vec![format!("admitted {}", who(*session))],
        EdgeCommand::Refused { session, reason, .. } => vec![format!("refused {}: {reason}", who(*session))],
        EdgeCommand::Spent { session, .. } => vec![format!("spent {}", who(*session))],
        EdgeCommand::Resumed { session, applied, .. } => vec![format!("resumed {} {applied}", who(*session))],
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Create { .. } => "create".into(),
        Event::Join { member, .. } => format!("join {}", who(member.session)),
        Event::Drop { session } => format!("drop {}", who(*session)),
        Event::Reconnect { session } => format!("reconnect {}", who(*session)),
        Event::Leave { session, reason } => format!("leave {} {reason:?}", who(*session)),
        Event::Message { session, .. } => format!("message {}", who(*session)),
        Event::Timer { name, .. } => format!("timer {name}"),
        Event::RoomMessage { .. } => "room-message".into(),
        Event::RoomEnd { .. } => "room-end".into(),
        Event::MoveFailed { session, .. } => format!("move-failed {}", who(*session)),
        Event::Dispose { .. } => "dispose".into(),
    }
}

fn who(session: SessionId) -> &'static str {
    if session == ANA { "ana" } else { "bea" }
}

fn greeter() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Create { .. } => Ok(vec![Effect::View { view: Json::trusted(r#"{"n":1}"#) }]),
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }, say("hello")]),
        _ => Ok(vec![]),
    }
}

fn seats_who_may_play() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { member, .. } => Ok(vec![Effect::Admit { spectator: member.spectator }]),
        _ => Ok(vec![]),
    }
}

fn chatter() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Message { session, .. } => {
            Ok(vec![Effect::Broadcast { kind: "said".into(), data: Json::null(), except: vec![*session] }])
        }
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        _ => Ok(vec![]),
    }
}

fn counter() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        Event::Message { data, .. } if data.contains("throw") => Err(Fault::Threw("as it was told".into())),
        Event::Message { data, .. } if data.contains("trap") => Err(trapped()),
        Event::Message { data, .. } if data.contains("burn") => Err(Fault::OutOfFuel(1)),
        _ => Ok(vec![]),
    }
}

fn say(kind: &str) -> Effect {
    Effect::Broadcast { kind: kind.into(), data: Json::null(), except: vec![] }
}

fn set_timer(name: &str, after_ms: u64) -> Effect {
    Effect::SetTimer { name: name.into(), after_ms, payload: Json::null() }
}

fn spec() -> Arc<Spec> {
    Arc::new(Spec {
        state_version: 1,
        max_players: 2,
        hold_ms: 30_000,
        keep_when_empty: false,
        empty_ms: 10_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 4,
        max_timers: 4,
        messages: ["say".into()].into(),
        shows_failures: false,
        timers: ["turn".into()].into(),
    })
}

fn create() -> RoomCommand {
    let creator = Some(OutputRef { room: RoomId(77), number: OutputId { offset: 1, index: 0 } });
    RoomCommand::Create {
        kind: Kind::lobby(),
        component: Digest([1; 32]),
        options: Json::null(),
        creator,
        secret: Secret(7),
        allowance: 16,
    }
}

fn join(session: SessionId, message_id: u64) -> RoomCommand {
    let player = Player { id: who(session).into(), name: who(session).into() };
    let edge = MachineId(EDGE.into());
    RoomCommand::Join(Joining { session, player, edge, request: FIRST, message_id, options: Json::null(), from: None })
}

fn message(session: SessionId, message_id: u64) -> RoomCommand {
    say_to_it(session, message_id, "hello")
}

fn say_to_it(session: SessionId, message_id: u64, what: &str) -> RoomCommand {
    RoomCommand::Message { session, message_id, kind: "say".into(), data: Json::of(&what) }
}

fn drop_of(session: SessionId, edge: &str) -> RoomCommand {
    RoomCommand::Drop { session, edge: MachineId(edge.into()), code: 1006 }
}

fn reconnect(session: SessionId, edge: &str, last_seq: Option<u64>) -> RoomCommand {
    RoomCommand::Reconnect { session, edge: MachineId(edge.into()), request: FIRST, last_seq }
}

fn leave(session: SessionId) -> RoomCommand {
    RoomCommand::Leave { session, reason: LeaveReason::Left }
}

fn fault_at(offset: Offset) -> RoomCommand {
    RoomCommand::Fault { at: OutputId { offset, index: 0 }, fault: trapped() }
}

fn trapped() -> Fault {
    Fault::Trapped("unreachable".into())
}

fn swap(component: u8) -> RoomCommand {
    RoomCommand::Swap { component: Digest([component; 32]), rollout: None }
}
