//! Stories of timers, and of rooms that end because they are empty.

use super::*;

#[test]
fn an_empty_room_ends_after_its_time_and_notifies_its_creator() {
    let mut story = Story::of(greeter());
    story.record(create());
    let (due, id) = story.room.poll_timeout().expect("the room is empty");
    assert_eq!(due, story.now.plus(10_000));
    let out = story.record(RoomCommand::Timer { id, name: None });
    let notified = out.outputs.iter().any(|output| {
        matches!(
            output,
            Output::Append(RoomId(77), RoomCommand::RoomMessage { data: RoomData::Ended { failed: None, .. }, .. })
        )
    });
    assert!(notified && story.room.has_ended(), "{out:?}");
    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: the room has ended"]);
}

#[test]
fn a_timer_fires_once_and_only_in_its_latest_setting() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![set_timer("turn", 500)]),
        Event::Timer { .. } => Ok(vec![broadcast("tick")]),
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    story.record(message(ANA, 1));
    let (_, first) = story.room.poll_timeout().unwrap();
    story.record(message(ANA, 2));
    let (_, second) = story.room.poll_timeout().unwrap();
    assert_eq!(story.record(RoomCommand::Timer { id: first, name: None }).to_edge(), [""; 0], "it was set again");
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
fn a_room_waits_for_its_first_member_even_if_it_would_not_wait_once_empty() {
    for empty_ms in [0, 1_000, 60_000] {
        let mut story = Story {
            spec: Arc::new(ComponentSpec { empty_ms, ..ComponentSpec::clone(&spec()) }),
            ..Story::of(greeter())
        };
        story.record(create());
        let due = |story: &Story| story.room.poll_timeout().map(|(due, _)| due);
        assert_eq!(due(&story), Some(story.now.plus(empty_ms.max(10_000))), "a join may be in flight");
        story.now = story.now.plus(9_000);
        story.record(join(ANA, 0));
        assert_eq!(due(&story), None);
        story.record(leave(ANA));
        assert_eq!(due(&story), Some(story.now.plus(empty_ms)), "after its first member the limit of its kind holds");
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
    story.spec = Arc::new(ComponentSpec { timers, max_timers: 3, ..ComponentSpec::clone(&spec()) });
    let mut story = story.with_members(&[ANA]);
    for (id, text) in ["again", "in turn", "again"].into_iter().enumerate() {
        assert!(!faulty(&story.record(message_with(ANA, 1 + id as u64, text))), "{text}");
        assert_eq!(story.room.state().expect("it lives").timers.len(), 1, "{text}");
    }
    assert!(faulty(&story.record(message_with(ANA, 9, "all"))), "four, where there may be three");
}

fn faulty(out: &Out) -> bool {
    out.outputs.iter().any(|output| matches!(output, Output::Append(_, RoomCommand::Fault { .. })))
}
