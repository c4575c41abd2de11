//! Stories of the lobby, which restarts where another room ends.

use super::*;

#[test]
fn a_lobby_that_failed_restarts_at_once_and_its_members_join_again() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    let out = story.trap(ANA);
    let before = out.frames().last().expect("its members are sent out").0;
    assert_eq!(&out.to_edge()[1..], [format!("ana {before} left"), "leave ana".into()]);
    assert!(matches!(out.restart(), Some((Some(why), 0)) if why.contains("failed 3 times in a row")), "{out:?}");
    assert!(!story.room.has_ended());

    assert_eq!(story.record(join(ANA, 0)).to_edge(), ["refused ana: the lobby restarts in 0 s"], "a moment too early");
    let due = story.room.poll_timeout().expect("the restart").0;
    assert_eq!(due, story.now);
    story.wait();
    assert_eq!(story.events.last().map(String::as_str), Some("create"));
    assert_eq!(story.guest_state(), "0", "it has no state from before");
    let out = story.record(join(ANA, 100));
    assert_eq!(out.to_edge(), ["admitted ana".to_owned(), format!("ana {} room", before + 1)], "numbers go on");
}

#[test]
fn each_failure_of_the_lobby_in_a_row_doubles_the_delay() {
    let mut story = Story::of_the_lobby(|_: &Event| Err(Fault::Trapped("always".into())));
    let mut waits = vec![];
    let mut at = story.next;
    story.record(create());
    for _ in 0..10 {
        let (_, in_ms) = story.record(fault_at(at)).restart().expect("it restarts");
        waits.push(in_ms);
        at = story.next;
        story.wait();
    }
    assert_eq!(waits, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
}

#[test]
fn a_long_run_of_the_lobby_ends_a_series_of_failures() {
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
fn another_component_of_the_lobby_starts_at_once() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.trap(ANA);
    story.wait();
    story.record(join(ANA, story.next));
    story.trap(ANA);
    assert!(story.room.poll_timeout().expect("the restart").0 > story.now);
    story.record(swap(9));
    assert_eq!(story.room.poll_timeout().expect("the restart").0, story.now);
    story.wait();
    assert_eq!(story.room.state().unwrap().component, Digest([9; 32]));
}

#[test]
fn a_lobby_that_awaits_its_restart_is_restored_from_its_snapshot_and_from_its_log() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    let out = story.trap(ANA);
    let snapshot = out.outputs.iter().find_map(|output| match output {
        Output::Snapshot { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    let snapshot = snapshot.expect("the end is in a snapshot");
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
fn a_lobby_that_ends_itself_or_stays_empty_remains_available() {
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
fn a_lobby_whose_state_cannot_be_opened_refuses_the_join_and_restarts() {
    let mut story = Story::of_the_lobby(counter()).with_members(&[ANA]);
    story.hibernate();
    story.refuses_to_open = true;
    let out = story.record(join(BEA, 0));
    assert_eq!(out.to_edge(), ["refused bea: the room's script cannot go on"]);
    let Some(Output::Append(_, close)) = out.outputs.last().cloned() else { panic!("{out:?}") };
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0], "nothing is applied before the Close record");
    let out = story.record(close.clone());
    assert!(out.restart().is_some(), "{out:?}");
    assert_eq!(story.record(close).outputs, [], "a zombie's second record has no effect");
    story.refuses_to_open = false;
    story.wait();
    assert_eq!(story.record(join(BEA, 0)).to_edge()[0], "admitted bea");
}
