//! Stories of snapshots, replays and new instances.

use super::*;

#[test]
fn a_room_from_its_snapshot_and_tail_is_the_same_room_at_every_offset() {
    let mut story = Story::of(counter()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    story.record(drop_of(BEA, EDGE));
    story.record(message_with(ANA, 2, "throw"));
    story.record(message(ANA, 3));
    let at = story.next;
    story.record(message_with(ANA, 4, "trap"));
    story.record(fault_at(at));
    story.record(reconnect(BEA, "edge-2", Some(0)));
    story.record(leave(ANA));
    for cut in 1..story.log.len() {
        let mut first = Story::of(counter());
        first.replay(&story.log[..cut]);
        first.room.handle(Input::TakeSnapshot);
        let out = first.turn();
        let Some(Output::Snapshot { bytes, offset }) =
            out.outputs.iter().rfind(|o| matches!(o, Output::Snapshot { .. }))
        else {
            // The room waits for its `Fault` record, and saves nothing before that.
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
fn a_member_that_leaves_a_hibernating_room_is_known_to_the_instance_that_gets_the_event() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    story.record(drop_of(BEA, EDGE));
    story.hibernate();
    let (_, hold) = story.room.poll_timeout().expect("the hold");
    story.record(RoomCommand::Timer { id: hold, name: None });
    assert_eq!(story.events.last().map(String::as_str), Some("leave bea TimedOut"));
    assert_eq!(story.opened.last().map(String::as_str), Some("ana, bea (away)"));
    assert_eq!(story.room.state().unwrap().members.len(), 1);
}

#[test]
fn an_instance_has_the_members_in_the_order_of_joining() {
    let mut story = Story::of(chatter()).with_members(&[BEA, ANA]);
    story.hibernate();
    story.record(message(ANA, 1));
    assert_eq!(story.opened.last().map(String::as_str), Some("bea, ana"));
    story.record(leave(BEA));
    story.record(join(BEA, 0));
    story.hibernate();
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
fn a_rebuild_leaves_no_large_queues_behind() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    (1..=100).for_each(|id| drop(story.record(message(ANA, id))));
    story.room.handle(Input::InstanceLost);
    assert!(story.room.inbox.capacity() >= 100, "all of them are applied again");
    story.turn();
    assert!(story.room.is_idle());
    assert!(story.room.inbox.capacity() <= KEPT_CAPACITY && story.room.outputs.capacity() <= KEPT_CAPACITY);
}
