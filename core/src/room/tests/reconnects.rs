//! Stories of members that reconnect.

use super::*;

#[test]
fn a_member_that_reconnects_in_time_gets_exactly_the_frames_that_it_missed() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    let before = story.seq_of(ANA);
    story.record(drop_of(ANA, EDGE));
    story.record(message(BEA, 1));
    story.record(message(BEA, 2));
    let out = story.record(reconnect(ANA, "edge-2", Some(before)));
    let frames = [before + 1, before + 2].map(|seq| format!("ana {seq} event"));
    assert_eq!(out.to_edge(), [&frames[..], &["resumed ana 0".to_owned()]].concat());
    assert!(out.outputs.iter().all(|o| matches!(o, Output::Edge(edge, _) if &*edge.0 == "edge-2")));
}

#[test]
fn a_member_that_reconnects_too_late_gets_a_whole_view() {
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
fn a_reconnect_is_answered_with_the_last_message_that_was_applied() {
    let mut story = Story::of(chatter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.record(message(ANA, 7));
    let seen = story.seq_of(ANA);
    assert_eq!(story.record(message(ANA, 1)).to_edge(), [""; 0], "a known id is dropped without an answer");
    let out = story.record(reconnect(ANA, EDGE, Some(seen)));
    assert_eq!(out.to_edge(), ["resumed ana 7"]);
}

#[test]
fn a_client_that_is_ahead_of_the_log_continues_above_its_number_and_an_absurd_number_is_ignored() {
    let mut story = Story::of(chatter()).with_members(&[ANA, BEA]);
    let ahead = story.seq_of(ANA) + 40;
    story.record(reconnect(ANA, EDGE, Some(ahead)));
    assert_eq!(story.seq_of(ANA), ahead + 1, "its whole view is news to it");
    story.record(reconnect(BEA, EDGE, Some(u64::MAX >> 11)));
    assert!(story.seq_of(BEA) < 100, "later seats take up these numbers: they must not run out");
}

#[test]
fn frames_of_an_earlier_seat_are_not_continued() {
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
fn the_previous_edge_is_notified_since_it_may_have_the_later_connection() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    let out = story.record(reconnect(ANA, "edge-2", None));
    let Some(Output::Edge(before, EdgeCommand::Replaced { session: ANA })) = out.outputs.first() else {
        panic!("{out:?}")
    };
    assert_eq!(&*before.0, EDGE);
    // The first edge has the newer connection: the record from edge-2 was in flight for a long time.
    let again = story.record(reconnect(ANA, EDGE, None));
    assert_eq!(again.to_edge()[0], "replaced ana");
    story.record(drop_of(ANA, "edge-2"));
    assert!(story.room.state().unwrap().members[&ANA].connected);
}

#[test]
fn a_member_that_was_removed_while_away_gets_the_reason_when_it_reconnects() {
    let mut story = Story::of(greeter()).with_members(&[ANA, BEA]);
    story.record(drop_of(ANA, EDGE));
    let (_, id) = story.room.poll_timeout().expect("its seat is held for a while");
    story.record(RoomCommand::Timer { id, name: None });
    let why = |out: &Out| {
        out.outputs.iter().find_map(|output| match output {
            Output::Edge(_, EdgeCommand::Left { reason, .. }) => Some(*reason),
            _ => None,
        })
    };
    let out = story.record(reconnect(ANA, "edge-2", Some(1)));
    assert_eq!(why(&out), Some(LeaveReason::TimedOut));
    story.record(RoomCommand::Close { reason: "over".into() });
    let out = story.record(reconnect(BEA, "edge-2", Some(1)));
    assert_eq!(why(&out), Some(LeaveReason::Ended));
}
