//! Stories of frames on their way to edges: what travels in one command.

use super::*;
use crate::command::MAX_DELIVERED;

/// A room whose guest has these effects for each message, with three members; the last one is at another edge.
fn with_effects(effects: impl Fn(SessionId) -> Vec<Effect> + 'static) -> Story {
    let mut story = Story::of(move |event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: true }]),
        Event::Message { session, .. } => Ok(effects(*session)),
        _ => Ok(vec![]),
    })
    .with_members(&[ANA, BEA, CAI]);
    story.record(reconnect(CAI, "edge-2", None));
    story
}

fn event(session: SessionId, msg_type: &str) -> Effect {
    Effect::Send { session, msg_type: msg_type.into(), data: Json::null() }
}

/// The edge of each command, and the number of its deliveries.
fn commands(out: &Out) -> Vec<(&str, usize)> {
    let commands = out.outputs.iter().filter_map(|output| match output {
        Output::Edge(edge, EdgeCommand::Deliver(deliveries)) => Some((&*edge.0, deliveries.len())),
        Output::Edge(edge, _) => Some((&*edge.0, 0)),
        _ => None,
    });
    commands.collect()
}

#[test]
fn the_frames_of_one_record_for_one_edge_travel_in_one_command_in_order() {
    let mut story = with_effects(|session| vec![broadcast("first"), event(CAI, "second"), event(session, "third")]);
    let before = [ANA, BEA].map(|session| story.seq_of(session));
    let out = story.record(message(ANA, 1));
    assert_eq!(commands(&out), [(EDGE, 4), ("edge-2", 2)]);
    let [ana, bea] = before;
    let at_edge = [
        format!("ana {} event", ana + 1),
        format!("bea {} event", bea + 1),
        format!("ana {} event", ana + 2),
        format!("ana {} reply", ana + 3),
    ];
    assert_eq!(out.to_edge()[..4], at_edge);
}

#[test]
fn a_frame_for_several_sessions_is_in_the_command_once() {
    let mut story = with_effects(|_| vec![broadcast("to all")]);
    let out = story.record(message(CAI, 1));
    let Some(Output::Edge(_, EdgeCommand::Deliver(deliveries))) = out.outputs.first() else { panic!("{out:?}") };
    let frames: Vec<&RoomFrame> = deliveries.iter().map(|(_, frame)| frame).collect();
    assert!(frames.len() == 2 && std::ptr::eq(frames[0], frames[1]), "{out:?}");
}

#[test]
fn no_frame_overtakes_what_the_record_outputs_before_it() {
    let between = [
        Effect::MoveTo { session: CAI, room: RoomId(5), options: Json::null() },
        Effect::SendRoom { room: RoomId(5), data: Json::null() },
        Effect::CreateRoom { kind: Kind::lobby(), options: Json::null(), allowance: 0 },
    ];
    for other in between {
        let effects = [event(ANA, "before"), other.clone(), event(ANA, "after")];
        let mut story = with_effects(move |_| effects.to_vec());
        let out = story.record(message(BEA, 1));
        let is_deliver = |output: &Output| matches!(output, Output::Edge(_, EdgeCommand::Deliver(_)));
        let order: Vec<bool> = out.outputs.iter().map(is_deliver).collect();
        assert_eq!(order, [true, false, true], "{other:?}");
    }
}

#[test]
fn lines_for_the_author_part_no_frames() {
    let log = Effect::Log { level: LogLevel::Info, text: "here".into() };
    let mut story = with_effects(move |_| vec![event(ANA, "before"), log.clone(), event(ANA, "after")]);
    let out = story.record(message(ANA, 1));
    assert_eq!(commands(&out), [(EDGE, 3)]);
}

#[test]
fn a_command_that_is_full_takes_no_further_frame() {
    let data = Json::of(&"x".repeat(MAX_DELIVERED / 4));
    let large = move |session| Effect::Send { session, msg_type: "large".into(), data: data.clone() };
    let mut story = with_effects(move |session| (0..6).map(|_| large(session)).collect());
    let out = story.record(message(ANA, 1));
    assert_eq!(commands(&out), [(EDGE, 4), (EDGE, 3)]);
    let numbers: Vec<u64> = out.frames().iter().map(|(seq, _)| *seq).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
fn the_frames_of_a_resume_travel_in_one_command() {
    let mut story = with_effects(|session| vec![event(session, "one"), event(session, "two")]);
    let before = story.seq_of(ANA);
    story.record(message(ANA, 1));
    let out = story.record(reconnect(ANA, "edge-3", Some(before)));
    assert_eq!(commands(&out).last(), Some(&("edge-3", 0)), "the end of the answer");
    assert!(commands(&out).contains(&("edge-3", 3)), "{out:?}");
}

#[test]
fn a_member_that_missed_a_frame_too_large_to_keep_gets_its_whole_view() {
    let data = Json::of(&"x".repeat(RESEND_BYTES));
    let large = move |session| Effect::Send { session, msg_type: "large".into(), data: data.clone() };
    let mut story = with_effects(move |session| vec![large(session)]);
    let before = story.seq_of(ANA);
    story.record(message(ANA, 1));
    let out = story.record(reconnect(ANA, EDGE, Some(before)));
    assert!(out.to_edge()[0].ends_with("room"), "{:?}", out.to_edge());
    let after = story.seq_of(ANA);
    let out = story.record(reconnect(ANA, EDGE, Some(after)));
    assert_eq!(out.to_edge(), ["resumed ana 1"], "it lacks nothing");
}
