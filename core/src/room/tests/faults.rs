//! Stories of failing guests.

use std::{cell::Cell, rc::Rc};

use super::*;

#[test]
fn a_throw_has_no_effect_but_an_error_and_the_room_goes_on() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    let out = story.record(message_with(ANA, 2, "throw"));
    assert_eq!(out.to_edge().len(), 1);
    assert!(out.frame_text(0).contains(r#""code":"fault""#));
    assert!(out.outputs.iter().any(|output| matches!(output, Output::Snapshot { .. })), "the next throw is cheap");
    let in_log = |output: &Output| matches!(output, Output::Append(_, RoomCommand::Threw { text, .. }) if &**text == "on purpose");
    assert_eq!(out.outputs.iter().filter(|output| in_log(output)).count(), 1, "operators find it in the log");
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
    let out = story.record(message_with(ANA, 2, "trap"));
    assert!(matches!(&out.outputs[..], [Output::Append(_, RoomCommand::Fault { at, .. })] if at.offset == trapped));
    assert_eq!(story.record(message(BEA, 1)).outputs, [], "nothing is applied before the Fault record");
    let out = story.record(fault_at(trapped));
    let tags = out.tags();
    assert_eq!(&tags[..2], [FrameTag::Error, FrameTag::Reply], "the sender gets an error, then the room continues");
    assert_eq!(&tags[2..], [FrameTag::Room, FrameTag::Room], "and every member gets a whole view");
    assert_eq!(story.guest_state(), "2");

    let mut replay = Story::of(|event: &Event| {
        assert!(!format!("{event:?}").contains("trap"), "it must not be tried again");
        counter()(event)
    });
    for (offset, record) in story.log.iter().rev().filter(|(_, r)| matches!(r.command, RoomCommand::Fault { .. })) {
        if let RoomCommand::Fault { at: OutputId { offset: at, .. }, fault } = &record.command {
            replay.room.handle(Input::FaultDecided { offset: *at, fault: fault.clone() });
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
    failing.record(message_with(ANA, 1, "trap"));
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
        story.record(message_with(ANA, id, "trap"));
        let out = story.record(fault_at(at));
        if id == 3 {
            assert!(story.room.has_ended());
            let texts: Vec<String> = (0..out.tags().len()).map(|n| out.frame_text(n)).collect();
            assert!(texts.iter().any(|text| text.contains("failed 3 times in a row")), "{texts:?}");
        }
    }
}

/// The client has reconnected through another edge, but a room that has given up applies no `Reconnect`, and notifies the first
/// edge of its end. So the reconnect is answered separately.
#[test]
fn a_reconnect_to_a_room_that_has_given_up_is_answered() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.hibernate();
    story.refuses_to_open = true;
    let out = story.record(join(BEA, 0));
    let Some(Output::Append(_, close)) = out.outputs.last().cloned() else { panic!("{out:?}") };
    story.record(reconnect(ANA, "edge-2", None));
    let out = story.record(close);
    let answer = EdgeCommand::Left { session: ANA, request: FIRST, room: ROOM, reason: LeaveReason::Left };
    assert!(out.outputs.contains(&Output::Edge(MachineId("edge-2".into()), answer)), "{out:?}");
}

#[test]
fn throws_of_a_player_never_end_the_room() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    for id in 1..=20 {
        story.record(message_with(ANA, id, "throw"));
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

/// The script fails in a replay of records that it has handled before, so the room would end within records whose outputs have
/// left.
#[test]
fn a_room_that_would_end_within_replayed_records_ends_at_a_record_of_its_own() {
    for id in [ROOM, RoomId::LOBBY] {
        let is_replay = Rc::new(Cell::new(false));
        let (traps, mut handle) = (is_replay.clone(), counter());
        let mut story = Story::of(move |event: &Event| match event {
            Event::Message { .. } if traps.get() => Err(trapped()),
            event => handle(event),
        });
        story.room = Room::new(id);
        let mut story = story.with_members(&[ANA]);
        (2..5).for_each(|id| drop(story.record(message(ANA, id))));
        let at = story.next;
        story.record(message_with(ANA, 5, "trap"));
        is_replay.set(true);
        let mut out = story.record(fault_at(at));
        while let Some(fault @ RoomCommand::Fault { .. }) = out.to_itself() {
            out = story.record(fault);
        }
        let Some(close @ RoomCommand::Close { .. }) = out.to_itself() else { panic!("{out:?}") };
        let out = story.record(close);
        assert_eq!(out.tags(), [FrameTag::Left], "the member is notified");
    }
}
